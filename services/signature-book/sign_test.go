package signaturebook

import (
	"bytes"
	"context"
	"crypto"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"signbus.dev/pkg/blob"
	"signbus.dev/pkg/contract"
	"signbus.dev/pkg/contract/handover"
	"signbus.dev/pkg/digest"
	"signbus.dev/pkg/pdf/pdftest"
	"signbus.dev/pkg/pki"
	"signbus.dev/pkg/sign/cades"
	"signbus.dev/pkg/sign/pades"
	"signbus.dev/pkg/sign/tsp"
	"signbus.dev/pkg/store"
	"signbus.dev/pkg/store/storetest"
)

func TestAPersonSigns(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, db *store.DB) {
		b := newBook(t, db, nil)
		d := b.keep("D1", sample())
		j := job("a1", d)
		v := b.consented(j)
		require.Contains(t, body(t, v.get("/done")), "Your signature is being applied")

		b.give(grant(j, 1))
		p := b.answer()
		require.Equal(t, handover.Signed, p.Kind)
		require.Equal(t, "demo", p.Customer)
		require.Equal(t, "e1", p.EnvelopeID)
		require.Equal(t, "a1", p.Assignment)
		require.EqualValues(t, 1, p.Epoch)
		require.True(t, b.clock.Now().Equal(p.At))
		require.Len(t, p.Documents, 1)
		require.Equal(t, "D1", p.Documents[0].DocExternalID)
		require.Equal(t, d.SHA256, p.Documents[0].BaseSHA256)

		data := b.signedBytes(p.Documents[0], 1)
		require.True(t, bytes.HasPrefix(data, sample()), "the original is changed")
		shown := b.text(data)
		require.Contains(t, shown, "Alpha Anna", "the tag names the signer")
		require.Contains(t, shown, b.clock.Now().UTC().Format(tagTime))
		reports, err := pades.Verify(t.Context(), bytes.NewReader(data), int64(len(data)), b.authority.Roots(), b.clock.Now())
		require.NoError(t, err)
		require.Equal(t, "Anna Alpha", reports[0].Name)
		require.Equal(t, "Signed", reports[0].Reason)
		require.Equal(t, pades.LevelBB, reports[0].Level)

		require.Contains(t, body(t, v.get("")), "Signed. Thank you")
		require.Equal(t, string(data), body(t, v.get("/documents/1?save")))
	})
}

func TestEveryActionIsASignatureOfItsOwn(t *testing.T) {
	t.Parallel()
	b := newBook(t, storetest.Open(t, storetest.SQLite(t)), nil)
	one, two, three := b.keep("D1", sample()), b.keep("D2", pdftest.WithBlankField("Buyer")), b.keep("D3", pdftest.Sample(1, "Price list"))
	j := job("a1", one, two, three)
	field := action("D2", contract.ActionSign, contract.VisibilityVisible)
	field.Placement = handover.Placement{Field: "Buyer", Boxes: []handover.Box{{Page: 1, LLX: 10, LLY: 10, URX: 20, URY: 20}}}
	seen := action("D1", contract.ActionView, contract.VisibilityVisible)
	seen.Text = []string{"Seen by #nnss#", "TOC", "NAN"}
	j.Actions = []handover.Action{
		action("D1", contract.ActionSign, contract.VisibilityHidden),
		field,
		action("D1", contract.ActionApprove, contract.VisibilityVisible),
		seen,
		action("D3", contract.ActionApprove, contract.VisibilityNone),
	}
	b.consented(j)
	b.give(grant(j, 1))
	p := b.answer()
	require.Equal(t, handover.Signed, p.Kind, "%+v", p)
	require.Len(t, p.Documents, 2, "a recorded approval makes no version")
	require.Equal(t, "D1", p.Documents[0].DocExternalID)
	require.Equal(t, "D2", p.Documents[1].DocExternalID)

	data := b.signedBytes(p.Documents[0], 3)
	require.Contains(t, b.text(data), "Seen by Alpha Anna")
	require.Contains(t, b.text(data), "Engineer")
	reports, err := pades.Verify(t.Context(), bytes.NewReader(data), int64(len(data)), b.authority.Roots(), b.clock.Now())
	require.NoError(t, err)
	require.Equal(t, []string{"Signed", "Approved", "Seen"}, []string{reports[0].Reason, reports[1].Reason, reports[2].Reason})
	reports, err = pades.Verify(t.Context(), bytes.NewReader(b.signedBytes(p.Documents[1], 1)), p.Documents[1].Size, b.authority.Roots(), b.clock.Now())
	require.NoError(t, err)
	require.Equal(t, "Buyer", reports[0].Field)
	require.Len(t, b.blobNames(), 5, "the versions in between are not kept")
}

func TestAutomaticSignatureAndSeal(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, db *store.DB) {
		b := newBook(t, db, nil)
		d := b.keep("D1", sample())
		auto := job("a1", d)
		auto.TaskKind = handover.AutoSign
		b.give(grant(auto, 1))
		p := b.answer()
		require.Equal(t, handover.Signed, p.Kind, "%+v", p)

		d.SHA256, d.Size = p.Documents[0].SHA256, p.Documents[0].Size
		seal := job("a2", d)
		seal.TaskKind, seal.Actor, seal.SignatureLevel = handover.Seal, handover.Actor{}, contract.LevelBB
		b.give(grant(seal, 2))
		p = b.answer()
		require.Equal(t, handover.Signed, p.Kind, "%+v", p)
		data := b.signedBytes(p.Documents[0], 2)
		reports, err := pades.Verify(t.Context(), bytes.NewReader(data), int64(len(data)), b.authority.Roots(), b.clock.Now())
		require.NoError(t, err)
		require.Equal(t, "Signed automatically", reports[0].Reason)
		require.Equal(t, "Anna Alpha", reports[0].Name)
		require.Equal(t, "Sealed", reports[1].Reason)
		require.Equal(t, "demo", reports[1].Name)
		require.Empty(t, b.mailer.mails, "nobody is asked")
	})
}

func TestGrantsAreFencedByTheirEpoch(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, db *store.DB) {
		b := newBook(t, db, nil)
		j := job("a1", b.keep("D1", sample()))
		j.TaskKind = handover.AutoSign
		b.give(grant(j, 5))
		require.EqualValues(t, 5, b.answer().Epoch)
		b.give(grant(j, 4))
		b.give(grant(j, 5))
		b.silent()
		b.give(grant(j, 6)) // the dispatcher did not accept the former answer and asks again
		p := b.answer()
		require.EqualValues(t, 6, p.Epoch)
		b.signedBytes(p.Documents[0], 1)
	})
}

func TestNothingIsSignedWithoutAConfirmedConsent(t *testing.T) {
	t.Parallel()
	b := newBook(t, storetest.Open(t, storetest.SQLite(t)), nil)
	j := job("a1", b.keep("D1", sample()))
	b.give(j)
	v := b.visit(b.mail("a1", Invitation, 1).Link)
	v.agree() // but no code is entered
	before := b.blobNames()
	b.give(grant(j, 1))
	p := b.answer()
	require.Equal(t, handover.Failed, p.Kind)
	require.Equal(t, contract.CodeAccessDenied, p.Code)
	require.Equal(t, before, b.blobNames())

	never := job("a2", b.keep("D1", sample()))
	b.give(grant(never, 2))
	require.Equal(t, contract.CodeAccessDenied, b.answer().Code)
}

func TestWhatCanNeverBeSignedIsSaid(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		data   []byte
		change func(*handover.Job)
		code   contract.Code
		says   string
	}{
		"no such field": {sample(), func(j *handover.Job) { j.Actions[0].Placement = handover.Placement{Field: "Buyer"} }, contract.CodeIllegalArgument, "no such signature field"},
		"no such page":  {sample(), func(j *handover.Job) { j.Actions[0].Placement.Boxes[0].Page = 9 }, contract.CodeIllegalArgument, "does not have the page"},
		"off the page":  {sample(), func(j *handover.Job) { j.Actions[0].Placement.Boxes[0].URX = 9000 }, contract.CodeIllegalArgument, "not on the page"},
		"not a pdf":     {[]byte("no pdf at all"), nil, contract.CodeBadDocFormat, "not a PDF"},
		"cut off":       {pdftest.Truncated(), nil, contract.CodeBadDocFormat, ""},
		"no document":   {sample(), func(j *handover.Job) { j.Actions[0].DocExternalID = "D9" }, contract.CodeIllegalArgument, "does not have"},
		"no name":       {sample(), func(j *handover.Job) { j.Actor.Name, j.Actor.Surname = "", "" }, contract.CodeIllegalArgument, "not fit for a certificate"},
		"level":         {sample(), func(j *handover.Job) { j.SignatureLevel = "B-LTA" }, contract.CodeNotSupported, "level"},
		"time-stamp":    {sample(), func(j *handover.Job) { j.SignatureLevel = contract.LevelBT }, contract.CodeNotSupported, "time-stamp"},
		"field is used": {pdftest.WithBlankField("Buyer"), func(j *handover.Job) {
			j.Actions[0].Placement = handover.Placement{Field: "Buyer"}
			j.Actions = append(j.Actions, j.Actions[0])
		}, contract.CodeIllegalArgument, "signed already"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBook(t, storetest.Open(t, storetest.SQLite(t)), nil)
			j := job("a1", b.keep("D1", c.data))
			j.TaskKind = handover.AutoSign
			if c.change != nil {
				c.change(&j)
			}
			before := b.blobNames()
			b.give(grant(j, 3))
			p := b.answer()
			require.Equal(t, handover.Failed, p.Kind)
			require.Equal(t, c.code, p.Code)
			require.Contains(t, p.Note, c.says)
			require.EqualValues(t, 3, p.Epoch)
			require.Equal(t, before, b.blobNames(), "bytes are left behind")
			b.status("a1", "failed")
		})
	}
}

func TestTimeStampOutageIsWaitedFor(t *testing.T) {
	t.Parallel()
	var asked atomic.Int32
	var stamp func(context.Context, []byte) ([]byte, error)
	b := newBook(t, storetest.Open(t, storetest.SQLite(t)), func(o *Options) {
		authority, ok := o.Keys.(*pki.Authority)
		require.True(t, ok)
		own, err := tsp.NewAuthority(tsp.AuthorityOptions{Identity: func(ctx context.Context) (crypto.Signer, []*x509.Certificate, error) {
			identity, err := authority.TSA(ctx)
			if err != nil {
				return nil, nil, err
			}
			return identity.Signer, identity.Chain, nil
		}})
		require.NoError(t, err)
		stamp = own.TimestampDigest
		o.Timestamp = func(ctx context.Context, value []byte) ([]byte, error) {
			if asked.Add(1) < 3 {
				return nil, tsp.ErrUnavailable
			}
			return stamp(ctx, value)
		}
	})
	j := job("a1", b.keep("D1", sample()))
	j.TaskKind, j.SignatureLevel = handover.AutoSign, contract.LevelBT
	b.give(grant(j, 1))
	p := b.answer()
	require.Equal(t, handover.Signed, p.Kind)
	require.EqualValues(t, 3, asked.Load())
	data := b.signedBytes(p.Documents[0], 1)
	reports, err := pades.Verify(t.Context(), bytes.NewReader(data), int64(len(data)), b.authority.Roots(), b.clock.Now())
	require.NoError(t, err)
	require.Equal(t, pades.LevelBT, reports[0].Level)
	require.Len(t, b.blobNames(), 2, "the tries that failed left bytes behind")
}

// damagedBlobs gives back other bytes than were stored.
type damagedBlobs struct{ blob.Store }

type damagedReader struct{ blob.Reader }

func (d damagedBlobs) Open(ctx context.Context, scope blob.Scope, sha256 string) (blob.Reader, error) {
	r, err := d.Store.Open(ctx, scope, sha256)
	return damagedReader{r}, err
}

func (r damagedReader) ReadAt(p []byte, off int64) (int, error) {
	n, err := r.Reader.ReadAt(p, off)
	if i := bytes.Index(p[:n], []byte("Supply")); i >= 0 {
		p[i] = 's'
	}
	return n, err
}

func TestDamagedDocumentIsNotSigned(t *testing.T) {
	t.Parallel()
	b := newBook(t, storetest.Open(t, storetest.SQLite(t)), nil)
	d := b.keep("D1", sample())
	b.stop()
	before := b.blobNames()
	b.Blobs = damagedBlobs{b.blobs}
	j := job("a1", d)
	j.TaskKind = handover.AutoSign
	_, err := b.sign(t.Context(), grant(j, 1))
	require.ErrorIs(t, err, blob.ErrCorrupt)
	require.Equal(t, before, b.blobNames(), "a signature over damaged bytes was kept")
}

// brokenBlobs cannot store.
type brokenBlobs struct{ blob.Store }

var errDisk = errors.New("disk is full")

func (brokenBlobs) Append(context.Context, blob.Scope, digest.State, []byte) (blob.Ref, error) {
	return blob.Ref{}, errDisk
}

func TestFullDiskIsAnErrorAndNotARefusal(t *testing.T) {
	t.Parallel()
	b := newBook(t, storetest.Open(t, storetest.SQLite(t)), nil)
	d := b.keep("D1", pdftest.Padded(1<<20))
	b.stop()
	b.Blobs = brokenBlobs{b.blobs}
	j := job("a1", d)
	j.TaskKind = handover.AutoSign
	_, err := b.sign(t.Context(), grant(j, 1))
	require.ErrorIs(t, err, errDisk)
}

// A disk that is full for a while must not fail what people have agreed to.
func TestFullDiskIsWaitedFor(t *testing.T) {
	t.Parallel()
	for _, err := range []error{
		&fs.PathError{Op: "write", Path: "x", Err: syscall.ENOSPC}, &os.LinkError{Op: "rename", Old: "x", New: "y", Err: syscall.EIO},
	} {
		require.True(t, passing(fmt.Errorf("put blob: %w", err)), "%v", err)
	}
	for _, err := range []error{blob.ErrCorrupt, blob.ErrNotFound, errPanicked} {
		require.False(t, passing(err), "%v", err)
	}
}

// A panic of the signer once ended the process, and again each time the job came back.
func TestAPanicOfTheSignerFailsItsJobOnly(t *testing.T) {
	t.Parallel()
	b := newBook(t, storetest.Open(t, storetest.SQLite(t)), nil)
	d := b.keep("D1", sample())
	b.stop()
	before := b.blobNames()
	b.Timestamp = func(context.Context, []byte) ([]byte, error) { panic("nobody foresaw this") }
	j := job("a1", d)
	j.TaskKind, j.SignatureLevel = handover.AutoSign, contract.LevelBT
	_, err := b.sign(t.Context(), grant(j, 1))
	require.ErrorIs(t, err, errPanicked)
	require.Equal(t, before, b.blobNames(), "bytes are left behind")
}

func TestDocumentOfADeletedEnvelopeIsGone(t *testing.T) {
	t.Parallel()
	b := newBook(t, storetest.Open(t, storetest.SQLite(t)), nil)
	b.give(job("a1", b.keep("D1", sample())))
	v := b.visit(b.mail("a1", Invitation, 1).Link)
	require.NoError(t, b.blobs.RemoveScope(t.Context(), scope))
	require.Equal(t, http.StatusGone, v.get("/documents/1").StatusCode)
}

// Signatures around a file: the first one makes another file of it, the next ones stand
// beside it, and what people read stays what came in.
func TestSignaturesAroundAFile(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, db *store.DB) {
		b := newBook(t, db, nil)
		content := []byte("<script>alert(1)</script>\n")
		d := b.keep("D1", content)
		d.MimeType, d.FileName, d.Pages = "text/html", "page.html", 0
		auto := job("a1", d)
		auto.TaskKind, auto.Format = handover.AutoSign, contract.CAdES
		auto.Actions = []handover.Action{action("D1", contract.ActionSign, contract.VisibilityHidden)}
		b.give(grant(auto, 1))
		p := b.answer()
		require.Equal(t, handover.Signed, p.Kind, "%+v", p)
		require.Equal(t, "page.html.p7m", p.Documents[0].FileName)
		require.Equal(t, contract.MimeP7M, p.Documents[0].MimeType)
		require.Equal(t, 1, p.Documents[0].Signatures)

		d.Renew(p.Documents[0])
		require.Equal(t, &handover.Content{MimeType: "text/html", FileName: "page.html", SHA256: p.Documents[0].BaseSHA256, Size: int64(len(content))}, d.Content)
		person := job("a2", d)
		person.Format = contract.CAdES
		person.Actions = []handover.Action{action("D1", contract.ActionSign, contract.VisibilityHidden)}
		v := b.visitFile(person)
		r := v.get("/documents/1")
		require.Equal(t, "application/octet-stream", r.Header.Get("Content-Type"), "a file of somebody is no page of ours")
		require.Contains(t, r.Header.Get("Content-Disposition"), "attachment; filename=page.html")
		require.Equal(t, string(content), body(t, r))
		b.give(grant(person, 2))
		p = b.answer()
		require.Equal(t, handover.Signed, p.Kind, "%+v", p)
		require.Equal(t, 2, p.Documents[0].Signatures)
		require.Equal(t, "page.html.p7m", p.Documents[0].FileName)
		require.Contains(t, v.get("/documents/1?save").Header.Get("Content-Disposition"), "page.html.p7m")

		data, err := blob.ReadAll(t.Context(), b.blobs, scope, p.Documents[0].SHA256)
		require.NoError(t, err)
		message, err := cades.Open(digest.Source{ReaderAt: bytes.NewReader(data), Size: int64(len(data))}, digest.Source{})
		require.NoError(t, err)
		reports, err := message.Verify(t.Context(), b.authority.Roots(), b.clock.Now())
		require.NoError(t, err)
		require.Len(t, reports, 2)
		for _, report := range reports {
			require.True(t, report.Valid(), report.Problem)
		}
	})
}

// visitFile agrees to a file, for which no hand is asked.
func (b *book) visitFile(j handover.Job) *visitor {
	b.t.Helper()
	b.give(j)
	v := b.visit(b.mail(j.Assignment, Invitation, 1).Link)
	page := body(b.t, v.get(""))
	require.NotContains(b.t, page, "data-signature")
	require.Contains(b.t, page, "Download the file")
	r := v.post("", "/consent", url.Values{"accept": {"1"}})
	require.Equal(b.t, http.StatusSeeOther, r.StatusCode, "%s", body(b.t, r))
	r = v.confirm(b.mail(j.Assignment, OneTimeCode, 1).Code)
	require.Equal(b.t, http.StatusSeeOther, r.StatusCode)
	require.Equal(b.t, handover.Confirmed, b.answer().Kind)
	return v
}
