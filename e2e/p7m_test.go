package e2e

import (
	"archive/zip"
	"bytes"
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// testP7M signs files that are no PDF.
func testP7M(t *testing.T, b *bus) {
	for name, test := range map[string]func(*testing.T, *bus){
		"an office document, by queue":   testP7MOffice,
		"XML, with a level":              testP7MXML,
		"a signed message is signed too": testP7MAgain,
		"what a P7M cannot have":         testP7MRefused,
		"command line":                   testP7MCommandLine,
	} {
		t.Run(name, func(t *testing.T) { test(t, b) })
	}
}

// office is a file as a word processor leaves it: an archive.
func office(t *testing.T) []byte {
	t.Helper()
	var out bytes.Buffer
	w := zip.NewWriter(&out)
	part, err := w.Create("word/document.xml")
	require.NoError(t, err)
	_, err = part.Write([]byte("<w:document>Contract 4711</w:document>"))
	require.NoError(t, err)
	require.NoError(t, w.Close())
	return out.Bytes()
}

const officeType = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"

// file is a request for one file of any type.
func file(extID, name, mimeType string, content []byte, tasks ...object) object {
	r := request(extID, content, tasks...)
	envelopeOf(r)["trustLevelCode"] = "DIGITAL_P7M"
	document := envelopeOf(r)["documents"].([]object)[0]
	document["mimeType"], document["originalFname"] = mimeType, name
	return r
}

// act is an action that shows nowhere.
func act(kind string) object {
	return object{"docExternalId": "doc", "type": kind, "mandatory": true}
}

// unwrap has OpenSSL check every signature of a message and returns its content.
func (e *eyes) unwrap(t *testing.T, message []byte, signatures int) []byte {
	t.Helper()
	folder := t.TempDir()
	in, out, signers := filepath.Join(folder, "signed.p7m"), filepath.Join(folder, "content"), filepath.Join(folder, "signers.pem")
	require.NoError(t, os.WriteFile(in, message, 0o600))
	said := ask(t, "openssl", "openssl", "cms", "-verify", "-cades", "-binary", "-inform", "DER", "-purpose", "any",
		"-in", in, "-CAfile", e.ca, "-out", out, "-signer", signers)
	require.Contains(t, strings.ToLower(said), "verification successful")
	certificates, err := os.ReadFile(signers)
	require.NoError(t, err)
	require.Equal(t, signatures, bytes.Count(certificates, []byte("BEGIN CERTIFICATE")), "one for each signer")
	content, err := os.ReadFile(out)
	require.NoError(t, err)
	return content
}

type endedDocument struct {
	OriginalFname string `json:"originalFname"`
	MimeType      string `json:"mimeType"`
	SHA256        string `json:"sha256"`
	Version       int    `json:"version"`
	Signatures    int    `json:"signatures"`
}

// endedDocument is what the last event says of the document.
func (b *bus) endedDocument(t *testing.T, extID string) endedDocument {
	t.Helper()
	var ended struct {
		Documents []endedDocument `json:"documents"`
	}
	require.NoError(t, json.Unmarshal(b.ended(t, extID).Data, &ended))
	require.Len(t, ended.Documents, 1)
	return ended.Documents[0]
}

func testP7MOffice(t *testing.T, b *bus) {
	extID, content := newID("office"), office(t)
	b.publish(t, queueInsert, file(extID, "contract.docx", officeType, content,
		human(1, "annaU", 1, act("S")), human(2, "brunoU", 1, act("A")), human(3, "carlaU", 1, act("S")), seal(4, act("S"))), "Signbus-Operation-Id", extID)
	require.Equal(t, "OK", b.outcomeOf(t, extID).ReturnStatus.Code)
	anna := b.visitor(t, extID, "anna")
	page := anna.open(t, anna.url)
	require.Contains(t, page.text, "contract.docx")
	require.Contains(t, page.text, digest(content)[:8])
	require.NotContains(t, page.text, "Your name, as your signature", "nothing shows, so no hand is asked for")
	offered := call(t, http.MethodGet, anna.url+"/documents/1", nil)
	require.Equal(t, content, offered.body)
	require.Equal(t, "application/octet-stream", offered.header.Get("Content-Type"))
	require.Contains(t, offered.header.Get("Content-Disposition"), "attachment")
	anna.sign(t)
	saved := call(t, http.MethodGet, anna.url+"/documents/1?save", nil)
	require.Contains(t, saved.header.Get("Content-Disposition"), "contract.docx.p7m")
	require.Equal(t, content, b.eyes(t).unwrap(t, saved.body, 1))

	bruno := b.visitor(t, extID, "bruno")
	require.Equal(t, content, call(t, http.MethodGet, bruno.url+"/documents/1", nil).body, "the next one reads the document, not the signature around it")
	bruno.sign(t)
	b.visitor(t, extID, "carla").sign(t)
	ended := b.endedDocument(t, extID)
	require.Equal(t, "contract.docx.p7m", ended.OriginalFname)
	require.Equal(t, "application/pkcs7-mime", ended.MimeType)
	require.Equal(t, 3, ended.Signatures)
	require.Equal(t, 4, ended.Version)
	signed := b.get(t, extID).Documents[0].Bytes
	require.Equal(t, ended.SHA256, digest(signed))
	require.Equal(t, content, b.eyes(t).unwrap(t, signed, 3))
}

func testP7MXML(t *testing.T, b *bus) {
	extID, content := newID("xml"), []byte("<?xml version=\"1.0\"?>\n<invoice number=\"4711\"/>\n")
	low := automatic(1, "annaU", act("S"))
	low["confString"] = object{"signatureLevel": "B-B"}
	b.insert(t, file(extID, "invoice.xml", "application/xml", content,
		low, automatic(2, "brunoU", action("S", compass(1, 9)))))
	b.ended(t, extID)
	require.Equal(t, content, b.eyes(t).unwrap(t, b.get(t, extID).Documents[0].Bytes, 2))
}

// testP7MAgain: a message that comes in signed gets further signatures beside its own.
func testP7MAgain(t *testing.T, b *bus) {
	extID, content := newID("first"), []byte("name;amount\nanna;1\n")
	b.insert(t, file(extID, "list.csv", "text/csv", content, seal(1, act("S"))))
	b.ended(t, extID)
	once := b.get(t, extID).Documents[0].Bytes
	extID = newID("again")
	b.insert(t, file(extID, "list.csv.p7m", "application/pkcs7-mime", once, automatic(1, "annaU", act("S"))))
	ended := b.endedDocument(t, extID)
	require.Equal(t, "list.csv.p7m", ended.OriginalFname)
	require.Equal(t, 2, ended.Signatures)
	require.Equal(t, content, b.eyes(t).unwrap(t, b.get(t, extID).Documents[0].Bytes, 2))
}

func testP7MRefused(t *testing.T, b *bus) {
	levelled := automatic(1, "annaU", act("S"))
	levelled["confString"] = object{"signatureLevel": "B-LTA"}
	plain := request(newID("refused"), []byte("hello"), automatic(1, "annaU", action("S", compass(1, 9))))
	envelopeOf(plain)["documents"].([]object)[0]["mimeType"] = "text/plain"
	for name, c := range map[string]struct {
		request       object
		code, message string
		status        int
	}{
		"archive time-stamp": {file(newID("refused"), "a.txt", "text/plain", []byte("hello"), levelled), "NOT_SUPPORTED", "CAdES signatures of level", 422},
		"no message":         {file(newID("refused"), "a.p7m", "application/pkcs7-mime", []byte("hello"), automatic(1, "annaU", act("S"))), "BAD_DOC_FORMAT", "cannot be used", 422},
		"text as PDF":        {plain, "NOT_SUPPORTED", "DIGITAL_P7M", 422},
	} {
		t.Run(name, func(t *testing.T) {
			o := b.put(t, direct, c.request).outcome(t, c.status)
			require.Equal(t, c.code, o.Code)
			require.Contains(t, o.Message, c.message)
		})
	}
}

func testP7MCommandLine(t *testing.T, b *bus) {
	folder := t.TempDir()
	path, content := filepath.Join(folder, "notes.txt"), []byte("notes\n")
	require.NoError(t, os.WriteFile(path, content, 0o600))
	extID := newID("cli-p7m")
	b.signbus(t, "send", path, "--p7m", "--auto", "anna", "--id", extID, "--watch", "-o", folder)
	signed, err := os.ReadFile(path + ".p7m")
	require.NoError(t, err)
	require.Equal(t, content, b.eyes(t).unwrap(t, signed, 1))
}
