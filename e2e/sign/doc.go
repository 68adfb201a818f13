// Package sign proves the signatures of the signbus command with programs that nobody
// here wrote.
//
// Files of many producers (the folder inputs) are signed by the built command alone, in
// every level, key type and format, and then judged by poppler, MuPDF, qpdf, OpenSSL,
// pdfcpu, PDFBox with Bouncy Castle, and pdf.js (the folder judges). What a judge cannot
// judge is in one table, gaps. The certificates come from an authority made with OpenSSL,
// with revocation lists, an OCSP responder and a time-stamp authority, and from the bus's own.
package sign
