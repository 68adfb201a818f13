package contract_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"signbus.dev/pkg/contract"
)

const (
	taskPath   = "envelope.procDef.tasks[0]"
	actionPath = "envelope.procDef.tasks[0].actionDefs[0]"
)

type refusal struct {
	path string
	f    func(obj)
	code contract.Code
	at   string
}

func check(t *testing.T, cases map[string]refusal) {
	t.Helper()
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := judge(change(t, c.path, c.f))
			problems := contract.Problems(err)
			require.Len(t, problems, 1, "%v", err)
			require.Equal(t, c.code, problems[0].Code, problems[0].Error())
			require.Equal(t, c.at, problems[0].Path)
			require.NotEmpty(t, problems[0].Message)
		})
	}
}

func TestValidateMandatoryFields(t *testing.T) {
	t.Parallel()
	cases := map[string]refusal{}
	for path, keys := range map[string][]string{
		"":    {"customerCode", "externalSystemCode"},
		env:   {"subject", "externalId", "loadedByExtId", "trustLevelCode"},
		doc0:  {"title", "mimeType", "originalFname", "bytes"},
		task0: {"type", "order", "actorExpr", "action", "howMany", "certType"},
		act0:  {"type", "mandatory", "appearance", "docExternalId"},

		"envelope.commonMessage": {"subject", "text"},
	} {
		for _, key := range keys {
			at := strings.TrimPrefix(strings.NewReplacer("documents.0", "documents[0]", "tasks.0", "tasks[0]", "actionDefs.0", "actionDefs[0]").Replace(path)+"."+key, ".")
			cases[at] = refusal{path, drop(key), contract.CodeIllegalArgument, at}
		}
	}
	check(t, cases)
}

func TestValidateRefuses(t *testing.T) {
	t.Parallel()
	const illegal, process = contract.CodeIllegalArgument, contract.CodeProcessDefinitionError
	coord := func(page, llx, lly, urx, ury any) func(obj) {
		return set("appearance", obj{"coordAppearance": obj{"page": page, "llx": llx, "lly": lly, "urx": urx, "ury": ury}})
	}
	compass := func(page, position any) func(obj) {
		return set("appearance", obj{"compassAppearance": obj{"page": page, "position": position}})
	}
	check(t, map[string]refusal{
		"no documents":          {env, func(o obj) { o["documents"] = list{}; o["sendingMode"] = "DRF"; delete(o, "procDef") }, illegal, "envelope.documents"},
		"long external id":      {env, set("externalId", strings.Repeat("x", 256)), illegal, "envelope.externalId"},
		"external id control":   {env, set("externalId", "a\tb"), illegal, "envelope.externalId"},
		"system token":          {"", set("externalSystemCode", "a.b"), illegal, "externalSystemCode"},
		"trust level":           {env, set("trustLevelCode", "SOME"), illegal, "envelope.trustLevelCode"},
		"sending mode":          {env, set("sendingMode", "NOW"), illegal, "envelope.sendingMode"},
		"use type":              {env, set("corporateUseType", "Q"), illegal, "envelope.corporateUseType"},
		"expiry before 1970":    {env, set("expireAt", -1), illegal, "envelope.expireAt"},
		"expiry after 9999":     {env, set("expireAt", 253402300800000), illegal, "envelope.expireAt"},
		"file name control":     {doc0, set("originalFname", "a\nb.pdf"), illegal, "envelope.documents[0].originalFname"},
		"bytes and uri":         {doc0, set("uri", "blob:u/"+strings.Repeat("a", 64)+"/5"), illegal, "envelope.documents[0].uri"},
		"broken blob uri":       {doc0, func(o obj) { delete(o, "bytes"); o["uri"] = "blob:../x" }, illegal, "envelope.documents[0].uri"},
		"no process":            {env, drop("procDef"), process, "envelope.procDef"},
		"no tasks":              {proc, set("tasks", list{}), process, "envelope.procDef.tasks"},
		"task type":             {task0, set("type", "X"), illegal, taskPath + ".type"},
		"task action":           {task0, set("action", "X"), illegal, taskPath + ".action"},
		"order 0":               {task0, set("order", 0), illegal, taskPath + ".order"},
		"howMany 5":             {task0, set("howMany", 5), illegal, taskPath + ".howMany"},
		"howMany above actors":  {task0, set("howMany", 2), process, taskPath + ".howMany"},
		"same actor twice":      {task0, func(o obj) { o["howMany"] = 2; o["actorExpr"] = "annaU | annaU" }, process, taskPath + ".howMany"},
		"actor expression":      {task0, set("actorExpr", "anna"), illegal, taskPath + ".actorExpr"},
		"cert type":             {task0, set("certType", "Q"), illegal, taskPath + ".certType"},
		"no actions":            {task0, set("actionDefs", list{}), process, taskPath + ".actionDefs"},
		"people cannot ASI":     {task0, set("action", "ASI"), process, taskPath + ".action"},
		"automatic cannot WRK":  {task0, set("type", "A"), process, taskPath + ".action"},
		"a seal has no howMany": {task0, func(o obj) { o["type"], o["action"], o["howMany"] = "A", "SEA", 2 }, process, taskPath + ".howMany"},
		"automatic approval":    {task0, func(o obj) { o["type"], o["action"] = "A", "ASI"; at0(o)["type"] = "A" }, process, actionPath + ".type"},
		"automatic confirmed":   {task0, func(o obj) { o["type"], o["action"] = "A", "ASI"; at0(o)["confString"] = obj{"actionInTCF": true} }, illegal, actionPath + ".confString.actionInTCF"},
		"action on no document": {act0, set("docExternalId", "D-2"), process, actionPath + ".docExternalId"},
		"document id's case":    {act0, set("docExternalId", "d-1"), process, actionPath + ".docExternalId"},
		"action type":           {act0, set("type", "X"), illegal, actionPath + ".type"},
		"mandatory false":       {act0, set("mandatory", false), illegal, actionPath + ".mandatory"},
		"page 0":                {act0, compass(0, 1), illegal, actionPath + ".appearance.compassAppearance.page"},
		"page -4":               {act0, compass(-4, 1), illegal, actionPath + ".appearance.compassAppearance.page"},
		"position 10":           {act0, compass(1, 10), illegal, actionPath + ".appearance.compassAppearance.position"},
		"position -2":           {act0, compass(1, -2), illegal, actionPath + ".appearance.compassAppearance.position"},
		"coordinates' page":     {act0, coord(0, 1, 1, 2, 2), illegal, actionPath + ".appearance.coordAppearance.page"},
		"no width":              {act0, coord(1, 1, 1, 1, 2), illegal, actionPath + ".appearance.coordAppearance"},
		"no height":             {act0, coord(1, 1, 2, 2, 2), illegal, actionPath + ".appearance.coordAppearance"},
		"two places":            {appear, set("blankSignatureFieldName", "sign_here"), illegal, actionPath + ".appearance"},
		"no place":              {act0, set("appearance", obj{}), illegal, actionPath + ".appearance"},
		"H on an approval":      {act0, func(o obj) { o["type"] = "A"; o["confString"] = obj{"visibilityStatus": "H"} }, illegal, actionPath + ".confString.visibilityStatus"},
		"N on a signature":      {act0, set("confString", obj{"visibilityStatus": "N"}), illegal, actionPath + ".confString.visibilityStatus"},
		"visible and invisible": {act0, func(o obj) { o["confString"] = obj{"visibilityStatus": "V"}; o["appearance"] = obj{"invisible": true} }, illegal, actionPath + ".confString.visibilityStatus"},
		"visibility":            {act0, set("confString", obj{"visibilityStatus": "Q"}), illegal, actionPath + ".confString.visibilityStatus"},
		"action setting":        {act0, set("confString", obj{"colour": "red"}), illegal, actionPath + ".confString.colour"},
		"long text":             {act0, set("confString", obj{"customSignatureText": strings.Repeat("x", 201)}), illegal, actionPath + ".confString.customSignatureText"},
		"two lines of text":     {act0, set("confString", obj{"customSignatureText": "a\nb"}), illegal, actionPath + ".confString.customSignatureText"},
		"actionInTCF":           {act0, set("confString", obj{"actionInTCF": "perhaps"}), illegal, actionPath + ".confString.actionInTCF"},
		"task setting":          {task0, set("confString", obj{"colour": "red"}), illegal, taskPath + ".confString.colour"},
		"signAllVisible":        {task0, set("confString", obj{"signAllVisible": "yes"}), illegal, taskPath + ".confString.signAllVisible"},
		"provider":              {task0, set("confString", obj{"provider": "Some Provider"}), illegal, taskPath + ".confString.provider"},
		"signature level":       {task0, set("confString", obj{"signatureLevel": "XL"}), illegal, taskPath + ".confString.signatureLevel"},
		"identification":        {task0, set("confString", obj{"requiredIdentification": "x"}), illegal, taskPath + ".confString.requiredIdentification"},
		"G elsewhere":           {act0, set("type", "G"), illegal, actionPath + ".type"},
		"graphFieldName":        {act0, set("confString", obj{"graphFieldName": "x"}), illegal, actionPath + ".confString.graphFieldName"},
		"graphFieldDesc":        {act0, set("confString", obj{"graphFieldDesc": "x"}), illegal, actionPath + ".confString.graphFieldDesc"},
		"graphSignerRole":       {act0, set("confString", obj{"graphSignerRole": "x"}), illegal, actionPath + ".confString.graphSignerRole"},
		"graphSignerName":       {act0, set("confString", obj{"graphSignerName": "x"}), illegal, actionPath + ".confString.graphSignerName"},
		"another graph field": {env, graphometric(func(o obj) {
			o["appearance"] = obj{"blankSignatureFieldName": "A"}
			o["confString"] = obj{"graphFieldName": " B"}
		}), illegal, actionPath + ".confString.graphFieldName"},
		"hidden graphometry":   {env, graphometric(set("confString", obj{"visibilityStatus": "H"})), illegal, actionPath + ".confString.visibilityStatus"},
		"no graphometry shows": {env, graphometric(set("appearance", obj{"invisible": true})), illegal, actionPath + ".confString.visibilityStatus"},
		"long graph text":      {env, graphometric(set("confString", obj{"graphSignerName": strings.Repeat("x", 201)})), illegal, actionPath + ".confString.graphSignerName"},
		"two lines of graph":   {env, graphometric(set("confString", obj{"graphSignerRole": "a\nb"})), illegal, actionPath + ".confString.graphSignerRole"},
		"automatic graphometry": {env, func(o obj) {
			graphometric(set("mandatory", true))(o)
			task := o["procDef"].(obj)["tasks"].(list)[0].(obj)
			task["type"], task["action"] = "A", "ASI"
		}, process, actionPath + ".type"},
		"twice the same document": {env, func(o obj) { o["documents"] = append(o["documents"].(list), o["documents"].(list)[0]) },
			contract.CodeMultipleDocsSameExtID, "envelope.documents[1].externalId"},
	})
}

// graphometric makes the envelope's action a graphometric signature and changes it.
func graphometric(change func(obj)) func(obj) {
	return func(o obj) {
		o["trustLevelCode"] = "GRAPHO_FEA"
		a := at0(o["procDef"].(obj)["tasks"].(list)[0].(obj))
		a["type"] = "G"
		change(a)
	}
}

func at0(task obj) obj { return task["actionDefs"].(list)[0].(obj) }

// Every field whose behaviour is not built is refused by its path.
func TestValidateRefusesWhatIsNotBuilt(t *testing.T) {
	t.Parallel()
	const code = contract.CodeNotSupported
	action := func(typ string) func(obj) { return set("type", typ) }
	check(t, map[string]refusal{
		"copy":                 {"", set("addUsersInCC", list{obj{"externalId": "anna"}}), code, "addUsersInCC"},
		"FEA":                  {env, set("trustLevelCode", "FEA"), code, "envelope.trustLevelCode"},
		"first reminder":       {env, set("expirationFirstReminder", 6), code, "envelope.expirationFirstReminder"},
		"next reminder":        {env, set("expirationFollowingReminder", 3), code, "envelope.expirationFollowingReminder"},
		"document class":       {env, set("docClass", obj{"name": "DC01"}), code, "envelope.docClass"},
		"join":                 {env, set("joinDocuments", "a b"), code, "envelope.joinDocuments"},
		"settings":             {env, set("confString", obj{"a": "b"}), code, "envelope.confString"},
		"user messages":        {"envelope.commonMessage", set("userMessages", list{obj{"userExtId": "anna", "text": "x"}}), code, "envelope.commonMessage.userMessages"},
		"other file type":      {doc0, set("mimeType", "application/msword"), code, "envelope.documents[0].mimeType"},
		"other uri":            {doc0, func(o obj) { delete(o, "bytes"); o["uri"] = "file://contract.pdf" }, code, "envelope.documents[0].uri"},
		"office":               {doc0, set("ooxmlSignStrategy", "OXP"), code, "envelope.documents[0].ooxmlSignStrategy"},
		"private document":     {doc0, set("privateDoc", true), code, "envelope.documents[0].privateDoc"},
		"protocols":            {doc0, set("protocols", list{obj{"code": "x", "registry": obj{"code": "y"}}}), code, "envelope.documents[0].protocols"},
		"policy":               {proc, set("code", "TPL001"), code, "envelope.procDef.code"},
		"policy revision":      {proc, set("revision", "2"), code, "envelope.procDef.revision"},
		"new users":            {proc, set("newUsers", list{newUser()}), code, "envelope.procDef.newUsers"},
		"registration":         {task0, set("action", "PRG"), code, taskPath + ".action"},
		"token":                {task0, set("certType", "T"), code, taskPath + ".certType"},
		"mail":                 {task0, set("sendMailMessage", obj{"subject": "x"}), code, taskPath + ".sendMailMessage"},
		"initials":             {act0, action("I"), code, actionPath + ".type"},
		"optional graphometry": {env, graphometric(set("mandatory", false)), code, actionPath + ".mandatory"},
		"private action":       {act0, action("R"), code, actionPath + ".type"},
		"protocol action":      {act0, action("P"), code, actionPath + ".type"},
		"tag":                  {act0, set("appearance", obj{"tagAppearance": obj{"startTagPattern": "x"}}), code, actionPath + ".appearance.tagAppearance"},
		"tag pattern":          {act0, set("appearance", obj{"tagPattern": "x"}), code, actionPath + ".appearance.tagPattern"},
		"annotation":           {appear, set("annotationContent", "x"), code, actionPath + ".appearance.annotationContent"},
		"identification":       {task0, set("confString", obj{"requireIdentification": true}), code, taskPath + ".confString.requiredIdentification"},
		"invitation":           {task0, set("confString", obj{"receiveInvitationMailToSign": true}), code, taskPath + ".confString.receiveInvitationMailToSign"},
		"completed mail":       {task0, set("confString", obj{"receiveCompletedEnvelopeMail": false}), code, taskPath + ".confString.receiveCompletedEnvelopeMail"},
	})
	t.Run("policy of chapter 6.5", func(t *testing.T) {
		t.Parallel()
		_, err := judge(change(t, env, set("procDef", obj{"code": "policy_test", "revision": "3"})))
		require.Equal(t, contract.CodeNotSupported, contract.CodeOf(err))
		require.Len(t, contract.Problems(err), 2)
	})
	t.Run("mail task of chapter 6.3", func(t *testing.T) {
		t.Parallel()
		_, err := judge(change(t, proc, set("tasks", list{task(), obj{
			"order": 3, "type": "A", "action": "SDM", "howMany": 1, "actionDefs": nil,
			"sendMailMessage": obj{"subject": "x", "sendMailRecipientList": list{obj{"typeRecipient": "TO", "userExternalId": "anna"}}},
		}})))
		for _, p := range contract.Problems(err) {
			require.Equal(t, contract.CodeNotSupported, p.Code, p.Error())
		}
		require.Len(t, contract.Problems(err), 2)
	})
}

func TestValidateAccepts(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		path string
		f    func(obj)
	}{
		"plain":                {env, func(obj) {}},
		"draft without tasks":  {env, func(o obj) { o["sendingMode"] = "DRF"; o["procDef"] = obj{} }},
		"draft":                {env, func(o obj) { o["sendingMode"] = "DRF"; delete(o, "procDef") }},
		"no message":           {env, drop("commonMessage")},
		"odd external id":      {env, set("externalId", " É/?#%💡 ")},
		"uploaded":             {doc0, func(o obj) { delete(o, "bytes"); o["uri"] = "blob:up-1/" + strings.Repeat("a", 64) + "/5" }},
		"role, howMany 4":      {task0, func(o obj) { o["actorExpr"] = "1R|annaU"; o["howMany"] = 4 }},
		"remote certificate":   {task0, set("certType", "R")},
		"seal without actor":   {task0, func(o obj) { o["type"], o["action"] = "A", "SEA"; delete(o, "actorExpr"); delete(o, "certType") }},
		"automatic signature":  {task0, func(o obj) { o["type"], o["action"] = "A", "ASI" }},
		"upper corner first":   {act0, set("appearance", obj{"coordAppearance": obj{"page": 1, "llx": 75.0, "lly": 705.0, "urx": 205.0, "ury": 665.0}})},
		"page -3":              {act0, set("appearance", obj{"compassAppearance": obj{"page": -3}})},
		"position 0":           {act0, set("appearance", obj{"compassAppearance": obj{"page": 1, "position": 0}})},
		"blank field":          {act0, set("appearance", obj{"blankSignatureFieldName": "sign_here", "invisible": false})},
		"hidden":               {act0, func(o obj) { o["confString"] = obj{"visibilityStatus": "H"}; delete(o, "appearance") }},
		"approval, none":       {act0, func(o obj) { o["type"] = "A"; o["confString"] = obj{"visibilityStatus": "N"}; delete(o, "appearance") }},
		"invisible":            {act0, set("appearance", obj{"invisible": true})},
		"compass invisible":    {act0, set("appearance", obj{"compassAppearance": obj{"page": 1, "position": -1}})},
		"text of 4.3.1":        {act0, set("confString", `{"actionInTCF":"true","customSignatureText":"Firmato da Anna"}`)},
		"lines out of the way": {act0, set("confString", obj{"customSignatureTextL1": "WHATEVER"})},
		"provider and level":   {task0, set("confString", obj{"provider": "signature-book", "signatureLevel": "B-T", "signAllVisible": "N", "requiredIdentification": false})},
		"not private":          {doc0, set("privateDoc", false)},
		"file type's case":     {doc0, set("mimeType", "Application/PDF")},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			in, err := judge(change(t, c.path, c.f))
			require.NoError(t, err)
			require.NoError(t, in.Envelope.Validate())
			require.Empty(t, contract.Unsupported(in))
		})
	}
}

func TestVisibility(t *testing.T) {
	t.Parallel()
	invisible := &contract.Appearance{Invisible: true}
	nowhere := &contract.Appearance{CompassAppearance: &contract.CompassAppearance{Page: 1, Position: -1}}
	for _, c := range []struct {
		action contract.ActionDef
		want   contract.Visibility
	}{
		{contract.ActionDef{Type: "S"}, "V"},
		{contract.ActionDef{Type: "S", Appearance: invisible}, "H"},
		{contract.ActionDef{Type: "S", Appearance: nowhere}, "H"},
		{contract.ActionDef{Type: "A", Appearance: invisible}, "N"},
		{contract.ActionDef{Type: "V", Appearance: nowhere}, "N"},
		{contract.ActionDef{Type: "V", ConfString: contract.ConfString{"visibilityStatus": "N"}}, "N"},
	} {
		require.Equal(t, c.want, c.action.Visibility(contract.TrustDigitalPDF))
	}
}

func TestNothingShowsInAP7M(t *testing.T) {
	t.Parallel()
	place := &contract.Appearance{CompassAppearance: &contract.CompassAppearance{Page: 1, Position: 9}}
	for kind, want := range map[contract.ActionType]contract.Visibility{"S": "H", "A": "N", "V": "N"} {
		require.Equal(t, want, contract.ActionDef{Type: kind, Appearance: place}.Visibility(contract.TrustDigitalP7M))
	}
	require.Nil(t, contract.ActionConf{Text: "Signed by #nnss#"}.Lines(contract.TrustDigitalP7M, contract.ActionSign))
	require.Equal(t, contract.CAdES, contract.TrustDigitalP7M.Format())
	require.Equal(t, contract.PAdES, contract.TrustInternalPDF.Format())
}

func TestLines(t *testing.T) {
	t.Parallel()
	conf := contract.ActionConf{Text: "Signed by #nnss#", L1: "TOC", L2: "OPD"}
	require.Equal(t, []string{"Signed by #nnss#", "TOC", "OPD"}, conf.Lines(contract.TrustInternalPDF, contract.ActionSign))
	require.Equal(t, []string{"Signed by #nnss#", "NAN", "NAN"}, conf.Lines(contract.TrustDigitalPDF, contract.ActionSign))
	require.Equal(t, []string{"Signed by #nnss#", "TOC", "OPD"}, conf.Lines(contract.TrustDigitalPDF, contract.ActionApprove))
	require.Equal(t, []string{"", "NAN", "ORG"}, contract.ActionConf{L1: "XYZ", L2: "ORG"}.Lines(contract.TrustInternalPDF, contract.ActionView))
	require.Nil(t, contract.ActionConf{}.Lines(contract.TrustInternalPDF, contract.ActionSign))
}

func TestParseTaskConf(t *testing.T) {
	t.Parallel()
	conf, err := contract.ParseTaskConf(nil)
	require.NoError(t, err)
	require.Equal(t, contract.TaskConf{SignAllVisible: true}, conf)
	conf, err = contract.ParseTaskConf(contract.ConfString{"signAllVisible": "N", "provider": "csc", "signatureLevel": "B-B"})
	require.NoError(t, err)
	require.Equal(t, contract.TaskConf{Provider: "csc", SignatureLevel: "B-B"}, conf)
	for _, level := range contract.Levels() {
		conf, err = contract.ParseTaskConf(contract.ConfString{"signatureLevel": level})
		require.NoError(t, err)
		require.Equal(t, level, conf.SignatureLevel)
	}
	_, err = contract.ParseTaskConf(contract.ConfString{"signatureLevel": "b-lt"})
	require.EqualError(t, err, "confString.signatureLevel: must be B-B, B-T, B-LT or B-LTA")
	_, err = contract.ParseTaskConf(contract.ConfString{"provider": ""})
	require.EqualError(t, err, "confString.provider: must be the name of a provider: lower-case letters, digits and -")
}

func TestParseActorExpr(t *testing.T) {
	t.Parallel()
	user := func(id string) contract.ActorRef { return contract.ActorRef{Kind: contract.ActorUser, ID: id} }
	role := func(id string) contract.ActorRef { return contract.ActorRef{Kind: contract.ActorRole, ID: id} }
	for expr, want := range map[string][]contract.ActorRef{
		"annaU":                   {user("anna")},
		"id1R|id2U":               {role("id1"), user("id2")},
		" id1R | id2U ":           {role("id1"), user("id2")},
		"noreply+mm@example.comU": {user("noreply+mm@example.com")},
		"URU":                     {user("UR")},
		"1R|1U|1R":                {role("1"), user("1")},
		"é 💡U":                    {user("é 💡")},
	} {
		refs, err := contract.ParseActorExpr(expr)
		require.NoError(t, err, expr)
		require.Equal(t, want, refs, expr)
	}
	for _, expr := range []string{"", "U", "R", "|", "annaU|", "annaU||brunoU", "anna", "annau", " U", "anna\nU", "é", strings.Repeat("aU|", 256) + "aU"} {
		_, err := contract.ParseActorExpr(expr)
		require.Equal(t, contract.CodeIllegalArgument, contract.CodeOf(err), "%q", expr)
	}
}

func TestBlobURI(t *testing.T) {
	t.Parallel()
	digest := strings.Repeat("0f", 32)
	ref := contract.BlobRef{Scope: "01jd", SHA256: digest, Size: 42}
	uri := contract.BlobURI(ref)
	require.Equal(t, "blob:01jd/"+digest+"/42", uri)
	got, err := contract.ParseBlobURI(uri)
	require.NoError(t, err)
	require.Equal(t, ref, got)
	for _, bad := range []string{
		"blob:", "blob:../" + digest + "/1", "blob:a/" + digest, "blob:a/" + digest + "/0", "blob:a/" + digest + "/-1",
		"blob:a/" + digest + "/+1", "blob:a/" + digest + "/01", "blob:a/" + strings.ToUpper(digest) + "/1", "blob:a/b/" + digest + "/1", "blob:/" + digest + "/1",
	} {
		_, err := contract.ParseBlobURI(bad)
		require.Equal(t, contract.CodeIllegalArgument, contract.CodeOf(err), bad)
	}
	_, err = contract.ParseBlobURI("file:///etc/passwd")
	require.Equal(t, contract.CodeNotSupported, contract.CodeOf(err))
}

// PostgreSQL keeps no other bytes: an operation id of such bytes in a header once made its
// command one that could neither be recorded nor be given up.
func TestExternalIDsAreUTF8(t *testing.T) {
	t.Parallel()
	require.True(t, contract.ValidExternalID("Añ-1"))
	require.False(t, contract.ValidExternalID("A\xff-1"))
	err := contract.GetStatus{CustomerCode: "c", EnveExtID: "A\xff-1"}.Validate()
	require.Equal(t, contract.CodeIllegalArgument, contract.CodeOf(err))
}

func TestCertificationPermission(t *testing.T) {
	t.Parallel()
	for want, c := range []contract.Certification{
		contract.CertifyNone, contract.CertifyNoChanges, contract.CertifyForms, contract.CertifyAnnotations,
	} {
		require.Equal(t, want, c.Permission())
	}
	require.Zero(t, contract.Certification("").Permission())
}
