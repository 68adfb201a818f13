package contract

import (
	"reflect"
	"slices"
)

// Tolerance is one spelling that is accepted beside the model's own, because the
// published texts contradict themselves about it.
type Tolerance struct {
	// Name identifies the tolerance.
	Name string
	// In is the Go type that it belongs to.
	In string
	// Accepts is what may be sent.
	Accepts string
	// As is what it is read as.
	As string
	// Chapters are the places in the texts that differ.
	Chapters string
}

type tolerance struct {
	Tolerance
	in    reflect.Type
	apply rule
}

// rule puts one object right before it is bound.
type rule func(obj *node, path string, problems *problemList)

// Tolerances lists every accepted spelling. The SOAP page numbers 1, 2 and 3 that have
// lost their minus sign in print are not among them: page 1 is the first page.
func Tolerances() []Tolerance {
	out := make([]Tolerance, 0, len(tolerances)+len(scalarTolerances))
	for _, t := range tolerances {
		out = append(out, t.Tolerance)
	}
	return append(out, scalarTolerances...)
}

// scalarTolerances are built into the binder, for every field of the kind.
var scalarTolerances = []Tolerance{
	{"number-as-text", "every number", `"1"`, `1`, "4.1, 6.6"},
	{"boolean-as-text", "every boolean", `"true"`, `true`, "4.1, 6.6"},
	{"confString-object", "ConfString", `{"visibilityStatus":"V"}`, `"{\"visibilityStatus\":\"V\"}"`, "4.1, 6.6"},
	{"requireIdentification", "ConfString", "requireIdentification", "requiredIdentification", "9.7.4"},
}

func tolerate[T any](name, accepts, as, chapters string, apply rule) tolerance {
	t := reflect.TypeFor[T]()
	return tolerance{Tolerance{name, t.Name(), accepts, as, chapters}, t, apply}
}

// tolerances are applied in this order, each to the objects of its type.
var tolerances = []tolerance{
	tolerate[InsertEnvelope]("insertEnvelopeRequest", "{insertEnvelopeRequest: {...}}", "{...}; externalSystemCode defaults to sysGenerator", "6.6", unwrapRequest),
	tolerate[InsertEnvelope]("usersInCC", "usersInCC", "addUsersInCC", "4.1, 9.2", alias("usersInCC", "addUsersInCC")),
	tolerate[InsertEnvelope]("addUsersInCC-single", "addUsersInCC: {...}", "addUsersInCC: [{...}]", "5.1", listOf("addUsersInCC", "")),
	tolerate[Envelope]("processDef", "processDef", "procDef", "4.1, 5.1, 6.6", alias("processDef", "procDef")),
	tolerate[Envelope]("commonMessages", "commonMessages; its subject defaults to the envelope's", "commonMessage", "4.1, 9.2, 10", commonMessages),
	tolerate[Envelope]("expiresAt", "expiresAt", "expireAt", "4.1, 8.3.2", alias("expiresAt", "expireAt")),
	tolerate[Envelope]("useType", "useType, UseType; PUBLIC and CORPORATE", "corporateUseType; P and C", "4.1, 9.2", useType),
	tolerate[Envelope]("sendingModeFlags", "sendingModeImmediate, sendingModeDraft", "sendingMode, with which they must agree", "4.3.2", sendingModeFlags),
	tolerate[Envelope]("documents-document", "documents: {document: {...}}", "documents: [{...}]", "5.1, 6.6", listOf("documents", "document")),
	tolerate[ProcDef]("tasks-taskDef", "tasks: {taskDef: {...}}", "tasks: [{...}]", "5.1, 6.6", listOf("tasks", "taskDef")),
	tolerate[ProcDef]("newUsers-insertUser", "newUsers: {insertUser: {...}}, or one object", "newUsers: [{...}]", "5.1, 6.2", listOf("newUsers", "insertUser")),
	tolerate[ProcDef]("revision-number", "revision: 2", `revision: "2"`, "4.1, 5.1", numberAsText("revision")),
	tolerate[DocClass]("docClass-id-number", "id: 377", `id: "377"`, "4.1, 5.1", numberAsText("id")),
	tolerate[DocClassField]("field-id-number", "id: 1000", `id: "1000"`, "5.1", numberAsText("id")),
	tolerate[Task]("task-type-H", "type: H", "type: T", "4.1, 5.1", replaceValue("type", "H", string(TaskHuman))),
	tolerate[Task]("actionDefs-actionDef", "actionDefs: {actionDef: {...}}", "actionDefs: [{...}]", "5.1, 6.6", listOf("actionDefs", "actionDef")),
	tolerate[SendMailMessage]("recipients-single", "sendMailRecipientList: {...}, or {sendMailRecipient: {...}}", "sendMailRecipientList: [{...}]", "4.1, 5.1", listOf("sendMailRecipientList", "sendMailRecipient")),
	tolerate[Appearance]("flat-compass", "compassPage, compassPosition in the order of SOAP", "compassAppearance", "4.1, 5.1, 6.6", flatCompass),
	tolerate[Appearance]("flat-coordinates", "page, llx, lly, urx, ury", "coordAppearance", "4.1, 5.1", flatCoordinates),
	tolerate[Appearance]("flat-tag", "startTagPattern, endTagPattern, tagCornerType, tagXOffset, tagYOffset", "tagAppearance", "5.1, 6.1", flatTag),
	tolerate[NewUser]("userAuthorities", `userAuthorities: "ROLE_MGR", or one object`, `userAuthorities: [{authority: "ROLE_MGR"}]`, "4.1, 5.1, 6.2", userAuthorities),
	tolerate[FoundEnvelope]("found-expiresAt", "expiresAt, expiresAtTimezoneID", "expireAt, expireAtTimezoneID", "4.1, 8.3.2", both(alias("expiresAt", "expireAt"), alias("expiresAtTimezoneID", "expireAtTimezoneID"))),
	tolerate[FoundEnvelope]("found-actionResume", "actionResume", "actionsResume", "4.1, 8.3", alias("actionResume", "actionsResume")),
	tolerate[StepEvent]("actionResume", "actionResume", "actionsResume", "4.1, 7.1, 8.3.1", alias("actionResume", "actionsResume")),
}

func applyTolerances(t reflect.Type, obj *node, path string, problems *problemList) {
	for i := range tolerances {
		if tolerances[i].in == t {
			tolerances[i].apply(obj, path, problems)
		}
	}
}

// alias reads one name as another and refuses both together.
func alias(from, to string) rule {
	return func(obj *node, path string, problems *problemList) {
		value := obj.remove(from)
		switch {
		case value.isNull():
		case obj.get(to).isNull():
			obj.set(to, value)
		default:
			problems.add(illegal(join(path, to), "is given twice, also as "+from+"; give one"))
		}
	}
}

func both(rules ...rule) rule {
	return func(obj *node, path string, problems *problemList) {
		for _, r := range rules {
			r(obj, path, problems)
		}
	}
}

// listOf lets a list be one object, or an object that holds the list or the one object
// under the name that XML gives to the elements.
func listOf(field, element string) rule {
	return func(obj *node, _ string, _ *problemList) {
		value := obj.get(field)
		if value.isNull() || value.kind != kindObject {
			return
		}
		if element != "" {
			if inner := value.get(element); inner != nil && len(value.members) == 1 {
				value = inner
			}
		}
		switch value.kind {
		case kindArray, kindNull:
			obj.set(field, value)
		default:
			obj.set(field, &node{kind: kindArray, items: []*node{value}})
		}
	}
}

func numberAsText(field string) rule {
	return func(obj *node, _ string, _ *problemList) {
		if value := obj.get(field); value != nil && value.kind == kindNumber {
			obj.set(field, textNode(string(value.raw)))
		}
	}
}

func replaceValue(field, from, to string) rule {
	return func(obj *node, _ string, _ *problemList) {
		if value := obj.get(field); value != nil && value.kind == kindString && value.text() == from {
			obj.set(field, textNode(to))
		}
	}
}

// unwrapRequest takes the request out of its SOAP wrapper. SOAP has no
// externalSystemCode: the system that generated the envelope stands for it.
func unwrapRequest(obj *node, _ string, _ *problemList) {
	inner := obj.get("insertEnvelopeRequest")
	if inner == nil || inner.kind != kindObject || len(obj.members) != 1 {
		return
	}
	obj.members = inner.members
	envelope := obj.get("envelope")
	if obj.get("externalSystemCode").isNull() && envelope != nil && envelope.kind == kindObject {
		if system := envelope.get("sysGenerator"); !system.isNull() {
			obj.set("externalSystemCode", system)
		}
	}
}

func commonMessages(obj *node, path string, problems *problemList) {
	message := obj.get("commonMessages")
	if message != nil && message.kind == kindObject && message.get("subject").isNull() {
		if subject := obj.get("subject"); !subject.isNull() {
			message.set("subject", subject)
		}
	}
	alias("commonMessages", "commonMessage")(obj, path, problems)
}

func useType(obj *node, path string, problems *problemList) {
	for _, name := range []string{"useType", "UseType"} {
		if obj.get(name).isNull() {
			obj.remove(name)
			continue
		}
		replaceValue(name, "PUBLIC", string(UsePublic))(obj, path, problems)
		replaceValue(name, "CORPORATE", string(UseCorporate))(obj, path, problems)
		alias(name, "corporateUseType")(obj, path, problems)
	}
}

// sendingModeFlags takes out the two booleans that chapter 4.3.2 sends along. They say
// the same as sendingMode, or stand for it where it is absent.
func sendingModeFlags(obj *node, path string, problems *problemList) {
	flag := func(name string) (on, given bool) {
		n := obj.remove(name)
		if n.isNull() {
			return false, false
		}
		on, ok := parseBool(string(n.raw))
		if !ok || (n.kind != kindBool && n.kind != kindString) {
			problems.add(illegal(join(path, name), "must be true or false"))
			return false, false
		}
		return on, true
	}
	immediate, immediateGiven := flag("sendingModeImmediate")
	draft, draftGiven := flag("sendingModeDraft")
	if immediateGiven && draftGiven && immediate == draft {
		problems.add(illegal(join(path, "sendingModeDraft"), "must be the opposite of sendingModeImmediate"))
		return
	}
	if !immediateGiven && !draftGiven {
		return
	}
	mode := SendImmediate
	if draft || (immediateGiven && !immediate) {
		mode = SendDraft
	}
	switch given := obj.get("sendingMode"); {
	case given.isNull():
		obj.set("sendingMode", textNode(string(mode)))
	case given.kind == kindString && given.text() != string(mode):
		problems.add(illegal(join(path, "sendingMode"), "contradicts sendingModeImmediate or sendingModeDraft"))
	}
}

// soapPosition maps the compass numbers of SOAP (chapter 5.1) to those of REST: SOAP
// counts centre, east, west, south, south-west where REST counts in reading order.
var soapPosition = map[string]string{"4": "5", "5": "6", "6": "4", "7": "8", "8": "7"}

func flatCompass(obj *node, path string, problems *problemList) {
	page, position := obj.remove("compassPage"), obj.remove("compassPosition")
	if position != nil {
		if s, ok := numberText(position); ok && soapPosition[s] != "" {
			position = textNode(soapPosition[s])
		}
	}
	nest(obj, path, problems, "compassAppearance", []member{{"page", page}, {"position", position}})
}

func flatCoordinates(obj *node, path string, problems *problemList) {
	var inner []member
	for _, name := range []string{"page", "llx", "lly", "urx", "ury"} {
		inner = append(inner, member{name, obj.remove(name)})
	}
	nest(obj, path, problems, "coordAppearance", inner)
}

func flatTag(obj *node, path string, problems *problemList) {
	nest(obj, path, problems, "tagAppearance", []member{
		{"startTagPattern", obj.remove("startTagPattern")},
		{"endTagPattern", obj.remove("endTagPattern")},
		{"cornerType", obj.remove("tagCornerType")},
		{"xoffset", obj.remove("tagXOffset")},
		{"yoffset", obj.remove("tagYOffset")},
	})
}

// nest moves flat members into the object that the model has for them.
func nest(obj *node, path string, problems *problemList, field string, inner []member) {
	inner = slices.DeleteFunc(inner, func(m member) bool { return m.value.isNull() })
	if len(inner) == 0 {
		return
	}
	if !obj.get(field).isNull() {
		problems.add(illegal(join(path, field), "is given twice, also as flat fields; give one"))
		return
	}
	obj.set(field, &node{kind: kindObject, members: inner})
}

// userAuthorities lets the roles of a new user be a plain text, a list of texts or one object.
func userAuthorities(obj *node, path string, problems *problemList) {
	value := obj.get("userAuthorities")
	if value.isNull() {
		return
	}
	if value.kind == kindString {
		value = &node{kind: kindArray, items: []*node{value}}
	}
	if value.kind == kindArray {
		items := slices.Clone(value.items)
		for i, item := range items {
			if item.kind == kindString {
				items[i] = &node{kind: kindObject, members: []member{{"authority", item}}}
			}
		}
		value = &node{kind: kindArray, items: items}
	}
	obj.set("userAuthorities", value)
	listOf("userAuthorities", "")(obj, path, problems)
}
