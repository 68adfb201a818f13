package pades_test

import (
	"bytes"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/crypto/ocsp"

	"signbus.dev/pkg/pdf"
	"signbus.dev/pkg/pdf/pdftest"
	"signbus.dev/pkg/sign/cms"
	"signbus.dev/pkg/sign/pades"
	"signbus.dev/pkg/sign/revocation"
	"signbus.dev/pkg/sign/signtest"
)

// crl is a list of the root.
func crl(at time.Time, revoked ...x509.RevocationListEntry) []byte {
	return root().CRL(at.Add(-time.Minute), at.AddDate(0, 0, 7), revoked...)
}

// revocations answers out of a list of the test authority.
func revocations(t testing.TB, revoked ...x509.RevocationListEntry) revocation.Source {
	t.Helper()
	list := crl(now, revoked...)
	return revocation.Local(func(context.Context, []*x509.Certificate) ([]*x509.Certificate, [][]byte, [][]byte, error) {
		return nil, nil, [][]byte{list}, nil
	})
}

// long are parameters for any level.
func long(t testing.TB, level pades.Level) pades.Params {
	t.Helper()
	return pades.Params{Level: level, TimestampDigest: digestTimestamps(t, 365), Revocation: revocations(t)}
}

func TestEveryLevelWithEveryKey(t *testing.T) {
	t.Parallel()
	for key, s := range map[string]signer{"P-256": newSigner("Anna", "P-256"), "RSA": newSigner("Bruno", "RSA-2048"), "Ed25519": newSigner("Carla", "Ed25519")} {
		for _, level := range []pades.Level{pades.LevelBB, pades.LevelBT, pades.LevelBLT, pades.LevelBLTA} {
			t.Run(key+" "+string(level), func(t *testing.T) {
				t.Parallel()
				data, made := sign(t, pdftest.Sample(1, "Text"), s, long(t, level))
				require.Equal(t, level, made.Level)
				reports := verify(t, data)
				require.Equal(t, level, reports[0].Level)
				for _, r := range reports {
					require.True(t, r.Valid(), "%+v", r)
					require.Empty(t, r.Problem)
				}
				require.Len(t, reports, 1+count(level == pades.LevelBLTA))
				if key == "Ed25519" { // poppler, mupdf and OpenSSL 3.0 do not know it in CMS
					signtest.Run(t, "qpdf", "--check", signtest.Write(t, "signed.pdf", data))
					return
				}
				requireJudges(t, data, 1)
			})
		}
	}
}

func count(yes bool) int {
	if yes {
		return 1
	}
	return 0
}

// Signers of any level and key on any kind of file, one after the other: whoever came
// earlier stays valid.
func TestMixedLevels(t *testing.T) {
	t.Parallel()
	levels := []pades.Level{pades.LevelBLT, pades.LevelBB, pades.LevelBLTA, pades.LevelBLT}
	signers := []signer{newSigner("Anna", "P-256"), newSigner("Bruno", "RSA-2048"), newSigner("Carla", "P-256"), newSigner("Signbus Seal", "RSA-2048")}
	for name, d := range map[string]pdftest.Document{
		"classic": {}, "streams": {Version: "2.0", Streams: true}, "hybrid": {Hybrid: true}, "indirect": {IndirectArrays: true, Fields: []string{"a.b"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d.Pages, d.Text = []pdftest.Page{{}}, "Text"
			data := d.Bytes()
			stamps := 0
			for i, s := range signers {
				p := long(t, levels[i])
				p.Boxes, p.Appearance = []pdf.Box{compass(t, data, 1, 7+i%3)}, lines(s.chain[0].Subject.CommonName)
				data, _ = sign(t, data, s, p)
				stamps += count(levels[i] == pades.LevelBLTA)
				reports := verify(t, data)
				require.Len(t, reports, i+1+stamps)
				n := 0
				for _, r := range reports {
					require.True(t, r.Valid(), "%d: %+v", i, r)
					require.Empty(t, r.Problem)
					if !r.DocTimestamp {
						// What a later archive time-stamp covers is archived with it.
						want := levels[n]
						if stamps > 0 && n <= 2 && want == pades.LevelBLT {
							want = pades.LevelBLTA
						}
						require.Equal(t, want, r.Level)
						n++
					}
				}
			}
			requireJudges(t, data, 4)
		})
	}
}

func TestTheLevelIsReachedOrTheSignatureFails(t *testing.T) {
	t.Parallel()
	down := errors.New("down")
	sample := pdftest.Sample(1, "Text")
	noToken := func(context.Context, []byte) ([]byte, error) { return nil, down }
	entry := func(s signer) revocation.Source {
		return revocations(t, x509.RevocationListEntry{SerialNumber: s.chain[0].SerialNumber, RevocationTime: now.Add(-time.Minute)})
	}
	revoked := newSigner("Anna", "P-256")
	otherDigest := digestTimestamps(t, 365)
	for name, c := range map[string]struct {
		change func(*pades.Params)
		want   []error
	}{
		"no authority":          {func(p *pades.Params) { p.TimestampDigest = nil }, []error{pades.ErrTimestamp}},
		"no digests":            {func(p *pades.Params) { p.Timestamp, p.TimestampDigest = timestamps(t, 0), nil }, []error{pades.ErrTimestamp}},
		"authority is down":     {func(p *pades.Params) { p.TimestampDigest = noToken }, []error{pades.ErrTimestamp, down}},
		"down for the document": {func(p *pades.Params) { p.Timestamp, p.TimestampDigest = timestamps(t, 0), noToken }, []error{pades.ErrTimestamp, down}},
		"token over other bytes": {func(p *pades.Params) {
			p.Timestamp = timestamps(t, 0)
			p.TimestampDigest = func(ctx context.Context, _ []byte) ([]byte, error) { return otherDigest(ctx, make([]byte, 32)) }
		}, []error{pades.ErrTimestamp, cms.ErrDigestMismatch}},
		"no token": {func(p *pades.Params) {
			p.Timestamp = timestamps(t, 0)
			p.TimestampDigest = func(context.Context, []byte) ([]byte, error) { return []byte("token"), nil }
		}, []error{pades.ErrTimestamp}},
		"no source":                {func(p *pades.Params) { p.Revocation = nil }, []error{pades.ErrRevocation}},
		"source without an answer": {func(p *pades.Params) { p.Revocation = revocation.First{} }, []error{pades.ErrRevocation, revocation.ErrUnavailable}},
		"revoked":                  {func(p *pades.Params) { p.Revocation = entry(revoked) }, []error{pades.ErrRevocation, revocation.ErrRevoked}},
		"too much data": {func(p *pades.Params) {
			p.Revocation = revocation.Local(func(context.Context, []*x509.Certificate) ([]*x509.Certificate, [][]byte, [][]byte, error) {
				return nil, [][]byte{make([]byte, 40<<20)}, [][]byte{crl(now)}, nil
			})
		}, []error{pades.ErrRevocation}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := long(t, pades.LevelBLTA)
			p.Signer, p.Chain = revoked.key, revoked.chain
			c.change(&p)
			_, err := attemptSign(t, sample, p)
			for _, want := range c.want {
				require.ErrorIs(t, err, want)
			}
		})
	}
}

// A list of revoked certificates can be large: everything about it grows, and nothing is cut.
func TestLargeRevocationLists(t *testing.T) {
	t.Parallel()
	var entries []x509.RevocationListEntry
	for i := range 50_000 {
		entries = append(entries, x509.RevocationListEntry{SerialNumber: big.NewInt(int64(i + 1<<20)), RevocationTime: now.Add(-time.Hour)})
	}
	p := long(t, pades.LevelBLTA)
	p.Revocation = revocations(t, entries...)
	data, made := sign(t, pdftest.Sample(1, "Text"), newSigner("Anna", "P-256"), p)
	require.Equal(t, pades.LevelBLTA, made.Level)
	require.Equal(t, pades.LevelBLTA, verify(t, data)[0].Level)
	requireJudges(t, data, 1)
}

func verifyAt(t testing.TB, data []byte, at time.Time) []pades.Report {
	t.Helper()
	reports, err := pades.Verify(t.Context(), bytes.NewReader(data), int64(len(data)), root().Roots, at)
	require.NoError(t, err)
	return reports
}

func TestRenewalOutlivesCertificates(t *testing.T) {
	t.Parallel()
	signers := map[pades.Level]signer{}
	for _, level := range []pades.Level{pades.LevelBB, pades.LevelBT, pades.LevelBLT, pades.LevelBLTA} {
		signers[level] = newSigner("Anna", "P-256")
	}
	for level, s := range signers {
		t.Run(string(level), func(t *testing.T) {
			t.Parallel()
			data, _ := sign(t, pdftest.Sample(1, "Text"), s, long(t, level))
			later := now.AddDate(2, 0, 0)
			require.False(t, verifyAt(t, data, later)[0].Valid(), "all certificates have expired")

			// Before they do, a time-stamp of an authority with a longer life is added.
			made, err := pades.Timestamp(t.Context(), source(data), pades.Params{TimestampDigest: digestTimestamps(t, 5*365), Revocation: revocations(t)})
			require.NoError(t, err)
			renewed := append(bytes.Clone(data), made.Tail...)
			reports := verifyAt(t, renewed, later)
			require.Len(t, reports, 2+count(level == pades.LevelBLTA))
			for _, r := range reports {
				require.True(t, r.Valid(), "%+v", r)
				require.Empty(t, r.Problem)
			}
			want := pades.LevelBLTA
			if level == pades.LevelBB {
				want = level // nothing proves when it was made
			}
			require.Equal(t, want, reports[0].Level)
			requireJudges(t, renewed, 1)

			// The next renewal adds what proves the last one.
			before, err := pdf.ReadSecurity(t.Context(), bytes.NewReader(renewed), int64(len(renewed)), pdf.Limits{})
			require.NoError(t, err)
			made, err = pades.Timestamp(t.Context(), source(renewed), pades.Params{TimestampDigest: digestTimestamps(t, 5*365), Revocation: revocations(t)})
			require.NoError(t, err)
			again := append(bytes.Clone(renewed), made.Tail...)
			after, err := pdf.ReadSecurity(t.Context(), bytes.NewReader(again), int64(len(again)), pdf.Limits{})
			require.NoError(t, err)
			require.Greater(t, len(after.Certificates), len(before.Certificates))
			for _, r := range verifyAt(t, again, later) {
				require.True(t, r.Valid(), "%+v", r)
			}
			requireJudges(t, again, 1)
		})
	}
}

func TestTimestampNeedsWhatProves(t *testing.T) {
	t.Parallel()
	data, _ := sign(t, pdftest.Sample(1, "Text"), newSigner("Anna", "P-256"), pades.Params{})
	_, err := pades.Timestamp(t.Context(), source(data), pades.Params{})
	require.ErrorIs(t, err, pades.ErrTimestamp)
	_, err = pades.Timestamp(t.Context(), source(data), pades.Params{TimestampDigest: digestTimestamps(t, 365), Revocation: revocation.First{}})
	require.ErrorIs(t, err, pades.ErrRevocation)
	for name, original := range map[string][]byte{"signed": data, "unsigned": pdftest.Sample(1, "Text")} {
		made, err := pades.Timestamp(t.Context(), source(original), pades.Params{TimestampDigest: digestTimestamps(t, 365)})
		require.NoError(t, err, name)
		out := append(bytes.Clone(original), made.Tail...)
		reports := verify(t, out)
		require.True(t, reports[len(reports)-1].DocTimestamp)
		for _, r := range reports {
			require.True(t, r.Valid(), "%s: %+v", name, r)
		}
	}
}

func TestTimestampOfAForeignSignature(t *testing.T) {
	t.Parallel()
	out := filepath.Join(t.TempDir(), "theirs.pdf")
	signtest.Run(t, "pdfsig", "-nssdir", nssDatabase(t, newSigner("Bruno", "RSA-2048")), "-add-signature", "-nick", "theirs", signtest.Write(t, "in.pdf", pdftest.Sample(1, "Text")), out)
	data, err := os.ReadFile(out)
	require.NoError(t, err)
	made, err := pades.Timestamp(t.Context(), source(data), pades.Params{TimestampDigest: digestTimestamps(t, 5*365), Revocation: revocations(t)})
	require.NoError(t, err)
	data = append(data, made.Tail...)
	for _, r := range verifyAt(t, data, now.AddDate(2, 0, 0)) {
		require.True(t, r.Valid(), "%+v", r)
	}
}

// withSecurity appends a security store.
func withSecurity(t testing.TB, data []byte, s pdf.Security) []byte {
	t.Helper()
	tail, err := pdf.PrepareSecurity(t.Context(), bytes.NewReader(data), int64(len(data)), pdf.Limits{}, s)
	require.NoError(t, err)
	require.NotEmpty(t, tail)
	return append(bytes.Clone(data), tail...)
}

func TestRevokedCertificatesAreReported(t *testing.T) {
	t.Parallel()
	s := newSigner("Anna", "P-256")
	list := func(at time.Time) pdf.Security {
		return pdf.Security{CRLs: [][]byte{crl(now.Add(time.Hour), x509.RevocationListEntry{SerialNumber: s.chain[0].SerialNumber, RevocationTime: at})}}
	}
	plain, _ := sign(t, pdftest.Sample(1, "Text"), s, pades.Params{})
	stamped, _ := sign(t, pdftest.Sample(1, "Text"), s, long(t, pades.LevelBT))
	for name, c := range map[string]struct {
		data    []byte
		revoked time.Time
		valid   bool
	}{
		"before, without a time": {plain, now.Add(-time.Minute), false},
		"before":                 {stamped, now.Add(-time.Minute), false},
		"after the time-stamp":   {stamped, now.Add(time.Minute * 30), true},
	} {
		reports := verifyAt(t, withSecurity(t, c.data, list(c.revoked)), now.Add(2*time.Hour))
		require.Equal(t, c.valid, reports[0].Valid(), "%s: %+v", name, reports[0])
		require.Equal(t, c.valid, reports[0].Problem == "", name)
		require.True(t, c.revoked.Truncate(time.Second).Equal(reports[0].Revoked), name)
		if !c.valid {
			require.Contains(t, reports[0].Problem, "revoked", name)
		}
	}
	after := verifyAt(t, withSecurity(t, plain, list(now.Add(30*time.Minute))), now.Add(2*time.Hour))
	require.False(t, after[0].Valid(), "nothing proves that it was signed before")
}

// replaced appends an update that writes one object anew.
func replaced(t testing.TB, data []byte, num int, body string) []byte {
	t.Helper()
	info := inspect(t, data)
	out := bytes.Clone(data)
	at := len(out)
	out = fmt.Appendf(out, "%d 0 obj\n%s\nendobj\n", num, body)
	xref := len(out)
	return fmt.Appendf(out, "xref\n%d 1\n%010d 00000 n\r\ntrailer\n<</Size 1000/Root 1 0 R/Prev %d>>\nstartxref\n%d\n%%%%EOF\n", num, at, info.StartXRef, xref)
}

func TestWhatMayComeLater(t *testing.T) {
	t.Parallel()
	stamp := func(t testing.TB, data []byte) []byte {
		made, err := pades.Timestamp(t.Context(), source(data), pades.Params{TimestampDigest: digestTimestamps(t, 365), Revocation: revocations(t)})
		require.NoError(t, err)
		return append(bytes.Clone(data), made.Tail...)
	}
	store := func(t testing.TB, data []byte) []byte {
		return withSecurity(t, data, pdf.Security{CRLs: [][]byte{crl(now.Add(time.Minute))}})
	}
	font := func(t testing.TB, data []byte) []byte {
		return replaced(t, data, 3, "<</Type/Font/Subtype/Type1/BaseFont/Courier>>")
	}
	stranger := func(t testing.TB, data []byte) []byte {
		key := signtest.Key("P-256")
		made, err := pades.Sign(t.Context(), source(data), pades.Params{Signer: key, Chain: []*x509.Certificate{signtest.SelfSigned(key)}})
		require.NoError(t, err)
		return append(bytes.Clone(data), made.Tail...)
	}
	for name, c := range map[string]struct {
		steps []func(testing.TB, []byte) []byte
		valid bool
	}{
		"nothing":                          {nil, true},
		"validation data":                  {[]func(testing.TB, []byte) []byte{store}, true},
		"a time-stamp":                     {[]func(testing.TB, []byte) []byte{stamp}, true},
		"both, twice":                      {[]func(testing.TB, []byte) []byte{store, stamp, store, stamp}, true},
		"a change":                         {[]func(testing.TB, []byte) []byte{font}, false},
		"a change under a time-stamp":      {[]func(testing.TB, []byte) []byte{font, stamp}, false},
		"a change after a time-stamp":      {[]func(testing.TB, []byte) []byte{stamp, font}, false},
		"a change with validation data":    {[]func(testing.TB, []byte) []byte{font, store}, false},
		"a change under a stranger's name": {[]func(testing.TB, []byte) []byte{font, stranger}, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			data, _ := sign(t, pdftest.Sample(1, "Text"), newSigner("Anna", "P-256"), long(t, pades.LevelBLT))
			for _, step := range c.steps {
				data = step(t, data)
			}
			r := verify(t, data)[0]
			require.True(t, r.Intact)
			require.Equal(t, c.valid, r.Valid(), "%+v", r)
			require.Equal(t, !c.valid, r.LaterChanges)
		})
	}
}

// responses answers each certificate by itself, as OCSP does, in the name of the issuer.
func responses(t testing.TB) revocation.Source {
	t.Helper()
	return revocation.Local(func(_ context.Context, chain []*x509.Certificate) ([]*x509.Certificate, [][]byte, [][]byte, error) {
		return nil, [][]byte{root().OCSP(ocsp.Response{
			Status: ocsp.Good, SerialNumber: chain[0].SerialNumber, ThisUpdate: now.Add(-time.Minute), NextUpdate: now.AddDate(0, 0, 7),
		})}, nil, nil
	})
}

func TestJudgesOnWhatIsStored(t *testing.T) {
	t.Parallel()
	s := newSigner("Anna", "RSA-2048")
	p := long(t, pades.LevelBLTA)
	list := crl(now)
	p.Revocation = revocation.Local(func(ctx context.Context, chain []*x509.Certificate) ([]*x509.Certificate, [][]byte, [][]byte, error) {
		d, err := responses(t).Collect(ctx, chain, now)
		return d.Certificates, d.OCSPs, [][]byte{list}, err
	})
	data, _ := sign(t, pdftest.Sample(1, "Text"), s, p)
	signatures, err := pdf.Signatures(t.Context(), bytes.NewReader(data), int64(len(data)), pdf.Limits{})
	require.NoError(t, err)
	require.Len(t, signatures, 2)
	security, err := pdf.ReadSecurity(t.Context(), bytes.NewReader(data), int64(len(data)), pdf.Limits{})
	require.NoError(t, err)
	require.Contains(t, security.VRI, signatures[0].Key())
	require.NotZero(t, security.VRI[signatures[0].Key()].Time)
	require.Len(t, security.Certificates, 3, "signer, time-stamp authority, root")
	require.Len(t, security.OCSPs, 2)
	require.Len(t, security.CRLs, 1)

	anchor, crl := signtest.WriteCertificates(t, root().Certificate), filepath.Join(t.TempDir(), "list.pem")
	signtest.OpenSSL(t, "crl", "-inform", "DER", "-in", signtest.Write(t, "list.crl", security.CRLs[0]), "-CAfile", anchor, "-out", crl)
	good := 0
	for _, c := range security.Certificates {
		certificate := signtest.Write(t, "certificate.der", c)
		signtest.OpenSSL(t, "verify", "-CAfile", anchor, "-crl_check", "-CRLfile", crl, certificate)
		for _, response := range security.OCSPs {
			out, _ := signtest.Try(t, "openssl", "ocsp", "-respin", signtest.Write(t, "response.der", response), "-issuer", anchor, "-cert", certificate, "-CAfile", anchor, "-no_nonce")
			good += strings.Count(out, certificate+": good")
		}
	}
	require.Equal(t, 2, good, "an answer for the signer and one for the time-stamp authority")

	// With the root among its anchors poppler trusts the signer too.
	out := signtest.Run(t, "pdfsig", "-nssdir", nssDatabase(t, s), signtest.Write(t, "signed.pdf", data))
	require.Contains(t, out, "Signature is Valid")
	require.Contains(t, out, "Certificate is Trusted")
}
