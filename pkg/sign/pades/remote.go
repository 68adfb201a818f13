package pades

import (
	"bytes"
	"context"
	"crypto"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"

	"signbus.dev/pkg/digest"
	"signbus.dev/pkg/pdf"
	"signbus.dev/pkg/sign/cms"
)

// ErrPending means that a kept signature is damaged, of another version of this package,
// or of another file than the one that it is to be finished on.
var ErrPending = errors.New("pending signature does not fit")

// Pending is a signature whose key is elsewhere and has not answered yet. It holds what
// will be appended, with a hole, and the digest of the original, but nothing of the original and no secret. It
// can be kept with [Pending.MarshalBinary] for as long as the certificate is valid.
type Pending struct {
	kept   kept
	update pdf.Update
	before digest.State // after the original
	cms    *cms.Pending
}

// kept is what is written of a pending signature. Tail ends up in the document, so a
// changed one is found by the digest in CMS.
type kept struct {
	Version    int    `json:"version"`
	Level      Level  `json:"level"`
	SHA256     string `json:"sha256"` // of the original
	Size       int64  `json:"size"`
	State      []byte `json:"state"` // of its digest
	Tail       []byte `json:"tail"`
	Contents   int64  `json:"contents"` // offset of the hole in the file
	Reserve    int    `json:"reserve"`
	Field      string `json:"field"`
	Signatures int    `json:"signatures"`
	CMS        []byte `json:"cms"`
}

// pendingVersion is that of the form of kept.
const pendingVersion = 1

// remoteReserve is the room beyond what the certificates need: here nothing can be made
// anew when a token is larger than foreseen, for the key has signed where the hole ends.
const remoteReserve = 24 << 10

// Begin prepares a signature by a key that is elsewhere. It is Sign up to the key: Signer and
// the parameters that get time-stamps and revocation data are not used, but the level asked
// for must be one that [Finish] will be able to reach. Ed25519 always takes a pass over the file.
func Begin(ctx context.Context, src digest.Source, p Params) (*Pending, error) {
	pending, err := begin(ctx, src, p)
	if err != nil {
		return nil, fmt.Errorf("begin pdf signature: %w", err)
	}
	return pending, nil
}

func begin(ctx context.Context, src digest.Source, p Params) (*Pending, error) {
	if len(p.Chain) == 0 {
		return nil, fmt.Errorf("no certificate: %w", cms.ErrKeyMismatch)
	}
	if err := p.settle(); err != nil {
		return nil, err
	}
	g := &growth{src: src, limits: p.Limits}
	reserve := cms.Size(p.Chain, p.Level != LevelBB)
	if p.Level != LevelBB {
		reserve += remoteReserve
	}
	update, err := p.prepare(ctx, g, reserve)
	if err != nil {
		return nil, err
	}
	d, err := digestsOf(ctx, src, cms.HashFor(p.Chain[0].PublicKey))
	if err != nil {
		return nil, err
	}
	signed, err := d.signed(update)
	if err != nil {
		return nil, err
	}
	out := &Pending{update: *update, before: d.whole}
	if out.cms, err = cms.Begin(cms.Request{Digest: signed, Chain: p.Chain, PSS: p.PSS, Now: p.Now}); err != nil {
		return nil, err
	}
	sum := d.whole.Sum()
	out.kept = kept{
		Version: pendingVersion, Level: p.Level, SHA256: hex.EncodeToString(sum[:]), Size: src.Size, Tail: update.Tail,
		Contents: update.ContentsOffset, Reserve: reserve, Field: update.FieldName, Signatures: update.Signatures,
	}
	if out.kept.State, err = d.whole.MarshalBinary(); err != nil {
		return nil, err
	}
	out.kept.CMS, err = out.cms.MarshalBinary()
	return out, err
}

// ToSign is what [crypto.Signer] takes: a digest with its hash, *rsa.PSSOptions for RSASSA-PSS,
// or for Ed25519 the signed attributes themselves and crypto.Hash(0).
func (p *Pending) ToSign() (message []byte, options crypto.SignerOpts) { return p.cms.ToSign() }

// Level is the level that will be reached.
func (p *Pending) Level() Level { return p.kept.Level }

// FieldName is the full name of the field that will be signed.
func (p *Pending) FieldName() string { return p.kept.Field }

// MarshalBinary writes the pending signature for [UnmarshalPending].
func (p *Pending) MarshalBinary() ([]byte, error) { return json.Marshal(p.kept) }

// UnmarshalPending reads what MarshalBinary wrote. The error is [ErrPending].
func UnmarshalPending(data []byte) (*Pending, error) {
	p, err := unmarshalPending(data)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrPending, err)
	}
	return p, nil
}

func unmarshalPending(data []byte) (*Pending, error) {
	p := &Pending{}
	in := json.NewDecoder(bytes.NewReader(data))
	in.DisallowUnknownFields()
	if err := in.Decode(&p.kept); err != nil {
		return nil, err
	}
	k := &p.kept
	if k.Version != pendingVersion {
		return nil, fmt.Errorf("version %d is not known here; begin anew", k.Version)
	}
	hole := k.Contents - k.Size
	second := hole + int64(2*k.Reserve) + 2
	if k.Size < 0 || k.Reserve < 1 || k.Reserve > cms.MaxSize || hole < 0 || second > int64(len(k.Tail)) || !k.Level.atLeast(LevelBB) {
		return nil, errors.New("its parts do not fit together")
	}
	var sum [digest.Size]byte
	if n, err := hex.Decode(sum[:], []byte(k.SHA256)); err != nil || n != len(sum) {
		return nil, errors.New("it names no original")
	}
	var err error
	if p.before, err = digest.Restore(k.State, sum, k.Size); err != nil {
		return nil, err
	}
	if p.cms, err = cms.UnmarshalPending(k.CMS); err != nil {
		return nil, err
	}
	p.update = pdf.Update{
		Tail: k.Tail, ByteRange: [4]int64{0, k.Contents, k.Size + second, int64(len(k.Tail)) - second}, ContentsOffset: k.Contents,
		FieldName: k.Field, Signatures: k.Signatures,
	}
	return p, nil
}

// Finish makes the signature from the value that the key gave for ToSign, and adds what
// the level asks for. The source is the original, which with a known digest is not read again. Of
// the parameters those that get time-stamps and revocation data count, Now and Limits. The certificate
// must be valid now, and a value that does not verify is [cms.ErrSignature]. The pending signature
// stays as it is, so that what failed can be tried again.
func Finish(ctx context.Context, src digest.Source, pending *Pending, value []byte, p Params) (*Addition, error) {
	out, err := finish(ctx, src, pending, value, p)
	if err != nil {
		return nil, fmt.Errorf("finish pdf signature: %w", err)
	}
	return out, nil
}

func finish(ctx context.Context, src digest.Source, pending *Pending, value []byte, p Params) (*Addition, error) {
	p.Level = pending.kept.Level
	if err := p.settle(); err != nil {
		return nil, err
	}
	if err := p.equipped(); err != nil {
		return nil, err
	}
	if src.Size != pending.kept.Size {
		return nil, fmt.Errorf("%w: the file has %d bytes, it was begun on %d", ErrPending, src.Size, pending.kept.Size)
	}
	update := pending.update
	update.Tail = bytes.Clone(update.Tail)
	d, err := digestsOf(ctx, src, pending.cms.Hash())
	if err != nil {
		return nil, err
	}
	if d.whole.Sum() != pending.before.Sum() {
		return nil, fmt.Errorf("%w: the file has changed since it was begun", ErrPending)
	}
	signed, err := d.signed(&update)
	if err != nil {
		return nil, err
	}
	if err := pending.cms.CheckContent(signed); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrPending, err)
	}
	unsigned := *pending.cms
	unsigned.Now = p.Now
	signature, err := unsigned.Complete(ctx, value, p.stamper())
	if err != nil {
		return nil, err
	}
	if err := update.Fill(signature); err != nil {
		return nil, err
	}
	g := &growth{src: src, limits: p.Limits, base: d.whole}
	g.add(update.Tail)
	return p.complete(ctx, g, &update, signature, pending.kept.Reserve)
}
