// Package tools holds tests that watch over the repository itself: who imports whom,
// what the files may not contain, and that the images, the compose file and the NATS
// configuration fit the code.
//
// The package promises to look at files and never at a running bus. It does not build
// images: that needs a container engine.
package tools
