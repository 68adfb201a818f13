package tsp

import (
	"context"
	"crypto"
	"crypto/rand"
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"mime"
	"net/http"
	"time"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
	"golang.org/x/time/rate"

	"signbus.dev/pkg/sign/cms"
)

// DevelopmentPolicy stands in tokens of an authority that follows no published
// rules; 2.999 is the arc that X.660 keeps for examples.
var DevelopmentPolicy = asn1.ObjectIdentifier{2, 999, 3161, 1}

// AuthorityOptions says who stamps, under which rules and by which clock.
type AuthorityOptions struct {
	// Identity gives the key and its chain, leaf first; it is asked for every token, so that a renewed certificate is used at once.
	Identity func(ctx context.Context) (crypto.Signer, []*x509.Certificate, error)
	// Policy stands in every token; DevelopmentPolicy when nil.
	Policy asn1.ObjectIdentifier
	// Accuracy is how far the clock may be off, in whole seconds; one second when zero.
	Accuracy time.Duration
	// Rate is how many requests a second are answered over HTTP, and at once; no limit when zero.
	// What is more is refused with status 503.
	Rate int
	// Now is the clock; time.Now when nil.
	Now func() time.Time
	// Rand gives serial numbers; crypto/rand when nil.
	Rand io.Reader
	// Log gets requests that failed for the authority's own reasons; slog.DiscardHandler when nil.
	Log *slog.Logger
}

// Authority makes time-stamp tokens. Times are whole seconds, cut and not rounded,
// so that a token is never from the future; they do not order tokens of one second.
type Authority struct {
	options AuthorityOptions
	limiter *rate.Limiter
}

// NewAuthority makes an authority.
func NewAuthority(options AuthorityOptions) (*Authority, error) {
	if options.Identity == nil {
		return nil, errors.New("time-stamp authority: no identity")
	}
	if options.Policy == nil {
		options.Policy = DevelopmentPolicy
	}
	if options.Accuracy <= 0 {
		options.Accuracy = time.Second
	}
	if options.Now == nil {
		options.Now = time.Now
	}
	if options.Rand == nil {
		options.Rand = rand.Reader
	}
	if options.Log == nil {
		options.Log = slog.New(slog.DiscardHandler)
	}
	a := &Authority{options: options, limiter: rate.NewLimiter(rate.Inf, 0)}
	if options.Rate > 0 {
		a.limiter = rate.NewLimiter(rate.Limit(options.Rate), options.Rate)
	}
	return a, nil
}

// Timestamp makes a token over a signature value, in process; it fits cms.Request.
func (a *Authority) Timestamp(ctx context.Context, signatureValue []byte) ([]byte, error) {
	state := crypto.SHA256.New()
	state.Write(signatureValue)
	return a.TimestampDigest(ctx, state.Sum(nil))
}

// TimestampDigest makes a token over a SHA-256 digest, in process.
func (a *Authority) TimestampDigest(ctx context.Context, digest []byte) ([]byte, error) {
	imprint, err := imprintOf(crypto.SHA256, digest)
	if err != nil {
		return nil, fmt.Errorf("time-stamp: %w", err)
	}
	return a.token(ctx, &request{imprint: imprint, certificates: true})
}

// Respond answers an encoded request. A refusal is an answer; the error, given
// beside an answer that says so, is the authority's own failure.
func (a *Authority) Respond(ctx context.Context, query []byte) ([]byte, error) {
	r, err := parseRequest(query)
	switch {
	case err != nil:
	case r.extensions:
		err = errExtensions
	case r.policy != nil && !r.policy.Equal(a.options.Policy):
		err = errPolicy
	}
	if err != nil {
		return encodeReply(nil, err)
	}
	token, cause := a.token(ctx, r)
	if cause != nil {
		reply, err := encodeReply(nil, errSystem)
		return reply, errors.Join(cause, err)
	}
	return encodeReply(token, nil)
}

// ServeHTTP answers POST requests of the type application/timestamp-query.
func (a *Authority) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodPost {
		w.Header().Set("Allow", http.MethodPost)
		http.Error(w, "send a time-stamp query by POST", http.StatusMethodNotAllowed)
		return
	}
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != queryType {
		http.Error(w, "content type must be "+queryType, http.StatusUnsupportedMediaType)
		return
	}
	if !a.limiter.AllowN(a.options.Now(), 1) {
		w.Header().Set("Retry-After", "1")
		http.Error(w, "too many time-stamp queries", http.StatusServiceUnavailable)
		return
	}
	query, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxRequest))
	if err != nil {
		status := http.StatusBadRequest
		if tooLarge := new(http.MaxBytesError); errors.As(err, &tooLarge) {
			status = http.StatusRequestEntityTooLarge
		}
		http.Error(w, "time-stamp query cannot be read", status)
		return
	}
	reply, err := a.Respond(r.Context(), query)
	if err != nil && r.Context().Err() == nil {
		a.options.Log.ErrorContext(r.Context(), "timestamp.failed", "error", err)
	}
	if reply == nil {
		http.Error(w, errSystem.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", replyType)
	_, _ = w.Write(reply)
}

func (a *Authority) token(ctx context.Context, r *request) ([]byte, error) {
	signer, chain, err := a.options.Identity(ctx)
	if err != nil {
		return nil, fmt.Errorf("time-stamp: identity: %w", err)
	}
	// 128 random bits are unique without a counter that a restart could set back.
	serial := make([]byte, 16)
	if _, err := io.ReadFull(a.options.Rand, serial); err != nil {
		return nil, fmt.Errorf("time-stamp: serial number: %w", err)
	}
	at := a.options.Now().UTC()
	var b cryptobyte.Builder
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1Int64(1)
		b.AddASN1ObjectIdentifier(a.options.Policy)
		b.AddBytes(r.imprint)
		b.AddASN1BigInt(new(big.Int).SetBytes(serial))
		b.AddASN1GeneralizedTime(at.Truncate(time.Second))
		b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
			b.AddASN1Int64(int64((a.options.Accuracy + time.Second - 1) / time.Second))
		})
		// ordering is false, its default, which DER leaves out.
		if r.nonce != nil {
			b.AddASN1BigInt(r.nonce)
		}
	})
	info, err := b.Bytes()
	if err != nil {
		return nil, fmt.Errorf("time-stamp: encode: %w", err)
	}
	request := cms.Request{Signer: signer, Chain: chain, Now: func() time.Time { return at }, SigningTime: at, Rand: a.options.Rand}
	content := cms.Content{Type: cms.OIDTSTInfo, Bytes: info, OmitCertificates: !r.certificates}
	token, err := cms.SignContent(ctx, request, content)
	if err != nil {
		return nil, fmt.Errorf("time-stamp: %w", err)
	}
	return token, nil
}

// encodeReply makes a TimeStampResp: granted with a token, or rejected with a failure code and its words.
func encodeReply(token []byte, refusal error) ([]byte, error) {
	const granted, rejected = 0, 2
	var b cryptobyte.Builder
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
			if refusal == nil {
				b.AddASN1Int64(granted)
				return
			}
			b.AddASN1Int64(rejected)
			b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
				b.AddASN1(cbasn1.UTF8String, func(b *cryptobyte.Builder) { b.AddBytes([]byte(refusal.Error())) })
			})
			bit := failures[refusal]
			bits := make([]byte, bit/8+1)
			bits[bit/8] = 0x80 >> (bit % 8)
			b.AddASN1(cbasn1.BIT_STRING, func(b *cryptobyte.Builder) {
				b.AddUint8(uint8(7 - bit%8))
				b.AddBytes(bits)
			})
		})
		b.AddBytes(token)
	})
	reply, err := b.Bytes()
	if err != nil {
		return nil, fmt.Errorf("time-stamp: encode reply: %w", err)
	}
	return reply, nil
}
