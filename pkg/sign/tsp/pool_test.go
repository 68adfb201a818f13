package tsp_test

import (
	"bytes"
	"context"
	"crypto"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"signbus.dev/pkg/sign/cms"
	"signbus.dev/pkg/sign/tsp"
)

// stand is an authority on a server that can be made to fail.
type stand struct {
	*httptest.Server

	mu    sync.Mutex
	spoil http.HandlerFunc
	asked int
}

func newStand(t testing.TB, authority http.Handler) *stand {
	t.Helper()
	s := &stand{}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		s.asked++
		spoil := s.spoil
		s.mu.Unlock()
		if spoil != nil {
			spoil(w, r)
			return
		}
		authority.ServeHTTP(w, r)
	}))
	t.Cleanup(s.Close)
	return s
}

func (s *stand) set(spoil http.HandlerFunc) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.spoil = spoil
}

// count returns how often the stand was asked since the last time.
func (s *stand) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	defer func() { s.asked = 0 }()
	return s.asked
}

func status(code int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "", code) }
}

func nonsense(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/timestamp-reply")
	_, _ = w.Write([]byte("nonsense"))
}

type hands struct {
	mu sync.Mutex
	at time.Time
}

func (h *hands) now() time.Time {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.at
}

func (h *hands) move(d time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.at = h.at.Add(d)
}

type poolRig struct {
	pool     *tsp.Pool
	first    *stand
	second   *stand
	clock    *hands
	mu       sync.Mutex
	observed []string
}

func newPoolRig(t testing.TB, patience time.Duration) *poolRig {
	t.Helper()
	rig := &poolRig{clock: &hands{at: now}}
	authority, ca := setup(t, func(o *tsp.AuthorityOptions) { o.Now = rig.clock.now })
	rig.first, rig.second = newStand(t, authority), newStand(t, authority)
	// A password in the address must never be told.
	secret := strings.Replace(rig.first.URL, "http://", "http://anna:geheim@", 1)
	var err error
	rig.pool, err = tsp.NewPool(tsp.PoolOptions{
		Authorities: []tsp.ClientOptions{
			{URL: secret + "/tsa", Roots: ca.Roots(), Timeout: patience}, {URL: rig.second.URL, Roots: ca.Roots(), Hash: crypto.SHA512},
		},
		Now: rig.clock.now,
		Observe: func(host string, _ time.Duration, err error) {
			rig.mu.Lock()
			defer rig.mu.Unlock()
			which := "first"
			if !strings.Contains(secret, host) {
				which = "second"
			}
			if err != nil {
				which += " failed"
			}
			rig.observed = append(rig.observed, which)
		},
	})
	require.NoError(t, err)
	return rig
}

func (r *poolRig) stamp(t testing.TB) error {
	t.Helper()
	token, err := r.pool.Timestamp(t.Context(), []byte("signature value"))
	if err != nil {
		require.Nil(t, token)
		return err
	}
	_, ca := setup(t)
	read, err := cms.VerifyToken(token, func(h crypto.Hash) ([]byte, error) {
		state := h.New()
		state.Write([]byte("signature value"))
		return state.Sum(nil), nil
	}, ca.Roots(), r.clock.now())
	require.NoError(t, err)
	require.Equal(t, r.clock.now().Truncate(time.Second), read.Time.UTC())
	return nil
}

func TestPoolFailsOverInOrder(t *testing.T) {
	t.Parallel()
	rig := newPoolRig(t, time.Minute)
	require.NoError(t, rig.stamp(t))
	require.Equal(t, []int{1, 0}, []int{rig.first.count(), rig.second.count()})

	for name, spoil := range map[string]http.HandlerFunc{
		"status": status(http.StatusServiceUnavailable), "nonsense": nonsense,
		"redirect": func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, rig.second.URL, http.StatusFound) },
		"silent": func(_ http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			<-r.Context().Done()
		},
		"hangs up": func(w http.ResponseWriter, _ *http.Request) {
			if connection, _, err := w.(http.Hijacker).Hijack(); err == nil {
				_ = connection.Close()
			}
		},
	} {
		patience := time.Minute
		if name == "silent" {
			patience = 300 * time.Millisecond
		}
		rig := newPoolRig(t, patience)
		rig.first.set(spoil)
		require.NoError(t, rig.stamp(t), name)
		require.Equal(t, []string{"first failed", "second"}, rig.observed, name)
		require.Equal(t, []int{1, 1}, []int{rig.first.count(), rig.second.count()}, name)
	}
}

func TestPoolPausesWhoFails(t *testing.T) {
	t.Parallel()
	rig := newPoolRig(t, time.Minute)
	rig.first.set(status(http.StatusBadGateway))
	for failure, seconds := range []int{1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300} {
		pause := time.Duration(seconds) * time.Second
		require.NoError(t, rig.stamp(t))
		require.Equal(t, 1, rig.first.count(), "failure %d", failure+1)
		rig.clock.move(pause - time.Millisecond)
		require.NoError(t, rig.stamp(t))
		require.Zero(t, rig.first.count(), "pauses for %s", pause)
		rig.clock.move(time.Millisecond)
	}
	rig.first.set(nil)
	require.NoError(t, rig.stamp(t))
	require.NoError(t, rig.stamp(t))
	require.Equal(t, 2, rig.first.count(), "one good answer ends it")
	rig.first.set(status(http.StatusBadGateway))
	require.NoError(t, rig.stamp(t))
	rig.clock.move(time.Second)
	require.NoError(t, rig.stamp(t))
	require.Equal(t, 2, rig.first.count(), "and pauses begin short again")
}

// At the end of a pause one caller asks; the others go on to the next authority.
func TestPoolProbesWithOneCaller(t *testing.T) {
	t.Parallel()
	rig := newPoolRig(t, time.Minute)
	rig.first.set(status(http.StatusBadGateway))
	require.NoError(t, rig.stamp(t))
	rig.clock.move(time.Second)
	rig.first.count()
	rig.second.count()
	entered, leave := make(chan struct{}), make(chan struct{})
	let := sync.OnceFunc(func() { close(leave) })
	t.Cleanup(let)
	rig.first.set(func(w http.ResponseWriter, _ *http.Request) {
		close(entered)
		<-leave
		http.Error(w, "", http.StatusBadGateway)
	})
	probe := make(chan error, 1)
	go func() {
		_, err := rig.pool.Timestamp(t.Context(), []byte("probe"))
		probe <- err
	}()
	<-entered
	for range 3 {
		require.NoError(t, rig.stamp(t))
	}
	require.Equal(t, 3, rig.second.count())
	let()
	require.NoError(t, <-probe)
	require.Equal(t, 1, rig.first.count())
}

// A request from before the pause does not end the probe of another caller when it is given up.
func TestPoolProbeIsItsCallersOwn(t *testing.T) {
	t.Parallel()
	rig := newPoolRig(t, time.Minute)
	entered, leave := make(chan struct{}, 2), make(chan struct{})
	let := sync.OnceFunc(func() { close(leave) })
	t.Cleanup(let)
	hangs := func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		entered <- struct{}{}
		select {
		case <-leave:
		case <-r.Context().Done():
		}
		http.Error(w, "", http.StatusBadGateway)
	}
	ask := func(ctx context.Context) (done chan error) {
		done = make(chan error, 1)
		go func() {
			_, err := rig.pool.Timestamp(ctx, []byte("request"))
			done <- err
		}()
		<-entered
		return done
	}
	rig.first.set(hangs)
	early, cancel := context.WithCancel(t.Context())
	defer cancel()
	before := ask(early)
	rig.first.set(status(http.StatusBadGateway))
	require.NoError(t, rig.stamp(t))
	rig.clock.move(time.Second)
	rig.first.set(hangs)
	probe := ask(t.Context())
	cancel()
	require.ErrorIs(t, <-before, context.Canceled)
	rig.first.count()
	require.NoError(t, rig.stamp(t))
	require.Zero(t, rig.first.count(), "the probe is still under way")
	let()
	require.NoError(t, <-probe)
}

func TestPoolWithoutAnyAuthority(t *testing.T) {
	t.Parallel()
	rig := newPoolRig(t, time.Minute)
	rig.first.set(status(http.StatusUnauthorized))
	rig.second.set(nonsense)
	err := rig.stamp(t)
	require.ErrorIs(t, err, tsp.ErrUnavailable)
	require.ErrorIs(t, err, tsp.ErrReply, "what the second did")
	second, parseErr := url.Parse(rig.second.URL)
	require.NoError(t, parseErr)
	require.ErrorContains(t, err, "HTTP status 401")
	require.ErrorContains(t, err, second.Host)
	for _, private := range []string{"geheim", "anna", "/tsa", "http://"} {
		require.NotContains(t, err.Error(), private)
	}
	err = rig.stamp(t)
	require.ErrorIs(t, err, tsp.ErrUnavailable)
	require.ErrorIs(t, err, tsp.ErrPaused)
	require.Equal(t, []int{1, 1}, []int{rig.first.count(), rig.second.count()}, "nobody is asked during the pause")

	_, err = tsp.NewPool(tsp.PoolOptions{})
	require.Error(t, err)
	_, err = tsp.NewPool(tsp.PoolOptions{Authorities: []tsp.ClientOptions{{URL: "ftp://anna:geheim@example.com"}}})
	require.Error(t, err)
	require.NotContains(t, err.Error(), "geheim")
}

// Who goes away while he waits does not make the authority look bad.
func TestPoolDoesNotBlameForCallersWhoLeave(t *testing.T) {
	t.Parallel()
	rig := newPoolRig(t, time.Minute)
	entered := make(chan struct{})
	rig.first.set(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		close(entered)
		<-r.Context().Done()
	})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		_, err := rig.pool.Timestamp(ctx, []byte("x"))
		done <- err
	}()
	<-entered
	cancel()
	err := <-done
	require.ErrorIs(t, err, context.Canceled)
	require.NotErrorIs(t, err, tsp.ErrUnavailable)
	rig.first.set(nil)
	rig.first.count()
	require.NoError(t, rig.stamp(t))
	require.Equal(t, 1, rig.first.count())
}

func TestSkewedClockIsNamed(t *testing.T) {
	t.Parallel()
	authority, ca := setup(t)
	server := httptest.NewServer(authority)
	t.Cleanup(server.Close)
	late := client(t, server.URL, ca, func(o *tsp.ClientOptions) { o.Now = func() time.Time { return now.Add(time.Hour) } })
	_, err := late.Timestamp(t.Context(), []byte("x"))
	require.ErrorIs(t, err, tsp.ErrClock)
	require.ErrorIs(t, err, tsp.ErrReply)
	require.ErrorContains(t, err, "1h0m0s")
}

func TestAuthorityBoundsTheRate(t *testing.T) {
	t.Parallel()
	clock := &hands{at: now}
	authority, ca := setup(t, func(o *tsp.AuthorityOptions) { o.Rate, o.Now = 2, clock.now })
	server := httptest.NewServer(authority)
	t.Cleanup(server.Close)
	c := client(t, server.URL, ca)
	for range 2 {
		_, err := c.Timestamp(t.Context(), []byte("x"))
		require.NoError(t, err)
	}
	_, err := c.Timestamp(t.Context(), []byte("x"))
	require.ErrorIs(t, err, tsp.ErrUnavailable)
	require.ErrorContains(t, err, "503")
	_, err = authority.Timestamp(t.Context(), []byte("x"))
	require.NoError(t, err, "in process there is no limit")
	clock.move(time.Second)
	_, err = c.Timestamp(t.Context(), []byte("x"))
	require.NoError(t, err)
}

// canned answers every request with the same bytes.
type canned struct{ body []byte }

func (c canned) RoundTrip(*http.Request) (*http.Response, error) {
	return &http.Response{
		StatusCode: http.StatusOK, Header: http.Header{"Content-Type": {"application/timestamp-reply"}},
		Body: io.NopCloser(bytes.NewReader(c.body)),
	}, nil
}

// same is randomness that is always the same, so that a nonce is met again.
type same struct{}

func (same) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = 7
	}
	return len(p), nil
}

// FuzzReply: a token that is taken verifies on its own, over what was asked.
func FuzzReply(f *testing.F) {
	authority, ca := setup(f)
	var query []byte
	recorder := roundTrip(func(r *http.Request) (*http.Response, error) {
		query, _ = io.ReadAll(r.Body)
		return nil, errors.New("only listens")
	})
	ask := func(t testing.TB, transport http.RoundTripper) ([]byte, error) {
		c := client(t, "http://tsa.example", ca, func(o *tsp.ClientOptions) { o.HTTP, o.Rand = &http.Client{Transport: transport}, same{} })
		return c.Timestamp(t.Context(), []byte("value"))
	}
	_, err := ask(f, recorder)
	require.Error(f, err)
	reply, err := authority.Respond(f.Context(), query)
	require.NoError(f, err)
	_, err = ask(f, canned{reply})
	require.NoError(f, err)
	refusal, err := authority.Respond(f.Context(), []byte("noise"))
	require.NoError(f, err)
	f.Add(reply)
	f.Add(refusal)
	f.Add(reply[:len(reply)/2])
	f.Fuzz(func(t *testing.T, body []byte) {
		token, err := ask(t, canned{body})
		if err != nil {
			require.Nil(t, token)
			return
		}
		require.True(t, bytes.Contains(body, token))
		_, err = cms.VerifyToken(token, func(h crypto.Hash) ([]byte, error) {
			state := h.New()
			state.Write([]byte("value"))
			return state.Sum(nil), nil
		}, ca.Roots(), now)
		require.NoError(t, err)
	})
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }
