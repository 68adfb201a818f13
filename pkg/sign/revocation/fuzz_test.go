package revocation

import (
	"bytes"
	"crypto/x509"
	"math/big"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/crypto/ocsp"

	"signbus.dev/pkg/sign/signtest"
)

// pair is a root and a certificate of its, with a good answer of each kind.
type pair struct {
	root, leaf *x509.Certificate
	ocsp, crl  []byte
}

func newPair() pair {
	root, now, until := signtest.NewAuthority(), signtest.Now, signtest.Now.AddDate(0, 0, 1)
	leaf := root.Issue(signtest.Key("P-256").Public())[0]
	return pair{
		root: root.Certificate, leaf: leaf,
		ocsp: root.OCSP(ocsp.Response{Status: ocsp.Good, SerialNumber: leaf.SerialNumber, ThisUpdate: now, NextUpdate: until}),
		crl:  root.CRL(now, until, x509.RevocationListEntry{SerialNumber: big.NewInt(9), RevocationTime: now, ReasonCode: 1}),
	}
}

// FuzzOCSP: what is believed was signed: its signed part is that of the one response that the key made.
func FuzzOCSP(f *testing.F) {
	p := newPair()
	whole, err := ocsp.ParseResponse(p.ocsp, p.root)
	require.NoError(f, err)
	f.Add(p.ocsp)
	f.Add(ocsp.TryLaterErrorResponse)
	f.Add(p.crl)
	f.Fuzz(func(t *testing.T, der []byte) {
		if a, err := readOCSP(der, p.leaf, p.root); err == nil {
			require.Equal(t, Good, a.state)
			read, err := parseOCSP(der, p.leaf)
			require.NoError(t, err)
			require.True(t, bytes.Equal(whole.TBSResponseData, read.TBSResponseData))
		}
		_, _ = readResponseData(der)
		_ = nonceOf(der, p.leaf)
		_, _ = readCertificates(der)
	})
}

// FuzzCRL: what is believed was signed: its signed part is that of the one list that the key made.
func FuzzCRL(f *testing.F) {
	p := newPair()
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
