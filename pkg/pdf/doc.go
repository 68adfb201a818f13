// Package pdf reads PDF files that strangers sent, finds places on their pages,
// and appends signature fields to them.
//
// It promises that nothing in a file can make it use more memory, work or time
// than the given [Limits] allow, that every refusal is one of the sentinel errors
// with a sentence that says what to change, and that a file is only ever appended
// to: [Prepare] takes a reader and yields the bytes to add, so that a byte of the
// original, and with it an earlier signature, cannot be changed.
//
// It does not render pages, does not open encrypted files, does not repair broken
// ones and does not know certificates: package pades signs what this package
// prepares.
//
// Two readers look at every file. The small one in this package reads lazily,
// refuses what is not well formed and counts before anything is built; only then
// does pdfcpu read the whole file, and both must agree on the pages.
package pdf
