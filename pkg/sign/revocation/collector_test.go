package revocation_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"io"
	"math/big"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/crypto/ocsp"

	"signbus.dev/pkg/sign/revocation"
	"signbus.dev/pkg/sign/signtest"
)

func TestCollectAsksOCSPFirst(t *testing.T) {
	t.Parallel()
	for name, delegate := range map[string]bool{"issuer answers": false, "delegated responder": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := newAuthority(t)
			if delegate {
				a.delegate(noCheck)
			}
			leaf, _ := a.issue()
			c := collector()
			data, err := c.Collect(t.Context(), a.chain(leaf), now)
			require.NoError(t, err)
			require.Len(t, data.OCSPs, 1)
			require.Empty(t, data.CRLs)
			require.Equal(t, delegate, len(data.Certificates) == 3)
			status := data.Status(leaf, a.Certificate, now)
			require.Equal(t, revocation.Good, status.State)
			require.NoError(t, status.Err())
			require.WithinDuration(t, now.AddDate(0, 0, 2), status.NextUpdate, time.Minute)

			// OpenSSL made the response, so it agrees when it is the judge.
			file := filepath.Join(a.folder, "kept.der")
			require.NoError(t, os.WriteFile(file, data.OCSPs[0], 0o600))
			signtest.OpenSSL(t, "ocsp", "-respin", file, "-issuer", filepath.Join(a.folder, "ca.pem"), "-cert", a.write("leaf.pem", signtest.CertificatePEM(leaf)),
				"-CAfile", filepath.Join(a.folder, "ca.pem"), "-no_nonce")

			again, err := c.Collect(t.Context(), a.chain(leaf), now)
			require.NoError(t, err)
			require.Equal(t, data, again)
			require.Equal(t, 1, a.hit("GET /ocsp")+a.hit("POST /ocsp"), "the second time comes from the cache")
			require.Zero(t, a.hit("GET /ca.crl"))
		})
	}
}

func TestCollectFallsBackToTheCRL(t *testing.T) {
	t.Parallel()
	a := newAuthority(t)
	leaf, _ := a.issue()
	other, _ := a.issue()
	a.set("/ocsp", func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "down", http.StatusServiceUnavailable) })
	c := collector()
	data, err := c.Collect(t.Context(), a.chain(leaf), now)
	require.NoError(t, err)
	require.Empty(t, data.OCSPs)
	require.Len(t, data.CRLs, 1)
	require.Equal(t, revocation.Good, data.Status(leaf, a.Certificate, now).State)
	require.Equal(t, revocation.Good, data.Status(other, a.Certificate, now).State)
	_, err = c.Collect(t.Context(), a.chain(other), now)
	require.NoError(t, err)
	require.Equal(t, 1, a.hit("GET /ca.crl"), "one list answers for all certificates")
}

func TestCollectReportsRevoked(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*x509.Certificate){
		"OCSP": func(c *x509.Certificate) { c.CRLDistributionPoints = nil },
		"CRL":  func(c *x509.Certificate) { c.OCSPServer = nil },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := newAuthority(t)
			leaf, _ := a.issue(change)
			at := now.Add(-10 * time.Minute)
			a.revoke(leaf, at)
			data, err := collector().Collect(t.Context(), a.chain(leaf), now)
			require.ErrorIs(t, err, revocation.ErrRevoked)
			require.NotErrorIs(t, err, revocation.ErrUnavailable)
			var revoked *revocation.RevokedError
			require.ErrorAs(t, err, &revoked)
			require.WithinDuration(t, at, revoked.At, 0)
			require.Equal(t, "keyCompromise", revoked.Reason.String())
			require.Equal(t, strings.ToUpper(leaf.SerialNumber.Text(16)), revoked.Serial)
			require.NotContains(t, err.Error(), "Anna")
			require.Empty(t, data)

			// What was signed before the revocation is proven by the same answers.
			before := at.Add(-time.Minute)
			data, err = collector().Collect(t.Context(), a.chain(leaf), before)
			require.NoError(t, err)
			status := data.Status(leaf, a.Certificate, before)
			require.Equal(t, revocation.Good, status.State)
			require.WithinDuration(t, at, status.RevokedAt, 0)
			require.Equal(t, revocation.Revoked, data.Status(leaf, a.Certificate, at).State)
		})
	}
}

// Responders sign by every algorithm that certificates have, and some send certificates that
// nobody needs.
func TestEveryKindOfResponder(t *testing.T) {
	t.Parallel()
	pss := []string{"-rsigopt", "rsa_padding_mode:pss", "-rsigopt", "rsa_pss_saltlen:digest"}
	for name, test := range map[string]struct {
		kind    string
		signing []string
	}{
		"RSA": {"RSA-2048", []string{"-rmd", "sha512"}}, "RSA-PSS": {"RSA-3072", append([]string{"-rmd", "sha384"}, pss...)},
		"P-384": {"P-384", []string{"-rmd", "sha384"}}, "P-521": {"P-521", []string{"-rmd", "sha512"}}, "Ed25519": {"Ed25519", nil},
		"others' certificates": {"RSA-2048", append([]string{"-rmd", "sha256", "-rother", signtest.WriteCertificates(t,
			signtest.NewAuthority().Certificate, signtest.SelfSigned(signtest.Key("P-256"), signtest.Named("Responder")))}, pss...)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := newAuthority(t)
			a.kind, a.signing = test.kind, test.signing
			a.delegate(noCheck)
			leaf, _ := a.issue(func(c *x509.Certificate) { c.CRLDistributionPoints = nil })
			data, err := collector(func(o *revocation.Options) { o.Nonce = true }).Collect(t.Context(), a.chain(leaf), now)
			require.NoError(t, err)
			require.Equal(t, revocation.Good, data.Status(leaf, a.Certificate, now).State)
			require.Contains(t, data.Certificates, a.responder)

			changed := bytes.Clone(data.OCSPs[0])
			changed[bytes.Index(changed, []byte("Responder"))] ^= 1
			require.Equal(t, revocation.Unknown, revocation.Data{OCSPs: [][]byte{changed}}.Status(leaf, a.Certificate, now).State)
		})
	}
}

func TestCollectGoesOverTheWholeChain(t *testing.T) {
	t.Parallel()
	root, sub := newAuthority(t), newAuthority(t)
	sub.Authority = root.Below(func(c *x509.Certificate) {
		c.SerialNumber = big.NewInt(77)
		c.CRLDistributionPoints, c.IssuingCertificateURL = []string{root.server.URL + "/ca.crl"}, []string{root.server.URL + "/ca.cer"}
	})
	intermediate := sub.Certificate
	sub.write("ca.pem", signtest.CertificatePEM(intermediate))
	sub.write("ca.key", signtest.KeyPEM(sub.Key))
	leaf, _ := sub.issue()
	root.index = append(root.index, "V\t350101000000Z\t\t4D\tunknown\t/CN=x")

	c := collector()
	data, err := c.Collect(t.Context(), []*x509.Certificate{leaf}, now)
	require.NoError(t, err, "both issuers are fetched")
	require.Len(t, data.Certificates, 3)
	require.Len(t, data.OCSPs, 1)
	require.Len(t, data.CRLs, 1)
	require.NoError(t, data.Status(leaf, intermediate, now).Err())
	require.NoError(t, data.Status(intermediate, root.Certificate, now).Err())
	require.ErrorIs(t, data.Status(leaf, root.Certificate, now).Err(), revocation.ErrUnknown)

	known := collector(func(o *revocation.Options) { o.Known = []*x509.Certificate{root.Certificate} })
	before := root.hit("GET /ca.cer")
	_, err = known.Collect(t.Context(), []*x509.Certificate{leaf, intermediate}, now)
	require.NoError(t, err)
	require.Equal(t, before, root.hit("GET /ca.cer"))

	root.revoke(intermediate, now.Add(-time.Minute))
	_, err = collector().Collect(t.Context(), []*x509.Certificate{leaf, intermediate, root.Certificate}, now)
	require.ErrorIs(t, err, revocation.ErrRevoked)

	// A certs-only CMS, as many authorities serve it.
	p7 := filepath.Join(root.folder, "ca.p7c")
	signtest.OpenSSL(t, "crl2pkcs7", "-nocrl", "-certfile", filepath.Join(root.folder, "ca.pem"), "-outform", "DER", "-out", p7)
	der, err := os.ReadFile(p7)
	require.NoError(t, err)
	root.set("/ca.cer", fixed(der))
	_, err = collector().Collect(t.Context(), []*x509.Certificate{intermediate}, before77(now))
	require.NoError(t, err)
	for name, answer := range map[string]http.HandlerFunc{
		"noise": fixed([]byte("noise")), "another": fixed(leaf.Raw), "nobody": http.NotFound,
	} {
		root.set("/ca.cer", answer)
		_, err = collector().Collect(t.Context(), []*x509.Certificate{intermediate}, now)
		require.ErrorIs(t, err, revocation.ErrUnavailable, name)
	}
}

// before77 is before the intermediate was revoked.
func before77(at time.Time) time.Time { return at.Add(-2 * time.Minute) }

func TestCollectRefusesWhatIsNoChain(t *testing.T) {
	t.Parallel()
	a, b := newAuthority(t), newAuthority(t)
	leaf, _ := a.issue()
	for name, chain := range map[string][]*x509.Certificate{
		"nothing": nil, "other root of the same name": {leaf, b.Certificate}, "order": {a.Certificate, leaf},
	} {
		_, err := collector().Collect(t.Context(), chain, now)
		require.ErrorIs(t, err, revocation.ErrChain, name)
	}
	data, err := collector().Collect(t.Context(), []*x509.Certificate{a.Certificate}, now)
	require.NoError(t, err, "a root needs no answer")
	require.Len(t, data.Certificates, 1)
	require.Zero(t, a.hit("GET /ocsp")+a.hit("POST /ocsp"))
}

func TestCertificatesThatNeedNoAnswer(t *testing.T) {
	t.Parallel()
	a := newAuthority(t)
	for name, id := range map[string]asn1.ObjectIdentifier{"validity assured": {0, 4, 0, 194121, 2, 1}, "noRevAvail": {2, 5, 29, 56}} {
		short, _ := a.issue(func(c *x509.Certificate) {
			c.OCSPServer, c.CRLDistributionPoints = nil, nil
			c.ExtraExtensions = []pkix.Extension{{Id: id, Value: asn1.NullBytes}}
		})
		data, err := collector().Collect(t.Context(), a.chain(short), now)
		require.NoError(t, err, name)
		require.Empty(t, data.OCSPs)
		require.NoError(t, data.Status(short, a.Certificate, now).Err())
	}
	// The word of a responder's certificate does not help anybody else's.
	leaf, _ := a.issue(noCheck, func(c *x509.Certificate) { c.OCSPServer, c.CRLDistributionPoints = nil, nil })
	_, err := collector().Collect(t.Context(), a.chain(leaf), now)
	require.ErrorIs(t, err, revocation.ErrUnavailable)
	require.ErrorContains(t, err, "names nobody who could answer")
}

// Answers that must not be believed, each the only one that there is.
func TestOCSPResponsesThatAreRefused(t *testing.T) {
	t.Parallel()
	a, stranger := newAuthority(t), newAuthority(t)
	leaf, leafKey := a.issue(func(c *x509.Certificate) { c.CRLDistributionPoints = nil })
	other, _ := a.issue()
	good := ocsp.Response{Status: ocsp.Good, SerialNumber: leaf.SerialNumber}
	with := func(change func(*ocsp.Response)) ocsp.Response {
		r := good
		change(&r)
		return r
	}
	a.delegate(noCheck)
	responder, responderKey := a.responder, a.responderKey
	plain, plainKey := a.issue(func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth} })
	ended, endedKey := a.issue(noCheck, func(c *x509.Certificate) {
		c.ExtKeyUsage, c.NotBefore, c.NotAfter = []x509.ExtKeyUsage{x509.ExtKeyUsageOCSPSigning}, now.AddDate(-1, 0, 0), now.Add(-time.Hour)
	})
	unchecked, uncheckedKey := a.issue(func(c *x509.Certificate) {
		c.ExtKeyUsage, c.OCSPServer, c.CRLDistributionPoints = []x509.ExtKeyUsage{x509.ExtKeyUsageOCSPSigning}, nil, nil
	})
	itself, itselfKey := a.issue(func(c *x509.Certificate) {
		c.ExtKeyUsage, c.CRLDistributionPoints = []x509.ExtKeyUsage{x509.ExtKeyUsageOCSPSigning}, nil
	})
	embed := func(c *x509.Certificate) ocsp.Response { return with(func(r *ocsp.Response) { r.Certificate = c }) }
	for name, der := range map[string][]byte{
		"noise":                    []byte("noise"),
		"nothing":                  {},
		"try later":                ocsp.TryLaterErrorResponse,
		"another certificate":      forge(t, a.Certificate, a.Certificate, a.Key, with(func(r *ocsp.Response) { r.SerialNumber = other.SerialNumber })),
		"another issuer":           forge(t, stranger.Certificate, a.Certificate, a.Key, good),
		"another key":              forge(t, a.Certificate, a.Certificate, stranger.Key, good),
		"responder of a stranger":  forge(t, a.Certificate, stranger.Certificate, stranger.Key, embed(stranger.Certificate)),
		"the leaf itself":          forge(t, a.Certificate, leaf, leafKey, embed(leaf)),
		"not for OCSP":             forge(t, a.Certificate, plain, plainKey, embed(plain)),
		"responder has ended":      forge(t, a.Certificate, ended, endedKey, embed(ended)),
		"responder not checkable":  forge(t, a.Certificate, unchecked, uncheckedKey, embed(unchecked)),
		"responder vouches itself": forge(t, a.Certificate, itself, itselfKey, embed(itself)),
		"names another responder":  forge(t, a.Certificate, other, responderKey, embed(responder)),
		"ran out":                  forge(t, a.Certificate, a.Certificate, a.Key, with(func(r *ocsp.Response) { r.ThisUpdate, r.NextUpdate = now.AddDate(0, 0, -9), now.Add(-time.Hour) })),
		"old without nextUpdate":   forge(t, a.Certificate, a.Certificate, a.Key, with(func(r *ocsp.Response) { r.ThisUpdate = now.AddDate(0, 0, -3) })),
		"from the future":          forge(t, a.Certificate, a.Certificate, a.Key, with(func(r *ocsp.Response) { r.ThisUpdate, r.NextUpdate = now.Add(time.Hour), now.Add(2*time.Hour) })),
		"backwards":                forge(t, a.Certificate, a.Certificate, a.Key, with(func(r *ocsp.Response) { r.ThisUpdate, r.NextUpdate = now.Add(time.Minute), now })),
		"unknown critical extension": forge(t, a.Certificate, a.Certificate, a.Key, with(func(r *ocsp.Response) {
			r.ExtraExtensions = []pkix.Extension{{Id: asn1.ObjectIdentifier{1, 2, 3}, Critical: true, Value: asn1.NullBytes}}
		})),
	} {
		a.set("/ocsp", fixed(der))
		_, err := collector(func(o *revocation.Options) { o.Timeout = 5 * time.Second }).Collect(t.Context(), a.chain(leaf), now)
		require.ErrorIs(t, err, revocation.ErrUnavailable, name)
		require.NotErrorIs(t, err, revocation.ErrRevoked, name)
		data := revocation.Data{OCSPs: [][]byte{der}}
		if name != "from the future" { // Later is another time: the data alone cannot know it.
			require.ErrorIs(t, data.Status(leaf, a.Certificate, now).Err(), revocation.ErrUnknown, name)
		}
	}
	a.set("/ocsp", fixed(forge(t, a.Certificate, responder, responderKey, embed(responder))))
	_, err := collector().Collect(t.Context(), a.chain(leaf), now)
	require.NoError(t, err, "the same made well")
	a.set("/ocsp", fixed(forge(t, a.Certificate, a.Certificate, a.Key, with(func(r *ocsp.Response) { r.Status = ocsp.Unknown }))))
	_, err = collector().Collect(t.Context(), a.chain(leaf), now)
	require.ErrorIs(t, err, revocation.ErrUnknown)
}

// A responder without id-pkix-ocsp-nocheck is asked about in turn, and may be revoked.
func TestResponderIsCheckedToo(t *testing.T) {
	t.Parallel()
	a := newAuthority(t)
	a.delegate(func(c *x509.Certificate) { c.CRLDistributionPoints = []string{a.server.URL + "/ca.crl"} })
	leaf, _ := a.issue(func(c *x509.Certificate) { c.CRLDistributionPoints = nil })
	data, err := collector().Collect(t.Context(), a.chain(leaf), now)
	require.NoError(t, err)
	require.Len(t, data.OCSPs, 1)
	require.Len(t, data.CRLs, 1, "of the responder")
	require.NoError(t, data.Status(leaf, a.Certificate, now).Err())
	data.CRLs = nil
	require.ErrorIs(t, data.Status(leaf, a.Certificate, now).Err(), revocation.ErrUnknown)

	a.revoke(a.responder, now.Add(-time.Hour))
	_, err = collector().Collect(t.Context(), a.chain(leaf), now)
	require.ErrorIs(t, err, revocation.ErrUnavailable)
	require.NotErrorIs(t, err, revocation.ErrRevoked, "the responder is, the certificate is not")
}

func TestCRLsThatAreRefused(t *testing.T) {
	t.Parallel()
	a, stranger := newAuthority(t), newAuthority(t)
	leaf, _ := a.issue(func(c *x509.Certificate) { c.OCSPServer = nil })
	list := func(signer *authority, change func(*x509.RevocationList)) []byte {
		template := &x509.RevocationList{Number: big.NewInt(1), ThisUpdate: now.Add(-time.Hour), NextUpdate: now.Add(time.Hour)}
		change(template)
		der, err := x509.CreateRevocationList(rand.Reader, template, signer.Certificate, signer.Key)
		require.NoError(t, err)
		return der
	}
	extension := func(der string, id ...int) func(*x509.RevocationList) {
		return func(l *x509.RevocationList) {
			l.ExtraExtensions = []pkix.Extension{{Id: id, Critical: true, Value: []byte(der)}}
		}
	}
	point := func(address string) string {
		uri := append([]byte{0x86, byte(len(address))}, address...)
		name := append([]byte{0xa0, byte(len(uri))}, uri...)
		dp := append([]byte{0xa0, byte(len(name))}, name...)
		return string(append([]byte{0x30, byte(len(dp))}, dp...))
	}
	for name, der := range map[string][]byte{
		"noise":               []byte("noise"),
		"stranger's key":      list(stranger, func(*x509.RevocationList) {}),
		"ran out":             list(a, func(l *x509.RevocationList) { l.ThisUpdate, l.NextUpdate = now.AddDate(0, 0, -9), now.Add(-time.Hour) }),
		"delta":               list(a, extension("\x02\x01\x01", 2, 5, 29, 27)),
		"for CAs only":        list(a, extension("\x30\x03\x82\x01\xff", 2, 5, 29, 28)),
		"indirect":            list(a, extension("\x30\x03\x84\x01\xff", 2, 5, 29, 28)),
		"some reasons":        list(a, extension("\x30\x04\x83\x02\x01\x02", 2, 5, 29, 28)),
		"another point":       list(a, extension(point("http://other.example/x.crl"), 2, 5, 29, 28)),
		"broken point":        list(a, extension("\x30\x04\x83\x02\x01", 2, 5, 29, 28)),
		"critical, not known": list(a, extension("\x05\x00", 1, 2, 3)),
		"critical in an entry": list(a, func(l *x509.RevocationList) {
			l.RevokedCertificateEntries = []x509.RevocationListEntry{{SerialNumber: big.NewInt(9), RevocationTime: now,
				ExtraExtensions: []pkix.Extension{{Id: asn1.ObjectIdentifier{2, 5, 29, 29}, Critical: true, Value: asn1.NullBytes}}}}
		}),
	} {
		a.set("/ca.crl", fixed(der))
		_, err := collector().Collect(t.Context(), a.chain(leaf), now)
		require.ErrorIs(t, err, revocation.ErrUnavailable, name)
		data := revocation.Data{CRLs: [][]byte{der}}
		require.ErrorIs(t, data.Status(leaf, a.Certificate, now).Err(), revocation.ErrUnknown, name)
	}
	for name, der := range map[string][]byte{
		"for users only": list(a, extension("\x30\x03\x81\x01\xff", 2, 5, 29, 28)),
		"its own point":  list(a, extension(point(a.server.URL+"/ca.crl"), 2, 5, 29, 28)),
	} {
		a.set("/ca.crl", fixed(der))
		_, err := collector().Collect(t.Context(), a.chain(leaf), now)
		require.NoError(t, err, name)
	}
}

// After a certificate's end an authority may forget that it was revoked.
func TestAnswersYoungerThanTheCertificate(t *testing.T) {
	t.Parallel()
	a := newAuthority(t)
	leaf, _ := a.issue(func(c *x509.Certificate) { c.NotBefore, c.NotAfter = now.AddDate(-1, 0, 0), now.AddDate(0, -1, 0) })
	cutoff, err := asn1.MarshalWithParams(now.AddDate(-5, 0, 0), "generalized")
	require.NoError(t, err)
	at := now.AddDate(0, -2, 0)
	response := ocsp.Response{Status: ocsp.Good, SerialNumber: leaf.SerialNumber}
	list := x509.RevocationList{Number: big.NewInt(1), ThisUpdate: now.Add(-time.Hour), NextUpdate: now.Add(time.Hour)}
	for _, remembers := range []bool{false, true} {
		if remembers {
			response.ExtraExtensions = []pkix.Extension{{Id: asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 48, 1, 6}, Value: cutoff}}
			list.ExtraExtensions = []pkix.Extension{{Id: asn1.ObjectIdentifier{2, 5, 29, 60}, Value: cutoff}}
		}
		crl, err := x509.CreateRevocationList(rand.Reader, &list, a.Certificate, a.Key)
		require.NoError(t, err)
		for name, data := range map[string]revocation.Data{
			"OCSP": {OCSPs: [][]byte{forge(t, a.Certificate, a.Certificate, a.Key, response)}}, "CRL": {CRLs: [][]byte{crl}},
		} {
			require.Equal(t, remembers, data.Status(leaf, a.Certificate, at).State == revocation.Good, name)
		}
	}
}

func TestNewestAnswerDecides(t *testing.T) {
	t.Parallel()
	a := newAuthority(t)
	leaf, _ := a.issue()
	old := forge(t, a.Certificate, a.Certificate, a.Key, ocsp.Response{Status: ocsp.Good, SerialNumber: leaf.SerialNumber,
		ThisUpdate: now.Add(-2 * time.Hour), NextUpdate: now.Add(time.Hour)})
	a.revoke(leaf, now.Add(-time.Minute))
	data := revocation.Data{OCSPs: [][]byte{old}}
	require.Equal(t, revocation.Good, data.Status(leaf, a.Certificate, now).State)
	data.Merge(revocation.Data{CRLs: [][]byte{a.list()}, OCSPs: [][]byte{old}, Certificates: a.chain(leaf)})
	require.Len(t, data.OCSPs, 1)
	require.Equal(t, revocation.Revoked, data.Status(leaf, a.Certificate, now).State)
	data.Merge(data)
	require.Len(t, data.Certificates, 2)
	require.Len(t, data.CRLs, 1)
}

func TestCacheEndsWithTheAnswer(t *testing.T) {
	t.Parallel()
	a := newAuthority(t)
	leaf, _ := a.issue(func(c *x509.Certificate) { c.CRLDistributionPoints = nil })
	clock := now
	c := collector(func(o *revocation.Options) { o.Now = func() time.Time { return clock } })
	_, err := c.Collect(t.Context(), a.chain(leaf), clock)
	require.NoError(t, err)
	a.revoke(leaf, now)
	clock = now.AddDate(0, 0, 1)
	_, err = c.Collect(t.Context(), a.chain(leaf), clock)
	require.NoError(t, err, "the answer holds for two days")
	clock = now.AddDate(0, 0, 2).Add(time.Minute)
	_, err = c.Collect(t.Context(), a.chain(leaf), clock)
	require.ErrorIs(t, err, revocation.ErrRevoked)
}

func TestNonce(t *testing.T) {
	t.Parallel()
	a := newAuthority(t)
	leaf, _ := a.issue(func(c *x509.Certificate) { c.CRLDistributionPoints = nil })
	withNonce := func(o *revocation.Options) { o.Nonce = true }
	data, err := collector(withNonce).Collect(t.Context(), a.chain(leaf), now)
	require.NoError(t, err)
	require.Equal(t, 1, a.hit("POST /ocsp"))
	require.Zero(t, a.hit("GET /ocsp"))
	a.set("/ocsp", fixed(data.OCSPs[0])) // Somebody repeats an old answer.
	_, err = collector(withNonce).Collect(t.Context(), a.chain(leaf), now)
	require.ErrorIs(t, err, revocation.ErrUnavailable)
	require.ErrorContains(t, err, "nonce")
	a.set("/ocsp", fixed(forge(t, a.Certificate, a.Certificate, a.Key, ocsp.Response{Status: ocsp.Good, SerialNumber: leaf.SerialNumber})))
	_, err = collector(withNonce).Collect(t.Context(), a.chain(leaf), now)
	require.NoError(t, err, "answers made in advance have none")
}

func TestFetchingIsBounded(t *testing.T) {
	t.Parallel()
	a := newAuthority(t)
	leaf, _ := a.issue()
	for name, answer := range map[string]http.HandlerFunc{
		"redirect": func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/elsewhere", http.StatusFound) },
		"endless": func(w http.ResponseWriter, r *http.Request) {
			block := make([]byte, 1<<20)
			_, _ = io.Copy(io.Discard, r.Body)
			for r.Context().Err() == nil {
				if _, err := w.Write(block); err != nil {
					return
				}
			}
		},
		"silent": func(_ http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body) // Else the server does not see that nobody waits.
			<-r.Context().Done()
		},
		"broken": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "100")
			_, _ = w.Write([]byte("x"))
		},
	} {
		a.set("/ocsp", answer)
		a.set("/ca.crl", answer)
		c := collector(func(o *revocation.Options) { o.Timeout = 200 * time.Millisecond })
		_, err := c.Collect(t.Context(), a.chain(leaf), now)
		require.ErrorIs(t, err, revocation.ErrUnavailable, name)
		require.NotContains(t, err.Error(), "/ca.crl", "%s: addresses are not repeated", name)
	}
	require.Zero(t, a.hit("GET /elsewhere"))

	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := collector().Collect(cancelled, a.chain(leaf), now)
	require.ErrorIs(t, err, context.Canceled)

	odd, _ := a.issue(func(c *x509.Certificate) {
		c.OCSPServer = []string{"ldap://directory.example/x", "file:///etc/passwd", "http://", "http://anna:secret@127.0.0.1:1/"}
		c.CRLDistributionPoints = nil
	})
	_, err = collector().Collect(t.Context(), a.chain(odd), now)
	require.ErrorIs(t, err, revocation.ErrUnavailable)
	require.NotContains(t, err.Error(), "secret")
}

func TestSourcesInTurn(t *testing.T) {
	t.Parallel()
	a := newAuthority(t)
	leaf, _ := a.issue()
	asked := 0
	local := revocation.Local(func(context.Context, []*x509.Certificate) ([]*x509.Certificate, [][]byte, [][]byte, error) {
		asked++
		return nil, nil, [][]byte{a.list()}, nil
	})
	data, err := revocation.First{local, collector()}.Collect(t.Context(), a.chain(leaf), now)
	require.NoError(t, err)
	require.Len(t, data.CRLs, 1)
	require.Empty(t, data.OCSPs, "the second was not asked")
	stranger := newAuthority(t)
	foreign, _ := stranger.issue()
	data, err = revocation.First{local, collector()}.Collect(t.Context(), stranger.chain(foreign), now)
	require.NoError(t, err)
	require.Len(t, data.OCSPs, 1)
	a.revoke(leaf, now)
	_, err = revocation.First{local, collector()}.Collect(t.Context(), a.chain(leaf), now)
	require.ErrorIs(t, err, revocation.ErrRevoked)
	require.Equal(t, 3, asked)
	broken := revocation.Local(func(context.Context, []*x509.Certificate) ([]*x509.Certificate, [][]byte, [][]byte, error) {
		return nil, nil, nil, errors.New("closed")
	})
	_, err = revocation.First{broken}.Collect(t.Context(), a.chain(leaf), now)
	require.ErrorIs(t, err, revocation.ErrUnavailable)
	_, err = revocation.First{}.Collect(t.Context(), a.chain(leaf), now)
	require.ErrorIs(t, err, revocation.ErrUnavailable)
}

// That a certificate was revoked does not end with the list that says so, unless it was on hold.
func TestRevocationOutlivesItsList(t *testing.T) {
	t.Parallel()
	a := newAuthority(t)
	leaf, _ := a.issue()
	list := func(reason int, from, until time.Time) []byte {
		return a.CRL(from, until, x509.RevocationListEntry{SerialNumber: leaf.SerialNumber, RevocationTime: now.Add(-48 * time.Hour), ReasonCode: reason})
	}
	for reason, want := range map[int]revocation.State{1: revocation.Revoked, 4: revocation.Revoked, 6: revocation.Unknown} {
		data := revocation.Data{CRLs: [][]byte{list(reason, now.Add(-24*time.Hour), now.Add(-time.Hour))}}
		require.Equal(t, want, data.Status(leaf, a.Certificate, now).State, reason)
		require.Equal(t, revocation.Good, data.Status(leaf, a.Certificate, now.AddDate(0, 0, -3)).State, "before that it was good")
		data.CRLs = append(data.CRLs, a.CRL(now.Add(-time.Minute), now.Add(time.Hour)))
		require.Equal(t, revocation.Good, data.Status(leaf, a.Certificate, now).State, "a newer list decides")
	}
}
