package contract

import "strings"

// Unsupported returns one problem for each value in the request that asks for
// behaviour which is not built. It has no other effect and looks at nothing else.
func Unsupported(in InsertEnvelope) []*Error {
	var out []*Error
	if len(in.AddUsersInCC) > 0 {
		out = append(out, notSupported("addUsersInCC", "users in copy are not supported yet"))
	}
	return append(out, unsupportedEnvelope(in.Envelope)...)
}

type refusals struct{ list []*Error }

func (r *refusals) when(given bool, path, message string) {
	if given {
		r.list = append(r.list, notSupported(path, message))
	}
}

func unsupportedEnvelope(e Envelope) []*Error {
	const path = "envelope"
	var r refusals
	r.when(e.TrustLevelCode == TrustFEA, path+".trustLevelCode", "supported trust levels are INTERNAL_PDF, DIGITAL_PDF, DIGITAL_P7M and GRAPHO_FEA")
	r.when(e.ExpirationFirstReminder != 0, path+".expirationFirstReminder", "reminders are not supported yet")
	r.when(e.ExpirationFollowingReminder != 0, path+".expirationFollowingReminder", "reminders are not supported yet")
	r.when(e.DocClass != nil, path+".docClass", "document classes are not supported yet")
	r.when(e.JoinDocuments != "", path+".joinDocuments", "joining documents is not supported yet")
	r.when(len(e.ConfString) > 0, path+".confString", "settings of an envelope are not supported yet")
	r.when(e.CommonMessage != nil && len(e.CommonMessage.UserMessages) > 0,
		path+".commonMessage.userMessages", "messages to single users are not supported yet")
	for i, d := range e.Documents {
		unsupportedDocument(&r, d, e.TrustLevelCode, index(path+".documents", i))
	}
	if p := e.ProcDef; p != nil {
		r.when(p.Code != "", path+".procDef.code", "policies are not supported yet; list the tasks")
		r.when(p.Revision != "", path+".procDef.revision", "policies are not supported yet; list the tasks")
		r.when(len(p.NewUsers) > 0, path+".procDef.newUsers", "new users are not supported yet; name existing ones")
		for i, t := range p.Tasks {
			unsupportedTask(&r, t, index(path+".procDef.tasks", i))
		}
	}
	return r.list
}

func unsupportedDocument(r *refusals, d Document, trust TrustLevel, path string) {
	r.when(d.MimeType != "" && !strings.EqualFold(d.MimeType, MimePDF) && trust != TrustDigitalP7M,
		path+".mimeType", "only application/pdf is supported, except with trust level DIGITAL_P7M")
	r.when(d.URI != "" && !strings.HasPrefix(d.URI, blobScheme),
		path+".uri", "only the blob: uri of an uploaded document is supported")
	r.when(d.OOXMLSignStrategy != "", path+".ooxmlSignStrategy", "office documents are not supported yet")
	r.when(d.PrivateDoc, path+".privateDoc", "private documents are not supported yet")
	r.when(len(d.Protocols) > 0, path+".protocols", "protocols are not supported yet")
}

func unsupportedTask(r *refusals, t Task, path string) {
	r.when(t.Action == TaskRegister, path+".action", "registration (PRG) is not supported yet")
	r.when(t.Action == TaskSendMail, path+".action", "sending mail (SDM) is not supported yet")
	r.when(t.CertType == CertToken, path+".certType", "supported certificate types are I and R")
	r.when(t.SendMailMessage != nil, path+".sendMailMessage", "sending mail is not supported yet")
	for i, a := range t.ActionDefs {
		at := index(path+".actionDefs", i)
		switch a.Type {
		case ActionInitial, ActionPrivateDoc, ActionProtocol:
			r.when(true, at+".type", "supported action types are S, A, V and G")
		case ActionGraphometric:
			r.when(!a.Mandatory, at+".mandatory", "optional graphometric signatures are not supported yet; it must be true")
		}
		if ap := a.Appearance; ap != nil {
			r.when(ap.TagAppearance != nil, at+".appearance.tagAppearance", "placing by tags is not supported yet")
			r.when(ap.TagPattern != "", at+".appearance.tagPattern", "placing by tags is not supported yet")
			r.when(ap.AnnotationContent != "", at+".appearance.annotationContent", "annotation texts are not supported yet")
		}
	}
}
