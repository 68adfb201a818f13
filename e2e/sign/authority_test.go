package sign

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// passphrase protects the keys of the tests.
const passphrase = "correct horse"

// key is a key type of the signers.
type key struct {
	name string
	// algorithm and option are what OpenSSL calls it.
	algorithm, option string
	// pss asks for RSASSA-PSS.
	pss bool
}

// keys are all key types that a signature may have.
var keys = []key{
	{"P-256", "EC", "ec_paramgen_curve:P-256", false},
	{"RSA-2048", "RSA", "rsa_keygen_bits:2048", false},
	{"RSA-2048-PSS", "RSA", "rsa_keygen_bits:2048", true},
	{"RSA-3072", "RSA", "rsa_keygen_bits:3072", false},
	{"RSA-3072-PSS", "RSA", "rsa_keygen_bits:3072", true},
	{"RSA-4096", "RSA", "rsa_keygen_bits:4096", false},
	{"RSA-4096-PSS", "RSA", "rsa_keygen_bits:4096", true},
	{"P-384", "EC", "ec_paramgen_curve:P-384", false},
	{"P-521", "EC", "ec_paramgen_curve:P-521", false},
	{"Ed25519", "ED25519", "", false},
}

// keyOf returns the key type of a name.
func keyOf(name string) key {
	return keys[slices.IndexFunc(keys, func(k key) bool { return k.name == name })]
}

// authority is a certificate authority made with OpenSSL: a root, an authority below it
// that issues, an OCSP responder and a time-stamp authority. It serves what certificates
// point to over HTTP on loopback.
type authority struct {
	folder  string
	address string
	server  *http.Server
	serial  atomic.Int64
}

// file returns the path of a file of the authority.
func (a *authority) file(name string) string { return filepath.Join(a.folder, name) }

func (a *authority) root() string { return a.file("root.pem") }
func (a *authority) tsa() string  { return "http://" + a.address + "/tsa" }

// settings are OpenSSL's, for the authority and its time-stamps.
const settings = `
[req]
distinguished_name = name
prompt = no
string_mask = utf8only
utf8 = yes
[name]
CN = $ENV::SUBJECT
O = Proof
C = IT
[v3_root]
basicConstraints = critical,CA:true
keyUsage = critical,keyCertSign,cRLSign
subjectKeyIdentifier = hash
[root]
database = FOLDER/root.index
new_certs_dir = FOLDER
certificate = FOLDER/root.pem
private_key = FOLDER/root.key
serial = FOLDER/root.serial
default_md = sha256
default_days = 400
default_crl_days = 30
crlnumber = FOLDER/crlnumber
crl_extensions = crl
policy = any
unique_subject = no
rand_serial = yes
[issuing]
database = FOLDER/issuing.index
new_certs_dir = FOLDER
certificate = FOLDER/issuing.pem
private_key = FOLDER/issuing.key
default_md = sha256
default_days = 300
default_crl_days = 30
crlnumber = FOLDER/crlnumber
crl_extensions = crl
policy = any
unique_subject = no
rand_serial = yes
[any]
commonName = supplied
organizationName = optional
countryName = optional
[crl]
authorityKeyIdentifier = keyid
[v3_issuing]
basicConstraints = critical,CA:true,pathlen:0
keyUsage = critical,keyCertSign,cRLSign
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
crlDistributionPoints = URI:http://ADDRESS/root.crl
authorityInfoAccess = caIssuers;URI:http://ADDRESS/root.cer
[v3_person]
basicConstraints = critical,CA:false
keyUsage = critical,digitalSignature,nonRepudiation
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
authorityInfoAccess = OCSP;URI:http://ADDRESS/ocsp,caIssuers;URI:http://ADDRESS/issuing.cer
crlDistributionPoints = URI:http://ADDRESS/issuing.crl
[v3_listed]
basicConstraints = critical,CA:false
keyUsage = critical,digitalSignature,nonRepudiation
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
crlDistributionPoints = URI:http://ADDRESS/issuing.crl
[v3_direct]
basicConstraints = critical,CA:false
keyUsage = critical,digitalSignature,nonRepudiation
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
[v3_tsa]
basicConstraints = critical,CA:false
keyUsage = critical,digitalSignature
extendedKeyUsage = critical,timeStamping
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
authorityInfoAccess = OCSP;URI:http://ADDRESS/ocsp,caIssuers;URI:http://ADDRESS/issuing.cer
[v3_ocsp]
basicConstraints = critical,CA:false
keyUsage = critical,digitalSignature
extendedKeyUsage = critical,OCSPSigning
noCheck = ignored
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
[tsa]
signer_cert = FOLDER/tsa.pem
signer_key = FOLDER/tsa.key
certs = FOLDER/issuing.pem
serial = $ENV::SERIAL
signer_digest = sha256
digests = sha256,sha384,sha512
default_policy = 1.2.3.4.1
accuracy = secs:1
ordering = no
tsa_name = no
ess_cert_id_chain = no
ess_cert_id_alg = sha256
`

// certificate is one that the authority issues.
type certificate struct {
	name, subject string
	key           key
	extensions    string
}

func certified() []certificate {
	list := []certificate{
		{"tsa", "Proof Time", keyOf("P-256"), "v3_tsa"},
		{"ocsp", "Proof OCSP", keyOf("P-384"), "v3_ocsp"},
		{"revoked", "Bruno Revoked", keyOf("P-256"), "v3_person"},
		{"carla", "Carla", keyOf("RSA-2048"), "v3_person"},
	}
	for _, k := range keys {
		extensions := "v3_person"
		if k.name == "P-384" || k.name == "RSA-3072" {
			extensions = "v3_listed" // revocation by list alone
		}
		list = append(list, certificate{k.name, "Anna " + k.name, k, extensions})
	}
	return list
}

// authorityOf returns the authority of all tests, pki does so for one.
var (
	authorityOf = sync.OnceValues(newAuthority)
	pki         = once(authorityOf)
)

func newAuthority() (*authority, error) {
	listener, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	a := &authority{folder: filepath.Join(scratch, "authority"), address: listener.Addr().String()}
	a.serial.Store(time.Now().UnixNano())
	text := strings.NewReplacer("FOLDER", a.folder, "ADDRESS", a.address).Replace(settings)
	err = errors.Join(
		os.Mkdir(a.folder, 0o700),
		os.WriteFile(a.file("openssl.cnf"), []byte(text), 0o600),
		os.WriteFile(a.file("crlnumber"), []byte("01\n"), 0o600),
		os.WriteFile(a.file("root.index"), nil, 0o600),
		os.WriteFile(a.file("issuing.index"), nil, 0o600),
	)
	if err != nil {
		return nil, err
	}
	if err := a.build(); err != nil {
		return nil, fmt.Errorf("make the authority: %w", err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/ocsp", a.answerOCSP)
	mux.HandleFunc("/ocsp/{request...}", a.answerOCSP)
	mux.HandleFunc("POST /tsa", a.answerTSA)
	for name, media := range map[string]string{
		"root.cer": "application/pkix-cert", "issuing.cer": "application/pkix-cert",
		"root.crl": "application/pkix-crl", "issuing.crl": "application/pkix-crl",
	} {
		mux.HandleFunc("GET /"+name, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", media)
			http.ServeFile(w, r, a.file(name))
		})
	}
	a.server = &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	go a.server.Serve(listener)
	atEnd(func() { _ = a.server.Close() })
	return a, nil
}

func (a *authority) build() error {
	if err := a.request("root", "Proof Root è", keyOf("RSA-3072")); err != nil {
		return err
	}
	err := a.openssl("", "x509", "-req", "-in", "root.csr", "-key", "root.key", "-days", "800", "-extfile", "openssl.cnf", "-extensions", "v3_root", "-out", "root.pem")
	if err != nil {
		return err
	}
	if err := a.request("issuing", "Proof Issuing", keyOf("RSA-2048")); err != nil {
		return err
	}
	if err := a.issue("root", "issuing", "v3_issuing"); err != nil {
		return err
	}
	// mutool leaves the authority's certificate out of its signatures.
	if err := errors.Join(a.request("direct", "Carla", keyOf("RSA-2048")), a.issue("root", "direct", "v3_direct")); err != nil {
		return err
	}
	for _, c := range certified() {
		if err := errors.Join(a.request(c.name, c.subject, c.key), a.issue("issuing", c.name, c.extensions)); err != nil {
			return err
		}
	}
	return errors.Join(
		a.openssl("", "ca", "-config", "openssl.cnf", "-name", "issuing", "-revoke", "revoked.pem"),
		a.openssl("", "ca", "-config", "openssl.cnf", "-name", "issuing", "-gencrl", "-out", "issuing.crl.pem"),
		a.openssl("", "ca", "-config", "openssl.cnf", "-name", "root", "-gencrl", "-out", "root.crl.pem"),
		a.openssl("", "crl", "-in", "issuing.crl.pem", "-outform", "DER", "-out", "issuing.crl"),
		a.openssl("", "crl", "-in", "root.crl.pem", "-outform", "DER", "-out", "root.crl"),
		a.openssl("", "x509", "-in", "issuing.pem", "-outform", "DER", "-out", "issuing.cer"),
		a.openssl("", "x509", "-in", "root.pem", "-outform", "DER", "-out", "root.cer"),
	)
}

// request makes a key and a request for a certificate.
func (a *authority) request(name, subject string, k key) error {
	args := []string{"genpkey", "-algorithm", k.algorithm, "-out", name + ".key"}
	if k.option != "" {
		args = append(args, "-pkeyopt", k.option)
	}
	if err := a.openssl("", args...); err != nil {
		return err
	}
	return a.openssl(subject, "req", "-new", "-config", "openssl.cnf", "-key", name+".key", "-out", name+".csr")
}

// issue certifies a request, and keeps key and chain as PKCS #12 and as PEM.
func (a *authority) issue(by, name, extensions string) error {
	err := a.openssl("", "ca", "-config", "openssl.cnf", "-name", by, "-batch", "-notext", "-in", name+".csr", "-extensions", extensions, "-out", name+".pem")
	if err != nil {
		return err
	}
	var chain []byte
	for _, part := range []string{name + ".pem", by + ".pem"} {
		pem, err := os.ReadFile(a.file(part))
		if err != nil {
			return err
		}
		chain = append(chain, pem...)
	}
	if err := os.WriteFile(a.file(name+".chain.pem"), chain, 0o600); err != nil {
		return err
	}
	return a.openssl("", "pkcs12", "-export", "-inkey", name+".key", "-in", name+".chain.pem", "-passout", "pass:"+passphrase, "-out", name+".p12")
}

func (a *authority) openssl(subject string, args ...string) error {
	s, err := try(context.Background(), a.folder, []string{"SUBJECT=" + subject, "SERIAL=serial"}, "openssl", args...)
	if err == nil && s.code != 0 {
		err = fmt.Errorf("openssl %s: exit code %d\n%s", strings.Join(args, " "), s.code, s.all())
	}
	return err
}

// answerOCSP has `openssl ocsp` answer.
func (a *authority) answerOCSP(w http.ResponseWriter, r *http.Request) {
	request, err := io.ReadAll(io.LimitReader(r.Body, 1<<16))
	if r.Method == http.MethodGet {
		request, err = base64.StdEncoding.DecodeString(r.PathValue("request"))
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	a.answer(w, r, "application/ocsp-response", request, func(in, out string) []string {
		return []string{
			"ocsp", "-index", a.file("issuing.index"), "-CA", a.file("issuing.pem"), "-rsigner", a.file("ocsp.pem"), "-rkey", a.file("ocsp.key"),
			"-reqin", in, "-respout", out, "-ndays", "7",
		}
	})
}

// answerTSA has `openssl ts` answer.
func (a *authority) answerTSA(w http.ResponseWriter, r *http.Request) {
	request, err := io.ReadAll(io.LimitReader(r.Body, 1<<16))
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	a.answer(w, r, "application/timestamp-reply", request, func(in, out string) []string {
		return []string{"ts", "-reply", "-config", a.file("openssl.cnf"), "-section", "tsa", "-queryfile", in, "-out", out}
	})
}

func (a *authority) answer(w http.ResponseWriter, r *http.Request, media string, request []byte, command func(in, out string) []string) {
	folder, err := os.MkdirTemp(scratch, "answer")
	if err == nil {
		defer os.RemoveAll(folder)
		serial := filepath.Join(folder, "serial")
		number := strconv.FormatInt(a.serial.Add(1), 16)
		err = errors.Join(
			os.WriteFile(serial, []byte(strings.Repeat("0", len(number)%2)+number+"\n"), 0o600),
			os.WriteFile(filepath.Join(folder, "in"), request, 0o600),
		)
		if err == nil {
			_, err = try(r.Context(), folder, []string{"SUBJECT=", "SERIAL=" + serial}, "openssl", command("in", "out")...)
		}
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", media)
	http.ServeFile(w, r, filepath.Join(folder, "out"))
}
