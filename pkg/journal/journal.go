// Package journal keeps what happened to each envelope: append-only, numbered without
// gaps from 1, each entry bound to the one before by a hash. The journal is three
// things at once: the audit trail, the source of replays, and the outbox from which the
// public events are published, so no event can differ from what is recorded.
//
// Entries are kept in chains, one for each envelope, and one for each operation that
// ended without an envelope. The package promises order within a chain. It does not
// order chains among one another, and it does not know what the events mean.
package journal

import (
	"bytes"
	"context"
	"crypto/sha256"
	"embed"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"

	"signbus.dev/pkg/bus"
	"signbus.dev/pkg/contract"
	"signbus.dev/pkg/store"
	"signbus.dev/pkg/subjects"
)

//go:embed migrations/*.sql
var migrations embed.FS

// Migrate creates the tables of this package.
func Migrate(ctx context.Context, db *store.DB) error {
	return db.Migrate(ctx, "journal", migrations)
}

// Source is the CloudEvents source of every event of the bus.
const Source = "/signbus"

// operationChain begins the names of chains that belong to no envelope.
const operationChain = "operation-"

// OperationChain names the chain of an operation that ended without an envelope. Its
// events carry no sequence.
func OperationChain(key string) string { return operationChain + key }

// Event is something that happened.
type Event struct {
	// Chain is the envelope's own id, or [OperationChain].
	Chain string
	// Type is the public event type.
	Type contract.EventType
	// Customer and System say whose event it is and where it is published.
	Customer, System string
	// Subject is the envelope's externalId.
	Subject string
	// OperationID is the operation that caused it; empty when none did.
	OperationID string
	// Data is the event's data, of the type that belongs to Type.
	Data any
}

// Entry is a recorded event.
type Entry struct {
	Chain       string
	Sequence    int64
	ID          string
	Type        contract.EventType
	Customer    string
	System      string
	Subject     string
	OperationID string
	TraceParent string
	RecordedAt  time.Time
	Data        json.RawMessage
	Previous    []byte
	Hash        []byte
}

// ErrBroken says that a chain was tampered with: an entry is missing, doubled or changed.
var ErrBroken = errors.New("journal chain is broken")

// Journal appends events and publishes them. Its pump must be running.
type Journal struct {
	newID func() string
	now   func() time.Time
	*bus.Pump
}

// New returns the journal in db.
func New(db *store.DB, publisher *bus.Publisher, log *slog.Logger, now func() time.Time, newID func() string) *Journal {
	return &Journal{newID: newID, now: now, Pump: bus.NewPump(db, "journal", &source{}, publisher, log)}
}

// Append records events of one chain, in order, as part of the transaction. The caller
// holds the lock on the envelope, so that nobody else appends to the chain meanwhile.
func (j *Journal) Append(ctx context.Context, tx *store.Tx, events ...Event) error {
	for _, event := range events {
		if err := j.append(ctx, tx, event); err != nil {
			return fmt.Errorf("record %s: %w", event.Type, err)
		}
	}
	return nil
}

func (j *Journal) append(ctx context.Context, tx *store.Tx, event Event) error {
	data, err := json.Marshal(event.Data)
	if err != nil {
		return err
	}
	header := nats.Header{}
	bus.Inject(ctx, header)
	e := Entry{
		Chain: event.Chain, ID: j.newID(), Type: event.Type, Customer: event.Customer, System: event.System,
		Subject: event.Subject, OperationID: event.OperationID, TraceParent: header.Get(subjects.HeaderTraceParent),
		RecordedAt: j.now().UTC().Truncate(time.Microsecond), Data: data, Previous: []byte{},
	}
	err = tx.QueryRow(ctx, `SELECT seq, hash FROM journal_entry WHERE chain = $1 ORDER BY seq DESC LIMIT 1`,
		[]any{e.Chain}, &e.Sequence, &e.Previous)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return err
	}
	e.Sequence++
	e.Hash = e.digest()
	// What cannot be published would hold up everything behind it: it is not recorded either.
	msg, err := Message(&e)
	if err != nil {
		return err
	}
	if err := msg.Check(); err != nil {
		return err
	}
	if _, err := tx.Exec(ctx, `INSERT INTO journal_entry (chain, seq, event_id, event_type, customer, system, subject,
			operation_id, trace_parent, recorded_at, data, previous, hash)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)`,
		e.Chain, e.Sequence, e.ID, string(e.Type), e.Customer, e.System, e.Subject, e.OperationID, e.TraceParent,
		store.Micros(e.RecordedAt), []byte(e.Data), e.Previous, e.Hash); err != nil {
		return err
	}
	_, err = tx.Exec(ctx, `INSERT INTO journal_pending (chain, seq) VALUES ($1, $2)`, e.Chain, e.Sequence)
	return err
}

// digest binds every field of the entry, each with its length, to the entry before.
func (e *Entry) digest() []byte {
	h := sha256.New()
	field := func(b []byte) {
		var n [8]byte
		binary.BigEndian.PutUint64(n[:], uint64(len(b)))
		h.Write(n[:])
		h.Write(b)
	}
	field(e.Previous)
	for _, s := range []string{
		e.Chain, strconv.FormatInt(e.Sequence, 10), e.ID, string(e.Type), e.Customer, e.System, e.Subject,
		e.OperationID, e.TraceParent, strconv.FormatInt(store.Micros(e.RecordedAt), 10),
	} {
		field([]byte(s))
	}
	field(e.Data)
	return h.Sum(nil)
}

const entryColumns = `e.chain, e.seq, e.event_id, e.event_type, e.customer, e.system, e.subject, e.operation_id,
	e.trace_parent, e.recorded_at, e.data, e.previous, e.hash`

func scanEntry(e *Entry, scan func(...any) error) error {
	var (
		recorded int64
		data     []byte
	)
	err := scan(&e.Chain, &e.Sequence, &e.ID, &e.Type, &e.Customer, &e.System, &e.Subject, &e.OperationID,
		&e.TraceParent, &recorded, &data, &e.Previous, &e.Hash)
	e.RecordedAt, e.Data = store.Time(recorded), data
	return err
}

// Read returns up to limit entries of a chain after a sequence, in order. Entries of large
// processes are large: whoever needs all of a chain reads it in parts.
func Read(ctx context.Context, q store.Querier, chain string, after int64, limit int) ([]Entry, error) {
	rows, err := q.Query(ctx, `SELECT `+entryColumns+` FROM journal_entry e WHERE e.chain = $1 AND e.seq > $2 ORDER BY e.seq LIMIT $3`,
		chain, after, limit)
	return store.Collect(rows, err, scanEntry)
}

// Verify checks the entries of a whole chain, as [Read] returns them from the beginning:
// numbers without gaps and every hash. It returns an error that wraps [ErrBroken].
func Verify(entries []Entry) error {
	previous := []byte{}
	for i := range entries {
		e := &entries[i]
		switch {
		case e.Sequence != int64(i)+1:
			return fmt.Errorf("%w: entry %d stands where %d should", ErrBroken, e.Sequence, i+1)
		case !bytes.Equal(e.Previous, previous):
			return fmt.Errorf("%w: entry %d does not follow the one before", ErrBroken, e.Sequence)
		case !bytes.Equal(e.digest(), e.Hash):
			return fmt.Errorf("%w: entry %d was changed", ErrBroken, e.Sequence)
		}
		previous = e.Hash
	}
	return nil
}

// source publishes entries in the order of their chains. It goes round the chains, so
// that under a steady load none waits for ever behind those that sort before it.
type source struct{ after string }

func (s *source) Pending(ctx context.Context, q store.Querier, limit int) ([]bus.Message, error) {
	entries, err := pending(ctx, q, s.after, limit)
	if err == nil && len(entries) == 0 && s.after != "" {
		entries, err = pending(ctx, q, "", limit)
	}
	if err != nil {
		return nil, err
	}
	s.after = ""
	if len(entries) == limit && entries[0].Chain != entries[limit-1].Chain {
		// The last chain may go on beyond the limit: begin with it next time.
		last := entries[limit-1].Chain
		for len(entries) > 0 && entries[len(entries)-1].Chain == last {
			entries = entries[:len(entries)-1]
		}
		s.after = entries[len(entries)-1].Chain
	}
	msgs := make([]bus.Message, 0, len(entries))
	for i := range entries {
		msg, err := Message(&entries[i])
		if err != nil {
			return nil, err
		}
		msgs = append(msgs, msg)
	}
	return msgs, nil
}

func pending(ctx context.Context, q store.Querier, after string, limit int) ([]Entry, error) {
	rows, err := q.Query(ctx, `SELECT `+entryColumns+` FROM journal_pending p
		JOIN journal_entry e ON e.chain = p.chain AND e.seq = p.seq WHERE p.chain > $1 ORDER BY p.chain, p.seq LIMIT $2`, after, limit)
	return store.Collect(rows, err, scanEntry)
}

func (*source) Published(ctx context.Context, tx *store.Tx, msgs []bus.Message) error {
	for _, m := range msgs {
		if _, err := tx.Exec(ctx, `DELETE FROM journal_pending WHERE EXISTS (SELECT 1 FROM journal_entry e
			WHERE e.event_id = $1 AND e.chain = journal_pending.chain AND e.seq = journal_pending.seq)`, m.ID); err != nil {
			return err
		}
	}
	return nil
}

// Message is the entry as a CloudEvent in the binary mode of the NATS binding: attributes
// in ce- headers, percent-encoded where needed, data in the payload.
func Message(e *Entry) (bus.Message, error) {
	subject, err := subjects.Event(e.Customer, e.System, e.Type)
	if err != nil {
		return bus.Message{}, err
	}
	h := nats.Header{}
	for _, attribute := range []struct{ name, value string }{
		{subjects.HeaderCESpecVersion, "1.0"},
		{subjects.HeaderCEID, e.ID},
		{subjects.HeaderCESource, Source},
		{subjects.HeaderCEType, string(e.Type)},
		{subjects.HeaderCEDataSchema, e.Type.SchemaURL()},
		{subjects.HeaderCESubject, e.Subject},
		{subjects.HeaderCETime, e.RecordedAt.Format(time.RFC3339Nano)},
		{subjects.HeaderCEDataContentType, "application/json"},
		{subjects.HeaderContentType, "application/json"},
		{subjects.HeaderCECustomer, e.Customer},
		{subjects.HeaderCEOperationID, e.OperationID},
		{subjects.HeaderCETraceParent, e.TraceParent},
		{subjects.HeaderTraceParent, e.TraceParent},
	} {
		if attribute.value != "" {
			h.Set(attribute.name, percentEncode(attribute.value))
		}
	}
	if !strings.HasPrefix(e.Chain, operationChain) {
		h.Set(subjects.HeaderCESequence, strconv.FormatInt(e.Sequence, 10))
		h.Set(subjects.HeaderEnvelope, e.Chain)
	}
	return bus.Message{Subject: subject, ID: e.ID, Header: h, Data: e.Data}, nil
}

// percentEncode encodes what the CloudEvents bindings want encoded in header values:
// space, double quote, percent and everything outside of printable ASCII.
func percentEncode(s string) string {
	var b strings.Builder
	for i := range len(s) {
		c := s[i]
		if c <= ' ' || c == '"' || c == '%' || c >= 0x7f {
			fmt.Fprintf(&b, "%%%02X", c)
		} else {
			b.WriteByte(c)
		}
	}
	return b.String()
}

// Attribute returns a CloudEvents attribute from its header, decoded.
func Attribute(h nats.Header, name string) string {
	value := h.Get(name)
	if decoded, err := url.PathUnescape(value); err == nil {
		return decoded
	}
	return value
}
