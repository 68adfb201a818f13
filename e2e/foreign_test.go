package e2e

import (
	"bytes"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/cloudevents/sdk-go/v2/binding"
	cehttp "github.com/cloudevents/sdk-go/v2/protocol/http"
	"github.com/stretchr/testify/require"
)

// cloudEvent is an event as an official SDK understood it.
type cloudEvent struct {
	SpecVersion string          `json:"specversion"`
	ID          string          `json:"id"`
	Type        string          `json:"type"`
	Source      string          `json:"source"`
	Subject     string          `json:"subject"`
	Time        string          `json:"time"`
	DataSchema  string          `json:"dataschema"`
	Customer    string          `json:"customer"`
	Data        json.RawMessage `json:"data"`
}

// message is an event in HTTP's form; Secret is given for webhooks.
type message struct {
	Secret  string            `json:"secret,omitempty"`
	Headers map[string]string `json:"headers"`
	Body    string            `json:"body"`
}

// javaScript reads events and webhooks with the official JavaScript libraries.
func javaScript(t testing.TB, events, webhooks []message) (readEvents, readWebhooks []cloudEvent) {
	t.Helper()
	require.DirExists(t, filepath.Join("js", "node_modules", "cloudevents"), "the npm packages are missing: run make tools")
	cmd := exec.CommandContext(t.Context(), tool(t, "node", "the Debian package nodejs"), "read.mjs")
	cmd.Dir = "js"
	var out, errs bytes.Buffer
	cmd.Stdin = bytes.NewReader(encode(t, map[string][]message{"events": events, "webhooks": webhooks}))
	cmd.Stdout, cmd.Stderr = &out, &errs
	require.NoErrorf(t, cmd.Run(), "%s", errs.String())
	var answer struct{ Events, Webhooks []cloudEvent }
	require.NoError(t, json.Unmarshal(out.Bytes(), &answer))
	return answer.Events, answer.Webhooks
}

// golang reads an event with the official Go SDK.
func golang(t testing.TB, m message) cloudEvent {
	t.Helper()
	header := http.Header{}
	for name, value := range m.Headers {
		header.Set(name, value)
	}
	read, err := binding.ToEvent(t.Context(), cehttp.NewMessage(header, io.NopCloser(bytes.NewReader([]byte(m.Body)))))
	require.NoErrorf(t, err, "%v", m.Headers)
	require.NoError(t, read.Validate())
	customer, _ := read.Extensions()["customer"].(string)
	return cloudEvent{
		SpecVersion: read.SpecVersion(), ID: read.ID(), Type: read.Type(), Source: read.Source(), Subject: read.Subject(),
		DataSchema: read.DataSchema(), Customer: customer, Data: read.Data(),
	}
}

// requireReadable requires that both SDKs understand events in the same way.
func requireReadable(t testing.TB, events []event) {
	t.Helper()
	var messages []message
	for _, e := range events {
		// The SDKs read HTTP's binding, which has the media type in content-type alone;
		// NATS's binding has it as an attribute too.
		headers := maps.Clone(e.Header)
		require.Equal(t, headers["content-type"], headers["ce-datacontenttype"])
		delete(headers, "ce-datacontenttype")
		messages = append(messages, message{Headers: headers, Body: string(e.Data)})
	}
	js, _ := javaScript(t, messages, nil)
	require.Len(t, js, len(events))
	for i, e := range events {
		for _, read := range []cloudEvent{js[i], golang(t, messages[i])} {
			require.Equal(t, "1.0", read.SpecVersion)
			require.Equal(t, e.ID, read.ID)
			require.Equal(t, "dev.signbus."+e.Type, read.Type)
			require.NotEmpty(t, read.Source)
			require.Equal(t, e.ExternalID, read.Subject)
			require.Equal(t, "demo", read.Customer)
			require.Equal(t, "https://signbus.dev/schemas/events/"+e.Type+".v1.json", read.DataSchema)
			require.JSONEq(t, string(e.Data), string(read.Data))
		}
	}
}
