package pades_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/sha256"
	"io"
	"os"
	"testing"
	"time"

	"signbus.dev/pkg/digest"
	"signbus.dev/pkg/sign/pades"
)

type nullSigner struct {
	pub crypto.PublicKey
	sig []byte
}

func (n nullSigner) Public() crypto.PublicKey { return n.pub }
func (n nullSigner) Sign(io.Reader, []byte, crypto.SignerOpts) ([]byte, error) {
	return n.sig, nil
}

func BenchmarkOverhead(b *testing.B) {
	s := ecdsaSigner("Anna")
	sum := sha256.Sum256([]byte("x"))
	sig, _ := ecdsa.SignASN1(nil, s.key.(*ecdsa.PrivateKey), sum[:])
	path := os.Getenv("OVER")
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		b.Fatal(err)
	}
	info, _ := f.Stat()
	p := pades.Params{Signer: s.key, Chain: s.chain[:1], Time: time.Now(), Name: "Anna", Reason: "Signed"}
	for _, n := range []string{"null", "real", "limit"} {
		b.Run(n, func(b *testing.B) {
			b.ReportAllocs()
			p := p
			if n == "null" {
				p.Signer = nullSigner{s.key.Public(), sig}
			}
			buf := make([]byte, 128<<10)
			for b.Loop() {
				if n == "limit" {
					h := sha256.New()
					io.CopyBuffer(struct{ io.Writer }{h}, struct{ io.Reader }{io.NewSectionReader(f, 0, info.Size())}, buffer2(buf))
					s.key.Sign(nil, h.Sum(nil), crypto.SHA256)
					continue
				}
				made, err := pades.Sign(b.Context(), digest.Source{ReaderAt: f, Size: info.Size()}, p)
				if err != nil {
					b.Fatal(err)
				}
				if _, err := f.WriteAt(made.Tail, info.Size()); err != nil {
					b.Fatal(err)
				}
			}
			f.Truncate(info.Size())
		})
	}
}

func buffer2(b []byte) []byte { return b }
