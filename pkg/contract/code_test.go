package contract_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"signbus.dev/pkg/contract"
)

func TestCodes(t *testing.T) {
	t.Parallel()
	seen := map[contract.Code]bool{}
	for _, c := range contract.Codes() {
		require.False(t, seen[c], c)
		seen[c] = true
		for _, form := range []string{string(c), c.API(), strings.ToLower(string(c))} {
			got, known := contract.ParseCode(form)
			require.True(t, known, form)
			require.Equal(t, c, got)
		}
		require.Equal(t, strings.ToUpper(string(c)), c.API())
		if c != contract.CodeOK {
			require.Equal(t, strings.ToLower(string(c)), string(c))
			require.GreaterOrEqual(t, c.HTTPStatus(), http.StatusBadRequest)
		}
		require.NotEmpty(t, http.StatusText(c.HTTPStatus()))
		if c != contract.CodeError {
			require.NotEqual(t, http.StatusInternalServerError, c.HTTPStatus(), c)
		}
	}
	require.Equal(t, http.StatusOK, contract.CodeOK.HTTPStatus())
	require.Equal(t, http.StatusRequestEntityTooLarge, contract.CodeTooLarge.HTTPStatus())
	require.Equal(t, http.StatusInternalServerError, contract.Code("new").HTTPStatus())
	require.Equal(t, "MULTILPLE_DOCS_WITH_SAME_EXT_ID", contract.CodeMultipleDocsSameExtID.API())
	_, known := contract.ParseCode("nothing")
	require.False(t, known)
	require.Equal(t, contract.Outcome{Code: "USER_NOT_FOUND", Message: "m"}, contract.CodeUserNotFound.Outcome("m"))
	require.Equal(t, contract.Outcome{Code: "user_not_found", Message: "m"}, contract.CodeUserNotFound.ReturnStatus("m"))
	require.Equal(t, "OK", contract.CodeOK.ReturnStatus("").Code)
}

// The long names are those of chapter 9.6.
func TestStatuses(t *testing.T) {
	t.Parallel()
	long := []string{}
	for _, s := range contract.EnvelopeStatuses() {
		require.Len(t, string(s), 3)
		require.NotEmpty(t, s.Long())
		long = append(long, s.Long())
	}
	require.ElementsMatch(t, []string{"DRAFT", "IN_PROGRESS", "WORKED", "TO_REJECT", "REJECTED", "EXPIRED", "DELETED", "STORED", "TO_ERASE", "TEMPORARY", "CANCELLED"}, long)
	require.Empty(t, contract.EnvelopeStatus("ABC").Long())
	for s, ended := range map[contract.EnvelopeStatus]bool{
		contract.StatusDraft: false, contract.StatusInProgress: false, contract.StatusToReject: false, contract.StatusTemporary: false,
		contract.StatusWorked: true, contract.StatusRejected: true, contract.StatusExpired: true, contract.StatusDeleted: true,
		contract.StatusStored: true, contract.StatusToErase: true, contract.StatusCancelled: true,
	} {
		require.Equal(t, ended, s.Ended(), s)
	}
}

func TestEventTypes(t *testing.T) {
	t.Parallel()
	for _, e := range contract.EventTypes() {
		require.True(t, e.Known())
		require.True(t, strings.HasPrefix(string(e), contract.EventPrefix))
		require.Equal(t, string(e), contract.EventPrefix+e.Short())
	}
	require.False(t, contract.EventType("dev.signbus.envelope.lost").Known())
}
