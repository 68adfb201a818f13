package signaturebook

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"errors"
	"time"

	"signbus.dev/pkg/store"
	"signbus.dev/services/signature-book/pages"
)

// The rules of one-time codes. Five tries at a million codes in a quarter of an hour,
// however many codes are asked for in it, make guessing a matter of years.
const (
	codeLife  = 10 * time.Minute
	codeTries = 5
	codeLock  = 15 * time.Minute
	// codeGap is the least time between two codes, codesInWindow the most in codeWindow.
	codeGap       = 30 * time.Second
	codeWindow    = 15 * time.Minute
	codesInWindow = 5
)

// oneTimeCode is the code of a session and how often it was tried and sent.
type oneTimeCode struct {
	salt, hash  []byte
	expiresAt   time.Time
	triesLeft   int
	lockedUntil time.Time
	windowAt    time.Time
	sent        int
	sentAt      time.Time
}

// findCode reads the code of a session whose row is locked; a fresh one when there is none.
func findCode(ctx context.Context, q store.Querier, assignment string) (oneTimeCode, error) {
	var (
		c                               oneTimeCode
		expires, locked, window, sentAt int64
	)
	err := q.QueryRow(ctx, `SELECT salt, hash, expires_at, tries_left, locked_until, window_at, sent, sent_at
		FROM signature_code WHERE assignment = $1`, []any{assignment},
		&c.salt, &c.hash, &expires, &c.triesLeft, &locked, &window, &c.sent, &sentAt)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return c, err
	}
	c.expiresAt, c.lockedUntil, c.windowAt, c.sentAt = store.Time(expires), store.Time(locked), store.Time(window), store.Time(sentAt)
	return c, nil
}

func (c *oneTimeCode) save(ctx context.Context, tx *store.Tx, assignment string) error {
	_, err := tx.Exec(ctx, `INSERT INTO signature_code
			(assignment, salt, hash, expires_at, tries_left, locked_until, window_at, sent, sent_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
		ON CONFLICT (assignment) DO UPDATE SET salt = excluded.salt, hash = excluded.hash, expires_at = excluded.expires_at,
			tries_left = excluded.tries_left, locked_until = excluded.locked_until, window_at = excluded.window_at,
			sent = excluded.sent, sent_at = excluded.sent_at`,
		assignment, filled(c.salt), filled(c.hash), store.Micros(c.expiresAt), c.triesLeft, store.Micros(c.lockedUntil),
		store.Micros(c.windowAt), c.sent, store.Micros(c.sentAt))
	return err
}

// filled makes a nil slice an empty one: the columns hold no NULL.
func filled(b []byte) []byte {
	if b == nil {
		return []byte{}
	}
	return b
}

// usable says whether the code that was sent can still be entered.
func (c *oneTimeCode) usable(now time.Time) bool {
	return len(c.hash) > 0 && now.Before(c.expiresAt)
}

// draw makes a new code in place of the former. It answers [pages.LockedError] or
// [pages.TooSoonError] when there can be none now.
func (c *oneTimeCode) draw(s *secrets, assignment string, now time.Time) (string, error) {
	if now.Before(c.lockedUntil) {
		return "", &pages.LockedError{Until: c.lockedUntil}
	}
	if next := c.sentAt.Add(codeGap); now.Before(next) {
		return "", &pages.TooSoonError{Until: next}
	}
	if end := c.windowAt.Add(codeWindow); !now.Before(end) {
		c.windowAt, c.sent, c.triesLeft = now, 0, codeTries
	} else if c.sent >= codesInWindow {
		return "", &pages.TooSoonError{Until: end}
	}
	code, err := newCode()
	if err != nil {
		return "", err
	}
	c.salt = make([]byte, 16)
	_, _ = rand.Read(c.salt) // never fails
	c.hash = s.hashCode(c.salt, assignment, code)
	c.expiresAt = now.Add(codeLife)
	c.sent++
	c.sentAt = now
	return code, nil
}

// try compares what was entered. It answers [pages.LockedError], [pages.WrongCodeError]
// or [pages.ErrCodeExpired]; the code changes and must be saved whatever the answer.
func (c *oneTimeCode) try(s *secrets, assignment, code string, now time.Time) error {
	switch {
	case now.Before(c.lockedUntil):
		return &pages.LockedError{Until: c.lockedUntil}
	case !c.usable(now):
		return pages.ErrCodeExpired
	case hmac.Equal(c.hash, s.hashCode(c.salt, assignment, code)):
		return nil
	}
	c.triesLeft--
	if c.triesLeft > 0 {
		return &pages.WrongCodeError{TriesLeft: c.triesLeft}
	}
	c.hash = nil
	c.lockedUntil = now.Add(codeLock)
	return &pages.LockedError{Until: c.lockedUntil}
}

// dropCode forgets the code of a session that has moved on.
func dropCode(ctx context.Context, tx *store.Tx, assignment string) error {
	_, err := tx.Exec(ctx, `DELETE FROM signature_code WHERE assignment = $1`, assignment)
	return err
}
