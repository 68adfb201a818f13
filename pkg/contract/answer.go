package contract

// Outcome is the answer to a command over REST and the return status of OperationDone.
type Outcome struct {
	// Code is OK or the code of the error: upper case over REST, lower case in OperationDone.
	Code string `json:"code"`
	// Message is the operation id, or a sentence that says what to change.
	Message string `json:"message"`
}

// Status is the answer to the query status.
type Status struct {
	// EnveExtID names the envelope.
	EnveExtID string `json:"enveExtId"`
	// Status is the short code.
	Status EnvelopeStatus `json:"status"`
	// Name is the long name of the status.
	Name string `json:"name"`
}

// SigningURL is the answer to the query url.
type SigningURL struct {
	// URL is the address of the signing page.
	URL string `json:"url"`
}

// FoundEnvelope is the answer to GetEnvelope (chapter 4.1). Fields whose value is
// unknown are null. Nothing is derived here: [FoundEnvelope.Derive] fills the booleans
// and counts that follow from the status, the sending mode and the documents.
type FoundEnvelope struct {
	// ExternalID is the id in the external system.
	ExternalID string `json:"externalId"`
	// Code is the unique code that the bus gave.
	Code string `json:"code"`
	// Subject is the title.
	Subject string `json:"subject"`
	// Status is the current status.
	Status EnvelopeStatus `json:"status"`
	// PreviousStatus is the status before, if there was one.
	PreviousStatus *EnvelopeStatus `json:"previousStatus"`
	// Starred marks an urgent envelope.
	Starred bool `json:"starred"`
	// CreatedAt is when the envelope was inserted.
	CreatedAt Millis `json:"createdAt"`
	// CompletedAt is when the process ended.
	CompletedAt *Millis `json:"completedAt"`
	// LoadedByExtID names the secretary who loaded the envelope.
	LoadedByExtID string `json:"loadedByExtId"`
	// NotifiedStatus is how far notification has come: X (initial) to Y (complete).
	NotifiedStatus string `json:"notifiedStatus"`
	// NotifiedAt is the moment of the last notification.
	NotifiedAt *Millis `json:"notifiedAt"`
	// LoadingMethod is how the envelope came: W is a web service.
	LoadingMethod string `json:"loadingMethod"`
	// Process is the process, null for a draft.
	Process *FoundProcess `json:"process"`
	// Type is STD (standard), SST (sign and send) or TPL (template).
	Type string `json:"type"`
	// Tag is a free label.
	Tag *string `json:"tag"`
	// NDocs counts the documents.
	NDocs int `json:"nDocs"`
	// NPages counts the pages.
	NPages int `json:"nPages"`
	// Size is the size of all documents in bytes.
	Size int64 `json:"size"`
	// ExpireAt is when the envelope expires.
	ExpireAt *Millis `json:"expireAt"`
	// ExpireAtTimezoneID is the time zone that the expiry was meant in.
	ExpireAtTimezoneID *string `json:"expireAtTimezoneID"`
	// Note is a free note.
	Note *string `json:"note"`
	// CorporateUseType is P, C, A or X.
	CorporateUseType *UseType `json:"corporateUseType"`
	// SendingMode is IMD or DRF.
	SendingMode SendingMode `json:"sendingMode"`
	// Documents are the documents at their last version.
	Documents []FoundDocument `json:"documents"`
	// Details are the shares of the managers.
	Details []FoundDetail `json:"details"`
	// CommonMessage is the message to all users.
	CommonMessage *FoundMessage `json:"commonMessage"`
	// Messages are the messages to single users.
	Messages []FoundMessage `json:"messages"`
	// UsersInCC are the users who get a copy.
	UsersInCC []UserInCC `json:"usersInCC"`
	// ExpirationFirstReminder is the days until the first reminder.
	ExpirationFirstReminder *int `json:"expirationFirstReminder"`
	// ExpirationFollowingReminder is the days until the next ones.
	ExpirationFollowingReminder *int `json:"expirationFollowingReminder"`
	// HoursToExpiration is the hours left, 0 without an expiry.
	HoursToExpiration int `json:"hoursToExpiration"`
	// SendFirstReminder is true when the first reminder was sent.
	SendFirstReminder bool `json:"sendFirstReminder"`
	// StoredAt is when the envelope was archived.
	StoredAt *Millis `json:"storedAt"`
	// DeletedAt is when the envelope was deleted.
	DeletedAt *Millis `json:"deletedAt"`
	// SysGenerator is the system that made the envelope.
	SysGenerator string `json:"sysGenerator"`
	// DelayDays is the days since the insertion.
	DelayDays int `json:"delayDays"`
	// ActionsResume counts the actions of all steps.
	ActionsResume *ActionsResume `json:"actionsResume"`
	// CSostID is the id in an external archive.
	CSostID *string `json:"cSostId"`
	// CSostState is the state of the external archive, EXC when excluded.
	CSostState string `json:"cSostState"`
	// LastCSostChange is the last change of that state.
	LastCSostChange *Millis `json:"lastCSostChange"`
	// DMSState is the state of the external DMS, EXC when excluded.
	DMSState string `json:"dmsState"`
	// LastDMSChange is the last change of that state.
	LastDMSChange *Millis `json:"lastDmsChange"`
	// TplMinsBeforeExpiration is a template's time to expiry in minutes.
	TplMinsBeforeExpiration *int `json:"tplMinsBeforeExpiration"`
	// CostCenterID is the cost centre.
	CostCenterID *int `json:"costCenterId"`
	// TrustLevelID is the number of the trust level, 1 to 4.
	TrustLevelID int `json:"trustLevelId"`
	// TrustLevelCode is the trust level.
	TrustLevelCode TrustLevel `json:"trustLevelCode"`
	// CustEnveID is the id that a template gave.
	CustEnveID *string `json:"custEnveId"`
	// Notes are the notes of users.
	Notes []FoundNote `json:"notes"`
	// EvaluateFellowshipBefore is true while an invitation must be answered first.
	EvaluateFellowshipBefore bool `json:"evaluateFellowshipBefore"`
	// HasThirdPartyTasks is true when third parties have tasks.
	HasThirdPartyTasks bool `json:"hasThirdPartyTasks"`
	// Template is true for a template.
	Template bool `json:"template"`
	// HasProcessInstance is true when the process was started.
	HasProcessInstance bool `json:"hasProcessInstance"`
	// ExcludedForDMS is true when no DMS is concerned.
	ExcludedForDMS bool `json:"excludedForDms"`
	// ExcludedForCSost is true when no archive is concerned.
	ExcludedForCSost bool `json:"excludedForCSost"`
	// WaitingForCSost is true while the archive has not stored.
	WaitingForCSost bool `json:"waitingForCSost"`
	// ActualEnveID is custEnveId if there is one, else the code.
	ActualEnveID string `json:"actualEnveId"`
	// LoadedByUnknown is true when the system is unknown.
	LoadedByUnknown bool `json:"loadedByUnknown"`
	// LoadedBySignBook3 is true when the system is SB3.
	LoadedBySignBook3 bool `json:"loadedBySignBook3"`
	// HasProcessDef is true when a process is defined.
	HasProcessDef bool `json:"hasProcessDef"`
	// SST is true for sign and send.
	SST bool `json:"sst"`
	// Temp is true in status TMP.
	Temp bool `json:"temp"`
	// Deleted is true in status DEL.
	Deleted bool `json:"deleted"`
	// Stored is true in status STO.
	Stored bool `json:"stored"`
	// Draft is true in status DRF.
	Draft bool `json:"draft"`
	// InProgress is true in status PGS.
	InProgress bool `json:"inProgress"`
	// Cancel is true in status STP.
	Cancel bool `json:"cancel"`
	// ToReject is true in status TRJ.
	ToReject bool `json:"toReject"`
	// Rejected is true in status REJ.
	Rejected bool `json:"rejected"`
	// Worked is true in status WKD.
	Worked bool `json:"worked"`
	// Expired is true in status EXP.
	Expired bool `json:"expired"`
	// ExternalNotifInProgress is true while a notification is under way.
	ExternalNotifInProgress bool `json:"externalNotifInProgress"`
	// SendingModeImmediate is true for IMD.
	SendingModeImmediate bool `json:"sendingModeImmediate"`
	// ScheduledToSendToDMS is true when the DMS is due.
	ScheduledToSendToDMS bool `json:"scheduledToSendToDms"`
	// ScheduledToSendToCSost is true when the archive is due.
	ScheduledToSendToCSost bool `json:"scheduledToSendToCSost"`
	// DaysToExpiration is hoursToExpiration divided by 24.
	DaysToExpiration int `json:"daysToExpiration"`
	// MaxSizeEnabled is true when the size is limited.
	MaxSizeEnabled bool `json:"maxSizeEnabled"`
	// AvailableToWork is true in status PGS or TRJ.
	AvailableToWork bool `json:"availableToWork"`
	// PagesWithoutReports counts the pages without reports.
	PagesWithoutReports int `json:"npages"`
	// DocsWithoutReports counts the documents without reports.
	DocsWithoutReports int `json:"ndocs"`
	// SentToDMS is true when the DMS has it.
	SentToDMS bool `json:"sentToDms"`
	// ExternalNotifDisabled is true when nobody outside is notified.
	ExternalNotifDisabled bool `json:"externalNotifDisabled"`
	// LoadedMethodKnown is true when the loading method is known; the name is misspelt in the published API.
	LoadedMethodKnown bool `json:"loadedMethonKnown"`
	// SendingModeDraft is true for DRF.
	SendingModeDraft bool `json:"sendingModeDraft"`
	// StoredInCSost is true when the archive has it.
	StoredInCSost bool `json:"storedInCSost"`
}

// FoundDocument is a document in the answer to GetEnvelope (chapter 4.1).
type FoundDocument struct {
	// Size is the number of bytes.
	Size int64 `json:"size"`
	// Exported is true when the document was exported.
	Exported bool `json:"exported"`
	// ExportedAt is when.
	ExportedAt *Millis `json:"exportedAt"`
	// Encrypted is true when it is stored encrypted.
	Encrypted bool `json:"encrypted"`
	// Bytes is null unless the query asked for the content.
	Bytes []byte `json:"bytes"`
	// Title is the title.
	Title string `json:"title"`
	// CreatedAt is when the document was inserted.
	CreatedAt Millis `json:"createdAt"`
	// DocStatus is N (new), D (deleted), T (temporary), S (archived) or E (to be deleted).
	DocStatus string `json:"docStatus"`
	// NPages counts the pages.
	NPages int `json:"nPages"`
	// MimeType is the media type.
	MimeType string `json:"mimeType"`
	// OriginalFname is the file name.
	OriginalFname string `json:"originalFname"`
	// DocType is D (document), R (report) or A (attachment).
	DocType string `json:"docType"`
	// ExternalID is the id in the external system.
	ExternalID string `json:"externalId"`
	// DelayDays is the days since the insertion.
	DelayDays int `json:"delayDays"`
	// LoadingMethod is how the document came: W is a web service.
	LoadingMethod string `json:"loadingMethod"`
	// OriginalMimeType is the media type before a signature was put around the document.
	OriginalMimeType *string `json:"originalMimeType"`
	// OriginalDocSize is the size before that.
	OriginalDocSize *int64 `json:"originalDocSize"`
	// Converted is true when the document was converted.
	Converted bool `json:"converted"`
	// SrvVer is the version of the server that took it.
	SrvVer int `json:"srvVer"`
	// TblVer is the version of the app that took it.
	TblVer int `json:"tblVer"`
	// CSostID is the id in an external archive.
	CSostID *string `json:"cSostId"`
	// DocOrder is the place in the envelope, from 1.
	DocOrder int `json:"docOrder"`
	// Template is true for a template.
	Template bool `json:"template"`
	// CloudService is where it came from, LOC for the request itself.
	CloudService string `json:"cloudService"`
	// OOXMLSignStrategy is OXP or OXX for office documents.
	OOXMLSignStrategy *string `json:"ooxmlSignStrategy"`
}

// ActionsResume counts actions by type and state (chapter 4.1).
type ActionsResume struct {
	// Actions counts all actions.
	Actions int `json:"actions"`
	// SignActions counts signatures to make.
	SignActions int `json:"signActions"`
	// SignedActions counts signatures confirmed or made.
	SignedActions int `json:"signedActions"`
	// ApproveActions counts approvals to give.
	ApproveActions int `json:"approveActions"`
	// ApprovedActions counts approvals confirmed or given.
	ApprovedActions int `json:"approvedActions"`
	// ViewActions counts views to do.
	ViewActions int `json:"viewActions"`
	// ViewedActions counts views confirmed or done.
	ViewedActions int `json:"viewedActions"`
	// BatchSignedActions counts actions done in bulk.
	BatchSignedActions int `json:"batchSignedActions"`
	// InitialsActions counts initials to put.
	InitialsActions int `json:"initialsActions"`
	// InitialedActions counts initials confirmed or put.
	InitialedActions int `json:"initialedActions"`
	// ConfirmedActions counts confirmed actions of any kind.
	ConfirmedActions int `json:"confirmedActions"`
	// RegisterActions counts registrations to make.
	RegisterActions int `json:"registerActions"`
	// RegisteredActions counts registrations confirmed or made.
	RegisteredActions int `json:"registeredActions"`
	// FilledFreeTextActions counts free texts filled in.
	FilledFreeTextActions int `json:"filledFreeTextActions"`
	// FreeTextActions counts free texts.
	FreeTextActions int `json:"freeTextActions"`
	// GraphometricActions counts graphometric actions.
	GraphometricActions int `json:"graphometricActions"`
	// FilledGraphometricActions counts graphometric actions done.
	FilledGraphometricActions int `json:"filledGraphometricActions"`
}

// FoundProcess is the process in the answer to GetEnvelope (chapter 4.1).
type FoundProcess struct {
	// StartedByUserExtID names the user who started the process.
	StartedByUserExtID string `json:"startedByUserExtId"`
	// Status is O (open), C (closed) or X (cancelled).
	Status ProcessStatus `json:"status"`
	// Ended is true when the process is over.
	Ended bool `json:"ended"`
	// StartedAt is when it started.
	StartedAt Millis `json:"startedAt"`
	// FinishedAt is when it ended.
	FinishedAt *Millis `json:"finishedAt"`
	// Steps are the steps in order.
	Steps []FoundStep `json:"steps"`
	// LiveStatus are the shares of all steps.
	LiveStatus []StepEvent `json:"liveStatus"`
	// Open is true for status O.
	Open bool `json:"open"`
	// Closed is true for status C.
	Closed bool `json:"closed"`
	// Cancelled is true for status X.
	Cancelled bool `json:"cancelled"`
	// EndedStepsCount counts the completed steps.
	EndedStepsCount int `json:"endedStepsCount"`
	// TimeElapsedInHour is how long the process has run, in hours.
	TimeElapsedInHour float64 `json:"timeElapsedInHour"`
}

// FoundStep is a step of the process (chapter 4.1).
type FoundStep struct {
	// StepNum is 0 for the first step.
	StepNum int `json:"stepNum"`
	// StartedAt is when the step started.
	StartedAt *Millis `json:"startedAt"`
	// FinishedAt is when it ended.
	FinishedAt *Millis `json:"finishedAt"`
	// Status is N (not started), W (working), D (done), C (closed) or X (cancelled).
	Status StepStatus `json:"status"`
	// HowMany is how many actors have completed the step so far.
	HowMany int `json:"howMany"`
	// Ended is true when the step is over.
	Ended bool `json:"ended"`
	// First is true for step 0.
	First bool `json:"first"`
}

// StepEvent is the state of one actor's share of a step (chapters 4.1, 7.1 and 8.3).
type StepEvent struct {
	// MgrExternalID names the actor.
	MgrExternalID string `json:"mgrExternalId"`
	// FromMgrExternalID names the actor who was replaced, if any.
	FromMgrExternalID *string `json:"fromMgrExternalId"`
	// MgrName is the actor's given name.
	MgrName string `json:"mgrName"`
	// MgrSurname is the actor's family name.
	MgrSurname string `json:"mgrSurname"`
	// Status is NEW, TCF (to confirm), WKD (worked), ERJ (rejected) or PCD (cancelled).
	Status LiveStatus `json:"status"`
	// StartedAt is when the step started.
	StartedAt *Millis `json:"startedAt"`
	// EndedAt is when the share ended.
	EndedAt *Millis `json:"endedAt"`
	// AssignedTo is the actor as shown.
	AssignedTo string `json:"assignedTo"`
	// StepNumber is 0 for the first step.
	StepNumber int `json:"stepNumber"`
	// ActionsResume counts the share's actions.
	ActionsResume *ActionsResume `json:"actionsResume"`
	// MgrADDomain is the actor's directory domain.
	MgrADDomain string `json:"mgrAdDomain"`
}

// FoundDetail is how the envelope stands for one user (chapter 4.1).
type FoundDetail struct {
	// Status is NEW, TCF or WKD.
	Status LiveStatus `json:"status"`
	// Action is WRK, or another kind of work.
	Action TaskAction `json:"action"`
	// WorkedAt is when it was worked.
	WorkedAt *Millis `json:"workedAt"`
	// SynchedAt is when an app fetched it.
	SynchedAt *Millis `json:"synchedAt"`
	// StatusWorked is true for WKD.
	StatusWorked bool `json:"statusWorked"`
	// StatusCC is true for a copy.
	StatusCC bool `json:"statusCC"`
	// StatusToConfirm is true for TCF.
	StatusToConfirm bool `json:"statusToConfirm"`
	// ToWork is true while there is work to do.
	ToWork bool `json:"toWork"`
	// StatusNew is true for NEW.
	StatusNew bool `json:"statusNew"`
	// StatusDeleted is true when deleted.
	StatusDeleted bool `json:"statusDeleted"`
}

// FoundMessage is a message of the envelope (chapter 4.1).
type FoundMessage struct {
	// Subject is the subject.
	Subject string `json:"subject"`
	// Text is the text.
	Text string `json:"text"`
	// AllEnveUsers is true for the message to all users.
	AllEnveUsers bool `json:"allEnveUsers"`
	// User is the user it is for, if it is for one.
	User *FoundMessageUser `json:"user"`
	// TextCleaned is the text without control characters.
	TextCleaned string `json:"textCleaned"`
	// CommonMessage says the same as allEnveUsers.
	CommonMessage bool `json:"commonMessage"`
}

// FoundMessageUser is the user a message is meant for (chapter 4.1).
type FoundMessageUser struct {
	// ExtID names the user.
	ExtID string `json:"extId"`
}

// FoundNote is a note on the envelope (chapter 8.3.2).
type FoundNote struct {
	// Text is the note.
	Text string `json:"text"`
	// CreatedAt is when it was written.
	CreatedAt Millis `json:"createdAt"`
	// Name is the writer's given name.
	Name string `json:"name"`
	// Surname is the writer's family name.
	Surname string `json:"surname"`
}
