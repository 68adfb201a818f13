package contract

import "time"

// Millis is a moment in milliseconds since 1 January 1970 UTC; zero means absent.
type Millis int64

// MillisOf converts a time; the zero time gives zero.
func MillisOf(t time.Time) Millis {
	if t.IsZero() {
		return 0
	}
	return Millis(t.UnixMilli())
}

// Time converts to UTC; zero gives the zero time.
func (m Millis) Time() time.Time {
	if m == 0 {
		return time.Time{}
	}
	return time.UnixMilli(int64(m)).UTC()
}

// InsertEnvelope is the command insertEnvelope: the InsertEnvelopeRequest of chapter 4.1.
type InsertEnvelope struct {
	// CustomerCode is the secret key of the customer. Mandatory (4.1).
	CustomerCode string `json:"customerCode"`
	// ExternalSystemCode names the external system. Mandatory (4.1).
	ExternalSystemCode string `json:"externalSystemCode"`
	// AddUsersInCC lists users who get a copy. Optional (4.1, 6.4); not built.
	AddUsersInCC []UserInCC `json:"addUsersInCC,omitempty"`
	// Envelope is what to sign and how. Mandatory (4.1).
	Envelope Envelope `json:"envelope"`
}

// UserInCC is a user who gets a copy of the envelope (chapters 5.1 and 6.4).
type UserInCC struct {
	// ExternalID names the user. Optional (6.4).
	ExternalID string `json:"externalId,omitempty"`
	// Email is looked for when there is no externalId. Optional (6.4).
	Email string `json:"email,omitempty"`
	// Name is used when no user is found. Optional (6.4).
	Name string `json:"name,omitempty"`
	// Surname is used when no user is found. Optional (6.4).
	Surname string `json:"surname,omitempty"`
	// AddUsersInCCStrategy is EMAIL_ALWAYS or absent. Optional (6.4).
	AddUsersInCCStrategy string `json:"addUsersInCCStrategy,omitempty"`
}

// Envelope is one or more documents that follow one process (chapters 2, 4.1 and 5.1).
type Envelope struct {
	// ExternalID is the id in the external system, unique per customer and case-sensitive. Mandatory (4.1).
	ExternalID string `json:"externalId"`
	// Subject is the title of the envelope. Mandatory (4.1).
	Subject string `json:"subject"`
	// Starred marks an urgent envelope. Optional, default false (4.1).
	Starred bool `json:"starred,omitempty"`
	// SendingMode is IMD or DRF. Optional, default IMD (4.1).
	SendingMode SendingMode `json:"sendingMode,omitempty"`
	// LoadedByExtID names the secretary who loads the envelope. Mandatory (4.1).
	LoadedByExtID string `json:"loadedByExtId"`
	// Tag is a free label. Optional (4.1).
	Tag string `json:"tag,omitempty"`
	// ExpireAt is when the envelope expires. Optional (4.1).
	ExpireAt Millis `json:"expireAt,omitempty"`
	// Note is a free note. Optional (4.1).
	Note string `json:"note,omitempty"`
	// CorporateUseType is P, C, A or X. Optional (4.1, 5.1).
	CorporateUseType UseType `json:"corporateUseType,omitempty"`
	// ExpirationFirstReminder is in days. Optional (4.1); not built.
	ExpirationFirstReminder int `json:"expirationFirstReminder,omitempty"`
	// ExpirationFollowingReminder is in days. Optional (4.1); not built.
	ExpirationFollowingReminder int `json:"expirationFollowingReminder,omitempty"`
	// TrustLevelCode is the trust level. Mandatory (4.1).
	TrustLevelCode TrustLevel `json:"trustLevelCode"`
	// SysGenerator is the system that made the envelope. Optional (4.1).
	SysGenerator string `json:"sysGenerator,omitempty"`
	// Documents has at least one document. Mandatory (4.1).
	Documents []Document `json:"documents"`
	// CommonMessage goes to all users. Optional (4.1).
	CommonMessage *CommonMessage `json:"commonMessage,omitempty"`
	// DocClass classifies the documents. Optional (4.1); not built.
	DocClass *DocClass `json:"docClass,omitempty"`
	// ProcDef is the process. Mandatory unless SendingMode is DRF (4.1, 5.1).
	ProcDef *ProcDef `json:"procDef,omitempty"`
	// JoinDocuments lists documents to merge, separated by spaces. Optional (5.1); not built.
	JoinDocuments string `json:"joinDocuments,omitempty"`
	// ConfString configures the envelope. Optional (9.2); not built.
	ConfString ConfString `json:"confString,omitempty"`
}

// CommonMessage is the message to all users (chapter 4.1).
type CommonMessage struct {
	// Subject is the title of the mail. Mandatory (4.1).
	Subject string `json:"subject"`
	// Text is the body of the mail. Mandatory (4.1).
	Text string `json:"text"`
	// UserMessages are for single users. Optional (9.2, 10); not built.
	UserMessages []UserMessage `json:"userMessages,omitempty"`
}

// UserMessage is a message to one user (chapter 9.2).
type UserMessage struct {
	// UserExtID names the user. Optional (9.2).
	UserExtID string `json:"userExtId,omitempty"`
	// Text is the message. Optional (9.2).
	Text string `json:"text,omitempty"`
}

// Document is a file to sign (chapters 4.1 and 5.1). Its content is either in Bytes
// or named by URI, never both.
type Document struct {
	// ExternalID names the document in its envelope. Mandatory (4.1).
	ExternalID string `json:"externalId"`
	// Title is shown to the signers. Mandatory (4.1).
	Title string `json:"title"`
	// MimeType is application/pdf, or anything with DIGITAL_P7M. Mandatory (4.1).
	MimeType string `json:"mimeType"`
	// OriginalFname is the file name with its extension. Mandatory (4.1).
	OriginalFname string `json:"originalFname"`
	// Bytes is the content, base64 in JSON. Mandatory unless URI is given (4.1).
	Bytes []byte `json:"bytes,omitempty"`
	// URI names the content where Bytes is absent; only blob URIs are built (see [BlobURI]). Optional (4.1).
	URI string `json:"uri,omitempty"`
	// OOXMLSignStrategy is OXP or OXX, for office documents. Optional (4.1); not built.
	OOXMLSignStrategy string `json:"ooxmlSignStrategy,omitempty"`
	// PrivateDoc hides the document from actors without an R action. Optional (4.1); true is not built.
	PrivateDoc bool `json:"privateDoc,omitempty"`
	// Protocols are registrations of the document. Optional (5.1); not built.
	Protocols []Protocol `json:"protocols,omitempty"`
}

// Protocol is a registration of a document (chapter 5.1).
type Protocol struct {
	// Code is the registration's code. Optional (5.1).
	Code string `json:"code,omitempty"`
	// CreatedAt is when the document was registered. Optional (5.1).
	CreatedAt Millis `json:"createdAt,omitempty"`
	// Registry is where. Optional (5.1).
	Registry *ProtocolRegistry `json:"registry,omitempty"`
}

// ProtocolRegistry is a register of documents (chapter 5.1).
type ProtocolRegistry struct {
	// Code is the register's code. Optional (5.1).
	Code string `json:"code,omitempty"`
}

// DocClass is the document class of an envelope (chapters 2, 4.1 and 6.5).
type DocClass struct {
	// ID is the class's id. Mandatory with a policy (4.1, 6.5).
	ID string `json:"id,omitempty"`
	// Name is the class's name. Mandatory (4.1).
	Name string `json:"name"`
	// Fields are the class's values (4.1).
	Fields []DocClassField `json:"fields,omitempty"`
}

// DocClassField is one value of a document class; at least one of its values is given (chapter 4.1).
type DocClassField struct {
	// ID is the field's code. Optional (5.1).
	ID string `json:"id,omitempty"`
	// Name is the field's name. Mandatory (4.1).
	Name string `json:"name"`
	// DateValue is a date. Optional (4.1).
	DateValue *Millis `json:"dateValue,omitempty"`
	// NumericValue is a number. Optional (4.1).
	NumericValue *float64 `json:"numericValue,omitempty"`
	// TextValue is a text. Optional (4.1).
	TextValue *string `json:"textValue,omitempty"`
}

// ProcDef is the definition of the process (chapters 2 and 4.1).
type ProcDef struct {
	// Code is a policy's code. Optional (4.1, 6.5); not built.
	Code string `json:"code,omitempty"`
	// Revision is a policy's revision, -1 for the last. Optional (4.1, 6.5); not built.
	Revision string `json:"revision,omitempty"`
	// Tasks are the tasks. At least one is mandatory when SendingMode is IMD (4.1).
	Tasks []Task `json:"tasks,omitempty"`
	// NewUsers are users to be made. Optional (4.1, 6.2); not built.
	NewUsers []NewUser `json:"newUsers,omitempty"`
}

// Task is one task of the process (chapters 2, 4.1 and 5.1).
type Task struct {
	// Type is T or A. Mandatory (4.1).
	Type TaskType `json:"type"`
	// Order starts at 1; equal orders run in parallel, ascending ones in series. Mandatory (4.1).
	Order int `json:"order"`
	// ActorExpr names users and roles, see [ParseActorExpr]. Mandatory except for SEA and SDM (4.1, 6.3).
	ActorExpr string `json:"actorExpr,omitempty"`
	// Action is WRK, ASI, SEA, PRG or SDM. Mandatory (4.1).
	Action TaskAction `json:"action"`
	// HowMany actors close the task, 1 to 4. Mandatory (4.1).
	HowMany int `json:"howMany"`
	// ActionDefs are what the actors do. Mandatory except for SDM (4.1, 6.3).
	ActionDefs []ActionDef `json:"actionDefs,omitempty"`
	// ConfString configures the task, see [TaskConf]. Optional (4.1).
	ConfString ConfString `json:"confString,omitempty"`
	// CertType is I, R or T. Mandatory for type T (4.1, 6.3).
	CertType CertType `json:"certType,omitempty"`
	// SendMailMessage is the mail of an SDM task. Optional (4.1, 6.3); not built.
	SendMailMessage *SendMailMessage `json:"sendMailMessage,omitempty"`
}

// SendMailMessage is the mail of a task SDM (chapters 4.1, 5.1 and 6.3).
type SendMailMessage struct {
	// Subject is the mail's subject. Optional (4.1).
	Subject string `json:"subject,omitempty"`
	// BodyMail is the mail's body. Optional (4.1).
	BodyMail string `json:"bodyMail,omitempty"`
	// SendMailDocumentList are the attachments. Optional (5.1).
	SendMailDocumentList []SendMailDocument `json:"sendMailDocumentList,omitempty"`
	// SendMailRecipientList are the recipients; one at least is a TO (4.1, 6.3).
	SendMailRecipientList []SendMailRecipient `json:"sendMailRecipientList,omitempty"`
}

// SendMailDocument is an attachment (chapter 5.1).
type SendMailDocument struct {
	// ExternalDocID names the document. Mandatory (5.1).
	ExternalDocID string `json:"externalDocId"`
}

// SendMailRecipient is a recipient (chapters 4.1 and 6.3).
type SendMailRecipient struct {
	// UserExternalID names a user. Optional (4.1).
	UserExternalID string `json:"userExternalId,omitempty"`
	// Email is used when there is no user. Optional (4.1).
	Email string `json:"email,omitempty"`
	// TypeRecipient is TO or CC. Mandatory (4.1).
	TypeRecipient string `json:"typeRecipient"`
}

// ActionDef is one action on one document (chapters 2 and 4.1).
type ActionDef struct {
	// DocExternalID names the document. Mandatory (4.1).
	DocExternalID string `json:"docExternalId"`
	// Type is S, A, V, I, G, R or P. Mandatory (4.1).
	Type ActionType `json:"type"`
	// Mandatory is true, except for type G. Mandatory (4.1).
	Mandatory bool `json:"mandatory"`
	// ConfString configures the action, see [ActionConf]. Optional (4.1).
	ConfString ConfString `json:"confString,omitempty"`
	// Appearance says where the action shows. Mandatory for what shows (4.1, 5.1).
	Appearance *Appearance `json:"appearance,omitempty"`
}

// Appearance says where an action shows; exactly one way of placing is given (chapters 4.1 and 5.1).
type Appearance struct {
	// BlankSignatureFieldName names an empty signature field of the PDF. Optional (4.1).
	BlankSignatureFieldName string `json:"blankSignatureFieldName,omitempty"`
	// CompassAppearance places by compass. Optional (4.1).
	CompassAppearance *CompassAppearance `json:"compassAppearance,omitempty"`
	// CoordAppearance places by coordinates. Optional (4.1).
	CoordAppearance *CoordAppearance `json:"coordAppearance,omitempty"`
	// TagAppearance places by a tag in the text. Optional (4.1, 6.1); not built.
	TagAppearance *TagAppearance `json:"tagAppearance,omitempty"`
	// TagPattern is the older form of TagAppearance. Optional (4.1); not built.
	TagPattern string `json:"tagPattern,omitempty"`
	// Invisible hides the action. Optional, default false (5.1, 10).
	Invisible bool `json:"invisible,omitempty"`
	// AnnotationContent is a text in the annotation, seen in real payloads. Optional; not built.
	AnnotationContent string `json:"annotationContent,omitempty"`
}

// CompassAppearance places an action in one of nine zones of a page (chapter 4.1).
type CompassAppearance struct {
	// Page starts at 1, or is -1 (last), -2 (all) or -3 (first and last). Mandatory (4.1).
	Page int `json:"page"`
	// Position is -1 (invisible) or 1 to 9 in reading order; 0 or absent is the bus's choice, 9. Optional (4.1).
	Position int `json:"position,omitempty"`
}

// Zone returns the position with the default filled in.
func (c CompassAppearance) Zone() int {
	if c.Position == PositionUnset {
		return PositionBottomRight
	}
	return c.Position
}

// CoordAppearance places an action in a rectangle of PDF points, origin at the lower left (chapter 4.1).
// The two corners may come in either order: the example 4.3.2 has the upper one first.
type CoordAppearance struct {
	// Page starts at 1, or is -1 (last), -2 (all) or -3 (first and last). Mandatory (4.1).
	Page int `json:"page"`
	// LLX is the first corner's horizontal coordinate. Mandatory (4.1).
	LLX float64 `json:"llx" present:"must"`
	// LLY is the first corner's vertical coordinate. Mandatory (4.1).
	LLY float64 `json:"lly" present:"must"`
	// URX is the second corner's horizontal coordinate. Mandatory (4.1).
	URX float64 `json:"urx" present:"must"`
	// URY is the second corner's vertical coordinate. Mandatory (4.1).
	URY float64 `json:"ury" present:"must"`
}

// TagAppearance places an action at a tag in the document's text (chapters 4.1 and 6.1).
type TagAppearance struct {
	// CornerType is SBL, BLR or TLR. Optional, default SBL (4.1).
	CornerType CornerType `json:"cornerType,omitempty"`
	// StartTagPattern is the tag. Mandatory (4.1).
	StartTagPattern string `json:"startTagPattern"`
	// EndTagPattern is the tag at the other end of the rectangle. Optional (4.1).
	EndTagPattern string `json:"endTagPattern,omitempty"`
	// XOffset moves to the right, in points. Optional (4.1).
	XOffset float64 `json:"xoffset,omitempty"`
	// YOffset moves upwards, in points. Optional (4.1).
	YOffset float64 `json:"yoffset,omitempty"`
}

// NewUser is a user to be made with the envelope (chapters 4.1, 5.1, 6.2 and 9.2).
type NewUser struct {
	// Username is the name to log in with. Mandatory (4.1).
	Username string `json:"username"`
	// Name is the given name. Mandatory (4.1).
	Name string `json:"name"`
	// Surname is the family name. Mandatory (4.1).
	Surname string `json:"surname"`
	// Email is the address. Mandatory (4.1).
	Email string `json:"email"`
	// ExternalID is the id in the external system. Mandatory (4.1).
	ExternalID string `json:"externalId"`
	// NewUserStrategy is one of the strategies. Mandatory (4.1).
	NewUserStrategy NewUserStrategy `json:"newUserStrategy"`
	// UserAuthorities are the roles. Mandatory (4.1).
	UserAuthorities []UserAuthority `json:"userAuthorities"`
	// PhoneNumber has the country code. Optional (4.1).
	PhoneNumber string `json:"phoneNumber,omitempty"`
	// EmailLanguage is the language of mails. Optional (5.1).
	EmailLanguage string `json:"emailLanguage,omitempty"`
	// FiscalCode is a tax number. Optional (5.1).
	FiscalCode string `json:"fiscalCode,omitempty"`
	// Title is shown in signatures. Optional (9.2).
	Title string `json:"title,omitempty"`
	// Company is shown in signatures. Optional (9.2).
	Company string `json:"company,omitempty"`
	// OrganizationUnit is shown in signatures. Optional (9.2).
	OrganizationUnit string `json:"organizationUnit,omitempty"`
}

// UserAuthority gives a role to a new user (chapter 4.1).
type UserAuthority struct {
	// Username is the user who is made. Mandatory (4.1).
	Username string `json:"username,omitempty"`
	// Authority is ROLE_STRANGER, ROLE_ADMIN, ROLE_SEGR_ADMIN, ROLE_SEGR or ROLE_MGR. Mandatory (4.1).
	Authority string `json:"authority"`
}
