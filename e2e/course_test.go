package e2e

import (
	"encoding/json"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"signbus.dev/pkg/pdf/pdftest"
)

// testCourses runs processes of every kind to their end.
func testCourses(t *testing.T, b *bus) {
	for name, test := range map[string]func(*testing.T, *bus){
		"in series":                         testSeries,
		"in parallel":                       testParallel,
		"two of three":                      testTwoOfThree,
		"whoever of a role, or somebody":    testRole,
		"approve and view":                  testApproveAndView,
		"what is not shown changes nothing": testNotShown,
		"a draft is sent":                   testDraft,
		"an actor declines":                 testDecline,
		"the secretary cancels":             testCancel,
		"the secretary deletes":             testDelete,
		"nobody is needed":                  testAutomatic,
		"places on pages":                   testPlaces,
		"a blank field is filled":           testBlankField,
		"the time runs out":                 testExpiry,
		"two documents":                     testTwoDocuments,
		"a wrong code does not sign":        testWrongCode,
		"four successive signatures":        testFourSignatures,
		"fields are placed once":            testFieldsOnce,
		"levels":                            testLevels,
		"the first signature certifies":     testCertified,
	} {
		t.Run(name, func(t *testing.T) { test(t, b) })
	}
}

// notAwaited requires that a user has nothing to sign in an envelope.
func (b *bus) notAwaited(t *testing.T, extID, user string) {
	t.Helper()
	a := b.ask(t, http.MethodGet, "/envelopes/"+extID+"/signing-url?usrExtId="+user, nil)
	require.NotEqualf(t, http.StatusOK, a.status, "%s is awaited: %s", user, a.body)
	require.NotEmpty(t, a.outcome(t, a.status).Code)
}

func testSeries(t *testing.T, b *bus) {
	extID := newID("series")
	b.insert(t, request(extID, contractPDF,
		human(1, "annaU", 1, action("S", compass(1, 7))), human(2, "brunoU", 1, action("S", compass(1, 9)))))
	anna := b.visitor(t, extID, "anna")
	b.notAwaited(t, extID, "bruno")
	anna.sign(t)
	b.visitor(t, extID, "bruno").sign(t)
	b.ended(t, extID)
	b.eyes(t).accept(t, b.get(t, extID).Documents[0].Bytes, 2)
	closed := b.trail.all(t, of(extID, "envelope.step.closed"))
	require.Len(t, closed, 2)
}

func testParallel(t *testing.T, b *bus) {
	extID := newID("parallel")
	b.insert(t, request(extID, contractPDF,
		human(1, "annaU", 1, action("S", compass(1, 7))), human(1, "brunoU", 1, action("S", compass(1, 9)))))
	anna, bruno := b.visitor(t, extID, "anna"), b.visitor(t, extID, "bruno")
	// Both agree before either page is asked for its end: the signatures queue up by themselves.
	bruno.confirm(t)
	anna.confirm(t)
	anna.reaches(t, "signed")
	bruno.reaches(t, "signed")
	b.ended(t, extID)
	b.eyes(t).accept(t, b.get(t, extID).Documents[0].Bytes, 2)
}

func testTwoOfThree(t *testing.T, b *bus) {
	extID := newID("several")
	b.insert(t, request(extID, contractPDF, human(1, "annaU|brunoU|carlaU", 2, action("S", compass(1, 5)))))
	late := b.visitor(t, extID, "bruno")
	b.visitor(t, extID, "carla").sign(t)
	b.visitor(t, extID, "anna").sign(t)
	b.ended(t, extID)
	b.eyes(t).accept(t, b.get(t, extID).Documents[0].Bytes, 2)
	late.reaches(t, "closed")
	require.Equal(t, http.StatusGone, late.open(t, late.url).status)
}

func testRole(t *testing.T, b *bus) {
	extID := newID("role")
	b.insert(t, request(extID, contractPDF,
		human(1, "1R", 1, action("S", compass(1, 5))), human(2, "1R|carlaU", 1, action("S", compass(1, 6)))))
	b.notAwaited(t, extID, "carla")
	b.visitor(t, extID, "bruno").sign(t)
	b.visitor(t, extID, "carla").sign(t)
	b.ended(t, extID)
	b.eyes(t).accept(t, b.get(t, extID).Documents[0].Bytes, 2)
}

func testApproveAndView(t *testing.T, b *bus) {
	extID := newID("approve")
	b.insert(t, request(extID, contractPDF,
		human(1, "annaU", 1, action("A", compass(1, 7))), human(2, "brunoU", 1, action("V", compass(1, 8)))))
	b.visitor(t, extID, "anna").sign(t)
	b.visitor(t, extID, "bruno").sign(t)
	var ended struct {
		NotificationType string `json:"notificationType"`
	}
	require.NoError(t, json.Unmarshal(b.ended(t, extID).Data, &ended))
	require.Equal(t, "VA_PROCESS_ENDED", ended.NotificationType)
	b.eyes(t).accept(t, b.get(t, extID).Documents[0].Bytes, 2)
}

func testNotShown(t *testing.T, b *bus) {
	extID := newID("hidden")
	seen := action("V", compass(1, 7))
	seen["confString"] = object{"visibilityStatus": "N"}
	b.insert(t, request(extID, contractPDF, human(1, "annaU", 1, seen)))
	b.visitor(t, extID, "anna").sign(t)
	b.ended(t, extID)
	require.Equal(t, contractPDF, b.get(t, extID).Documents[0].Bytes)
}

func testDraft(t *testing.T, b *bus) {
	extID := newID("draft")
	draft := signedByBruno(extID)
	envelopeOf(draft)["sendingMode"] = "DRF"
	b.insert(t, draft)
	require.Equal(t, "DRF", b.status(t, extID))
	require.Empty(t, b.trail.all(t, of(extID, "envelope.sent")))
	require.Equal(t, "OK", b.command(t, extID, "send", nil).outcome(t, http.StatusOK).Code)
	b.ended(t, extID)
	require.Equal(t, "ILLEGAL_ARGUMENT", b.command(t, extID, "send", nil).outcome(t, http.StatusBadRequest).Code)
}

func testDecline(t *testing.T, b *bus) {
	extID := newID("decline")
	b.insert(t, request(extID, contractPDF,
		human(1, "annaU", 1, action("S", compass(1, 7))), human(1, "brunoU", 1, action("S", compass(1, 9)))))
	bruno := b.visitor(t, extID, "bruno")
	b.visitor(t, extID, "anna").decline(t, "The price is wrong.\nSee page 2.")
	var rejected struct {
		User string `json:"usrExtId"`
		Note string `json:"note"`
	}
	require.NoError(t, json.Unmarshal(b.await(t, extID, "envelope.rejected").Data, &rejected))
	require.Equal(t, "anna", rejected.User)
	require.Equal(t, "The price is wrong.\nSee page 2.", rejected.Note)
	require.Equal(t, "REJ", b.status(t, extID))
	bruno.reaches(t, "closed")
}

func testCancel(t *testing.T, b *bus) {
	extID := newID("cancel")
	b.insert(t, waitsForAnna(extID))
	anna := b.visitor(t, extID, "anna")
	denied := b.command(t, extID, "cancel", object{"usrExtId": "carla"})
	require.Equal(t, "ACCESS_DENIED", denied.outcome(t, http.StatusForbidden).Code)
	require.Equal(t, "OK", b.command(t, extID, "cancel", object{"note": "Sent by mistake"}).outcome(t, http.StatusOK).Code)
	var cancelled struct {
		User string `json:"usrExtId"`
		Note string `json:"note"`
	}
	require.NoError(t, json.Unmarshal(b.await(t, extID, "envelope.cancelled").Data, &cancelled))
	require.Equal(t, "segr", cancelled.User)
	require.Equal(t, "Sent by mistake", cancelled.Note)
	require.Equal(t, "STP", b.status(t, extID))
	anna.reaches(t, "closed")
}

func testDelete(t *testing.T, b *bus) {
	extID := newID("delete")
	b.insert(t, waitsForAnna(extID))
	anna := b.visitor(t, extID, "anna")
	require.Equal(t, "OK", b.command(t, extID, "delete", nil).outcome(t, http.StatusOK).Code)
	require.Equal(t, "ENVELOPE_NOT_FOUND", b.find(t, extID, true).outcome(t, http.StatusNotFound).Code)
	anna.reaches(t, "closed")
}

func testAutomatic(t *testing.T, b *bus) {
	extID := newID("automatic")
	b.insert(t, request(extID, contractPDF, automatic(1, "brunoU", action("S", compass(-1, 8))), seal(2, action("S", compass(-1, 9)))))
	b.ended(t, extID)
	signed := b.get(t, extID).Documents[0].Bytes
	b.eyes(t).accept(t, signed, 2)
	path := filepath.Join(t.TempDir(), "signed.pdf")
	require.NoError(t, os.WriteFile(path, signed, 0o600))
	said := ask(t, "pdfsig", "poppler-utils", "-nocert", path)
	require.Contains(t, said, "Signer Certificate Common Name: Bruno Beta")
}

// testPlaces signs on the last, on every, on the first and last page, and in a rectangle.
func testPlaces(t *testing.T, b *bus) {
	for name, place := range map[string]struct {
		appearance object
		pages      []int
	}{
		"last":        {compass(-1, 1), []int{3}},
		"every":       {compass(-2, 3), []int{1, 2, 3}},
		"ends":        {compass(-3, 9), []int{1, 3}},
		"second":      {compass(2, 5), []int{2}},
		"coordinates": {object{"coordAppearance": object{"page": 2, "llx": 300, "lly": 160, "urx": 100, "ury": 100}}, []int{2}},
		"invisible":   {compass(1, -1), nil},
	} {
		extID := newID("place")
		signs := action("S", place.appearance)
		signs["confString"] = object{"customSignatureText": "Mark" + extID}
		b.insert(t, request(extID, contractPDF, automatic(1, "brunoU", signs)))
		b.ended(t, extID)
		signed := b.get(t, extID).Documents[0].Bytes
		b.eyes(t).accept(t, signed, 1)
		path := filepath.Join(t.TempDir(), "signed.pdf")
		require.NoError(t, os.WriteFile(path, signed, 0o600))
		var marked []int
		for page := 1; page <= 3; page++ {
			text, err := exec.CommandContext(t.Context(), tool(t, "pdftotext", "the Debian package poppler-utils"),
				"-f", itoa(page), "-l", itoa(page), path, "-").Output()
			require.NoError(t, err)
			if strings.Contains(string(text), "Mark"+extID) {
				marked = append(marked, page)
			}
		}
		require.Equalf(t, place.pages, marked, "%s", name)
		if name == "coordinates" {
			require.Regexp(t, `/Rect\s*\[\s*100 100 300 160\s*\]`, string(signed))
		}
	}
}

func testBlankField(t *testing.T, b *bus) {
	extID := newID("field")
	blank := object{"blankSignatureFieldName": "client.manager"}
	b.insert(t, request(extID, pdftest.WithBlankField("client.manager"),
		human(1, "annaU", 1, action("S", blank)), automatic(2, "brunoU", action("S", compass(1, 1)))))
	b.visitor(t, extID, "anna").sign(t)
	b.ended(t, extID)
	signed := b.get(t, extID).Documents[0].Bytes
	b.eyes(t).accept(t, signed, 2)
	path := filepath.Join(t.TempDir(), "signed.pdf")
	require.NoError(t, os.WriteFile(path, signed, 0o600))
	require.Contains(t, ask(t, "pdfsig", "poppler-utils", "-nocert", path), "Signature Field Name: client.manager")

	missing := newID("field")
	refused := b.put(t, direct, request(missing, contractPDF, automatic(1, "brunoU", action("S", blank))))
	require.Contains(t, refused.outcome(t, http.StatusBadRequest).Message, "blankSignatureFieldName")
}

func testExpiry(t *testing.T, b *bus) {
	extID := newID("expiry")
	r := waitsForAnna(extID)
	envelopeOf(r)["expireAt"] = time.Now().Add(2 * time.Second).UnixMilli()
	b.insert(t, r)
	anna := b.visitor(t, extID, "anna")
	b.await(t, extID, "envelope.expired")
	require.Equal(t, "EXP", b.status(t, extID))
	anna.reaches(t, "closed")

	// What had expired before it came is taken, and ends so.
	past := newID("expiry")
	r = waitsForAnna(past)
	envelopeOf(r)["expireAt"] = time.Now().Add(-time.Hour).UnixMilli()
	b.insert(t, r)
	b.await(t, past, "envelope.expired")
}

func testTwoDocuments(t *testing.T, b *bus) {
	extID := newID("documents")
	other := pdftest.Document{Pages: make([]pdftest.Page, 2), Text: "Terms", Streams: true}.Bytes()
	terms := action("S", compass(1, 9))
	terms["docExternalId"] = "terms"
	r := request(extID, contractPDF, human(1, "annaU", 1, action("S", compass(1, 9)), terms), seal(2, action("S", compass(1, 3))))
	envelopeOf(r)["documents"] = append(envelopeOf(r)["documents"].([]object), object{
		"externalId": "terms", "title": "Terms", "mimeType": "application/pdf", "originalFname": "terms.pdf", "bytes": other,
	})
	b.insert(t, r)
	b.visitor(t, extID, "anna").sign(t)
	b.ended(t, extID)
	signed := b.get(t, extID)
	require.Len(t, signed.Documents, 2)
	b.eyes(t).accept(t, signed.Documents[0].Bytes, 2)
	b.eyes(t).accept(t, signed.Documents[1].Bytes, 1)
}

// testWrongCode: a form that was not filled in, a wrong code, a form from nowhere.
func testWrongCode(t *testing.T, b *bus) {
	extID := newID("code")
	b.insert(t, waitsForAnna(extID))
	anna := b.visitor(t, extID, "anna")
	consent := anna.open(t, anna.url).form(t, "/consent")
	p := anna.send(t, consent)
	require.Equal(t, http.StatusUnprocessableEntity, p.status, "nothing is ticked")
	maps.Copy(consent.fields, consent.ticks)
	confirm := anna.send(t, consent).form(t, "/confirm")
	right := anna.code(t)
	wrong := []byte(right)
	wrong[0] = '0' + (wrong[0]-'0'+1)%10
	confirm.fields.Set("code", string(wrong))
	require.Equal(t, http.StatusUnprocessableEntity, anna.send(t, confirm).status)
	confirm.fields.Set("code", right)
	forged := form{action: confirm.action, fields: map[string][]string{"code": {right}, "form-token": {"forged"}}}
	require.Equal(t, http.StatusForbidden, anna.send(t, forged).status)
	require.Equal(t, "PGS", b.status(t, extID))
	require.Equal(t, http.StatusOK, anna.send(t, confirm).status)
	anna.reaches(t, "signed")
	require.Equal(t, http.StatusNotFound, anna.open(t, b.book+"/sign/none").status)
}

// testFourSignatures: each of four signatures stays valid, whatever comes after it.
func testFourSignatures(t *testing.T, b *bus) {
	extID := newID("four")
	level := func(task object, level string) object {
		task["confString"] = object{"signatureLevel": level}
		return task
	}
	b.insert(t, request(extID, contractPDF,
		level(human(1, "annaU", 1, action("S", compass(1, 7))), "B-B"),
		level(automatic(2, "brunoU", action("S", compass(-2, 8))), "B-T"),
		level(human(3, "carlaU", 1, action("S", compass(-1, 9))), "B-T"),
		seal(4, action("S", compass(2, 3)))))
	b.visitor(t, extID, "anna").sign(t)
	b.visitor(t, extID, "carla").sign(t)
	var ended struct {
		NotificationType string `json:"notificationType"`
		Documents        []struct {
			Version    int    `json:"version"`
			Signatures int    `json:"signatures"`
			SHA256     string `json:"sha256"`
		} `json:"documents"`
	}
	require.NoError(t, json.Unmarshal(b.ended(t, extID).Data, &ended))
	require.Equal(t, "SIGN_PROCESS_ENDED", ended.NotificationType)
	require.Equal(t, 4, ended.Documents[0].Signatures)
	require.Equal(t, 5, ended.Documents[0].Version)
	signed := b.get(t, extID).Documents[0].Bytes
	require.Equal(t, ended.Documents[0].SHA256, digest(signed))
	require.Equal(t, contractPDF, signed[:len(contractPDF)], "a signature never rewrites what was there")
	b.eyes(t).accept(t, signed, 4)
}
