package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"math/big"
	mathrand "math/rand/v2"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"time"

	"signbus.dev/pkg/digest"
	"signbus.dev/pkg/pdf"
	"signbus.dev/pkg/pdf/stamp"
	"signbus.dev/pkg/sign/pades"
)

const passphrase = "bench"

// writeKeys writes each key with its certificate as PEM and as a PKCS #12 file.
func writeKeys(ctx context.Context, dir string) error {
	elliptical, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	factored, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return err
	}
	for name, key := range map[string]crypto.Signer{"P-256": elliptical, "RSA-2048": factored} {
		template := &x509.Certificate{
			SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "Anna"}, NotBefore: time.Now().Add(-time.Hour),
			NotAfter: time.Now().AddDate(1, 0, 0), KeyUsage: x509.KeyUsageDigitalSignature,
		}
		der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
		if err != nil {
			return err
		}
		private, err := x509.MarshalPKCS8PrivateKey(key)
		if err != nil {
			return err
		}
		path := dir + "/" + name
		both := append(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})...)
		if err := os.WriteFile(path, both, 0o600); err != nil {
			return err
		}
		args := []string{"pkcs12", "-export", "-in", path, "-name", "anna", "-passout", "pass:" + passphrase, "-out", path + ".p12"}
		out, err := exec.CommandContext(ctx, "openssl", args...).CombinedOutput() //nolint:gosec // a file made above
		if err != nil {
			return fmt.Errorf("openssl: %w: %s", err, out)
		}
	}
	return nil
}

func readKey(path string) (crypto.Signer, []*x509.Certificate, error) {
	data, err := os.ReadFile(path) //nolint:gosec // a file of the bench
	if err != nil {
		return nil, nil, err
	}
	private, rest := pem.Decode(data)
	certificate, _ := pem.Decode(rest)
	if private == nil || certificate == nil {
		return nil, nil, errors.New("no key")
	}
	key, err := x509.ParsePKCS8PrivateKey(private.Bytes)
	if err != nil {
		return nil, nil, err
	}
	leaf, err := x509.ParseCertificate(certificate.Bytes)
	if err != nil {
		return nil, nil, err
	}
	signer, ok := key.(crypto.Signer)
	if !ok {
		return nil, nil, errors.New("not a signing key")
	}
	return signer, []*x509.Certificate{leaf}, nil
}

// blankField is the object of the blank signature field, which mutool needs.
const blankField = 6

// writeFile writes a PDF of about that size with one blank signature field.
func writeFile(path string, size int64) error {
	f, err := os.Create(path) //nolint:gosec // a file of the bench
	if err != nil {
		return err
	}
	w := &counter{w: bufio.NewWriterSize(f, 1<<20)}
	offsets := map[int]int64{}
	object := func(n int, body string) {
		offsets[n] = w.n
		fmt.Fprintf(w, "%d 0 obj\n%s\nendobj\n", n, body)
	}
	fmt.Fprint(w, "%PDF-1.7\n%\xe2\xe3\xcf\xd3\n")
	object(1, "<</Type/Catalog/Pages 2 0 R/AcroForm<</Fields[6 0 R]>>/PieceInfo<</Bench<</Private 5 0 R>>>>>>")
	object(2, "<</Type/Pages/Kids[3 0 R]/Count 1>>")
	object(3, "<</Type/Page/Parent 2 0 R/MediaBox[0 0 595 842]/Resources<<>>/Contents 4 0 R/Annots[6 0 R]>>")
	object(4, "<</Length 0>>\nstream\n\nendstream")
	object(blankField, "<</Type/Annot/Subtype/Widget/FT/Sig/T(Blank)/F 4/Rect[50 50 250 110]/P 3 0 R>>")
	noise := max(size-w.n-1000, 1)
	offsets[5] = w.n
	fmt.Fprintf(w, "5 0 obj\n<</Length %d>>\nstream\n", noise)
	_, err = io.CopyN(w, mathrand.NewChaCha8([32]byte{1}), noise)
	fmt.Fprint(w, "\nendstream\nendobj\n")
	xref := w.n
	fmt.Fprint(w, "xref\n0 7\n0000000000 65535 f\r\n")
	for n := 1; n <= blankField; n++ {
		fmt.Fprintf(w, "%010d 00000 n\r\n", offsets[n])
	}
	fmt.Fprintf(w, "trailer\n<</Size 7/Root 1 0 R>>\nstartxref\n%d\n%%%%EOF\n", xref)
	return errors.Join(err, w.w.Flush(), f.Close())
}

type counter struct {
	w *bufio.Writer
	n int64
}

func (c *counter) Write(p []byte) (int, error) {
	n, err := c.w.Write(p)
	c.n += int64(n)
	return n, err
}

// signNineTimes copies a file, signs it nine times and keeps the state of its digest.
func signNineTimes(ctx context.Context, from, to, keyFile string) error {
	key, chain, err := readKey(keyFile)
	if err != nil {
		return err
	}
	in, err := os.Open(from) //nolint:gosec // a file of the bench
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.Create(to) //nolint:gosec // a file of the bench
	if err != nil {
		return err
	}
	defer out.Close()
	size, err := io.Copy(out, in)
	if err != nil {
		return err
	}
	src := digest.Source{ReaderAt: out, Size: size}
	for range 9 {
		made, err := pades.Sign(ctx, src, params(key, chain, true))
		if err != nil {
			return err
		}
		if _, err := out.WriteAt(made.Tail, src.Size); err != nil {
			return err
		}
		src.Digest = made.Digest()
		src.Size = src.Digest.Bytes()
	}
	sum := src.Digest.Sum()
	kept, err := src.Digest.MarshalBinary()
	if err != nil {
		return err
	}
	return os.WriteFile(to+".state", append(sum[:], kept...), 0o600)
}

func params(key crypto.Signer, chain []*x509.Certificate, visible bool) pades.Params {
	p := pades.Params{Signer: key, Chain: chain, Time: time.Now(), Name: "Anna", Reason: "Signed"}
	if visible {
		p.Boxes = []pdf.Box{{Page: 1, LLX: 300, LLY: 50, URX: 500, URY: 110}}
		p.Appearance = stamp.Appearance{Lines: []string{"Anna", "Signed"}}
	}
	return p
}

// measure repeats a task until it has taken so much processor time, and prints its cost.
func measure(ctx context.Context, task, path, keyFile string, visible bool, length time.Duration) error {
	key, chain, err := readKey(keyFile)
	if err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_RDWR, 0) //nolint:gosec // a file of the bench
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	size := info.Size()
	once := func() error { return limit(f, size, key) }
	switch task {
	case "floor":
		made, err := pades.Sign(ctx, digest.Source{ReaderAt: f, Size: size}, params(key, chain, visible))
		if err != nil {
			return err
		}
		once = func() error { return floor(f, size, key, made.Tail) }
	case "ours":
		kept, err := os.ReadFile(path + ".state") //nolint:gosec // a file of the bench
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		p := params(key, chain, visible)
		once = func() error { return ours(ctx, f, size, kept, p) }
	}
	if size < 100_000_000 {
		if err := once(); err != nil { // warm
			return err
		}
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	start := spent()
	c := cost{}
	for c.Seconds < length.Seconds() {
		if err := errors.Join(ctx.Err(), once()); err != nil {
			return err
		}
		c.Count++
		c.Seconds = (spent() - start).Seconds()
	}
	runtime.ReadMemStats(&after)
	if task == "ours" {
		c.Allocs = (after.Mallocs - before.Mallocs) / c.Count
		c.Bytes = (after.TotalAlloc - before.TotalAlloc) / c.Count
	}
	if c.Memory, err = peak(); err != nil {
		return err
	}
	if err := f.Truncate(size); err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(c)
}

// limit is what no signature can do without: a pass over the file and a key operation.
func limit(f *os.File, size int64, key crypto.Signer) error {
	h, err := pass(f, size)
	if err != nil {
		return err
	}
	_, err = key.Sign(rand.Reader, h.Sum(nil), crypto.SHA256)
	return err
}

var buffer [128 << 10]byte

// pass digests the file once.
func pass(f *os.File, size int64) (hash.Hash, error) {
	h := sha256.New()
	_, err := io.CopyBuffer(struct{ io.Writer }{h}, struct{ io.Reader }{io.NewSectionReader(f, 0, size)}, buffer[:])
	return h, err
}

// floor is the limit with what is added digested, made and written: its hole for the signature,
// about three quarters of it, is not digested.
func floor(f *os.File, size int64, key crypto.Signer, tail []byte) error {
	h, err := pass(f, size)
	if err != nil {
		return err
	}
	tail = bytes.Clone(tail)
	h.Write(tail[:len(tail)/4])
	if _, err := key.Sign(rand.Reader, h.Sum(nil), crypto.SHA256); err != nil {
		return err
	}
	_, err = f.WriteAt(tail, size)
	return err
}

// ours signs the file in place; the next signature is written over this one.
func ours(ctx context.Context, f *os.File, size int64, kept []byte, p pades.Params) error {
	src := digest.Source{ReaderAt: f, Size: size}
	if len(kept) > digest.Size {
		var err error
		if src.Digest, err = digest.Restore(kept[digest.Size:], [digest.Size]byte(kept), size); err != nil {
			return err
		}
	}
	made, err := pades.Sign(ctx, src, p)
	if err != nil {
		return err
	}
	_, err = f.WriteAt(made.Tail, size)
	return err
}

// spent is the processor time of this process so far.
func spent() time.Duration {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		return 0
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

// peak is the largest resident size of this process, without what its parent had.
func peak() (int64, error) {
	data, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(data)) {
		var kb int64
		if n, _ := fmt.Sscanf(line, "VmHWM: %d kB", &kb); n == 1 {
			return kb << 10, nil
		}
	}
	return 0, errors.New("no peak memory in /proc/self/status")
}
