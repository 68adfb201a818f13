// Package contract is the public data model of Signbus: the commands that external
// systems send, the answers and the events that they get, and the codes in which an
// outcome is told.
//
// It promises that every field of the insertEnvelope request is named, typed and
// known to be mandatory or not; that a request which does not follow the model is
// refused with a code, the path of the field and a sentence that says what to change;
// and that a field whose behaviour is not built yet is refused by name
// (not_supported) and never ignored. The few spellings that the published texts
// contradict themselves about are accepted; they are listed in [Tolerances].
//
// It does not know how messages travel, who the users are or what is inside a
// document: those checks belong to the services. Error texts carry field paths and
// never field contents, since contents may be personal.
//
// Paths are written in one style, `envelope.procDef.tasks[0].howMany`, always with
// the names of the model even where another spelling was sent.
package contract
