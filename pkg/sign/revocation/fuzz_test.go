package revocation

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/crypto/ocsp"
)

// pair is a root and a certificate of its, with a good answer of each kind.
type pair struct {
	root, leaf *x509.Certificate
	ocsp, crl  []byte
}

func newPair(f *testing.F) pair {
	f.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(f, err)
	at := time.Now().UTC().Truncate(time.Second)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "Root"}, NotBefore: at, NotAfter: at.AddDate(10, 0, 0),
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign, BasicConstraintsValid: true, IsCA: true, SubjectKeyId: []byte{1},
	}
	var p pair
	issue := func(t *x509.Certificate) *x509.Certificate {
		der, err := x509.CreateCertificate(rand.Reader, t, template, key.Public(), key)
		require.NoError(f, err)
		certificate, err := x509.ParseCertificate(der)
		require.NoError(f, err)
		return certificate
	}
	p.root = issue(template)
	p.leaf = issue(&x509.Certificate{SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "Anna"}, NotBefore: at, NotAfter: at.AddDate(1, 0, 0)})
	p.ocsp, err = ocsp.CreateResponse(p.root, p.root, ocsp.Response{
		Status: ocsp.Good, SerialNumber: p.leaf.SerialNumber, ThisUpdate: at, NextUpdate: at.AddDate(0, 0, 1),
	}, key)
	require.NoError(f, err)
	p.crl, err = x509.CreateRevocationList(rand.Reader, &x509.RevocationList{
		Number: big.NewInt(1), ThisUpdate: at, NextUpdate: at.AddDate(0, 0, 1),
		RevokedCertificateEntries: []x509.RevocationListEntry{{SerialNumber: big.NewInt(9), RevocationTime: at, ReasonCode: 1}},
	}, p.root, key)
	require.NoError(f, err)
	return p
}

// FuzzOCSP: what is believed was signed: its signed part is that of the one response that the key made.
func FuzzOCSP(f *testing.F) {
	p := newPair(f)
	whole, err := ocsp.ParseResponse(p.ocsp, p.root)
	require.NoError(f, err)
	f.Add(p.ocsp)
	f.Add(ocsp.TryLaterErrorResponse)
	f.Add(p.crl)
	f.Fuzz(func(t *testing.T, der []byte) {
		if a, err := readOCSP(der, p.leaf, p.root); err == nil {
			require.Equal(t, Good, a.state)
			read, err := ocsp.ParseResponseForCert(der, p.leaf, p.root)
			require.NoError(t, err)
			require.True(t, bytes.Equal(whole.TBSResponseData, read.TBSResponseData))
		}
		_, _ = readResponseData(der)
		_ = nonceOf(der)
		_, _ = readCertificates(der)
	})
}

// FuzzCRL: what is believed was signed: its signed part is that of the one list that the key made.
func FuzzCRL(f *testing.F) {
	p := newPair(f)
	whole, err := x509.ParseRevocationList(p.crl)
	require.NoError(f, err)
	f.Add(p.crl)
	f.Add(p.ocsp)
	f.Add([]byte{0x30, 0x03, 0x82, 0x01, 0xff})
	f.Fuzz(func(t *testing.T, der []byte) {
		if a, err := readCRL(der, p.leaf, p.root); err == nil {
			require.Equal(t, Good, a.state)
			read, err := x509.ParseRevocationList(der)
			require.NoError(t, err)
			require.True(t, bytes.Equal(whole.RawTBSRevocationList, read.RawTBSRevocationList))
		}
		_ = pointCovers(der, p.leaf)
	})
}
