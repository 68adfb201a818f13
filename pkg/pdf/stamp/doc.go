// Package stamp draws what a visible signature shows: lines of text in any script, a
// drawn or typed autograph, an image and a QR code, fitted to a rectangle.
//
// [Appearance.Layout] decides where everything goes. What it returns, a [Drawing], is
// one list of operations with two ways to show it: [Drawing.Form] writes it as a form
// XObject of a PDF file (ISO 32000-2, 8.10), [Drawing.PNG] as a picture for a preview.
//
// It promises that
//   - nothing leaves the rectangle, and no text is an error: what a font lacks shows as
//     an empty box, what does not fit ends in dots, and both are rare;
//   - text can be copied: every glyph says which characters it stands for;
//   - a form may be added to a PDF/A file of any part: fonts are embedded, colours do not
//     depend on a device or an output intent, nothing is transparent;
//   - what comes from outside, images above all, is bounded and taken apart: only pixels
//     are kept, no metadata and no foreign code reaches the file.
//
// It knows nothing of files, fields and signatures; package pdf places what it draws.
package stamp
