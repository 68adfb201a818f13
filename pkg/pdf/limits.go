package pdf

import "time"

// Limits bounds what a file may cost. A zero field takes the default.
type Limits struct {
	// Bytes is the largest file, 64 MB by default.
	Bytes int64
	// Pages is the largest number of pages, 5,000 by default.
	Pages int
	// Objects is the largest number of indirect objects, 150,000 by default, which
	// take two thirds of a second.
	Objects int
	// Values is the largest number of numbers, names, strings and so on in all
	// objects together, 2,000,000 by default. Each takes about 60 bytes of memory, and one
	// object may have 1,000,000 of them.
	Values int
	// Decoded is the largest size of all decompressed object streams together,
	// 64 MB by default. Small files are held to less, see the reader.
	Decoded int64
	// Content is the largest size of what is decompressed to show the document, other
	// than pictures, 128 MB by default.
	Content int64
	// Depth is the deepest nesting of values, pages and fields, 60 by default.
	Depth int
	// Time is the longest inspection by the clock, 30 s by default. The other limits end
	// hostile files in about a second of one processor; this one is for what they overlook,
	// and long enough that a busy machine does not blame a good file.
	Time time.Duration
}

func orDefault[T int | int64 | time.Duration](value, fallback T) T {
	if value <= 0 {
		return fallback
	}
	return value
}

func (l Limits) withDefaults() Limits {
	return Limits{
		Bytes:   orDefault(l.Bytes, 64<<20),
		Pages:   orDefault(l.Pages, 5_000),
		Objects: orDefault(l.Objects, 150_000),
		Values:  orDefault(l.Values, 2_000_000),
		Decoded: orDefault(l.Decoded, 64<<20),
		Content: orDefault(l.Content, 128<<20),
		Depth:   orDefault(l.Depth, 60),
		Time:    orDefault(l.Time, 30*time.Second),
	}
}
