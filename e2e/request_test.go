package e2e

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"

	"signbus.dev/pkg/pdf/pdftest"
)

// object is a JSON object as an external system writes it.
type object = map[string]any

// contractPDF is a document of three pages.
var contractPDF = pdftest.Sample(3, "Contract 4711")

var lastID atomic.Int64

// newID returns an id that no other test of the run uses.
func newID(what string) string {
	return what + "-" + strconv.FormatInt(lastID.Add(1), 10)
}

// request is an insertEnvelope request for one document with the externalId doc.
func request(extID string, document []byte, tasks ...object) object {
	return object{
		"customerCode": customerCode, "externalSystemCode": "ERP",
		"envelope": object{
			"externalId": extID, "subject": "Contract 4711", "loadedByExtId": "segr", "trustLevelCode": "DIGITAL_PDF",
			"sysGenerator": "ERP", "sendingMode": "IMD",
			"documents": []object{{
				"externalId": "doc", "title": "Contract", "mimeType": "application/pdf", "originalFname": "contract.pdf", "bytes": document,
			}},
			"procDef": object{"tasks": tasks},
		},
	}
}

// envelopeOf returns the envelope of a request, to be changed.
func envelopeOf(request object) object { return request["envelope"].(object) }

// human is a task of people.
func human(order int, actors string, howMany int, actions ...object) object {
	return object{
		"type": "T", "order": order, "action": "WRK", "actorExpr": actors, "howMany": howMany, "certType": "I", "actionDefs": actions,
	}
}

// automatic is a signature that the bus makes in the name of a user.
func automatic(order int, actor string, actions ...object) object {
	return object{
		"type": "A", "order": order, "action": "ASI", "actorExpr": actor, "howMany": 1, "certType": "I", "actionDefs": actions,
	}
}

// seal is a signature of the organisation.
func seal(order int, actions ...object) object {
	return object{"type": "A", "order": order, "action": "SEA", "howMany": 1, "actionDefs": actions}
}

// action is what is done to the document.
func action(kind string, appearance object) object {
	return object{"docExternalId": "doc", "type": kind, "mandatory": true, "appearance": appearance}
}

func compass(page, position int) object {
	return object{"compassAppearance": object{"page": page, "position": position}}
}

// answer is an answer over HTTP.
type answer struct {
	status int
	header http.Header
	body   []byte
}

var httpClient = &http.Client{Timeout: 2 * time.Minute}

// call does one HTTP call. The payload is sent as it is when it is bytes, else as JSON;
// headers come in pairs.
func call(t testing.TB, method, url string, payload any, headers ...string) answer {
	t.Helper()
	a, err := tryCall(t, method, url, payload, headers...)
	require.NoError(t, err)
	return a
}

func tryCall(t testing.TB, method, url string, payload any, headers ...string) (answer, error) {
	t.Helper()
	var body io.Reader
	contentType := ""
	switch p := payload.(type) {
	case nil:
	case []byte:
		body, contentType = bytes.NewReader(p), "application/octet-stream"
	default:
		body, contentType = bytes.NewReader(encode(t, p)), "application/json"
	}
	req, err := http.NewRequestWithContext(t.Context(), method, url, body)
	require.NoError(t, err)
	if contentType != "" {
		req.Header.Set("Content-Type", contentType)
	}
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	resp, err := httpClient.Do(req)
	if err != nil {
		return answer{}, err
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	return answer{status: resp.StatusCode, header: resp.Header, body: data}, err
}

func encode(t testing.TB, value any) []byte {
	t.Helper()
	data, err := json.Marshal(value)
	require.NoError(t, err)
	return data
}

// decode reads an answer of the wanted status.
func (a answer) decode(t testing.TB, status int, into any) {
	t.Helper()
	require.Equalf(t, status, a.status, "%s", a.body)
	require.NoErrorf(t, json.Unmarshal(a.body, into), "%s", a.body)
}

// outcome reads an answer that is a code with a sentence.
func (a answer) outcome(t testing.TB, status int) outcome {
	t.Helper()
	var o outcome
	a.decode(t, status, &o)
	require.NotEmpty(t, o.Code)
	require.NotEmpty(t, o.Message)
	return o
}

const (
	direct = "/gosign/services/v1"
	proxy  = "/legalbus/services/v1"
)

// bearer is the header that carries the customerCode where the body cannot.
var bearer = []string{"Authorization", "Bearer " + customerCode}

// put inserts an envelope over REST.
func (b *bus) put(t testing.TB, api string, request object, headers ...string) answer {
	t.Helper()
	return call(t, http.MethodPut, b.api+api+"/envelopes/"+envelopeOf(request)["externalId"].(string), request, headers...)
}

// insert inserts an envelope and returns once its process runs.
func (b *bus) insert(t testing.TB, request object) {
	t.Helper()
	require.Equal(t, "OK", b.put(t, direct, request).outcome(t, http.StatusOK).Code)
}

// ask does a call that has no model of its own.
func (b *bus) ask(t testing.TB, method, path string, payload any) answer {
	t.Helper()
	return call(t, method, b.api+proxy+path, payload, bearer...)
}

// command gives a command on an envelope over REST and waits for its outcome.
func (b *bus) command(t testing.TB, extID, verb string, more object) answer {
	t.Helper()
	body := object{"customerCode": customerCode, "usrExtId": "segr", "enveExtId": extID}
	maps.Copy(body, more)
	return call(t, http.MethodPost, b.api+direct+"/envelopes/"+extID+"/"+verb, body)
}

// found is what the tests read of an envelope.
type found struct {
	ExternalID string `json:"externalId"`
	Status     string `json:"status"`
	NDocs      int    `json:"nDocs"`
	NPages     int    `json:"nPages"`
	Documents  []struct {
		ExternalID string `json:"externalId"`
		Size       int64  `json:"size"`
		NPages     int    `json:"nPages"`
		Bytes      []byte `json:"bytes"`
	} `json:"documents"`
	Process *struct {
		Status     string `json:"status"`
		LiveStatus []struct {
			User       string `json:"mgrExternalId"`
			Status     string `json:"status"`
			StepNumber int    `json:"stepNumber"`
			StartedAt  *int64 `json:"startedAt"`
			EndedAt    *int64 `json:"endedAt"`
		} `json:"liveStatus"`
	} `json:"process"`
}

// find asks for an envelope.
func (b *bus) find(t testing.TB, extID string, withBytes bool) answer {
	t.Helper()
	return call(t, http.MethodPost, b.api+direct+"/envelopes/"+extID, object{
		"customerCode": customerCode, "externalSystemCode": "ERP", "enveExtId": extID, "withDocBytes": withBytes,
	})
}

// get returns an envelope with the bytes of its documents.
func (b *bus) get(t testing.TB, extID string) found {
	t.Helper()
	var f found
	b.find(t, extID, true).decode(t, http.StatusOK, &f)
	require.Equal(t, extID, f.ExternalID)
	return f
}

// status returns the short code of an envelope's status.
func (b *bus) status(t testing.TB, extID string) string {
	t.Helper()
	var s struct {
		Status string `json:"status"`
	}
	b.ask(t, http.MethodGet, "/envelopes/"+extID+"/status", nil).decode(t, http.StatusOK, &s)
	return s.Status
}

// publish sends a command through the queue as a request and returns the sequence number
// of the JetStream acknowledgement. Headers come in pairs.
func (b *bus) publish(t testing.TB, subject string, payload any, headers ...string) uint64 {
	t.Helper()
	msg := nats.NewMsg(subject)
	var raw bool
	if msg.Data, raw = payload.([]byte); !raw {
		msg.Data = encode(t, payload)
	}
	for i := 0; i < len(headers); i += 2 {
		msg.Header.Set(headers[i], headers[i+1])
	}
	reply, err := b.conn.RequestMsg(msg, waitTime)
	require.NoError(t, err)
	var ack struct {
		Stream string          `json:"stream"`
		Seq    uint64          `json:"seq"`
		Error  json.RawMessage `json:"error"`
	}
	require.NoError(t, json.Unmarshal(reply.Data, &ack))
	require.Empty(t, ack.Error)
	require.Equal(t, "COMMANDS", ack.Stream)
	require.Positive(t, ack.Seq)
	return ack.Seq
}

// queueInsert is the subject of insertEnvelope.
const queueInsert = "cmd.demo.ERP.insertEnvelope"

// itoa keeps the tests short.
func itoa(n int) string { return strconv.Itoa(n) }

// digest is the lower-case hexadecimal SHA-256.
func digest(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}
