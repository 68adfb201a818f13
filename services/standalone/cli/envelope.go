package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"signbus.dev/pkg/client"
	"signbus.dev/pkg/contract"
)

func (a *app) status() *cobra.Command {
	return &cobra.Command{
		Use: "status ENVELOPE", Short: "Show how an envelope stands and who is awaited", GroupID: "client", Args: args(cobra.ExactArgs(1)),
		RunE: func(c *cobra.Command, ids []string) error {
			client, err := a.client()
			if err != nil {
				return err
			}
			found, err := client.Find(c.Context(), ids[0], false)
			if err != nil {
				return err
			}
			urls := signingURLs(c.Context(), client, &found)
			if a.json {
				return json.NewEncoder(a.out).Encode(struct {
					contract.FoundEnvelope
					SigningURLs map[string]string `json:"signingUrls"`
				}{found, urls})
			}
			return a.printEnvelope(&found, urls)
		},
	}
}

// signingURLs finds where each awaited actor signs.
func signingURLs(ctx context.Context, client *client.Client, found *contract.FoundEnvelope) map[string]string {
	urls := map[string]string{}
	if found.Process == nil {
		return urls
	}
	for _, event := range found.Process.LiveStatus {
		if !awaited(event) {
			continue
		}
		if url, err := client.SigningURL(ctx, found.ExternalID, event.MgrExternalID); err == nil {
			urls[event.MgrExternalID] = url
		}
	}
	return urls
}

// awaited says whether the share waits for its actor: new, or to be confirmed, which an
// action inserted as approved is from the beginning.
func awaited(e contract.StepEvent) bool {
	return (e.Status == contract.LiveNew || e.Status == contract.LiveToConfirm) && e.StartedAt != nil && e.EndedAt == nil && e.MgrExternalID != ""
}

func (a *app) printEnvelope(e *contract.FoundEnvelope, urls map[string]string) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%s  %s\n", e.ExternalID, statusWord(e.Status))
	fmt.Fprintf(&b, "  subject   %s\n  loaded    %s by %s\n", e.Subject, e.CreatedAt.Time().Local().Format(time.DateTime), e.LoadedByExtID)
	for _, doc := range e.Documents {
		fmt.Fprintf(&b, "  document  %s (%s), %d page(s), %d bytes\n", doc.ExternalID, doc.OriginalFname, doc.NPages, doc.Size)
	}
	if e.Process != nil {
		for _, event := range e.Process.LiveStatus {
			who := strings.TrimSpace(event.MgrName + " " + event.MgrSurname)
			if event.MgrExternalID != "" {
				who += " (" + event.MgrExternalID + ")"
			}
			fmt.Fprintf(&b, "  step %-3d  %-30s %s\n", event.StepNumber+1, who, shareWord(event))
			if url := urls[event.MgrExternalID]; url != "" && awaited(event) {
				fmt.Fprintf(&b, "            signs at %s\n", url)
			}
		}
	}
	_, err := a.out.Write([]byte(b.String()))
	return err
}

func statusWord(s contract.EnvelopeStatus) string {
	return strings.ToLower(strings.ReplaceAll(s.Long(), "_", " "))
}

func shareWord(e contract.StepEvent) string {
	switch {
	case e.Status == contract.LiveWorked && e.EndedAt != nil:
		return "done " + e.EndedAt.Time().Local().Format(time.DateTime)
	case e.Status == contract.LiveWorked:
		return "done"
	case e.Status == contract.LiveToConfirm:
		return "to be confirmed"
	case e.Status == contract.LiveRejected:
		return "declined"
	case e.Status == contract.LiveCancelled:
		return "no longer needed"
	case e.StartedAt == nil:
		return "later"
	}
	return "awaited"
}

func (a *app) get() *cobra.Command {
	var folder string
	c := &cobra.Command{
		Use: "get ENVELOPE", Short: "Fetch the documents of an envelope as they are now", GroupID: "client", Args: args(cobra.ExactArgs(1)),
		RunE: func(c *cobra.Command, ids []string) error {
			client, err := a.client()
			if err != nil {
				return err
			}
			return a.save(c.Context(), client, ids[0], folder)
		},
	}
	c.Flags().StringVarP(&folder, "output", "o", ".", "folder to write to")
	return c
}

// save writes the documents of an envelope to a folder.
func (a *app) save(ctx context.Context, client *client.Client, extID, folder string) error {
	found, err := client.Find(ctx, extID, true)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(folder, 0o750); err != nil {
		return err
	}
	for _, doc := range found.Documents {
		// The file name comes from outside: only its last part may name a file here.
		name := filepath.Base(filepath.Clean("/" + strings.ReplaceAll(doc.OriginalFname, `\`, "/")))
		if name == "/" || name == "." {
			name = "document.pdf"
		}
		path := filepath.Join(folder, name)
		if err := os.WriteFile(path, doc.Bytes, 0o600); err != nil {
			return err
		}
		if err := a.print(map[string]any{"document": doc.ExternalID, "file": path, "bytes": len(doc.Bytes)},
			"%s: %s (%d bytes)\n", doc.ExternalID, path, len(doc.Bytes)); err != nil {
			return err
		}
	}
	return nil
}

func (a *app) watch() *cobra.Command {
	var all bool
	c := &cobra.Command{
		Use: "watch [ENVELOPE]", Short: "Print the events of an envelope until its end, or all events as they come", GroupID: "client", Args: args(cobra.MaximumNArgs(1)),
		RunE: func(c *cobra.Command, ids []string) error {
			client, closeClient, err := a.connect()
			if err != nil {
				return err
			}
			defer closeClient()
			extID := ""
			if len(ids) == 1 {
				extID = ids[0]
			}
			return a.follow(c.Context(), client, extID, all)
		},
	}
	c.Flags().BoolVar(&all, "all", false, "without ENVELOPE: begin with the oldest event that is kept")
	return c
}

// errEnded ends the following of an envelope.
var errEnded = errors.New("ended")

// follow prints events until the envelope has ended.
func (a *app) follow(ctx context.Context, c *client.Client, extID string, all bool) error {
	outcome := error(nil)
	err := c.Events(ctx, client.Follow{ExternalID: extID, New: extID == "" && !all}, func(e client.Event) error {
		line, detail := describe(e)
		if err := a.print(e, "%s  %-24s %s  %s\n", e.Time.Local().Format("15:04:05.000"), e.Type.Short(), e.ExternalID, line); err != nil {
			return err
		}
		if extID == "" {
			return nil
		}
		if detail != "" {
			a.note("%s", detail)
		}
		ended, problem := end(e)
		if ended {
			outcome = problem
			return errEnded
		}
		return nil
	})
	if errors.Is(err, errEnded) {
		return outcome
	}
	return err
}

// describe tells an event in words: what happened, and how far the process is.
func describe(e client.Event) (line, progress string) {
	var data struct {
		Command      contract.Command         `json:"command"`
		ReturnStatus contract.Outcome         `json:"returnStatus"`
		StepNumber   int                      `json:"stepNumber"`
		Old          contract.EnvelopeStatus  `json:"oldStatus"`
		New          contract.EnvelopeStatus  `json:"newStatus"`
		Note         string                   `json:"note"`
		User         string                   `json:"usrExtId"`
		Documents    []contract.EndedDocument `json:"documents"`
		LiveStatus   []contract.StepEvent     `json:"liveStatus"`
	}
	if err := json.Unmarshal(e.Data, &data); err != nil {
		return "", ""
	}
	switch e.Type {
	case contract.EventOperationDone:
		line = fmt.Sprintf("%s: %s %s", data.Command, data.ReturnStatus.Code, data.ReturnStatus.Message)
	case contract.EventEnvelopeStepClosed:
		line = fmt.Sprintf("step %d is done", data.StepNumber+1)
	case contract.EventEnvelopeStatusChanged:
		line = statusWord(data.Old) + " → " + statusWord(data.New)
	case contract.EventEnvelopeProcessEnded:
		var docs []string
		for _, doc := range data.Documents {
			docs = append(docs, fmt.Sprintf("%s: %d signature(s)", doc.OriginalFname, doc.Signatures))
		}
		line = strings.Join(docs, ", ")
	case contract.EventEnvelopeRejected, contract.EventEnvelopeCancelled:
		line = strings.TrimSpace(data.User + " " + data.Note)
	}
	return strings.TrimSpace(line), progressLine(data.LiveStatus)
}

// progressLine says how far the process is and who is awaited.
func progressLine(live []contract.StepEvent) string {
	var done, all int
	var waiting []string
	for _, event := range live {
		if event.Status != contract.LiveCancelled { // no longer needed
			all++
		}
		switch {
		case event.Status == contract.LiveWorked:
			done++
		case awaited(event):
			waiting = append(waiting, event.MgrExternalID)
		}
	}
	if len(live) == 0 {
		return ""
	}
	line := fmt.Sprintf("  [%s%s] %d of %d", strings.Repeat("#", done), strings.Repeat(".", all-done), done, all)
	if len(waiting) > 0 {
		slices.Sort(waiting)
		line += ", waiting for " + strings.Join(slices.Compact(waiting), ", ")
	}
	return line
}

// end says whether the event ends an envelope, and with what problem.
func end(e client.Event) (bool, error) {
	switch e.Type {
	case contract.EventEnvelopeProcessEnded:
		return true, nil
	case contract.EventEnvelopeRejected:
		return true, failedError{errors.New("declined")}
	case contract.EventEnvelopeCancelled:
		return true, failedError{errors.New("cancelled")}
	case contract.EventEnvelopeExpired:
		return true, failedError{errors.New("expired")}
	case contract.EventOperationDone:
		var done contract.OperationDone
		if err := json.Unmarshal(e.Data, &done); err != nil {
			return true, err
		}
		code, _ := contract.ParseCode(done.ReturnStatus.Code)
		if done.Command == contract.CommandInsertEnvelope && code != contract.CodeOK && e.Sequence == 0 {
			return true, &contract.Error{Code: code, Message: done.ReturnStatus.Message}
		}
	}
	return false, nil
}

// command builds cancel, delete and start, which differ only in what they send.
func (a *app) command(use, short string, flags func(*cobra.Command), send func(context.Context, *client.Client, string) (string, error)) *cobra.Command {
	c := &cobra.Command{
		Use: use, Short: short, GroupID: "client", Args: args(cobra.ExactArgs(1)),
		RunE: func(c *cobra.Command, ids []string) error {
			client, closeClient, err := a.connect()
			if err != nil {
				return err
			}
			defer closeClient()
			operation, err := send(c.Context(), client, ids[0])
			if err != nil {
				return err
			}
			return a.outcome(c.Context(), client, operation)
		},
	}
	if flags != nil {
		flags(c)
	}
	return c
}

// outcomePoll is how often a command asks for its outcome, outcomeWait for how long.
const (
	outcomePoll = 100 * time.Millisecond
	outcomeWait = 30 * time.Second
)

// outcome waits for the end of an operation and prints it.
func (a *app) outcome(ctx context.Context, c *client.Client, operation string) error {
	ctx, cancel := context.WithTimeout(ctx, outcomeWait)
	defer cancel()
	ticker := time.NewTicker(outcomePoll)
	defer ticker.Stop()
	for {
		status, err := c.Operation(ctx, operation)
		if err == nil && status.Done {
			code, _ := contract.ParseCode(status.ReturnStatus.Code)
			if code != contract.CodeOK {
				return &contract.Error{Code: code, Message: status.ReturnStatus.Message}
			}
			return a.print(status, "OK\n")
		}
		if err != nil && contract.CodeOf(err) != contract.CodeNotFound {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("operation %s has not ended yet: %w", operation, ctx.Err())
		case <-ticker.C:
		}
	}
}

func (a *app) cancel() *cobra.Command {
	var note string
	return a.command("cancel ENVELOPE", "Stop the process of an envelope",
		func(c *cobra.Command) { c.Flags().StringVar(&note, "note", "", "reason, shown to the signers") },
		func(ctx context.Context, c *client.Client, id string) (string, error) {
			return c.Cancel(ctx, id, a.user, note)
		})
}

func (a *app) deleteCommand() *cobra.Command {
	return a.command("delete ENVELOPE", "Delete an envelope", nil,
		func(ctx context.Context, c *client.Client, id string) (string, error) {
			return c.Delete(ctx, id, a.user)
		})
}

func (a *app) start() *cobra.Command {
	return a.command("start ENVELOPE", "Start the process of a draft", nil,
		func(ctx context.Context, c *client.Client, id string) (string, error) {
			return c.Start(ctx, id, a.user)
		})
}
