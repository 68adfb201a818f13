package providerdispatch

import (
	"context"
	"crypto/sha256"
	"encoding/base32"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"

	"signbus.dev/pkg/bus"
	"signbus.dev/pkg/contract"
	"signbus.dev/pkg/store"
	"signbus.dev/pkg/subjects"
	"signbus.dev/services/provider-dispatch/process"
)

// envelope is a row of dispatch_envelopes, without the request.
type envelope struct {
	ID          string
	Customer    string
	System      string
	ExternalID  string
	Code        string
	OperationID string
	TraceParent string
	State       process.State
}

const envelopeColumns = `id, customer, system, external_id, code, operation_id, trace_parent, state`

// scan returns where the columns go; decode makes the state of its JSON.
func (e *envelope) scan(state *[]byte) []any {
	return []any{&e.ID, &e.Customer, &e.System, &e.ExternalID, &e.Code, &e.OperationID, &e.TraceParent, state}
}

func (e *envelope) decode(state []byte) (err error) {
	e.State, err = process.Load(state)
	if errors.Is(err, process.ErrSchema) {
		// Another version of the program runs on the same database and will do it.
		err = bus.Retry(err)
	}
	if err != nil {
		return fmt.Errorf("envelope %s: %w", e.ID, err)
	}
	return nil
}

// insertEnvelope writes a new envelope; it is false when the externalId is taken.
func insertEnvelope(ctx context.Context, tx *store.Tx, e *envelope, request contract.Envelope) (bool, error) {
	asked, err := json.Marshal(request)
	if err != nil {
		return false, fmt.Errorf("insert envelope %s: %w", e.ID, err)
	}
	state, err := json.Marshal(e.State)
	if err != nil {
		return false, fmt.Errorf("insert envelope %s: %w", e.ID, err)
	}
	if e.Code, err = freeCode(ctx, tx, e.ID); err != nil {
		return false, err
	}
	n, err := tx.Exec(ctx, `INSERT INTO dispatch_envelopes (`+envelopeColumns+`, request, status, expire_at, created_at, updated_at, revision)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $12, 1)
		ON CONFLICT (customer, external_id) DO NOTHING`,
		e.ID, e.Customer, e.System, e.ExternalID, e.Code, e.OperationID, e.TraceParent, string(state),
		string(asked), string(e.State.Status), due(e.State), store.Micros(e.State.CreatedAt))
	return n == 1, err
}

// due is when the envelope has to be looked at by itself; 0 for never.
func due(state process.State) int64 {
	if state.Envelope.ExpireAt.IsZero() || state.Status.Ended() {
		return 0
	}
	return store.Micros(state.Envelope.ExpireAt)
}

// lockEnvelope locks an envelope for the rest of the transaction; [store.ErrNotFound]
// when there is none.
func lockEnvelope(ctx context.Context, tx *store.Tx, id string) (*envelope, error) {
	return lock(ctx, tx, `id = $1`, id)
}

// lockNamed is [lockEnvelope] by name; a deleted envelope has none.
func lockNamed(ctx context.Context, tx *store.Tx, customer, externalID string) (*envelope, error) {
	return lock(ctx, tx, `customer = $1 AND external_id = $2 AND status <> 'DEL'`, customer, externalID)
}

func lock(ctx context.Context, tx *store.Tx, where string, args ...any) (*envelope, error) {
	var (
		e     envelope
		state []byte
	)
	if err := tx.QueryRow(ctx, `UPDATE dispatch_envelopes SET revision = revision + 1 WHERE `+where+
		` RETURNING `+envelopeColumns, args, e.scan(&state)...); err != nil {
		return nil, err
	}
	return &e, e.decode(state)
}

// save writes the state of a locked envelope.
func (e *envelope) save(ctx context.Context, tx *store.Tx, at time.Time) error {
	state, err := json.Marshal(e.State)
	if err != nil {
		return fmt.Errorf("save envelope %s: %w", e.ID, err)
	}
	_, err = tx.Exec(ctx, `UPDATE dispatch_envelopes SET state = $1, status = $2, expire_at = $3, updated_at = $4 WHERE id = $5`,
		string(state), string(e.State.Status), due(e.State), store.Micros(at), e.ID)
	return err
}

// findEnvelope reads an envelope that is not deleted, with the request it came from.
func findEnvelope(ctx context.Context, q store.Querier, customer, externalID string) (*envelope, contract.Envelope, error) {
	var (
		e            envelope
		state, asked []byte
		request      contract.Envelope
	)
	err := q.QueryRow(ctx, `SELECT `+envelopeColumns+`, request FROM dispatch_envelopes
		WHERE customer = $1 AND external_id = $2 AND status <> 'DEL'`,
		[]any{customer, externalID}, append(e.scan(&state), &asked)...)
	if err != nil {
		return nil, request, err
	}
	if err := json.Unmarshal(asked, &request); err != nil {
		return nil, request, fmt.Errorf("envelope %s: read its request: %w", e.ID, err)
	}
	return &e, request, e.decode(state)
}

// exists says whether there is an envelope with this id, deleted or not.
func exists(ctx context.Context, q store.Querier, id string) (bool, error) {
	var n int
	err := q.QueryRow(ctx, `SELECT COUNT(*) FROM dispatch_envelopes WHERE id = $1`, []any{id}, &n)
	return n > 0, err
}

// traced returns ctx with a trace: its own, or else that of the insertion, so that what
// a person or the clock does later still belongs to the request that began it.
func (e *envelope) traced(ctx context.Context) context.Context {
	if e.TraceParent == "" || traceParent(ctx) != "" {
		return ctx
	}
	return bus.Extract(ctx, nats.Header{subjects.HeaderTraceParent: {e.TraceParent}})
}

func traceParent(ctx context.Context) string {
	h := nats.Header{}
	bus.Inject(ctx, h)
	return h.Get(subjects.HeaderTraceParent)
}

const (
	// codeLength gives 45 bits: among a million envelopes one in thirty million new codes
	// is taken, and then the next one is.
	codeLength = 9
	codeTries  = 8
)

// codeAlphabet leaves out I, L, O and U, which are misread.
var codeAlphabet = base32.NewEncoding("0123456789ABCDEFGHJKMNPQRSTVWXYZ").WithPadding(base32.NoPadding)

// shortCode is a code of an envelope that people can read to one another.
func shortCode(id string, try int) string {
	digest := sha256.Sum256([]byte(strconv.Itoa(try) + ":" + id))
	return codeAlphabet.EncodeToString(digest[:])[:codeLength]
}

func freeCode(ctx context.Context, q store.Querier, id string) (string, error) {
	for try := range codeTries {
		var taken int
		code := shortCode(id, try)
		if err := q.QueryRow(ctx, `SELECT COUNT(*) FROM dispatch_envelopes WHERE code = $1`, []any{code}, &taken); err != nil {
			return "", err
		}
		if taken == 0 {
			return code, nil
		}
	}
	return "", fmt.Errorf("envelope %s: no free code in %d tries", id, codeTries)
}
