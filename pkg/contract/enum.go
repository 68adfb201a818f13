package contract

// TrustLevel is the trust level of an envelope (chapter 2).
type TrustLevel string

// The trust levels.
const (
	// TrustInternalPDF is a simple electronic signature inside a PDF.
	TrustInternalPDF TrustLevel = "INTERNAL_PDF"
	// TrustDigitalPDF is a PAdES signature with the signer's certificate.
	TrustDigitalPDF TrustLevel = "DIGITAL_PDF"
	// TrustDigitalP7M is a CAdES signature around the document, whatever its type.
	TrustDigitalP7M TrustLevel = "DIGITAL_P7M"
	// TrustFEA is one closing signature by the system; not built.
	TrustFEA TrustLevel = "FEA"
	// TrustGraphoFEA is a PAdES signature that also holds how the hand moved.
	TrustGraphoFEA TrustLevel = "GRAPHO_FEA"
)

// Format is the form of a signature.
type Format string

// The formats.
const (
	// PAdES is a signature inside a PDF.
	PAdES Format = "PAdES"
	// CAdES is a signature around a file of any type.
	CAdES Format = "CAdES"
)

// Format is the form of the signatures that the trust level asks for.
func (t TrustLevel) Format() Format {
	if t == TrustDigitalP7M {
		return CAdES
	}
	return PAdES
}

// The media types that the bus tells apart; any other is content that it does not look into.
const (
	// MimePDF is a PDF.
	MimePDF = "application/pdf"
	// MimeP7M is a signed message with its content inside (RFC 8551, 3.2).
	MimeP7M = "application/pkcs7-mime"
)

// SendingMode says whether an envelope starts at once (chapter 4.1).
type SendingMode string

// The sending modes.
const (
	// SendImmediate starts the process when the envelope is loaded.
	SendImmediate SendingMode = "IMD"
	// SendDraft keeps the envelope as a draft until sendEnvelope.
	SendDraft SendingMode = "DRF"
)

// UseType is the level of confidentiality inside the company (chapters 2 and 5.1).
type UseType string

// The use types.
const (
	// UsePublic is P.
	UsePublic UseType = "P"
	// UseCorporate is C.
	UseCorporate UseType = "C"
	// UseReserved is A.
	UseReserved UseType = "A"
	// UseRestricted is X.
	UseRestricted UseType = "X"
)

// TaskType says whether people or the system perform a task (chapter 4.1).
type TaskType string

// The task types.
const (
	// TaskHuman is T: the actors perform the task themselves.
	TaskHuman TaskType = "T"
	// TaskAutomatic is A: the system performs it.
	TaskAutomatic TaskType = "A"
)

// TaskAction says what a task does (chapters 4.1 and 5.1).
type TaskAction string

// The task actions.
const (
	// TaskWork is WRK, the processing of documents by people.
	TaskWork TaskAction = "WRK"
	// TaskRegister is PRG, the registration of documents; not built.
	TaskRegister TaskAction = "PRG"
	// TaskSendMail is SDM, a mail with the documents; not built.
	TaskSendMail TaskAction = "SDM"
	// TaskSeal is SEA, a signature with the customer's own certificate.
	TaskSeal TaskAction = "SEA"
	// TaskAutoSign is ASI, an automatic signature in the name of an actor.
	TaskAutoSign TaskAction = "ASI"
)

// CertType is the kind of certificate that a task's signatures use (chapter 4.1).
type CertType string

// The certificate types.
const (
	// CertRemote is R, a certificate on a remote server.
	CertRemote CertType = "R"
	// CertInternal is I, a certificate kept by the bus.
	CertInternal CertType = "I"
	// CertToken is T, a certificate on the signer's token; not built.
	CertToken CertType = "T"
)

// ActionType is what an actor does to a document (chapters 4.1 and 5.1).
type ActionType string

// The action types.
const (
	// ActionSign is S.
	ActionSign ActionType = "S"
	// ActionApprove is A.
	ActionApprove ActionType = "A"
	// ActionView is V.
	ActionView ActionType = "V"
	// ActionInitial is I; not built.
	ActionInitial ActionType = "I"
	// ActionGraphometric is G: a signature with a recording of the hand.
	ActionGraphometric ActionType = "G"
	// ActionPrivateDoc is R, the visibility of a private document; not built.
	ActionPrivateDoc ActionType = "R"
	// ActionProtocol is P, known to SOAP only; not built.
	ActionProtocol ActionType = "P"
)

// Signature reports whether the action is a signature rather than an approval or a view.
func (t ActionType) Signature() bool { return t == ActionSign || t == ActionGraphometric }

// The special page numbers of an appearance.
const (
	// PageLast is the last page.
	PageLast = -1
	// PageAll is every page.
	PageAll = -2
	// PageFirstAndLast is the first and the last page.
	PageFirstAndLast = -3
)

// The compass positions, numbered as in chapter 4.1.
const (
	PositionInvisible   = -1
	PositionUnset       = 0
	PositionTopLeft     = 1
	PositionTop         = 2
	PositionTopRight    = 3
	PositionLeft        = 4
	PositionCenter      = 5
	PositionRight       = 6
	PositionBottomLeft  = 7
	PositionBottom      = 8
	PositionBottomRight = 9
)

// CornerType is how a tag in the text places an action (chapter 4.1).
type CornerType string

// The corner types.
const (
	// CornerSingle is SBL, the lower left corner of the tag.
	CornerSingle CornerType = "SBL"
	// CornerBottomToTop is BLR, the rectangle from lower left to upper right.
	CornerBottomToTop CornerType = "BLR"
	// CornerTopToBottom is TLR, the rectangle from upper left to lower right.
	CornerTopToBottom CornerType = "TLR"
)

// NewUserStrategy says what happens when a new user exists already (chapter 6.2).
type NewUserStrategy string

// The strategies.
const (
	// AcceptAlways is ACCEPT_ALWAYS.
	AcceptAlways NewUserStrategy = "ACCEPT_ALWAYS"
	// RejectIfDifferent is REJECT_IF_DIFFERENT.
	RejectIfDifferent NewUserStrategy = "REJECT_IF_DIFFERENT"
	// RejectAlways is REJECT_ALWAYS, the default.
	RejectAlways NewUserStrategy = "REJECT_ALWAYS"
	// EmailBased is EMAIL_BASED.
	EmailBased NewUserStrategy = "EMAIL_BASED"
)

// Visibility says how an action shows in the PDF (chapter 4.1, confString).
type Visibility string

// The visibilities.
const (
	// VisibilityVisible is V: the action shows on the page.
	VisibilityVisible Visibility = "V"
	// VisibilityHidden is H, for signatures: signed, but not shown.
	VisibilityHidden Visibility = "H"
	// VisibilityNone is N, for approvals and views: the PDF is not changed.
	VisibilityNone Visibility = "N"
)
