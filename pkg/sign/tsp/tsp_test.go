package tsp_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/x509"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"signbus.dev/pkg/pki"
	"signbus.dev/pkg/sign/cms"
	"signbus.dev/pkg/sign/signtest"
	"signbus.dev/pkg/sign/tsp"
)

var now = signtest.Now

// opened is one certificate authority for all tests: opening derives a key from a passphrase, which is slow on purpose.
var opened struct {
	sync.Once

	ca  *pki.Authority
	err error
}

type memory struct {
	mu      sync.Mutex
	records map[string][]byte
}

func (m *memory) Get(_ context.Context, name string) ([]byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if value, ok := m.records[name]; ok {
		return value, nil
	}
	return nil, pki.ErrNotFound
}

func (m *memory) PutIfAbsent(_ context.Context, name string, value []byte) ([]byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, ok := m.records[name]; !ok {
		m.records[name] = value
	}
	return m.records[name], nil
}

func (m *memory) Each(_ context.Context, kind string, f func(string, []byte) error) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for name, value := range m.records {
		if strings.HasPrefix(name, kind+"-") {
			if err := f(name, value); err != nil {
				return err
			}
		}
	}
	return nil
}

func setup(t testing.TB, change ...func(*tsp.AuthorityOptions)) (*tsp.Authority, *pki.Authority) {
	t.Helper()
	opened.Do(func() {
		opened.ca, opened.err = pki.Open(t.Context(), &memory{records: map[string][]byte{}}, pki.Options{Passphrase: []byte("tests")})
	})
	require.NoError(t, opened.err)
	ca := opened.ca
	options := tsp.AuthorityOptions{
		Now: func() time.Time { return now },
		Identity: func(ctx context.Context) (crypto.Signer, []*x509.Certificate, error) {
			identity, err := ca.TSA(ctx)
			if err != nil {
				return nil, nil, err
			}
			return identity.Signer, identity.Chain, nil
		},
	}
	for _, f := range change {
		f(&options)
	}
	authority, err := tsp.NewAuthority(options)
	require.NoError(t, err)
	return authority, ca
}

func client(t testing.TB, url string, ca *pki.Authority, change ...func(*tsp.ClientOptions)) *tsp.Client {
	t.Helper()
	options := tsp.ClientOptions{URL: url, Roots: ca.Roots(), Now: func() time.Time { return now }}
	for _, f := range change {
		f(&options)
	}
	c, err := tsp.NewClient(options)
	require.NoError(t, err)
	return c
}

// ask sends a query as OpenSSL wrote it and returns the reply's body.
func ask(t testing.TB, url string, query []byte) []byte {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, bytes.NewReader(query))
	require.NoError(t, err)
	r.Header.Set("Content-Type", "application/timestamp-query")
	response, err := http.DefaultClient.Do(r)
	require.NoError(t, err)
	body, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	require.NoError(t, response.Body.Close())
	require.Equal(t, http.StatusOK, response.StatusCode)
	require.Equal(t, "application/timestamp-reply", response.Header.Get("Content-Type"))
	return body
}

func TestOpenSSLAcceptsOurReplies(t *testing.T) {
	t.Parallel()
	authority, ca := setup(t)
	server := httptest.NewServer(authority)
	t.Cleanup(server.Close)
	data := signtest.Write(t, "data", []byte("a contract"))
	root := signtest.WriteCertificates(t, ca.Certificate())
	identity, err := ca.TSA(t.Context())
	require.NoError(t, err)
	for name, arguments := range map[string][]string{
		"SHA-256": {"-sha256", "-cert"}, "SHA-384": {"-sha384", "-cert"}, "SHA-512": {"-sha512", "-cert"},
		"no nonce": {"-sha256", "-cert", "-no_nonce"}, "no certificates": {"-sha256"},
		"own policy": {"-sha256", "-cert", "-tspolicy", "2.999.3161.1"},
	} {
		t.Run(name, func(t *testing.T) {
			query := filepath.Join(t.TempDir(), "query.tsq")
			signtest.OpenSSL(t, append([]string{"ts", "-query", "-data", data, "-out", query}, arguments...)...)
			der, err := os.ReadFile(query)
			require.NoError(t, err)
			reply := signtest.Write(t, "reply.tsr", ask(t, server.URL, der))
			verify := []string{"-in", reply, "-CAfile", root, "-untrusted", signtest.WriteCertificates(t, identity.Chain[0])}
			require.Contains(t, signtest.OpenSSL(t, append([]string{"ts", "-verify", "-queryfile", query}, verify...)...), "Verification: OK")
			require.Contains(t, signtest.OpenSSL(t, append([]string{"ts", "-verify", "-data", data}, verify...)...), "Verification: OK")
			text := signtest.OpenSSL(t, "ts", "-reply", "-in", reply, "-text")
			require.Contains(t, text, "Status: Granted.")
			require.Contains(t, text, "Policy OID: 2.999.3161.1")
			require.Contains(t, text, "Time stamp: "+now.Format("Jan _2 15:04:05 2006 GMT"))
			require.Contains(t, text, "Accuracy: 0x01 seconds")
			require.Contains(t, text, "Ordering: no")
			require.Regexp(t, `Serial number: 0x[0-9A-F]{20,}`, text)
			require.Equal(t, name == "no nonce", strings.Contains(text, "Nonce: unspecified"))
		})
	}
}

func TestAuthorityRefusesWithACode(t *testing.T) {
	t.Parallel()
	broken, _ := setup(t, func(o *tsp.AuthorityOptions) {
		o.Identity = func(context.Context) (crypto.Signer, []*x509.Certificate, error) {
			return nil, nil, errors.New("key store is closed")
		}
	})
	authority, ca := setup(t)
	identity, err := ca.TSA(t.Context())
	require.NoError(t, err)
	expired, _ := setup(t, func(o *tsp.AuthorityOptions) {
		o.Now = func() time.Time { return identity.Chain[0].NotAfter.Add(time.Hour) }
	})
	data := signtest.Write(t, "data", []byte("a contract"))
	query := func(arguments ...string) []byte {
		path := filepath.Join(t.TempDir(), "query.tsq")
		signtest.OpenSSL(t, append([]string{"ts", "-query", "-data", data, "-out", path}, arguments...)...)
		der, err := os.ReadFile(path)
		require.NoError(t, err)
		return der
	}
	good := query("-sha256", "-cert")
	for name, test := range map[string]struct {
		authority *tsp.Authority
		query     []byte
		want      string
	}{
		"SHA-1":        {authority, query("-sha1"), "unrecognized or unsupported algorithm identifier"},
		"other policy": {authority, query("-sha256", "-tspolicy", "1.2.3"), "the requested TSA policy is not supported by the TSA"},
		"version 2":    {authority, bytes.Replace(good, []byte{2, 1, 1}, []byte{2, 1, 2}, 1), "transaction not permitted or supported"},
		"noise":        {authority, []byte("noise"), "the data submitted has the wrong format"},
		"cut":          {authority, good[:len(good)-1], "the data submitted has the wrong format"},
		"nothing":      {authority, nil, "the data submitted has the wrong format"},
		"short digest": {authority, shortDigest(), "the data submitted has the wrong format"},
		"extension":    {authority, withExtension(good), "the requested extension is not supported by the TSA"},
		"no key":       {broken, good, "the request cannot be handled due to system failure"},
		"expired":      {expired, good, "the request cannot be handled due to system failure"},
	} {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(test.authority)
			t.Cleanup(server.Close)
			reply := ask(t, server.URL, test.query)
			text := signtest.OpenSSL(t, "ts", "-reply", "-in", signtest.Write(t, "reply.tsr", reply), "-text")
			require.Contains(t, text, "Status: Rejected.")
			require.Contains(t, text, "Failure info: "+test.want)
			require.NotContains(t, text, "key store is closed")
		})
	}
}

func shortDigest() []byte {
	return []byte{0x30, 0x18, 2, 1, 1, 0x30, 0x13, 0x30, 0x0b, 6, 9, 0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, 1, 4, 4, 1, 2, 3, 4}
}

// withExtension adds [0] with one extension to a query shorter than 110 bytes.
func withExtension(query []byte) []byte {
	extension := []byte{0xa0, 0x0b, 0x30, 0x09, 6, 3, 0x2a, 3, 4, 4, 2, 5, 0}
	out := append(bytes.Clone(query), extension...)
	out[1] += byte(len(extension))
	return out
}

func TestAuthorityGuardsItsDoor(t *testing.T) {
	t.Parallel()
	authority, _ := setup(t)
	for name, test := range map[string]struct {
		method, kind string
		body         []byte
		want         int
	}{
		"GET":        {http.MethodGet, "application/timestamp-query", nil, http.StatusMethodNotAllowed},
		"other type": {http.MethodPost, "application/json", nil, http.StatusUnsupportedMediaType},
		"too long":   {http.MethodPost, "application/timestamp-query", make([]byte, 1<<20), http.StatusRequestEntityTooLarge},
	} {
		t.Run(name, func(t *testing.T) {
			recorder := httptest.NewRecorder()
			r := httptest.NewRequestWithContext(t.Context(), test.method, "/tsa", bytes.NewReader(test.body))
			r.Header.Set("Content-Type", test.kind)
			authority.ServeHTTP(recorder, r)
			require.Equal(t, test.want, recorder.Code)
		})
	}
}

func TestClientGetsAToken(t *testing.T) {
	t.Parallel()
	authority, ca := setup(t)
	server := httptest.NewServer(authority)
	t.Cleanup(server.Close)
	value := []byte("a signature value")
	for _, hash := range []crypto.Hash{0, crypto.SHA256, crypto.SHA384, crypto.SHA512} {
		c := client(t, server.URL, ca, func(o *tsp.ClientOptions) { o.Hash, o.Policy = hash, tsp.DevelopmentPolicy })
		der, err := c.Timestamp(t.Context(), value)
		require.NoError(t, err)
		token, err := cms.VerifyToken(der, func(h crypto.Hash) ([]byte, error) { return sum(h, value), nil }, ca.Roots(), now)
		require.NoError(t, err)
		require.Equal(t, now, token.Time)
		require.Equal(t, time.Second, token.Accuracy)
		require.Contains(t, signtest.OpenSSL(t, "ts", "-verify", "-data", signtest.Write(t, "value", value), "-in", signtest.Write(t, "token", der), "-token_in",
			"-CAfile", signtest.WriteCertificates(t, ca.Certificate())), "Verification: OK")
	}
}

func sum(h crypto.Hash, data []byte) []byte {
	state := h.New()
	state.Write(data)
	return state.Sum(nil)
}

// One signature at level B-T through the client, then checked as a whole.
func TestClientStampsASignature(t *testing.T) {
	t.Parallel()
	authority, ca := setup(t)
	server := httptest.NewServer(authority)
	t.Cleanup(server.Close)
	identity, err := ca.User(t.Context(), pki.User{Customer: "demo", ExternalID: "annaU", Name: "Anna"})
	require.NoError(t, err)
	digest := sum(crypto.SHA256, []byte("contract"))
	for name, timestamp := range map[string]func(context.Context, []byte) ([]byte, error){
		"over HTTP": client(t, server.URL, ca).Timestamp, "in process": authority.Timestamp,
	} {
		der, err := cms.Sign(t.Context(), cms.Request{Digest: digest, Signer: identity.Signer, Chain: identity.Chain, Timestamp: timestamp})
		require.NoError(t, err, name)
		require.LessOrEqual(t, len(der), cms.Size(identity.Chain, true))
		info, err := cms.Verify(der, func(crypto.Hash) ([]byte, error) { return digest, nil }, ca.Roots(), now)
		require.NoError(t, err, name)
		require.Equal(t, now, info.Timestamp.Time)
	}
}

func TestClientBelievesNothing(t *testing.T) {
	t.Parallel()
	authority, ca := setup(t)
	// They run in the server's goroutine, so that a failure shows in what the client says.
	respond := func(a *tsp.Authority) func([]byte) []byte {
		return func(query []byte) []byte {
			reply, _ := a.Respond(t.Context(), query)
			return reply
		}
	}
	honest := respond(authority)
	late, _ := setup(t, func(o *tsp.AuthorityOptions) { o.Now = func() time.Time { return now.Add(time.Hour) } })
	stranger, err := pki.Open(t.Context(), &memory{records: map[string][]byte{}}, pki.Options{Passphrase: []byte("other")})
	require.NoError(t, err)
	strangers, _ := setup(t, func(o *tsp.AuthorityOptions) {
		o.Identity = func(ctx context.Context) (crypto.Signer, []*x509.Certificate, error) {
			identity, err := stranger.TSA(ctx)
			return identity.Signer, identity.Chain, err
		}
	})
	user, err := ca.User(t.Context(), pki.User{Customer: "demo", ExternalID: "brunoU", Name: "Bruno"})
	require.NoError(t, err)
	users, _ := setup(t, func(o *tsp.AuthorityOptions) {
		o.Identity = func(context.Context) (crypto.Signer, []*x509.Certificate, error) { return user.Signer, user.Chain, nil }
	})
	var first []byte
	for name, test := range map[string]struct {
		reply func(query []byte) []byte
		want  error
	}{
		"noise":                   {func([]byte) []byte { return []byte("noise") }, tsp.ErrReply},
		"nothing":                 {func([]byte) []byte { return nil }, tsp.ErrReply},
		"granted without a token": {func([]byte) []byte { return []byte{0x30, 5, 0x30, 3, 2, 1, 0} }, tsp.ErrReply},
		"endless":                 {func(query []byte) []byte { return append(honest(query), make([]byte, 1<<20)...) }, tsp.ErrReply},
		"over other bytes":        {func(query []byte) []byte { q := bytes.Clone(query); q[30] ^= 1; return honest(q) }, tsp.ErrReply},
		"another nonce":           {func(query []byte) []byte { q := bytes.Clone(query); q[len(q)-4] ^= 1; return honest(q) }, tsp.ErrReply},
		"a clock that is ahead":   {respond(late), tsp.ErrReply},
		"an authority of no root": {respond(strangers), cms.ErrUntrusted},
		"a user's certificate":    {respond(users), cms.ErrTimestamp},
		"a changed token":         {func(query []byte) []byte { r := honest(query); r[len(r)-1] ^= 1; return r }, cms.ErrSignature},
		"the reply to another query": {func(query []byte) []byte {
			if first == nil {
				first = honest(query)
			}
			return first
		}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				query, _ := io.ReadAll(r.Body)
				w.Header().Set("Content-Type", "application/timestamp-reply")
				_, _ = w.Write(test.reply(query))
			}))
			t.Cleanup(server.Close)
			c := client(t, server.URL, ca)
			if test.want == nil { // A recorded reply is good once.
				_, err := c.Timestamp(t.Context(), []byte("value"))
				require.NoError(t, err)
				test.want = tsp.ErrReply
			}
			token, err := c.Timestamp(t.Context(), []byte("value"))
			require.ErrorIs(t, err, test.want)
			require.Nil(t, token)
		})
	}
}

func TestClientSaysWhoIsAtFault(t *testing.T) {
	t.Parallel()
	authority, ca := setup(t)
	server := httptest.NewServer(authority)
	t.Cleanup(server.Close)
	refused := new(tsp.RejectedError)
	_, err := client(t, server.URL, ca, func(o *tsp.ClientOptions) { o.Policy = []int{1, 2, 3} }).Timestamp(t.Context(), []byte("value"))
	require.ErrorAs(t, err, &refused)
	require.Equal(t, 2, refused.Status)
	require.Equal(t, 15, refused.Failure)
	require.Contains(t, refused.Text, "policy")

	_, err = client(t, server.URL, ca).TimestampDigest(t.Context(), []byte("short"))
	require.ErrorIs(t, err, cms.ErrUnsupported)

	reached := false
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached = true }))
	t.Cleanup(elsewhere.Close)
	for name, handler := range map[string]http.HandlerFunc{
		"down": func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) },
		"redirect": func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, elsewhere.URL, http.StatusTemporaryRedirect)
		},
	} {
		bad := httptest.NewServer(handler)
		_, err = client(t, bad.URL, ca).Timestamp(t.Context(), []byte("value"))
		require.ErrorIs(t, err, tsp.ErrUnavailable, name)
		bad.Close()
		_, err = client(t, bad.URL, ca).Timestamp(t.Context(), []byte("value"))
		require.ErrorIs(t, err, tsp.ErrUnavailable, name)
		require.NotContains(t, err.Error(), bad.URL)
	}
	require.False(t, reached)
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = client(t, server.URL, ca).Timestamp(cancelled, []byte("value"))
	require.ErrorIs(t, err, context.Canceled)

	for _, url := range []string{"", "ftp://host/", "host", "http://"} {
		_, err = tsp.NewClient(tsp.ClientOptions{URL: url})
		require.Error(t, err, url)
	}
	_, err = tsp.NewClient(tsp.ClientOptions{URL: server.URL, Hash: crypto.SHA1})
	require.ErrorIs(t, err, cms.ErrUnsupported)
}

func FuzzRespond(f *testing.F) {
	authority, _ := setup(f)
	f.Add(shortDigest())
	f.Add([]byte{0x30, 3, 2, 1, 2})
	f.Fuzz(func(t *testing.T, query []byte) {
		reply, err := authority.Respond(t.Context(), query)
		require.NoError(t, err)
		require.NotEmpty(t, reply)
	})
}
