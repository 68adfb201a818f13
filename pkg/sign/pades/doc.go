// Package pades signs PDF files and checks signatures in them, as ETSI EN 319 142-1
// describes for the levels B-B and B-T.
//
// It promises that the bytes of the original are the first bytes of every result, that
// a signature is complete or fails with an error, and that checking works in bounded
// time and memory on hostile files. A file is streamed and never held in memory, and one
// whose digest state was kept is not read again but for its structure.
//
// It does not fetch anything, does not ask whether a certificate was revoked, and does
// not judge what a later update changed: it reports that something came later.
package pades
