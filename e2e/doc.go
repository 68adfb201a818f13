// Package e2e holds the black-box tests of Signbus. They start the built binaries
// as a user would, in the one-process and in the six-process shape, and speak to
// them over NATS, HTTP and the command line only.
//
// The package promises that nothing in it knows the inside of a service: it is a
// module of its own and may not import one. It does not test what a unit test can.
package e2e
