package pades

import "slices"

// Level is a baseline level of ETSI EN 319 142-1, 6.
type Level string

// The levels.
const (
	// LevelNone is for a signature that holds but is no PAdES baseline signature.
	LevelNone Level = ""
	// LevelBB is a baseline signature.
	LevelBB Level = "B-B"
	// LevelBT is a baseline signature with a time-stamp.
	LevelBT Level = "B-T"
	// LevelBLT has the data for checking it later, when authorities no longer answer.
	LevelBLT Level = "B-LT"
	// LevelBLTA has a time-stamp over that data, too, which can be renewed for ever.
	LevelBLTA Level = "B-LTA"
)

// levels go from the lowest to the highest.
var levels = []Level{LevelBB, LevelBT, LevelBLT, LevelBLTA}

func (l Level) atLeast(other Level) bool {
	return slices.Index(levels, l) >= slices.Index(levels, other)
}
