package cades

import (
	"context"
	"crypto"
	"errors"
	"fmt"
	"hash"
	"io"

	"signbus.dev/pkg/digest"
	"signbus.dev/pkg/sign/cms"
)

// Reasons why a message cannot be used, beside those of cms.
var (
	// ErrContent means that a detached signature came without the content, or an attached one with content beside it.
	ErrContent = errors.New("content does not fit the signature")
	// ErrLevel means that the level asked for is none that this package makes, or that what it takes is not there.
	ErrLevel = errors.New("signature level cannot be reached")
)

// Message is a signed message and its content, which stays where it is until WriteTo
// copies it. It is for one goroutine.
type Message struct {
	message  *cms.Message
	content  digest.Source // beside the message: of a new one, and of a detached one
	detached bool
	digests  map[crypto.Hash][]byte
}

// New makes a message without signatures. A detached one (.p7s) leaves the content out.
func New(content digest.Source, detached bool) *Message {
	return &Message{message: cms.NewMessage(), content: content, detached: detached}
}

// Open reads a signed message, of whatever software: DER or BER, PEM, or base64 alone. The
// content is given when the message is detached, and is the zero [digest.Source] otherwise; what
// does not fit is ErrContent. A file that is no signed message is cms.ErrMalformed; a wrong
// content is found by Verify and Sign.
func Open(signed, content digest.Source) (*Message, error) {
	in, size, err := binary(signed)
	if err != nil {
		return nil, fmt.Errorf("open signature: %w", err)
	}
	message, err := cms.Open(in, size)
	if err != nil {
		return nil, fmt.Errorf("open signature: %w", err)
	}
	m := &Message{message: message, content: content, detached: message.Detached()}
	switch {
	case !message.IsData():
		return nil, fmt.Errorf("open signature: the content is of a special type, as in a time-stamp: %w", cms.ErrUnsupported)
	case m.detached && content.ReaderAt == nil:
		return nil, fmt.Errorf("open signature: it is detached, give the file that it signs too: %w", ErrContent)
	case !m.detached && content.ReaderAt != nil:
		return nil, fmt.Errorf("open signature: it has its content inside, give no other: %w", ErrContent)
	}
	return m, nil
}

// Detached tells whether the content is beside the message.
func (m *Message) Detached() bool { return m.detached }

// Signers is the number of signatures.
func (m *Message) Signers() int { return m.message.Signers() }

// ContentSize is the number of bytes that are signed.
func (m *Message) ContentSize() int64 {
	if m.content.ReaderAt == nil {
		return m.message.ContentSize()
	}
	return m.content.Size
}

func (m *Message) reader() io.Reader {
	if m.content.ReaderAt == nil {
		return m.message.Content()
	}
	return io.NewSectionReader(m.content, 0, m.content.Size)
}

// Extract writes the content.
func (m *Message) Extract(ctx context.Context, out io.Writer) error {
	if err := digest.Copy(ctx, out, m.reader(), m.ContentSize()); err != nil {
		return fmt.Errorf("extract content: %w", err)
	}
	return nil
}

// Size is the number of bytes that WriteTo writes.
func (m *Message) Size() int64 {
	head, tail := m.message.Encode(m.inside())
	return int64(len(head)) + max(m.inside(), 0) + int64(len(tail))
}

func (m *Message) inside() int64 {
	if m.detached {
		return -1
	}
	return m.ContentSize()
}

// WriteTo writes the message as DER, with its content unless it is detached. What
// other software wrote as BER inside a signature stays BER. After an error out is to be discarded.
func (m *Message) WriteTo(ctx context.Context, out io.Writer) error {
	if m.Signers() == 0 {
		return fmt.Errorf("write signature: %w", notSigned("nobody has signed yet"))
	}
	head, tail := m.message.Encode(m.inside())
	if _, err := out.Write(head); err != nil {
		return fmt.Errorf("write signature: %w", err)
	}
	if !m.detached {
		if err := digest.Copy(ctx, out, m.reader(), m.ContentSize()); err != nil {
			return fmt.Errorf("write signature: %w", err)
		}
	}
	if _, err := out.Write(tail); err != nil {
		return fmt.Errorf("write signature: %w", err)
	}
	return nil
}

// digest makes the digests of the content by these hashes, all of them in one pass, and
// those that were made before in none.
func (m *Message) digest(ctx context.Context, hashes ...crypto.Hash) error {
	if m.digests == nil {
		m.digests = map[crypto.Hash][]byte{}
		if m.content.Digest.Known() {
			if m.content.Digest.Bytes() != m.content.Size {
				return fmt.Errorf("digest is over %d bytes and the content has %d: %w", m.content.Digest.Bytes(), m.content.Size, ErrContent)
			}
			sum := m.content.Digest.Sum()
			m.digests[crypto.SHA256] = sum[:]
		}
	}
	states := map[crypto.Hash]hash.Hash{}
	var out []io.Writer
	for _, h := range hashes {
		if m.digests[h] == nil && states[h] == nil {
			states[h] = h.New()
			out = append(out, states[h])
		}
	}
	if len(out) == 0 {
		return nil
	}
	if err := digest.Copy(ctx, io.MultiWriter(out...), m.reader(), m.ContentSize()); err != nil {
		return err
	}
	for h, state := range states {
		m.digests[h] = state.Sum(nil)
	}
	return nil
}

// hashes are those that the signers use, as far as they are known.
func (m *Message) hashes() []crypto.Hash {
	var hashes []crypto.Hash
	for i := range m.Signers() {
		if h, err := m.message.Hash(i); err == nil {
			hashes = append(hashes, h)
		}
	}
	return hashes
}
