package tsp

import (
	"bytes"
	"context"
	"crypto"
	"crypto/rand"
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"fmt"
	"io"
	"math/big"
	"mime"
	"net/http"
	"net/url"
	"time"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"

	"signbus.dev/pkg/sign/cms"
)

var (
	// ErrUnavailable means that the authority could not be reached or did not answer as one; another may be asked.
	ErrUnavailable = errors.New("time-stamp authority is not available")
	// ErrReply means that the authority's answer is not the answer to the question.
	ErrReply = errors.New("reply of the time-stamp authority is wrong")
	// ErrClock means that the authority's clock and ours are too far apart. It is an ErrReply too.
	ErrClock = errors.New("clocks of the time-stamp authority and of this machine differ; check both")
)

// RejectedError is an authority's refusal.
type RejectedError struct {
	// Status is the PKIStatus, 2 for a plain rejection.
	Status int
	// Failure is the number of the first PKIFailureInfo bit that is set, -1 when there is none.
	Failure int
	// Text is what the authority says, cut to 200 bytes.
	Text string
}

// Error says the codes and the authority's words.
func (e *RejectedError) Error() string {
	return fmt.Sprintf("time-stamp authority refused: status %d, failure %d, %q", e.Status, e.Failure, e.Text)
}

// ClientOptions says which authority is asked and who vouches for it.
type ClientOptions struct {
	// URL is the authority's address, http or https.
	URL string
	// Roots must lead to the authority's certificate; nil trusts nobody.
	Roots *x509.CertPool
	// Hash of the imprint; SHA-256 when zero.
	Hash crypto.Hash
	// Policy is asked for when it is not nil.
	Policy asn1.ObjectIdentifier
	// Skew is how far the token's time may be from this machine's; five minutes when zero.
	Skew time.Duration
	// Timeout bounds a request; 15 seconds when zero.
	Timeout time.Duration
	// HTTP sends the request; a client of its own when nil. Redirects are never followed.
	HTTP *http.Client
	// Now is the clock; time.Now when nil.
	Now func() time.Time
	// Rand gives nonces; crypto/rand when nil.
	Rand io.Reader
}

// Client asks one authority for tokens.
type Client struct {
	options ClientOptions
	http    http.Client
	host    string
}

// NewClient makes a client.
func NewClient(options ClientOptions) (*Client, error) {
	address, err := url.Parse(options.URL)
	if err != nil || address.Host == "" || (address.Scheme != "http" && address.Scheme != "https") {
		return nil, errors.New("time-stamp client: the authority's address is not an http or https URL")
	}
	if options.Hash == 0 {
		options.Hash = crypto.SHA256
	}
	if _, ok := cms.HashOID(options.Hash); !ok {
		return nil, fmt.Errorf("time-stamp client: hash %d: %w", options.Hash, cms.ErrUnsupported)
	}
	if options.Skew <= 0 {
		options.Skew = 5 * time.Minute
	}
	if options.Now == nil {
		options.Now = time.Now
	}
	if options.Rand == nil {
		options.Rand = rand.Reader
	}
	if options.Timeout <= 0 {
		options.Timeout = 15 * time.Second
	}
	c := &Client{options: options, host: address.Host}
	if options.HTTP != nil {
		c.http = *options.HTTP
	}
	c.http.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return c, nil
}

// Host is the authority's host, with the port if its address has one.
func (c *Client) Host() string { return c.host }

// Timestamp gets a token over a signature value; it fits cms.Request.
func (c *Client) Timestamp(ctx context.Context, signatureValue []byte) ([]byte, error) {
	return c.TimestampDigest(ctx, c.digest(signatureValue))
}

func (c *Client) digest(value []byte) []byte {
	state := c.options.Hash.New()
	state.Write(value)
	return state.Sum(nil)
}

// TimestampDigest gets a token over a digest by the client's hash.
func (c *Client) TimestampDigest(ctx context.Context, digest []byte) ([]byte, error) {
	token, err := c.ask(ctx, digest)
	if err != nil {
		return nil, fmt.Errorf("time-stamp: %w", err)
	}
	return token, nil
}

func (c *Client) ask(ctx context.Context, digest []byte) ([]byte, error) {
	imprint, err := imprintOf(c.options.Hash, digest)
	if err != nil {
		return nil, err
	}
	nonce := make([]byte, 8)
	if _, err := io.ReadFull(c.options.Rand, nonce); err != nil {
		return nil, fmt.Errorf("nonce: %w", err)
	}
	question := request{
		imprint: imprint, hash: c.options.Hash, digest: digest, policy: c.options.Policy,
		nonce: new(big.Int).SetBytes(nonce), certificates: true,
	}
	query, err := question.encode()
	if err != nil {
		return nil, fmt.Errorf("encode request: %w", err)
	}
	reply, err := c.post(ctx, query)
	if err != nil {
		return nil, err
	}
	token, err := parseReply(reply)
	if err != nil {
		return nil, err
	}
	if err := c.check(token, &question); err != nil {
		return nil, err
	}
	return token, nil
}

func (c *Client) post(ctx context.Context, query []byte) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, c.options.Timeout)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, c.options.URL, bytes.NewReader(query))
	if err != nil {
		return nil, fmt.Errorf("%w: request cannot be made", ErrUnavailable)
	}
	r.Header.Set("Content-Type", queryType)
	r.Header.Set("Accept", replyType)
	response, err := c.http.Do(r)
	if err != nil {
		// The cause of a url.Error is kept and its URL, which may hold a password, is not.
		if wrapped := new(url.Error); errors.As(err, &wrapped) {
			err = wrapped.Err
		}
		return nil, fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%w: HTTP status %d", ErrUnavailable, response.StatusCode)
	}
	if kind, _, err := mime.ParseMediaType(response.Header.Get("Content-Type")); err != nil || kind != replyType {
		return nil, fmt.Errorf("%w: content type is not %s", ErrReply, replyType)
	}
	body, err := io.ReadAll(io.LimitReader(response.Body, maxReply+1))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	if len(body) > maxReply {
		return nil, fmt.Errorf("%w: more than %d bytes", ErrReply, maxReply)
	}
	return body, nil
}

// check compares everything that the reply must repeat with what was asked.
func (c *Client) check(der []byte, question *request) error {
	now := c.options.Now()
	asked := func(h crypto.Hash) ([]byte, error) {
		if h != question.hash {
			return nil, fmt.Errorf("token is over %s", h)
		}
		return question.digest, nil
	}
	token, err := cms.VerifyToken(der, asked, c.options.Roots, now)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrReply, err)
	}
	if token.Nonce == nil || token.Nonce.Cmp(question.nonce) != 0 {
		return fmt.Errorf("%w: nonce is not that of the request", ErrReply)
	}
	if question.policy != nil && !token.Policy.Equal(question.policy) {
		return fmt.Errorf("%w: policy is not that of the request", ErrReply)
	}
	if off := token.Time.Sub(now).Abs(); off > c.options.Skew {
		return fmt.Errorf("%w: %w: by %s", ErrReply, ErrClock, off.Round(time.Second))
	}
	return nil
}

func parseReply(der []byte) ([]byte, error) {
	input := cryptobyte.String(der)
	var body, info, token cryptobyte.String
	var status int
	if !input.ReadASN1(&body, cbasn1.SEQUENCE) || !input.Empty() || !body.ReadASN1(&info, cbasn1.SEQUENCE) || !info.ReadASN1Integer(&status) {
		return nil, fmt.Errorf("%w: not a time-stamp reply", ErrReply)
	}
	const grantedWithMods = 1
	if status < 0 || status > grantedWithMods {
		return nil, readRefusal(status, info)
	}
	if !body.ReadASN1Element(&token, cbasn1.SEQUENCE) || !body.Empty() {
		return nil, fmt.Errorf("%w: granted without a token", ErrReply)
	}
	return token, nil
}

func readRefusal(status int, info cryptobyte.String) error {
	const longest = 200
	refusal := &RejectedError{Status: status, Failure: -1}
	var texts, text cryptobyte.String
	if info.PeekASN1Tag(cbasn1.SEQUENCE) && info.ReadASN1(&texts, cbasn1.SEQUENCE) && texts.ReadASN1(&text, cbasn1.UTF8String) {
		refusal.Text = string(text[:min(len(text), longest)])
	}
	var bits asn1.BitString
	if info.ReadASN1BitString(&bits) {
		for i := range min(bits.BitLength, 32) {
			if bits.At(i) == 1 {
				refusal.Failure = i
				break
			}
		}
	}
	return refusal
}
