// Package e2e holds the black-box tests of Signbus. They start the built binaries
// as a user would, in the one-process and in the six-process shape, and speak to
// them over NATS, HTTP and the command line only.
//
// The package promises that nothing in it knows the inside of a service: it is a
// module of its own and may not import one. It does not test what a unit test can.
//
// TestBus is one suite over three shapes: one process on SQLite, one process on
// PostgreSQL, and six processes on an outside NATS server and PostgreSQL. One part in one
// shape runs with
//
//	go test -run 'TestBus/six processes/webhooks'
//
// TestNothingIsLost kills processes, TestQuickstart does what docs/quickstart.md says. The
// programs come from the folder SIGNBUS_E2E_BIN, or are built first. Logs of the processes
// are kept with -artifacts, and their end is shown when a test fails.
package e2e
