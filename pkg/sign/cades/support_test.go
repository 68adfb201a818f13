package cades_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/x509"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/crypto/ocsp"

	"signbus.dev/pkg/digest"
	"signbus.dev/pkg/sign/cades"
	"signbus.dev/pkg/sign/revocation"
	"signbus.dev/pkg/sign/signtest"
	"signbus.dev/pkg/sign/tsp"
)

var now = signtest.Now

var content = []byte("the signed bytes of a contract\r\nwith two lines\n")

// circle is a root, an authority below it that issues to people, and a time-stamp authority.
type circle struct {
	root, issuing *signtest.Authority
	tsa           *tsp.Authority
	stamper       []*x509.Certificate
	list          []byte   // of the root
	revoked       sync.Map // serial number to true
}

func newCircle(t testing.TB) *circle {
	t.Helper()
	c := &circle{root: signtest.NewAuthority()}
	c.issuing = c.root.Below()
	c.list = c.root.CRL(now.Add(-time.Hour), now.Add(time.Hour))
	stampKey := signtest.Key("P-256")
	c.stamper = c.root.Issue(stampKey.Public(), signtest.ForTimestamps(true), signtest.Valid(now.AddDate(-1, 0, 0), now.AddDate(9, 0, 0)))
	var err error
	c.tsa, err = tsp.NewAuthority(tsp.AuthorityOptions{
		Now:      signtest.Clock,
		Identity: func(context.Context) (crypto.Signer, []*x509.Certificate, error) { return stampKey, c.stamper, nil },
	})
	require.NoError(t, err)
	return c
}

// person is a key with its chain up to the root.
func (c *circle) person(name, kind string, change ...func(*x509.Certificate)) (crypto.Signer, []*x509.Certificate) {
	key := signtest.Key(kind)
	return key, c.issuing.Issue(key.Public(), append([]func(*x509.Certificate){signtest.Named(name)}, change...)...)
}

// revocation answers for the issuing authority by OCSP and for the root by a list.
func (c *circle) revocation(t testing.TB) revocation.Source {
	return revocation.Local(func(_ context.Context, chain []*x509.Certificate) ([]*x509.Certificate, [][]byte, [][]byte, error) {
		var ocsps, crls [][]byte
		for _, certificate := range chain {
			switch {
			case bytes.Equal(certificate.RawIssuer, c.issuing.Certificate.RawSubject):
				answer := ocsp.Response{Status: ocsp.Good, SerialNumber: certificate.SerialNumber, ThisUpdate: now.Add(-time.Hour), NextUpdate: now.Add(time.Hour)}
				if _, revoked := c.revoked.Load(certificate.SerialNumber.Int64()); revoked {
					answer.Status, answer.RevokedAt = ocsp.Revoked, now.Add(-time.Minute)
				}
				ocsps = append(ocsps, c.issuing.OCSP(answer))
			case !certificate.Equal(c.root.Certificate):
				crls = append(crls, c.list)
			}
		}
		return nil, ocsps, crls, nil
	})
}

// params are those that reach a level.
func (c *circle) params(t testing.TB, level cades.Level, key crypto.Signer, chain []*x509.Certificate) cades.Params {
	return cades.Params{Level: level, Signer: key, Chain: chain, Timestamp: c.tsa.Timestamp, Revocation: c.revocation(t), Now: signtest.Clock}
}

func source(data []byte) digest.Source {
	return digest.Source{ReaderAt: bytes.NewReader(data), Size: int64(len(data))}
}

func bytesOf(t testing.TB, m *cades.Message) []byte {
	t.Helper()
	var out bytes.Buffer
	require.NoError(t, m.WriteTo(t.Context(), &out))
	require.Equal(t, m.Size(), int64(out.Len()))
	return out.Bytes()
}

func open(t testing.TB, signed []byte, detached bool) *cades.Message {
	t.Helper()
	beside := digest.Source{}
	if detached {
		beside = source(content)
	}
	m, err := cades.Open(source(signed), beside)
	require.NoError(t, err)
	return m
}

func read(t testing.TB, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(path)
	require.NoError(t, err)
	return data
}

// requireOpenSSL lets OpenSSL check every signer, the attribute that names its certificate, and the content.
func (c *circle) requireOpenSSL(t testing.TB, signed []byte, detached bool) {
	t.Helper()
	out := filepath.Join(t.TempDir(), "out")
	arguments := []string{
		"cms", "-verify", "-cades", "-binary", "-inform", "DER", "-in", signtest.Write(t, "signed", signed),
		"-CAfile", signtest.WriteCertificates(t, c.root.Certificate), "-out", out,
	}
	if detached {
		arguments = append(arguments, "-content", signtest.Write(t, "content", content))
	}
	require.Contains(t, signtest.OpenSSL(t, arguments...), "CAdES Verification successful")
	require.Equal(t, content, read(t, out))
}
