package contract

// EnvelopeStatus is the status of an envelope as GetEnvelope tells it (chapter 4.1).
type EnvelopeStatus string

// The envelope statuses.
const (
	// StatusDraft: loaded, not started.
	StatusDraft EnvelopeStatus = "DRF"
	// StatusInProgress: sent, being processed.
	StatusInProgress EnvelopeStatus = "PGS"
	// StatusWorked: every step was completed.
	StatusWorked EnvelopeStatus = "WKD"
	// StatusToReject: declined, the rejection is being confirmed.
	StatusToReject EnvelopeStatus = "TRJ"
	// StatusRejected: declined by an actor.
	StatusRejected EnvelopeStatus = "REJ"
	// StatusExpired: not completed in time.
	StatusExpired EnvelopeStatus = "EXP"
	// StatusDeleted: removed on request.
	StatusDeleted EnvelopeStatus = "DEL"
	// StatusStored: archived.
	StatusStored EnvelopeStatus = "STO"
	// StatusToErase: about to be erased.
	StatusToErase EnvelopeStatus = "TOE"
	// StatusTemporary: not yet a full envelope.
	StatusTemporary EnvelopeStatus = "TMP"
	// StatusCancelled: stopped by a secretary.
	StatusCancelled EnvelopeStatus = "STP"
)

var longOfStatus = map[EnvelopeStatus]string{
	StatusDraft:      "DRAFT",
	StatusInProgress: "IN_PROGRESS",
	StatusWorked:     "WORKED",
	StatusToReject:   "TO_REJECT",
	StatusRejected:   "REJECTED",
	StatusExpired:    "EXPIRED",
	StatusDeleted:    "DELETED",
	StatusStored:     "STORED",
	StatusToErase:    "TO_ERASE",
	StatusTemporary:  "TEMPORARY",
	StatusCancelled:  "CANCELLED",
}

// EnvelopeStatuses returns every status in the order of chapter 4.1.
func EnvelopeStatuses() []EnvelopeStatus {
	return []EnvelopeStatus{
		StatusDraft, StatusInProgress, StatusWorked, StatusToReject, StatusRejected,
		StatusExpired, StatusDeleted, StatusStored, StatusToErase, StatusTemporary,
		StatusCancelled,
	}
}

// Long returns the long name of the status as chapter 9.6 lists them; empty when unknown.
func (s EnvelopeStatus) Long() string { return longOfStatus[s] }

// Ended reports whether nothing more will be signed in an envelope of this status.
func (s EnvelopeStatus) Ended() bool {
	switch s {
	case StatusWorked, StatusRejected, StatusExpired, StatusDeleted, StatusStored, StatusToErase, StatusCancelled:
		return true
	}
	return false
}

// ProcessStatus is the status of the process of an envelope (chapter 4.1).
type ProcessStatus string

// The process statuses.
const (
	// ProcessOpen is O.
	ProcessOpen ProcessStatus = "O"
	// ProcessClosed is C.
	ProcessClosed ProcessStatus = "C"
	// ProcessCancelled is X.
	ProcessCancelled ProcessStatus = "X"
)

// StepStatus is the status of a step (chapter 4.1).
type StepStatus string

// The step statuses.
const (
	// StepNotStarted is N.
	StepNotStarted StepStatus = "N"
	// StepWorking is W.
	StepWorking StepStatus = "W"
	// StepDone is D: enough actors completed it.
	StepDone StepStatus = "D"
	// StepClosed is C: the process closed it before it was done.
	StepClosed StepStatus = "C"
	// StepCancelled is X.
	StepCancelled StepStatus = "X"
)

// LiveStatus is the status of one actor's share of a step, in liveStatus and details (chapter 4.1).
type LiveStatus string

// The live statuses.
const (
	// LiveNew: waits for the actor, or for its turn.
	LiveNew LiveStatus = "NEW"
	// LiveToConfirm: processed, waits for confirmation.
	LiveToConfirm LiveStatus = "TCF"
	// LiveWorked: processed and confirmed.
	LiveWorked LiveStatus = "WKD"
	// LiveRejected: the actor rejected the envelope.
	LiveRejected LiveStatus = "ERJ"
	// LiveCancelled: the process was cancelled.
	LiveCancelled LiveStatus = "PCD"
)
