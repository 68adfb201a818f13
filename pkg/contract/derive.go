package contract

import (
	"strings"
	"time"
	"unicode"
)

// Outcome returns the REST answer for the code.
func (c Code) Outcome(message string) Outcome { return Outcome{Code: c.API(), Message: message} }

// ReturnStatus returns the return status of OperationDone for the code.
func (c Code) ReturnStatus(message string) Outcome { return Outcome{Code: string(c), Message: message} }

// ID returns the number that chapter 4.1 gives to the trust level; 0 when it gives none.
func (t TrustLevel) ID() int {
	switch t {
	case TrustDigitalPDF:
		return 1
	case TrustDigitalP7M:
		return 2
	case TrustInternalPDF:
		return 3
	case TrustFEA:
		return 4
	}
	return 0
}

// The constants of an answer for what the bus does not have: external archives.
const (
	// ArchiveExcluded says that the envelope does not go to an external archive.
	ArchiveExcluded = "EXC"
	// LoadedByWebService is the loading method of REST, SOAP and the queue.
	LoadedByWebService = "W"
	loadedUnknown      = "X"
	typeSignAndSend    = "SST"
	typeTemplate       = "TPL"
	// TypeStandard is the type of an ordinary envelope.
	TypeStandard = "STD"
	// CloudLocal is the source of a document that came with the request.
	CloudLocal = "LOC"
	// DocTypeDocument is the type of an ordinary document.
	DocTypeDocument = "D"
	docTypeReport   = "R"
)

// Derive fills every field that follows from others: the booleans of the status, of the
// sending mode, of the archives and of the origin; counts and sizes of documents; ages
// at the moment now; the same inside process, steps, details and messages.
func (f *FoundEnvelope) Derive(now time.Time) {
	f.deriveStatus()
	f.deriveOrigin()
	f.deriveDocuments(now)
	f.deriveTimes(now)
	f.deriveLists()
	f.HasProcessInstance = f.Process != nil
	if f.Process != nil {
		f.Process.derive(now)
	}
	for i := range f.Details {
		f.Details[i].derive()
	}
	if f.CommonMessage != nil {
		f.CommonMessage.derive()
	}
	for i := range f.Messages {
		f.Messages[i].derive()
	}
}

// deriveLists makes absent lists empty: in an answer a list is never null.
func (f *FoundEnvelope) deriveLists() {
	f.Documents = listOrEmpty(f.Documents)
	f.Details = listOrEmpty(f.Details)
	f.Messages = listOrEmpty(f.Messages)
	f.UsersInCC = listOrEmpty(f.UsersInCC)
	f.Notes = listOrEmpty(f.Notes)
	if f.Process != nil {
		f.Process.Steps = listOrEmpty(f.Process.Steps)
		f.Process.LiveStatus = listOrEmpty(f.Process.LiveStatus)
	}
}

func listOrEmpty[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}

func (f *FoundEnvelope) deriveStatus() {
	f.Temp = f.Status == StatusTemporary
	f.Deleted = f.Status == StatusDeleted
	f.Stored = f.Status == StatusStored
	f.Draft = f.Status == StatusDraft
	f.InProgress = f.Status == StatusInProgress
	f.Cancel = f.Status == StatusCancelled
	f.ToReject = f.Status == StatusToReject
	f.Rejected = f.Status == StatusRejected
	f.Worked = f.Status == StatusWorked
	f.Expired = f.Status == StatusExpired
	f.AvailableToWork = f.InProgress || f.ToReject
	f.SendingModeImmediate = f.SendingMode == SendImmediate
	f.SendingModeDraft = f.SendingMode == SendDraft
}

func (f *FoundEnvelope) deriveOrigin() {
	f.TrustLevelID = f.TrustLevelCode.ID()
	f.SST = f.Type == typeSignAndSend
	f.Template = f.Type == typeTemplate
	f.LoadedByUnknown = f.SysGenerator == "UNK"
	f.LoadedBySignBook3 = f.SysGenerator == "SB3"
	f.LoadedMethodKnown = f.LoadingMethod != loadedUnknown
	f.ExternalNotifDisabled = f.LoadedByUnknown || f.LoadedBySignBook3 || f.ExternalID == ""
	f.ExcludedForCSost = f.CSostState == ArchiveExcluded
	f.WaitingForCSost = f.CSostState == "WTN"
	f.StoredInCSost = f.CSostState == "STD"
	f.ScheduledToSendToCSost = f.CSostState == "STS"
	f.ExcludedForDMS = f.DMSState == ArchiveExcluded
	f.ScheduledToSendToDMS = f.DMSState == "STS"
	f.SentToDMS = f.DMSState == "SNT"
	f.ActualEnveID = f.Code
	if f.CustEnveID != nil {
		f.ActualEnveID = *f.CustEnveID
	}
}

func (f *FoundEnvelope) deriveDocuments(now time.Time) {
	f.NDocs, f.NPages, f.Size = len(f.Documents), 0, 0
	f.DocsWithoutReports, f.PagesWithoutReports = 0, 0
	for i := range f.Documents {
		d := &f.Documents[i]
		d.DelayDays = wholeDays(d.CreatedAt, now)
		f.NPages += d.NPages
		f.Size += d.Size
		if d.DocType != docTypeReport {
			f.DocsWithoutReports++
			f.PagesWithoutReports += d.NPages
		}
	}
}

func (f *FoundEnvelope) deriveTimes(now time.Time) {
	f.DelayDays = wholeDays(f.CreatedAt, now)
	f.HoursToExpiration = 0
	if f.ExpireAt != nil && f.ExpireAt.Time().After(now) {
		f.HoursToExpiration = int(f.ExpireAt.Time().Sub(now) / time.Hour)
	}
	f.DaysToExpiration = f.HoursToExpiration / 24
}

func wholeDays(since Millis, now time.Time) int {
	if since == 0 || now.Before(since.Time()) {
		return 0
	}
	return int(now.Sub(since.Time()) / (24 * time.Hour))
}

func (p *FoundProcess) derive(now time.Time) {
	p.Open = p.Status == ProcessOpen
	p.Closed = p.Status == ProcessClosed
	p.Cancelled = p.Status == ProcessCancelled
	p.Ended = !p.Open
	p.EndedStepsCount = 0
	for i := range p.Steps {
		s := &p.Steps[i]
		s.First = s.StepNum == 0
		s.Ended = s.Status == StepDone || s.Status == StepClosed || s.Status == StepCancelled
		if s.Status == StepDone {
			p.EndedStepsCount++
		}
	}
	end := now
	if p.FinishedAt != nil {
		end = p.FinishedAt.Time()
	}
	p.TimeElapsedInHour = max(0, end.Sub(p.StartedAt.Time()).Hours())
}

func (d *FoundDetail) derive() {
	d.StatusNew = d.Status == LiveNew
	d.StatusToConfirm = d.Status == LiveToConfirm
	d.StatusWorked = d.Status == LiveWorked
	d.ToWork = d.StatusNew
}

func (m *FoundMessage) derive() {
	m.CommonMessage = m.AllEnveUsers
	m.TextCleaned = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) && r != '\n' && r != '\t' {
			return -1
		}
		return r
	}, m.Text)
}
