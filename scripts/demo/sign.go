package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"signbus.dev/pkg/client"
	"signbus.dev/pkg/contract"
)

// poll is how often the demo looks for what it waits for.
const poll = 50 * time.Millisecond

// until calls check until it succeeds or ctx ends.
func until(ctx context.Context, check func() error) error {
	ticker := time.NewTicker(poll)
	defer ticker.Stop()
	for {
		err := check()
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return errors.Join(err, ctx.Err())
		case <-ticker.C:
		}
	}
}

func (b *demoBus) waitReady(ctx context.Context) error {
	return until(ctx, func() error {
		_, err := fetch(ctx, http.MethodGet, b.http+"/readyz", nil)
		return err
	})
}

var errEnded = errors.New("ended")

// follow prints the events with a progress line, and signs as anna once she is asked.
func (b *demoBus) follow(ctx context.Context, c *client.Client) error {
	start, signed := time.Now(), make(chan error, 1)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	shares := 3
	done := 0
	err := c.Events(ctx, client.Follow{ExternalID: externalID}, func(e client.Event) error {
		if e.Type == contract.EventEnvelopeStepClosed {
			done++
		}
		fmt.Printf("   %7.3f s  #%d %-34s [%s%s] %d of %d steps\n", time.Since(start).Seconds(), e.Sequence, e.Type,
			strings.Repeat("#", done), strings.Repeat(".", shares-done), done, shares)
		switch e.Type {
		case contract.EventOperationDone:
			var outcome contract.OperationDone
			if err := json.Unmarshal(e.Data, &outcome); err != nil {
				return err
			}
			if outcome.ReturnStatus.Code != contract.CodeOK.API() {
				return fmt.Errorf("the bus refused: %s", outcome.ReturnStatus.Message)
			}
		case contract.EventEnvelopeSent:
			go func() {
				err := b.signAs(ctx, c, "anna")
				if signed <- err; err != nil {
					cancel()
				}
			}()
		case contract.EventEnvelopeProcessEnded:
			return errEnded
		}
		return nil
	})
	if errors.Is(err, errEnded) {
		return <-signed
	}
	select {
	case signErr := <-signed:
		return errors.Join(signErr, err)
	default:
		return err
	}
}

var formToken = regexp.MustCompile(`name="form-token" value="([^"]+)"`)

// signAs opens the signing page of a user and fills in its forms, as a browser would.
func (b *demoBus) signAs(ctx context.Context, c *client.Client, user string) error {
	var page string
	if err := until(ctx, func() (err error) {
		page, err = c.SigningURL(ctx, externalID, user)
		return err
	}); err != nil {
		return err
	}
	html, err := fetch(ctx, http.MethodGet, page, nil)
	if err != nil {
		return fmt.Errorf("open the signing page: %w", err)
	}
	form := url.Values{"form-token": {token(html)}, "accept": {"1"}, "accept-all": {"yes"}, "autograph": {"typed"}, "name": {"Anna Alpha"}}
	html, err = fetch(ctx, http.MethodPost, page+"/consent", form)
	if err != nil {
		return fmt.Errorf("give consent: %w", err)
	}
	fmt.Printf("            anna has opened her signing page, read the contract and typed her name\n")
	var code string
	if err := until(ctx, func() (err error) { code, err = b.mailedCode(ctx, user); return err }); err != nil {
		return err
	}
	if _, err = fetch(ctx, http.MethodPost, page+"/confirm", url.Values{"form-token": {token(html)}, "code": {code}}); err != nil {
		return fmt.Errorf("confirm with the code: %w", err)
	}
	fmt.Printf("            anna has confirmed with the code from her mail\n")
	return nil
}

func token(html string) string {
	if match := formToken.FindStringSubmatch(html); match != nil {
		return match[1]
	}
	return ""
}

// mailedCode reads the one-time code from the development mailer.
func (b *demoBus) mailedCode(ctx context.Context, user string) (string, error) {
	body, err := fetch(ctx, http.MethodGet, b.http+"/dev/mails?user="+url.QueryEscape(user), nil)
	if err != nil {
		return "", err
	}
	var mails []struct {
		Code string `json:"code"`
	}
	if err := json.Unmarshal([]byte(body), &mails); err != nil {
		return "", err
	}
	for _, mail := range slices.Backward(mails) {
		if mail.Code != "" {
			return mail.Code, nil
		}
	}
	return "", errors.New("no code has come yet")
}

var web = &http.Client{Timeout: 20 * time.Second}

// fetch does one HTTP call, following redirects, and returns the body.
func fetch(ctx context.Context, method, address string, form url.Values) (string, error) {
	req, err := http.NewRequestWithContext(ctx, method, address, strings.NewReader(form.Encode()))
	if err != nil {
		return "", err
	}
	if form != nil {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	resp, err := web.Do(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, 4<<20))
	if err != nil {
		return "", err
	}
	if resp.StatusCode >= http.StatusMultipleChoices {
		return "", fmt.Errorf("%s answered %s", req.URL.Path, resp.Status)
	}
	return string(body), nil
}
