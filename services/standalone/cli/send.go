package cli

import (
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"signbus.dev/pkg/contract"
)

// step is one --sign, --then, --approve, --view, --auto or --seal of the command line.
type step struct {
	kind   string
	people string
	// beside runs in parallel with the step before.
	beside bool
}

// stepFlag collects steps of all kinds in the order of the command line.
type stepFlag struct {
	steps *[]step
	kind  string
}

func (s stepFlag) String() string { return "" }
func (s stepFlag) Type() string   { return "USERS" }

// Set implements pflag.Value.
func (s stepFlag) Set(people string) error {
	if people == "" {
		return errors.New("name a user")
	}
	kind, beside := s.kind, false
	if kind == "with" {
		if len(*s.steps) == 0 {
			return errors.New("--with needs a step before it")
		}
		kind, beside = "sign", true
	}
	*s.steps = append(*s.steps, step{kind: kind, people: people, beside: beside})
	return nil
}

type sendFlags struct {
	steps                                                 []step
	seal, draft, watch, urgent, p7m                       bool
	id, subject, message, operation, field, level, output string
	page                                                  int
	expire                                                time.Duration
}

func (a *app) send() *cobra.Command {
	var f sendFlags
	c := &cobra.Command{
		Use: "send FILE...", Short: "Send documents to be signed", GroupID: "client", Args: args(cobra.MinimumNArgs(1)),
		Long: `Send one envelope with the PDF files (with --p7m any files; or one .json file with a whole insertEnvelope request) through the queue.

USERS are external ids of users. "anna" signs alone; "anna,bruno": both sign, in any order; "anna|bruno":
one of them signs; "@1": whoever of role 1. Steps run in the order of the flags; --with runs beside the
step before it.`,
		Example: `  signbus send contract.pdf --sign anna --then bruno --watch
  signbus send offer.pdf terms.pdf --approve carla --then 'anna|bruno' --seal
  signbus send request.json`,
		RunE: func(c *cobra.Command, files []string) error { return a.sendFiles(c, files, &f) },
	}
	flags := c.Flags()
	for _, s := range []struct{ kind, usage string }{
		{"sign", "users who sign"}, {"then", "users who sign after the steps before (the same as --sign)"},
		{"with", "users who sign beside the step before"}, {"approve", "users who approve"},
		{"view", "users who confirm that they have seen the document"}, {"auto", "user in whose name the bus signs automatically"},
	} {
		kind := s.kind
		if kind == "then" {
			kind = "sign"
		}
		flags.Var(stepFlag{&f.steps, kind}, s.kind, s.usage)
	}
	flags.BoolVar(&f.seal, "seal", false, "seal the documents with the organisation's certificate at the end")
	flags.BoolVar(&f.p7m, "p7m", false, "sign around the files, which may be of any type (CAdES; the results are .p7m files)")
	flags.StringVar(&f.id, "id", "", "externalId of the envelope (default: chosen)")
	flags.StringVar(&f.subject, "subject", "", "subject (default: the file names)")
	flags.StringVar(&f.message, "message", "", "message to the signers")
	flags.StringVar(&f.operation, "operation-id", "", "operation id; sending again with the same id has no second effect")
	flags.StringVar(&f.field, "field", "", "existing blank signature field for the first signature")
	flags.StringVar(&f.level, "level", "", "signature level: B-B, B-T, B-LT or B-LTA (default: the customer's)")
	flags.IntVar(&f.page, "page", -1, "page of the signatures; -1 last, -2 all, -3 first and last")
	flags.DurationVar(&f.expire, "expire", 0, "time after which the envelope expires, such as 72h")
	flags.BoolVar(&f.draft, "draft", false, "load as a draft, which 'signbus start' starts")
	flags.BoolVar(&f.urgent, "urgent", false, "mark as urgent")
	flags.BoolVar(&f.watch, "watch", false, "follow the events until the process has ended")
	flags.StringVarP(&f.output, "output", "o", "", "with --watch: folder for the signed documents")
	return c
}

func (a *app) sendFiles(c *cobra.Command, files []string, f *sendFlags) error {
	request, err := a.request(files, f)
	if err != nil {
		return err
	}
	client, closeClient, err := a.connect()
	if err != nil {
		return err
	}
	defer closeClient()
	extID := request.Envelope.ExternalID
	operation, err := client.Insert(c.Context(), request, f.operation)
	if err != nil {
		return err
	}
	if err := a.print(map[string]string{"externalId": extID, "operationId": operation},
		"Taken in charge: envelope %s, operation %s\n", extID, operation); err != nil {
		return err
	}
	if !f.watch {
		a.note("Follow it with `signbus watch %s`.", extID)
		return nil
	}
	if err := a.follow(c.Context(), client, extID, false); err != nil {
		return err
	}
	if f.output == "" {
		return nil
	}
	return a.save(c.Context(), client, extID, f.output)
}

// request builds the request from files and flags.
func (a *app) request(files []string, f *sendFlags) (contract.InsertEnvelope, error) {
	if len(files) == 1 && !f.p7m && strings.EqualFold(filepath.Ext(files[0]), ".json") {
		data, err := os.ReadFile(files[0])
		if err != nil {
			return contract.InsertEnvelope{}, err
		}
		request, err := contract.DecodeInsertEnvelope(data)
		if err != nil {
			return request, err
		}
		if f.id != "" {
			request.Envelope.ExternalID = f.id
		}
		return request, nil
	}
	request := contract.InsertEnvelope{CustomerCode: a.code, ExternalSystemCode: a.system, Envelope: contract.Envelope{
		ExternalID: f.id, Subject: f.subject, LoadedByExtID: a.user, TrustLevelCode: contract.TrustDigitalPDF,
		SendingMode: "IMD", SysGenerator: a.system, Starred: f.urgent,
	}}
	e := &request.Envelope
	if e.ExternalID == "" {
		e.ExternalID = "cli-" + strings.ToLower(rand.Text()[:12])
	}
	if f.p7m {
		e.TrustLevelCode = contract.TrustDigitalP7M
	}
	if f.draft {
		e.SendingMode = "DRF"
	}
	if f.expire > 0 {
		e.ExpireAt = contract.MillisOf(time.Now().Add(f.expire))
	}
	var names []string
	for i, file := range files {
		data, err := os.ReadFile(file) //nolint:gosec // the user's own file
		if err != nil {
			return request, err
		}
		name := filepath.Base(file)
		names = append(names, name)
		e.Documents = append(e.Documents, contract.Document{
			ExternalID: fmt.Sprintf("doc-%d", i+1), Title: strings.TrimSuffix(name, filepath.Ext(name)),
			MimeType: f.mimeType(name), OriginalFname: name, Bytes: data,
		})
	}
	if e.Subject == "" {
		e.Subject = strings.Join(names, ", ")
	}
	if f.message != "" {
		e.CommonMessage = &contract.CommonMessage{Subject: e.Subject, Text: f.message}
	}
	tasks, err := f.tasks(e.Documents)
	if err != nil {
		return request, err
	}
	if len(tasks) > 0 {
		e.ProcDef = &contract.ProcDef{Tasks: tasks}
	}
	return request, nil
}

// mimeTypes are the media types of what is signed most, the same on every machine.
var mimeTypes = map[string]string{
	".pdf":  contract.MimePDF,
	".p7m":  contract.MimeP7M,
	".xml":  "application/xml",
	".json": "application/json",
	".txt":  "text/plain",
	".csv":  "text/csv",
	".png":  "image/png",
	".jpg":  "image/jpeg",
	".docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
	".xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
	".pptx": "application/vnd.openxmlformats-officedocument.presentationml.presentation",
	".odt":  "application/vnd.oasis.opendocument.text",
	".zip":  "application/zip",
}

// mimeType returns the media type of a file by its name; that of a PDF whatever its name
// where nothing else can be signed.
func (f *sendFlags) mimeType(name string) string {
	if !f.p7m {
		return contract.MimePDF
	}
	if kind := mimeTypes[strings.ToLower(filepath.Ext(name))]; kind != "" {
		return kind
	}
	return "application/octet-stream"
}

// places are the compass zones that signatures take in turn: bottom left, centre and
// right, then the row above.
var places = []int{7, 8, 9, 4, 5, 6, 1, 2, 3}

func (f *sendFlags) tasks(docs []contract.Document) ([]contract.Task, error) {
	steps := f.steps
	if f.seal {
		steps = append(steps, step{kind: "seal"})
	}
	if len(steps) == 0 && !f.draft {
		return nil, usageError{errors.New("who signs? add --sign USER, --auto USER or --seal")}
	}
	var tasks []contract.Task
	order := 0
	for i, s := range steps {
		if !s.beside {
			order++
		}
		task := contract.Task{Type: "T", Order: order, Action: "WRK", HowMany: 1, CertType: "I"}
		action := contract.ActionType("S")
		switch s.kind {
		case "approve":
			action = "A"
		case "view":
			action = "V"
		case "auto":
			task.Type, task.Action = "A", "ASI"
		case "seal":
			task.Type, task.Action = "A", "SEA"
		}
		task.ActorExpr, task.HowMany = actors(s.people)
		if f.level != "" {
			task.ConfString = contract.ConfString{"signatureLevel": f.level}
		}
		for _, doc := range docs {
			def := contract.ActionDef{DocExternalID: doc.ExternalID, Type: action, Mandatory: true}
			def.Appearance = &contract.Appearance{CompassAppearance: &contract.CompassAppearance{Page: f.page, Position: places[i%len(places)]}}
			if f.field != "" && i == 0 {
				def.Appearance = &contract.Appearance{BlankSignatureFieldName: f.field}
			}
			task.ActionDefs = append(task.ActionDefs, def)
		}
		tasks = append(tasks, task)
	}
	return tasks, nil
}

// actors turns USERS into an actorExpr and the number of actors who must act.
func actors(people string) (expr string, howMany int) {
	if people == "" {
		return "", 1
	}
	howMany = 1
	list := strings.Split(people, "|")
	if len(list) == 1 {
		list = strings.Split(people, ",")
		howMany = len(list)
	}
	for i, name := range list {
		name = strings.TrimSpace(name)
		if role, ok := strings.CutPrefix(name, "@"); ok {
			list[i] = role + "R"
		} else {
			list[i] = name + "U"
		}
	}
	return strings.Join(list, "|"), howMany
}
