package contract

import "strings"

// maxHowMany is the largest howMany of chapter 4.1.
const maxHowMany = 4

func (e Envelope) validateProcess(documents map[string]bool, problems *problemList) {
	const path = "envelope.procDef"
	if e.ProcDef == nil {
		if e.SendingMode != SendDraft {
			problems.add(badProcess(path, "is missing; only a draft (sendingMode DRF) may lack a process"))
		}
		return
	}
	if len(e.ProcDef.Tasks) == 0 && e.SendingMode != SendDraft && e.ProcDef.Code == "" {
		problems.add(badProcess(path+".tasks", "must have at least one task; only a draft (sendingMode DRF) may lack tasks"))
	}
	for i, t := range e.ProcDef.Tasks {
		t.validate(index(path+".tasks", i), e.TrustLevelCode, documents, problems)
		e.validateCertification(i, index(path+".tasks", i), problems)
	}
	for i, u := range e.ProcDef.NewUsers {
		u.validate(index(path+".newUsers", i), problems)
	}
}

// validateCertification checks that the task which certifies makes the first signature of
// each document that it signs, and that the certification leaves room for the others.
func (e Envelope) validateCertification(number int, path string, problems *problemList) {
	task := e.ProcDef.Tasks[number]
	level := Certification(task.ConfString[keyCertification])
	if level.Permission() == 0 {
		return
	}
	at := path + ".confString." + keyCertification
	switch {
	case e.TrustLevelCode == TrustDigitalP7M:
		problems.add(illegal(at, "is for PDF signatures; leave it out with DIGITAL_P7M"))
		return
	case task.HowMany > 1:
		problems.add(illegal(at, "is for one signature; howMany must be 1"))
		return
	}
	signatures := map[string]int{}
	for _, a := range task.ActionDefs {
		if _, known := signatures[a.DocExternalID]; known || a.Visibility(e.TrustLevelCode) == VisibilityNone {
			continue
		}
		signatures[a.DocExternalID] = 0
		if !a.Type.Signature() {
			problems.add(illegal(at, "needs an action of type S or G as the first one of the task that changes a document"))
			return
		}
	}
	if len(signatures) == 0 {
		problems.add(illegal(at, "needs an action of type S in the task"))
	}
	for i, other := range e.ProcDef.Tasks {
		for _, a := range other.ActionDefs {
			if _, ok := signatures[a.DocExternalID]; !ok || a.Visibility(e.TrustLevelCode) == VisibilityNone {
				continue
			}
			signatures[a.DocExternalID]++
			switch {
			case i != number && other.Order <= task.Order:
				problems.add(illegal(at, "must be in the first task that signs the document; give the other tasks a higher order"))
				return
			case level == CertifyNoChanges && signatures[a.DocExternalID] > 1:
				problems.add(illegal(at, "no-changes leaves no room for another signature, approval or view of the document; use forms"))
				return
			}
		}
	}
}

func (u NewUser) validate(path string, problems *problemList) {
	if u.NewUserStrategy != "" {
		checkOneOf(u.NewUserStrategy, path+".newUserStrategy", problems,
			AcceptAlways, RejectIfDifferent, RejectAlways, EmailBased)
	}
	for i, a := range u.UserAuthorities {
		checkOneOf(a.Authority, index(path+".userAuthorities", i)+".authority", problems,
			"ROLE_STRANGER", "ROLE_ADMIN", "ROLE_SEGR_ADMIN", "ROLE_SEGR", "ROLE_MGR")
	}
}

func (t Task) validate(path string, trust TrustLevel, documents map[string]bool, problems *problemList) {
	checkOneOf(t.Type, path+".type", problems, TaskHuman, TaskAutomatic)
	checkOneOf(t.Action, path+".action", problems, TaskWork, TaskAutoSign, TaskSeal, TaskRegister, TaskSendMail)
	t.validateKind(path, problems)
	if t.Order < 1 {
		problems.add(illegal(path+".order", "must be a whole number from 1"))
	}
	if t.CertType != "" || t.Type == TaskHuman {
		checkOneOf(t.CertType, path+".certType", problems, CertInternal, CertRemote, CertToken)
	}
	t.validateActors(path, problems)
	parseTaskConf(t.ConfString, path+".confString", problems)
	if len(t.ActionDefs) == 0 && t.Action != TaskSendMail && t.Action != TaskRegister {
		problems.add(badProcess(path+".actionDefs", "must have at least one action"))
	}
	for i, a := range t.ActionDefs {
		a.validate(index(path+".actionDefs", i), t, trust, documents, problems)
	}
}

// validateKind checks that the task's action fits its type.
func (t Task) validateKind(path string, problems *problemList) {
	switch {
	case t.Type == TaskHuman && (t.Action == TaskAutoSign || t.Action == TaskSeal || t.Action == TaskSendMail):
		problems.add(badProcess(path+".action", "needs a task of type A; people (type T) do WRK"))
	case t.Type == TaskAutomatic && t.Action == TaskWork:
		problems.add(badProcess(path+".action", "needs a task of type T; automatic tasks (type A) do ASI or SEA"))
	}
}

func (t Task) validateActors(path string, problems *problemList) {
	if t.HowMany < 1 || t.HowMany > maxHowMany {
		problems.add(illegal(path+".howMany", "must be 1, 2, 3 or 4"))
	} else if t.HowMany > 1 && t.Action == TaskSeal {
		problems.add(badProcess(path+".howMany", "must be 1 for a seal"))
	}
	if t.ActorExpr == "" {
		if t.Action != TaskSeal && t.Action != TaskSendMail {
			problems.add(illegal(path+".actorExpr", "is missing"))
		}
		return
	}
	refs, err := parseActorExpr(t.ActorExpr, path+".actorExpr")
	if err != nil {
		problems.add(Problems(err)[0])
		return
	}
	if t.Action == TaskSeal {
		return
	}
	for _, r := range refs {
		if r.Kind == ActorRole { // how many users it has is not known here
			return
		}
	}
	if t.HowMany > len(refs) && t.HowMany <= maxHowMany {
		problems.add(badProcess(path+".howMany", "must not be above the number of actors"))
	}
}

func (a ActionDef) validate(path string, t Task, trust TrustLevel, documents map[string]bool, problems *problemList) {
	checkID(a.DocExternalID, path+".docExternalId", problems)
	if a.DocExternalID != "" && !documents[a.DocExternalID] {
		problems.add(badProcess(path+".docExternalId", "is not the externalId of a document of this envelope"))
	}
	checkOneOf(a.Type, path+".type", problems, ActionSign, ActionApprove, ActionView,
		ActionInitial, ActionGraphometric, ActionPrivateDoc, ActionProtocol)
	if (t.Action == TaskAutoSign || t.Action == TaskSeal) && a.Type != ActionSign && a.Type != "" {
		problems.add(badProcess(path+".type", "must be S in an automatic task"))
	}
	if a.Type == ActionGraphometric && trust != TrustGraphoFEA {
		problems.add(illegal(path+".type", "is G, a graphometric signature; give the envelope the trust level GRAPHO_FEA"))
		return
	}
	if !a.Mandatory && a.Type != ActionGraphometric {
		problems.add(illegal(path+".mandatory", "must be true"))
	}
	before := len(problems.list) + problems.more
	conf := parseActionConf(a.ConfString, path+".confString", problems)
	if conf.Confirmed && t.Type == TaskAutomatic {
		problems.add(illegal(path+".confString."+keyActionInTCF, "must be left out in an automatic task, which needs no confirmation"))
	}
	a.validateGraphometry(conf, path, problems)
	if len(problems.list)+problems.more == before {
		a.validateVisibility(conf, trust, path, problems)
	}
}

// validateGraphometry checks that the settings of chapter 6.6 are those of a graphometric
// signature and mean the field that it signs.
func (a ActionDef) validateGraphometry(conf ActionConf, path string, problems *problemList) {
	if a.Type == ActionGraphometric {
		if ap := a.Appearance; ap != nil && ap.BlankSignatureFieldName != "" && conf.GraphFieldName != "" &&
			conf.GraphFieldName != strings.TrimSpace(ap.BlankSignatureFieldName) {
			problems.add(illegal(path+".confString."+keyGraphFieldName, "must be the same as blankSignatureFieldName"))
		}
		return
	}
	for _, key := range []string{keyGraphFieldName, keyGraphFieldDesc, keyGraphSignerRole, keyGraphSignerName} {
		if _, given := a.ConfString[key]; given {
			problems.add(illegal(join(path+".confString", key), "is for actions of type G"))
		}
	}
}

// validateVisibility checks that the action's visibility fits its type, and that what
// shows has exactly one place. In a P7M nothing shows; a place on a page, which the
// published model demands, is checked and not looked at.
func (a ActionDef) validateVisibility(conf ActionConf, trust TrustLevel, path string, problems *problemList) {
	at := path + ".confString." + keyVisibilityStatus
	approval := a.Type == ActionApprove || a.Type == ActionView
	switch {
	case conf.Visibility == VisibilityHidden && approval:
		problems.add(illegal(at, "must be V or N for an approval or a view; H is for signatures"))
	case a.Type == ActionGraphometric && a.Visibility(trust) != VisibilityVisible:
		problems.add(illegal(at, "must be V for a graphometric signature, and its appearance visible: it shows what the hand drew"))
		return
	case conf.Visibility == VisibilityNone && a.Type == ActionSign:
		problems.add(illegal(at, "must be V or H for a signature; N is for approvals and views"))
	case conf.Visibility == VisibilityVisible && trust.Format() == CAdES:
		problems.add(illegal(at, "must be H for a signature and N for an approval or a view: nothing shows in a P7M"))
		return
	case trust.Format() == CAdES && a.Appearance != nil && a.Appearance.BlankSignatureFieldName != "":
		problems.add(illegal(path+".appearance.blankSignatureFieldName", "names a field of a PDF; leave it out with DIGITAL_P7M"))
	case conf.Visibility == VisibilityVisible && a.Appearance.hidden():
		problems.add(illegal(at, "is V but the appearance is invisible; make them agree"))
		return // the appearance could only be told a second time to place the action
	}
	a.validateAppearance(trust, path+".appearance", problems)
}

func (a ActionDef) validateAppearance(trust TrustLevel, path string, problems *problemList) {
	ap := a.Appearance
	if ap == nil {
		if a.Visibility(trust) == VisibilityVisible && a.Type != ActionPrivateDoc && a.Type != ActionProtocol {
			problems.add(illegal(path, "is missing; say where the action shows, or that it is invisible"))
		}
		return
	}
	ways := 0
	for _, given := range []bool{
		ap.BlankSignatureFieldName != "", ap.CompassAppearance != nil,
		ap.CoordAppearance != nil, ap.TagAppearance != nil, ap.TagPattern != "",
	} {
		if given {
			ways++
		}
	}
	switch {
	case ways > 1:
		problems.add(illegal(path, "must place the action in one way only"))
	case ways == 0 && a.Visibility(trust) == VisibilityVisible:
		problems.add(illegal(path, "must place the action: by compassAppearance, coordAppearance or blankSignatureFieldName"))
	}
	if c := ap.CompassAppearance; c != nil {
		checkPage(c.Page, path+".compassAppearance.page", problems)
		if c.Position < PositionInvisible || c.Position > PositionBottomRight {
			problems.add(illegal(path+".compassAppearance.position", "must be -1 (invisible) or 1 to 9"))
		}
	}
	if c := ap.CoordAppearance; c != nil {
		checkPage(c.Page, path+".coordAppearance.page", problems)
		if c.LLX == c.URX || c.LLY == c.URY {
			problems.add(illegal(path+".coordAppearance", "must span a rectangle: llx and urx differ, lly and ury differ"))
		}
	}
	if t := ap.TagAppearance; t != nil && t.CornerType != "" {
		checkOneOf(t.CornerType, path+".tagAppearance.cornerType", problems, CornerSingle, CornerBottomToTop, CornerTopToBottom)
	}
}

func checkPage(page int, path string, problems *problemList) {
	if page == 0 || page < PageFirstAndLast {
		problems.add(illegal(path, "must be a page from 1, or -1 (last), -2 (all), -3 (first and last)"))
	}
}
