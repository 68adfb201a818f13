package contract

import (
	"net/http"
	"strings"
)

// Code is the outcome of an operation. In OperationDone it is written in lower case
// (except OK), in REST answers in upper case; readers compare without regard to case.
type Code string

// The codes of OperationDone as chapter 11 lists them.
const (
	// CodeOK means that the operation succeeded.
	CodeOK Code = "OK"
	// CodeProductExpired means that the customer's subscription has expired.
	CodeProductExpired Code = "product_expired"
	// CodeBadDocFormat means that a document is not a usable PDF.
	CodeBadDocFormat Code = "bad_doc_format"
	// CodeDocumentClassError means that the document class or its fields are wrong.
	CodeDocumentClassError Code = "document_class_error"
	// CodeIllegalArgument means that a parameter is missing or wrong.
	CodeIllegalArgument Code = "illegal_argument"
	// CodeCustNotFound means that no customer has this customerCode.
	CodeCustNotFound Code = "cust_not_found"
	// CodeUserNotFound means that a user or a role does not exist.
	CodeUserNotFound Code = "user_not_found"
	// CodeEnvelopeAlreadyExists means that the externalId is taken.
	CodeEnvelopeAlreadyExists Code = "return_status_envelope_already_exists"
	// CodeProcessDefinitionError means that the signature process makes no sense.
	CodeProcessDefinitionError Code = "return_status_process_definition_error"
	// CodeError means a failure of the bus itself.
	CodeError Code = "error"
)

// The codes that the texts know from other answers and those that Signbus adds.
const (
	// CodeMultipleDocsSameExtID means that two documents share an externalId. The
	// spelling is that of the published API.
	CodeMultipleDocsSameExtID Code = "multilple_docs_with_same_ext_id"
	// CodeEnvelopeNotFound means that no envelope has this externalId.
	CodeEnvelopeNotFound Code = "envelope_not_found"
	// CodeAccessDenied means that the caller may not do this.
	CodeAccessDenied Code = "access_denied"
	// CodeNotSupported means that the request asks for something that is not built.
	CodeNotSupported Code = "not_supported"
	// CodeOperationIDReused means that the operation id was used with another payload.
	CodeOperationIDReused Code = "operation_id_reused"
	// CodeTooLarge means that the request is over the size limit.
	CodeTooLarge Code = "too_large"
	// CodeNotFound means that a subscription, an operation or a path does not exist.
	CodeNotFound Code = "not_found"
	// CodeTimeout means that an accepted operation had not ended when the wait was over.
	CodeTimeout Code = "timeout"
	// CodeUnavailable means that the request was not taken in charge and may be repeated.
	CodeUnavailable Code = "unavailable"
)

var statusOfCode = map[Code]int{
	CodeOK:                     http.StatusOK,
	CodeProductExpired:         http.StatusForbidden,
	CodeBadDocFormat:           http.StatusUnprocessableEntity,
	CodeDocumentClassError:     http.StatusUnprocessableEntity,
	CodeIllegalArgument:        http.StatusBadRequest,
	CodeCustNotFound:           http.StatusUnauthorized,
	CodeUserNotFound:           http.StatusUnprocessableEntity,
	CodeEnvelopeAlreadyExists:  http.StatusConflict,
	CodeProcessDefinitionError: http.StatusUnprocessableEntity,
	CodeError:                  http.StatusInternalServerError,
	CodeMultipleDocsSameExtID:  http.StatusUnprocessableEntity,
	CodeEnvelopeNotFound:       http.StatusNotFound,
	CodeAccessDenied:           http.StatusForbidden,
	CodeNotSupported:           http.StatusUnprocessableEntity,
	CodeOperationIDReused:      http.StatusUnprocessableEntity,
	CodeTooLarge:               http.StatusRequestEntityTooLarge,
	CodeNotFound:               http.StatusNotFound,
	CodeTimeout:                http.StatusGatewayTimeout,
	CodeUnavailable:            http.StatusServiceUnavailable,
}

// Codes returns every code, in the order of this file.
func Codes() []Code {
	return []Code{
		CodeOK, CodeProductExpired, CodeBadDocFormat, CodeDocumentClassError,
		CodeIllegalArgument, CodeCustNotFound, CodeUserNotFound,
		CodeEnvelopeAlreadyExists, CodeProcessDefinitionError, CodeError,
		CodeMultipleDocsSameExtID, CodeEnvelopeNotFound, CodeAccessDenied,
		CodeNotSupported, CodeOperationIDReused, CodeTooLarge, CodeNotFound,
		CodeTimeout, CodeUnavailable,
	}
}

// API returns the upper-case form that REST and SOAP answers use.
func (c Code) API() string { return strings.ToUpper(string(c)) }

// HTTPStatus returns the status of an HTTP answer that carries the code; 500 for an
// unknown code.
func (c Code) HTTPStatus() int {
	if s, ok := statusOfCode[c]; ok {
		return s
	}
	return http.StatusInternalServerError
}

// ParseCode reads a code in either case and reports whether it is known.
func ParseCode(s string) (Code, bool) {
	for _, c := range Codes() {
		if strings.EqualFold(string(c), s) {
			return c, true
		}
	}
	return "", false
}
