package revocation

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/asn1"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

const (
	// maxOCSP and maxCertificates bound answers that have some kilobytes; maxCRL one that has
	// forty bytes for each revoked certificate and, read, takes about ten times its size.
	maxOCSP         = 128 << 10
	maxCRL          = 10 << 20
	maxCertificates = 256 << 10
	// maxGet is the longest address of an OCSP request by GET (RFC 5019, 5).
	maxGet = 255
)

// fetch gets or posts, follows no redirect, and reads no more than limit bytes. Errors name
// the host only: an address can hold secrets.
func (c *Collector) fetch(ctx context.Context, address string, body []byte, limit int64) ([]byte, error) {
	target, err := url.Parse(address)
	if err != nil || target.Host == "" || (target.Scheme != "http" && target.Scheme != "https") {
		return nil, errors.New("address is not an http or https URL")
	}
	ctx, cancel := context.WithTimeout(ctx, c.options.Timeout)
	defer cancel()
	method, content := http.MethodGet, io.Reader(nil)
	if body != nil {
		method, content = http.MethodPost, bytes.NewReader(body)
	}
	request, err := http.NewRequestWithContext(ctx, method, address, content)
	if err != nil {
		return nil, fmt.Errorf("%s: request cannot be made", target.Host)
	}
	if body != nil {
		request.Header.Set("Content-Type", "application/ocsp-request")
	}
	response, err := c.http.Do(request)
	if err != nil {
		if wrapped := new(url.Error); errors.As(err, &wrapped) {
			err = wrapped.Err
		}
		return nil, fmt.Errorf("%s: %w", target.Host, err)
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s: HTTP status %d", target.Host, response.StatusCode)
	}
	answer, err := io.ReadAll(io.LimitReader(response.Body, limit+1))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", target.Host, err)
	}
	if int64(len(answer)) > limit {
		return nil, fmt.Errorf("%s: answer has more than %d bytes", target.Host, limit)
	}
	return answer, nil
}

// fetchOCSP asks by GET, which answers made in advance are cached for (RFC 5019, 5), and by
// POST when the address would be too long, a nonce is asked for, or GET is not answered.
func (c *Collector) fetchOCSP(ctx context.Context, address string, cert, issuer *x509.Certificate) ([]byte, error) {
	var nonce []byte
	if c.options.Nonce {
		random := make([]byte, 32) // RFC 9654, 2.1.
		if _, err := io.ReadFull(c.options.Rand, random); err != nil {
			return nil, fmt.Errorf("nonce: %w", err)
		}
		var err error
		if nonce, err = asn1.Marshal(random); err != nil {
			return nil, err
		}
	}
	query, err := question(cert, issuer, nonce)
	if err != nil {
		return nil, err
	}
	get := strings.TrimSuffix(address, "/") + "/" + url.QueryEscape(base64.StdEncoding.EncodeToString(query))
	if nonce == nil && len(get) <= maxGet && !strings.Contains(address, "?") {
		if der, err := c.fetch(ctx, get, nil, maxOCSP); err == nil {
			if _, err := readOCSP(der, cert, issuer); err == nil {
				return der, nil
			}
		}
	}
	der, err := c.fetch(ctx, address, query, maxOCSP)
	if err != nil {
		return nil, err
	}
	if got := nonceOf(der, cert); nonce != nil && got != nil && !bytes.Equal(got, nonce) {
		return nil, errors.New("OCSP response: nonce is not that of the request")
	}
	return der, nil
}

// readCertificates reads what caIssuers gives: a certificate, or a certs-only CMS (RFC 5280, 4.2.2.1).
func readCertificates(der []byte) ([]*x509.Certificate, error) {
	if one, err := x509.ParseCertificate(der); err == nil {
		return []*x509.Certificate{one}, nil
	}
	input := cryptobyte.String(der)
	var info, content, data, certificates cryptobyte.String
	var present bool
	tag := cbasn1.Tag(0).Constructed().ContextSpecific()
	if !input.ReadASN1(&info, cbasn1.SEQUENCE) || !info.SkipASN1(cbasn1.OBJECT_IDENTIFIER) || !info.ReadASN1(&content, tag) ||
		!content.ReadASN1(&data, cbasn1.SEQUENCE) || !data.SkipASN1(cbasn1.INTEGER) || !data.SkipASN1(cbasn1.SET) ||
		!data.SkipASN1(cbasn1.SEQUENCE) || !data.ReadOptionalASN1(&certificates, &present, tag) || !present {
		return nil, errors.New("issuer's certificate: neither a certificate nor a certs-only CMS")
	}
	list, err := x509.ParseCertificates(certificates)
	if err != nil {
		return nil, fmt.Errorf("issuer's certificate: %w", err)
	}
	return list, nil
}

// maxCached bounds the memory of the cache, in bytes.
const maxCached = 64 << 20

// cache keeps answers as they came until they run out. Whoever takes one verifies it again.
type cache struct {
	mu      sync.Mutex
	entries map[string]cached
	size    int
}

type cached struct {
	der   []byte
	until time.Time
}

func (c *cache) get(key string, now time.Time) []byte {
	c.mu.Lock()
	defer c.mu.Unlock()
	entry := c.entries[key]
	if !now.Before(entry.until) {
		return nil
	}
	return entry.der
}

// put drops what has run out, and then whatever comes first, to make room.
func (c *cache) put(key string, der []byte, until, now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.drop(key)
	c.size += len(der)
	for other, entry := range c.entries {
		if !now.Before(entry.until) {
			c.drop(other)
		}
	}
	for other := range c.entries {
		if c.size <= maxCached {
			break
		}
		c.drop(other)
	}
	c.entries[key] = cached{der: der, until: until}
}

func (c *cache) drop(key string) {
	c.size -= len(c.entries[key].der)
	delete(c.entries, key)
}
