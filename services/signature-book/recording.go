package signaturebook

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"signbus.dev/pkg/contract"
	"signbus.dev/pkg/contract/handover"
	"signbus.dev/pkg/digest"
	"signbus.dev/pkg/pdf"
	"signbus.dev/pkg/sign/graphometric"
	"signbus.dev/pkg/store"
)

// keepRecording keeps, encrypted, how the hand of an actor moved, in place of an earlier one,
// until his document is signed.
func (s *Service) keepRecording(ctx context.Context, tx *store.Tx, assignment string, r *graphometric.Recording) error {
	if r == nil {
		return dropRecording(ctx, tx, assignment)
	}
	plain, err := json.Marshal(r)
	if err != nil {
		return fmt.Errorf("recording of assignment %s: %w", assignment, graphometric.ErrRecording)
	}
	defer clear(plain)
	_, err = tx.Exec(ctx, `INSERT INTO signature_recording (assignment, sealed) VALUES ($1, $2)
		ON CONFLICT (assignment) DO UPDATE SET sealed = excluded.sealed`, assignment, s.secrets.recordings.seal(plain, assignment))
	return err
}

// dropRecording erases the recording of an assignment, if there is one.
func dropRecording(ctx context.Context, tx *store.Tx, assignment string) error {
	_, err := tx.Exec(ctx, `DELETE FROM signature_recording WHERE assignment = $1`, assignment)
	return err
}

// recordingFor returns how the hand moved, where an action of the job asks for it; else nil.
func (s *Service) recordingFor(ctx context.Context, job handover.Job) (*graphometric.Recording, error) {
	asked := slices.ContainsFunc(job.Actions, func(a handover.Action) bool { return a.Type == contract.ActionGraphometric })
	switch {
	case !asked:
		return nil, nil
	case len(s.Escrow) == 0:
		return nil, errNoEscrow
	}
	var sealed []byte
	err := s.DB.QueryRow(ctx, `SELECT sealed FROM signature_recording WHERE assignment = $1`, []any{job.Assignment}, &sealed)
	if errors.Is(err, store.ErrNotFound) {
		return nil, errNoRecording
	}
	if err != nil {
		return nil, err
	}
	plain, err := s.secrets.recordings.open(sealed, job.Assignment)
	if err != nil {
		return nil, fmt.Errorf("recording of assignment %s: %w", job.Assignment, err)
	}
	defer clear(plain)
	return graphometric.Read(plain)
}

// graphometry is what a graphometric signature holds beside the usual: the recording, sealed
// for the escrow keys and bound to the version that is signed. It is empty for other actions.
func (one *signer) graphometry(action handover.Action, version digest.State) ([]pdf.Entry, error) {
	if action.Type != contract.ActionGraphometric {
		return nil, nil
	}
	recording := *one.recording
	recording.SignerName = one.name
	if g := action.Graphometric; g != nil {
		recording.FieldName, recording.FieldDescription, recording.SignerRole = g.FieldName, g.FieldDescription, g.SignerRole
		if g.SignerName != "" {
			recording.SignerName = g.SignerName
		}
	}
	if recording.FieldName == "" {
		recording.FieldName = action.Placement.Field
	}
	sealed, err := graphometric.Seal(recording, version.Sum(), one.Escrow, one.at)
	if err != nil {
		return nil, err
	}
	return []pdf.Entry{{Key: graphometric.EntryKey, Value: sealed}}, nil
}
