// Package pdf reads PDF files that strangers sent, finds places on their pages,
// and appends signature fields to them.
//
// It promises that nothing in a file can make it use more memory, work or time
// than the given [Limits] allow, that every refusal is one of the sentinel errors
// with a sentence that says what to change, and that a file is only ever appended
// to: [Prepare], [PrepareFields] and [PrepareSecurity] take a reader and yield the bytes
// to add, so that a byte of the original, and with it an earlier signature, can not be changed.
// Nothing here takes or returns a whole file to be written anew.
//
// Files that are encrypted for their owner, so that everybody can read them, are read
// and updated as their permissions allow, and the update is encrypted too. Files that need a
// password to be read are refused.
//
// It does not render pages, does not repair broken files and does not know
// certificates: package pades signs what this package prepares.
//
// Two readers look at every file. The small one in this package reads lazily,
// refuses what is not well formed and counts before anything is built; only then
// does pdfcpu read the whole file, and both must agree on the pages.
package pdf
