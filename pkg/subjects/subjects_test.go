package subjects_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"signbus.dev/pkg/contract"
	"signbus.dev/pkg/subjects"
)

func TestValidToken(t *testing.T) {
	t.Parallel()
	for _, s := range []string{"demo", "ERP", "a", "A-b_9", strings.Repeat("x", 64)} {
		require.True(t, subjects.ValidToken(s), s)
	}
	for _, s := range []string{"", "a.b", "*", ">", "a b", "é", "a\x00", "$JS", strings.Repeat("x", 65)} {
		require.False(t, subjects.ValidToken(s), s)
	}
}

func TestCommand(t *testing.T) {
	t.Parallel()
	for _, name := range contract.Commands() {
		subject, err := subjects.Command("demo", "ERP", name)
		require.NoError(t, err)
		require.Equal(t, "cmd.demo.ERP."+string(name), subject)
		parsed, err := subjects.ParseCommand(subject)
		require.NoError(t, err)
		require.Equal(t, subjects.ParsedCommand{Customer: "demo", System: "ERP", Command: name}, parsed)
	}
	_, err := subjects.Command("de.mo", "ERP", contract.CommandInsertEnvelope)
	require.ErrorIs(t, err, subjects.ErrSubject)
	_, err = subjects.Command("demo", "*", contract.CommandInsertEnvelope)
	require.ErrorIs(t, err, subjects.ErrSubject)
	_, err = subjects.Command("demo", "ERP", "a.b")
	require.ErrorIs(t, err, subjects.ErrSubject)
}

func TestParseCommandSaysWhatIsMissing(t *testing.T) {
	t.Parallel()
	for subject, c := range map[string]struct {
		want    subjects.ParsedCommand
		message string
	}{
		"evt.demo.ERP.x":          {subjects.ParsedCommand{}, "subject: does not begin with cmd"},
		"cmd":                     {subjects.ParsedCommand{}, "subject cmd: customer id is missing, external system is missing, command is missing"},
		"cmd.demo":                {subjects.ParsedCommand{Customer: "demo"}, "subject cmd: external system is missing, command is missing"},
		"cmd.demo.ERP":            {subjects.ParsedCommand{Customer: "demo", System: "ERP"}, "subject cmd: command is missing"},
		"cmd..ERP.insert":         {subjects.ParsedCommand{System: "ERP", Command: "insert"}, "subject cmd: customer id is not a valid token"},
		"cmd.demo.ERP.a.b":        {subjects.ParsedCommand{Customer: "demo", System: "ERP", Command: "a"}, "subject cmd: there are tokens after the command"},
		"cmd.dé.ERP.insert$":      {subjects.ParsedCommand{System: "ERP"}, "subject cmd: customer id is not a valid token, command is not a valid token"},
		"cmd.demo.ERP.unknowncmd": {subjects.ParsedCommand{Customer: "demo", System: "ERP", Command: "unknowncmd"}, ""},
	} {
		parsed, err := subjects.ParseCommand(subject)
		require.Equal(t, c.want, parsed, subject)
		if c.message == "" {
			require.NoError(t, err, "whether a command exists is the reader's to decide")
			continue
		}
		require.EqualError(t, err, c.message)
		require.ErrorIs(t, err, subjects.ErrSubject)
	}
}

func TestEvent(t *testing.T) {
	t.Parallel()
	for _, typ := range contract.EventTypes() {
		subject, err := subjects.Event("demo", "ERP", typ)
		require.NoError(t, err)
		require.Equal(t, "evt.demo.ERP."+typ.Short(), subject)
		parsed, err := subjects.ParseEvent(subject)
		require.NoError(t, err)
		require.Equal(t, subjects.ParsedEvent{Customer: "demo", System: "ERP", Type: typ}, parsed)
	}
	_, err := subjects.Event("demo", "ERP", "operation.done")
	require.ErrorIs(t, err, subjects.ErrSubject)
	for _, bad := range []string{"evt", "evt.demo.ERP", "evt.demo.ERP.lost", "evt..ERP.envelope.sent", "cmd.demo.ERP.envelope.sent"} {
		_, err := subjects.ParseEvent(bad)
		require.ErrorIs(t, err, subjects.ErrSubject, bad)
	}
	filter, err := subjects.EventsOf("demo")
	require.NoError(t, err)
	require.Equal(t, "evt.demo.>", filter)
	_, err = subjects.EventsOf(">")
	require.ErrorIs(t, err, subjects.ErrSubject)
}

func TestWork(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for _, subject := range subjects.WorkSubjects() {
		require.False(t, seen[subject])
		seen[subject] = true
		tokens := strings.Split(subject, ".")
		require.Len(t, tokens, 3)
		require.Equal(t, "work", tokens[0])
		require.Contains(t, subjects.Services(), tokens[1])
		require.True(t, strings.HasPrefix(subject, strings.TrimSuffix(subjects.WorkOf(tokens[1]), ">")))
	}
	require.Equal(t, "work.provider-dispatch.>", subjects.WorkOf(subjects.ProviderDispatch))
}

func TestDead(t *testing.T) {
	t.Parallel()
	for _, service := range subjects.Services() {
		got, err := subjects.ServiceOfDead(subjects.Dead(service))
		require.NoError(t, err)
		require.Equal(t, service, got)
	}
	for _, bad := range []string{"dead", "dead.", "dead.a.b", "work.intake"} {
		_, err := subjects.ServiceOfDead(bad)
		require.ErrorIs(t, err, subjects.ErrSubject, bad)
	}
}

func TestQuery(t *testing.T) {
	t.Parallel()
	for _, q := range contract.Queries() {
		subject, err := subjects.Query("demo", "ERP", q)
		require.NoError(t, err)
		require.Equal(t, "qry.demo.ERP."+string(q), subject)
		parsed, err := subjects.ParseQuery(subject)
		require.NoError(t, err)
		require.Equal(t, subjects.ParsedQuery{Customer: "demo", System: "ERP", Query: q}, parsed)
		require.Equal(t, "qry.*.*."+string(q), subjects.QueriesNamed(q))
	}
	_, err := subjects.Query("demo", "", contract.QueryStatus)
	require.ErrorIs(t, err, subjects.ErrSubject)
	_, err = subjects.Query("demo", "ERP", "a b")
	require.ErrorIs(t, err, subjects.ErrSubject)
	for _, bad := range []string{"qry.demo.ERP", "qry.demo.ERP.a.b", "qry..ERP.status", "cmd.demo.ERP.status"} {
		_, err := subjects.ParseQuery(bad)
		require.ErrorIs(t, err, subjects.ErrSubject, bad)
	}
}

func TestAttributeHeadersFollowTheBinding(t *testing.T) {
	t.Parallel()
	for _, h := range []string{
		subjects.HeaderCESpecVersion, subjects.HeaderCEID, subjects.HeaderCESource, subjects.HeaderCEType, subjects.HeaderCESubject,
		subjects.HeaderCETime, subjects.HeaderCEDataContentType, subjects.HeaderCEDataSchema, subjects.HeaderCESequence,
		subjects.HeaderCECustomer, subjects.HeaderCEOperationID, subjects.HeaderCETraceParent,
	} {
		require.Regexp(t, `^ce-[a-z0-9]{1,20}$`, h)
	}
}
