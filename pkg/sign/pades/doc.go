// Package pades signs PDF files and checks signatures in them, at the baseline levels B-B,
// B-T, B-LT and B-LTA of ETSI EN 319 142-1.
//
// It promises that the bytes of the original are the first bytes of every result, that
// the level asked for is reached or the signature fails, and that checking works in bounded
// time and memory on hostile files. A file is streamed and never held in memory, and one
// whose digest state was kept is not read again but for its structure. What a signature
// adds is prepared in memory, as one tail: the signature, then for B-LT an update with the
// validation data, then for B-LTA one with a document time-stamp over all of it.
//
// Checking judges certificates at the time that is proven, by what the file holds. It fetches
// nothing. It compares the revisions of the file: after a signature there may be validation
// data and time-stamps; under a later signature also signatures, filled-in fields, and
// what the certification allows. Everything else is reported.
package pades
