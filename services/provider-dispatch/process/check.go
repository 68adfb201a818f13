package process

import (
	"errors"
	"fmt"
	"slices"

	"signbus.dev/pkg/contract"
	"signbus.dev/pkg/contract/handover"
)

// ErrInvariant says that a state cannot have come from Apply.
var ErrInvariant = errors.New("process state breaks an invariant")

// Check returns every invariant that the state breaks, each wrapping ErrInvariant. It
// is meant for tests and for looking at stored states; Apply does not call it.
func Check(s State) error {
	if s.Status == NoEnvelope {
		if s.Schema != 0 || len(s.Steps) != 0 || len(s.Documents) != 0 {
			return fmt.Errorf("%w: an envelope that does not exist has content", ErrInvariant)
		}
		return nil
	}
	c := checker{state: s}
	c.check(s.Schema == Schema, "schema is %d", s.Schema)
	c.checkStatus()
	c.checkDocuments()
	for i, step := range s.Steps {
		c.checkStep(i, step)
	}
	c.checkLease()
	c.checkProgress()
	return errors.Join(c.broken...)
}

type checker struct {
	state  State
	broken []error
}

func (c *checker) check(ok bool, format string, args ...any) {
	if !ok {
		c.broken = append(c.broken, fmt.Errorf("%w: %s", ErrInvariant, fmt.Sprintf(format, args...)))
	}
}

func (c *checker) checkStatus() {
	s := c.state
	fits := map[contract.EnvelopeStatus][]contract.ProcessStatus{
		contract.StatusDraft:      {NotStarted},
		contract.StatusInProgress: {contract.ProcessOpen},
		contract.StatusWorked:     {contract.ProcessClosed},
		contract.StatusRejected:   {contract.ProcessCancelled},
		contract.StatusCancelled:  {NotStarted, contract.ProcessCancelled},
		contract.StatusExpired:    {NotStarted, contract.ProcessCancelled},
		contract.StatusDeleted:    {NotStarted, contract.ProcessClosed, contract.ProcessCancelled},
	}
	c.check(slices.Contains(fits[s.Status], s.ProcessStatus), "envelope %s with process %q", s.Status, s.ProcessStatus)
	c.check((s.ProcessStatus == NotStarted) == s.StartedAt.IsZero(), "process %q started at %s", s.ProcessStatus, s.StartedAt)
	c.check((s.ProcessStatus == contract.ProcessClosed || s.ProcessStatus == contract.ProcessCancelled) == !s.FinishedAt.IsZero(), "process %q finished at %s", s.ProcessStatus, s.FinishedAt)
	c.check((s.Status == contract.StatusDeleted) == !s.DeletedAt.IsZero(), "envelope %s deleted at %s", s.Status, s.DeletedAt)
	c.check(s.Status == contract.StatusDeleted || s.Status.Ended() == !s.CompletedAt.IsZero(), "envelope %s completed at %s", s.Status, s.CompletedAt)
}

func (c *checker) checkDocuments() {
	seen := map[string]bool{}
	for _, d := range c.state.Documents {
		c.check(!seen[d.ExternalID], "document %q is there twice", d.ExternalID)
		c.check(d.Version >= 1 && d.SHA256 != "", "document %q has version %d and digest %q", d.ExternalID, d.Version, d.SHA256)
		seen[d.ExternalID] = true
	}
	c.check(len(seen) > 0, "there are no documents")
}

func (c *checker) checkStep(number int, step Step) {
	done, open := step.count()
	c.check(step.HowMany >= 1 && step.HowMany <= len(step.Assignments), "step %d needs %d of %d", number, step.HowMany, len(step.Assignments))
	switch step.Status {
	case contract.StepNotStarted:
		c.check(done == 0 && open == len(step.Assignments), "step %d has not started, but %d are done and %d open", number, done, open)
		c.check(c.state.ProcessStatus == NotStarted || c.state.ProcessStatus == contract.ProcessOpen, "step %d is new in process %q", number, c.state.ProcessStatus)
	case contract.StepWorking:
		c.check(c.state.ProcessStatus == contract.ProcessOpen, "step %d is at work in process %q", number, c.state.ProcessStatus)
		c.check(done < step.HowMany && done+open >= step.HowMany, "step %d is at work with %d done and %d open of %d", number, done, open, step.HowMany)
	case contract.StepDone:
		c.check(done == step.HowMany && open == 0, "step %d is done with %d done and %d open of %d", number, done, open, step.HowMany)
	case contract.StepCancelled:
		c.check(done < step.HowMany && open == 0, "step %d is cancelled with %d done and %d open of %d", number, done, open, step.HowMany)
		c.check(c.state.Status.Ended() && c.state.Status != contract.StatusWorked, "step %d is cancelled in an envelope %s", number, c.state.Status)
	default:
		c.check(false, "step %d has status %q", number, step.Status)
	}
	for _, before := range c.state.Steps[:number] {
		c.check(before.Order <= step.Order, "step %d comes after order %d", number, before.Order)
		started := step.Status == contract.StepWorking || step.Status == contract.StepDone
		c.check(!started || before.Order == step.Order || before.Status == contract.StepDone, "step %d started before order %d was done", number, before.Order)
	}
	ended := step.Status == contract.StepDone || step.Status == contract.StepCancelled
	c.check(ended == !step.FinishedAt.IsZero(), "step %d with status %s finished at %s", number, step.Status, step.FinishedAt)
	for _, a := range step.Assignments {
		c.checkAssignment(number, step, a)
	}
}

func (c *checker) checkAssignment(number int, step Step, a Assignment) {
	c.check(a.Over() == !a.EndedAt.IsZero(), "assignment %s is %s and ended at %s", a.ID, a.Status, a.EndedAt)
	c.check(len(a.Actions) == len(step.Actions), "assignment %s has %d actions of %d", a.ID, len(a.Actions), len(step.Actions))
	worked := !slices.ContainsFunc(a.Actions, func(status ActionStatus) bool { return status != ActionWorked })
	c.check(worked == (a.Status == Done), "assignment %s is %s with actions %v", a.ID, a.Status, a.Actions)
	consented := a.Status == Consented || a.Status == Signing
	c.check(!consented || step.NeedsSigning(), "assignment %s is %s, but step %d signs nothing", a.ID, a.Status, number)
	c.check(!consented && a.Status != Done || !a.ConfirmedAt.IsZero(), "assignment %s is %s without consent", a.ID, a.Status)
	c.check((a.Status == Consented) == slices.Contains(c.state.Queue, a.ID), "assignment %s is %s with queue %v", a.ID, a.Status, c.state.Queue)
	holds := c.state.Lease != nil && c.state.Lease.Assignment == a.ID
	c.check((a.Status == Signing) == holds, "assignment %s is %s, holds the lease: %t", a.ID, a.Status, holds)
}

func (c *checker) checkLease() {
	s := c.state
	seen := map[string]bool{}
	for _, step := range s.Steps {
		for _, a := range step.Assignments {
			c.check(a.ID != "" && !seen[a.ID], "assignment id %q is empty or there twice", a.ID)
			seen[a.ID] = true
		}
	}
	queued := map[string]bool{}
	for _, id := range s.Queue {
		c.check(seen[id] && !queued[id], "queue %v holds %q twice or has a stranger", s.Queue, id)
		queued[id] = true
	}
	c.check(len(s.Queue) == 0 || s.Lease != nil, "%d wait for a lease that nobody holds", len(s.Queue))
	if s.Lease != nil {
		c.check(seen[s.Lease.Assignment], "the lease is held by a stranger, %q", s.Lease.Assignment)
		c.check(s.Lease.Epoch == s.Epoch && s.Epoch > 0, "lease has epoch %d, the envelope %d", s.Lease.Epoch, s.Epoch)
	}
}

// checkProgress looks for states that wait for nobody.
func (c *checker) checkProgress() {
	if c.state.ProcessStatus != contract.ProcessOpen {
		c.check(c.state.Lease == nil, "process %q has a lease", c.state.ProcessStatus)
		return
	}
	waits := c.state.Lease != nil
	for _, step := range c.state.Steps {
		for _, a := range step.Assignments {
			waits = waits || step.Status == contract.StepWorking && step.Kind == handover.Human && a.Status == Waiting
		}
	}
	c.check(waits, "the process is open, but waits for nobody")
}
