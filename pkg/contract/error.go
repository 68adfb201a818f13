package contract

import (
	"errors"
	"strings"
)

// maxProblems bounds how many problems one refusal reports: enough to correct a
// request in one go, few enough to read.
const maxProblems = 5

// Error is one problem of a request.
type Error struct {
	// Code is the outcome that the problem leads to.
	Code Code
	// Path names the field; empty when the problem is not in one field.
	Path string
	// Message says what to change. It never repeats the field's content.
	Message string
}

// Error implements error: the path, then what to change.
func (e *Error) Error() string {
	if e.Path == "" {
		return e.Message
	}
	return e.Path + ": " + e.Message
}

// Errorf-free constructors keep messages constant: no content can slip in.
func illegal(path, message string) *Error {
	return &Error{Code: CodeIllegalArgument, Path: path, Message: message}
}

func notSupported(path, message string) *Error {
	return &Error{Code: CodeNotSupported, Path: path, Message: message}
}

func badProcess(path, message string) *Error {
	return &Error{Code: CodeProcessDefinitionError, Path: path, Message: message}
}

// Problems returns the contract errors inside err, in the order in which they were
// found; nil when there are none.
func Problems(err error) []*Error {
	if err == nil {
		return nil
	}
	if e, ok := err.(*Error); ok { //nolint:errorlint // walks the tree itself, one level at a time
		return []*Error{e}
	}
	var out []*Error
	switch u := err.(type) { //nolint:errorlint // as above
	case interface{ Unwrap() []error }:
		for _, e := range u.Unwrap() {
			out = append(out, Problems(e)...)
		}
	case interface{ Unwrap() error }:
		out = Problems(u.Unwrap())
	}
	return out
}

// CodeOf returns the code of the first problem in err: OK for nil, error for an err
// that is not a contract error.
func CodeOf(err error) Code {
	if err == nil {
		return CodeOK
	}
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Code
	}
	return CodeError
}

// Sentence joins the problems in err to one line, fit for an answer's message. An err
// that is not a contract error gives a fixed sentence, so that no inner text gets out.
func Sentence(err error) string {
	problems := Problems(err)
	if len(problems) == 0 {
		return "internal error"
	}
	lines := make([]string, len(problems))
	for i, p := range problems {
		lines[i] = p.Error()
	}
	return strings.Join(lines, "; ")
}

// problemList collects problems; the zero value is ready.
type problemList struct {
	list []*Error
	more int
}

func (l *problemList) add(e *Error) {
	if len(l.list) < maxProblems {
		l.list = append(l.list, e)
		return
	}
	l.more++
}

func (l *problemList) err() error {
	if len(l.list) == 0 {
		return nil
	}
	errs := make([]error, 0, len(l.list))
	for _, e := range l.list {
		errs = append(errs, e)
	}
	return errors.Join(errs...)
}
