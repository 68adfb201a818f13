package main

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"math/big"
	"time"

	"signbus.dev/pkg/digest"
	"signbus.dev/pkg/pdf/pdftest"
	"signbus.dev/pkg/sign/pades"
)

// benchSign measures signatures on one core beside what cannot be avoided: one digest
// pass over the file and one key operation.
func benchSign(ctx context.Context, length time.Duration) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "Benchmark"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), KeyUsage: x509.KeyUsageDigitalSignature,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return err
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return err
	}
	rows := [][]string{{"", "limit (SHA-256 + P-256)", "PAdES B-B", "of the limit"}}
	for _, size := range []int{50_000, 5_000_000} {
		doc := pdftest.Padded(size)
		limit, err := load(ctx, 1, length, func(context.Context, int64) error {
			digest := sha256.Sum256(doc)
			_, err := ecdsa.SignASN1(rand.Reader, key, digest[:])
			return err
		})
		if err != nil {
			return err
		}
		ours, err := load(ctx, 1, length, func(ctx context.Context, _ int64) error {
			_, err := pades.Sign(ctx, digest.Source{ReaderAt: bytes.NewReader(doc), Size: int64(len(doc))}, pades.Params{
				Signer: key, Chain: []*x509.Certificate{cert}, Time: time.Now(), Name: "Benchmark",
			})
			return err
		})
		if err != nil {
			return err
		}
		rows = append(rows, []string{
			fmt.Sprintf("%.2f MB", float64(len(doc))/1e6), fmt.Sprintf("%.0f/s", limit.rate),
			fmt.Sprintf("%.0f/s", ours.rate), fmt.Sprintf("%.2f", ours.rate/limit.rate),
		})
	}
	table("Signatures, one core", rows...)
	return nil
}
