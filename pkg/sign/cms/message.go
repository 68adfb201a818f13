package cms

import (
	"bytes"
	"crypto"
	"crypto/rsa"
	"crypto/x509"
	"encoding/asn1"
	"fmt"
	"io"
	"slices"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// Bounds on what is read from a file. A signature with a chain, revocation data
// and a token has some tens of kilobytes; large revocation lists explain the rest.
const (
	// MaxSize is the longest message that is read with its content into memory, padding included.
	MaxSize = 4 << 20
	// MaxTail is the most that may come after the content of a message in a file.
	MaxTail = 16 << 20
	// MaxSigners is the largest number of signatures in one message. Each costs a hostile message at
	// most 200 checks of certificates: 100 for the signer and 100 for the time-stamp, where crypto/x509 stops.
	MaxSigners = 32

	maxCertificates = 256
	maxRevocations  = 256
	maxAlgorithms   = 16
	maxAttributes   = 64
	maxSmall        = 4 << 10
)

// Message is a SignedData (RFC 5652, 5.1) with any number of signers, whose content may be larger than memory.
// What other software wrote into it stays as it is, byte for byte.
type Message struct {
	contentType asn1.ObjectIdentifier
	kind        []byte  // DER of the content type
	content     *pieces // nil when detached
	size        int64   // of the content

	algorithms   [][]byte
	certificates [][]byte
	revocations  [][]byte
	signers      [][]byte
	parsed       []*x509.Certificate
}

// NewMessage makes a message without signers, for content of the type id-data.
func NewMessage() *Message { return &Message{contentType: oidData, kind: derData} }

// Open reads a message, DER or BER; its content stays where it is. Zero bytes after
// the message are the padding of a PDF's /Contents. What is no signed message is
// ErrMalformed; any other error is the reader's.
func Open(in io.ReaderAt, size int64) (*Message, error) {
	m := &Message{}
	w := walker{in: in, size: size}
	if err := m.read(&w); err != nil {
		return nil, fmt.Errorf("open signed message: %w", err)
	}
	return m, nil
}

func (m *Message) read(w *walker) error {
	const what = "not a signed message"
	outer, err := w.enter(tagSequence, w.size, what)
	if err != nil {
		return err
	}
	kind, err := w.oid(what)
	if err == nil && (kind.Equal(oidEnvelopedData) || kind.Equal(oidAuthEnvelopedData)) {
		return malformed("an encrypted message, not a signed one")
	}
	if err != nil || !kind.Equal(oidSignedData) {
		return orMalformed(err, what)
	}
	explicit, err := w.enter(tagContext0, outer, what)
	if err != nil {
		return err
	}
	body, err := w.enter(tagSequence, explicit, what)
	if err != nil {
		return err
	}
	version, err := w.small(tagInteger, 16, "version")
	if err != nil {
		return err
	}
	if len(version) != 3 || version[2] < 1 || version[2] > 5 {
		return malformed("version")
	}
	algorithms, err := w.small(tagSet, maxSmall, "digest algorithms")
	if err != nil {
		return err
	}
	var ok bool
	if m.algorithms, _, ok = elements(algorithms, maxAlgorithms); !ok {
		return malformed("digest algorithms")
	}
	if err := m.readContent(w, body); err != nil {
		return err
	}
	return m.readTail(w, outer, explicit, body)
}

func orMalformed(err error, what string) error {
	if err == nil {
		err = malformed(what)
	}
	return err
}

func (w *walker) oid(what string) (asn1.ObjectIdentifier, error) {
	der, err := w.small(0x06, 64, what)
	if err != nil {
		return nil, err
	}
	var oid asn1.ObjectIdentifier
	s := cryptobyte.String(der)
	if !s.ReadASN1ObjectIdentifier(&oid) {
		return nil, malformed(what)
	}
	return oid, nil
}

func (m *Message) readContent(w *walker, limit int64) error {
	const what = "content"
	encapsulated, err := w.enter(tagSequence, limit, what)
	if err != nil {
		return err
	}
	if m.contentType, err = w.oid("content type"); err != nil {
		return err
	}
	m.kind = encodeOID(m.contentType)
	if ended, err := w.ended(encapsulated); ended || err != nil {
		return err
	}
	explicit, err := w.enter(tagContext0, encapsulated, what)
	if err != nil {
		return err
	}
	m.content = &pieces{walker: *w, first: true, limit: explicit}
	walk := *m.content
	for {
		part, ok, err := walk.next()
		if err != nil {
			return err
		}
		if !ok {
			break
		}
		m.size += part.end - part.begin
	}
	w.off = walk.off
	for _, end := range []int64{explicit, encapsulated} {
		if ended, err := w.ended(end); err != nil || !ended {
			return orMalformed(err, what)
		}
	}
	return nil
}

// readTail reads everything after the content into memory.
func (m *Message) readTail(w *walker, outer, explicit, body int64) error {
	if w.size-w.off > MaxTail {
		return malformed(fmt.Sprintf("more than %d bytes after the content", MaxTail))
	}
	tail := make([]byte, w.size-w.off)
	if n, err := w.in.ReadAt(tail, w.off); n < len(tail) {
		return readError(err)
	}
	r := berReader{rest: tail}
	ends := func(end int64) bool {
		if end == open {
			return r.end()
		}
		return w.size-int64(len(r.rest)) == end
	}
	for _, set := range []struct {
		tag  byte
		out  *[][]byte
		most int
		what string
	}{
		{tagContext0, &m.certificates, maxCertificates, "certificates"},
		{tagContext1, &m.revocations, maxRevocations, "revocation data"},
		{tagSet, &m.signers, MaxSigners, "signers"},
	} {
		if len(r.rest) == 0 || r.rest[0] != set.tag {
			if set.tag == tagSet {
				return malformed("signers")
			}
			continue
		}
		var ok bool
		if *set.out, r.rest, ok = elements(r.rest, set.most); !ok {
			return malformed(set.what)
		}
	}
	if !ends(body) || !ends(explicit) || !ends(outer) {
		return malformed("signed message")
	}
	if len(bytes.TrimLeft(r.rest, "\x00")) > 0 {
		return malformed("bytes after the message")
	}
	m.parseCertificates()
	return nil
}

// parseCertificates keeps the X.509 certificates and passes over what it cannot
// read: a broken extra certificate must not invalidate the signature beside it.
func (m *Message) parseCertificates() {
	for _, element := range m.certificates {
		if element[0] != tagSequence {
			continue
		}
		certificate, err := x509.ParseCertificate(element)
		if err != nil {
			continue
		}
		if key, ok := certificate.PublicKey.(*rsa.PublicKey); ok && key.N.BitLen() > maxRSABits {
			continue // Following a path through it would take minutes.
		}
		m.parsed = append(m.parsed, certificate)
	}
}

// Detached tells whether the message comes without what it signs.
func (m *Message) Detached() bool { return m.content == nil }

// Content reads what is inside the message, nil when it is detached.
func (m *Message) Content() io.Reader {
	if m.content == nil {
		return nil
	}
	walk := *m.content
	walk.ends = slices.Clone(walk.ends)
	return &contentReader{pieces: walk}
}

// ContentSize is the number of bytes inside the message.
func (m *Message) ContentSize() int64 { return m.size }

// IsData tells whether the content has the type id-data, as that of every plain file.
func (m *Message) IsData() bool { return m.contentType.Equal(oidData) }

// Signers is the number of signatures.
func (m *Message) Signers() int { return len(m.signers) }

// Certificates are those that the message carries and that can be read.
func (m *Message) Certificates() []*x509.Certificate { return slices.Clone(m.parsed) }

// Hash is the hash that a signer used; ErrUnsupported or ErrMalformed when it is weak or cannot be read.
func (m *Message) Hash(signer int) (crypto.Hash, error) {
	s, err := m.signer(signer)
	if err != nil {
		return 0, err
	}
	return s.hash, nil
}

// Add puts a signature into the message, beside those that are there.
func (m *Message) Add(s *SignerInfo) {
	m.signers = append(m.signers, s.der)
	// Others may write the same algorithm with NULL parameters.
	oid := s.digest[2:]
	if !slices.ContainsFunc(m.algorithms, func(other []byte) bool { return bytes.Contains(other, oid) }) {
		m.algorithms = append(m.algorithms, s.digest)
	}
	for _, certificate := range s.chain {
		m.AddCertificate(certificate)
	}
}

// AddCertificate puts a certificate into the message, unless it is there.
func (m *Message) AddCertificate(certificate *x509.Certificate) {
	before := len(m.certificates)
	if m.certificates = union(m.certificates, certificate.Raw); len(m.certificates) > before {
		m.parsed = append(m.parsed, certificate)
	}
}

// AddCRL puts the DER of a CertificateList into the message, unless it is there.
func (m *Message) AddCRL(der []byte) { m.revocations = union(m.revocations, der) }

// AddOCSP puts the DER of an OCSPResponse into the message (RFC 5940, 2.1), unless it is there.
func (m *Message) AddOCSP(der []byte) {
	m.revocations = union(m.revocations, element(tagContext1, encodeOID(oidOCSPResponse), der))
}

func union(set [][]byte, element []byte) [][]byte {
	if slices.ContainsFunc(set, func(other []byte) bool { return bytes.Equal(other, element) }) {
		return set
	}
	return append(set, element)
}

// Revocations are the OCSP responses and revocation lists that the message carries, as DER.
// Other kinds are passed over.
func (m *Message) Revocations() (ocsps, crls [][]byte) {
	for _, raw := range m.revocations {
		der, _, ok := fromBER(raw)
		if !ok {
			continue
		}
		if der[0] == tagSequence {
			crls = append(crls, der)
			continue
		}
		var body, response cryptobyte.String
		var format asn1.ObjectIdentifier
		s := cryptobyte.String(der)
		if s.ReadASN1(&body, context1) && body.ReadASN1ObjectIdentifier(&format) && format.Equal(oidOCSPResponse) &&
			body.ReadASN1Element(&response, cbasn1.SEQUENCE) && body.Empty() {
			ocsps = append(ocsps, response)
		}
	}
	return ocsps, crls
}

// version follows RFC 5652, 5.1; attribute certificates are only ever kept, not added.
func (m *Message) version() byte {
	has := func(set [][]byte, tags ...byte) bool {
		return slices.ContainsFunc(set, func(element []byte) bool { return slices.Contains(tags, element[0]) })
	}
	const v1Attribute, v2Attribute, other = tagContext1, tagContext0 + 2, tagContext0 + 3
	switch {
	case has(m.certificates, other) || has(m.revocations, tagContext1):
		return 5
	case has(m.certificates, v2Attribute):
		return 4
	case has(m.certificates, v1Attribute) || !m.IsData() || slices.ContainsFunc(m.signers, namedByKey):
		return 3
	default:
		return 1
	}
}

// namedByKey tells whether a SignerInfo has version 3.
func namedByKey(signer []byte) bool {
	r := berReader{rest: signer}
	_, _, _, ok := r.header()
	return ok && bytes.HasPrefix(r.rest, []byte{tagInteger, 1, 3})
}

// Encode returns what comes before and after the content in the DER of the message; a negative size
// leaves the content out. Together with the content between them they are the whole message.
func (m *Message) Encode(size int64) (head, tail []byte) {
	tailSize := int64(0)
	sets := []struct {
		tag      byte
		elements [][]byte
	}{{tagContext0, m.certificates}, {tagContext1, m.revocations}, {tagSet, m.signers}}
	for _, set := range sets {
		if len(set.elements) > 0 {
			tailSize += elementSize(total(set.elements))
		}
	}
	tail = make([]byte, 0, tailSize)
	for _, set := range sets {
		if len(set.elements) == 0 {
			continue
		}
		tail = appendHeader(tail, set.tag, total(set.elements))
		for _, element := range sorted(set.elements) {
			tail = append(tail, element...)
		}
	}
	prefix := element(tagInteger, []byte{m.version()})
	prefix = append(prefix, element(tagSet, sorted(m.algorithms)...)...)
	encapsulated := int64(len(m.kind))
	if size >= 0 {
		encapsulated += elementSize(elementSize(size))
	}
	body := int64(len(prefix)) + elementSize(encapsulated) + tailSize
	head = make([]byte, 0, 64+len(prefix)+len(m.kind))
	head = appendHeader(head, tagSequence, int64(len(derSignedData))+elementSize(elementSize(body)))
	head = append(head, derSignedData...)
	head = appendHeader(head, tagContext0, elementSize(body))
	head = appendHeader(head, tagSequence, body)
	head = append(head, prefix...)
	head = appendHeader(head, tagSequence, encapsulated)
	head = append(head, m.kind...)
	if size >= 0 {
		head = appendHeader(head, tagContext0, elementSize(size))
		head = appendHeader(head, tagOctetString, size)
	}
	return head, tail
}

func total(elements [][]byte) (size int64) {
	for _, element := range elements {
		size += int64(len(element))
	}
	return size
}

// sorted gives the order that DER wants in a SET OF, and leaves the argument as it is.
func sorted(elements [][]byte) [][]byte {
	if len(elements) < 2 {
		return elements
	}
	elements = slices.Clone(elements)
	slices.SortFunc(elements, bytes.Compare)
	return elements
}

// whole is the DER of a message with its content in memory; nil content leaves it out.
func (m *Message) whole(content []byte) []byte {
	size := int64(len(content))
	if content == nil {
		size = -1
	}
	head, tail := m.Encode(size)
	out := make([]byte, 0, len(head)+len(content)+len(tail))
	return append(append(append(out, head...), content...), tail...)
}

// Raw is the SignerInfo of a signature as it is written in the message.
func (m *Message) Raw(signer int) []byte { return bytes.Clone(m.signers[signer]) }
