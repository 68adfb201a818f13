package e2e

import (
	"bytes"
	"encoding/json"
	"maps"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/net/html"
)

// signer is a person with a browser without JavaScript, on the signing page.
type signer struct {
	b      *bus
	extID  string
	user   string
	url    string
	before int // codes that were sent for earlier steps
	client *http.Client
	// strokes is what the drawing pad of the page sends, where a signature has to be drawn.
	strokes string
}

// visitor opens the signing page of a user once it is there.
func (b *bus) visitor(t testing.TB, extID, user string) *signer {
	t.Helper()
	jar, err := cookiejar.New(nil)
	require.NoError(t, err)
	s := &signer{b: b, extID: extID, user: user, client: &http.Client{Jar: jar, Timeout: waitTime}}
	until(t, waitTime, "the signing page of "+user+" for "+extID, func() bool {
		a := b.ask(t, http.MethodGet, "/envelopes/"+extID+"/signing-url?usrExtId="+user, nil)
		if a.status != http.StatusOK {
			return false
		}
		var found struct {
			URL string `json:"url"`
		}
		require.NoError(t, json.Unmarshal(a.body, &found))
		s.url = found.URL
		return true
	})
	require.True(t, strings.HasPrefix(s.url, b.book+"/sign/"), "the signing page is below the public address")
	s.before = len(s.codes(t))
	return s
}

// page is an HTML page with its forms.
type page struct {
	status int
	path   string
	text   string
	forms  []form
}

// form is an HTML form: its fields as a browser would send them when nothing is touched.
type form struct {
	action string
	fields url.Values
	// ticks are the checkboxes, which are not sent until they are ticked.
	ticks url.Values
}

// form returns the form whose action ends so.
func (p page) form(t testing.TB, end string) form {
	t.Helper()
	for _, f := range p.forms {
		if strings.HasSuffix(f.action, end) {
			return f
		}
	}
	require.FailNowf(t, "no form", "%s has no form for %s: %s", p.path, end, p.text)
	return form{}
}

// open gets a page.
func (s *signer) open(t testing.TB, address string) page {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, address, nil)
	require.NoError(t, err)
	return s.do(t, req)
}

// send sends a form and follows the redirect.
func (s *signer) send(t testing.TB, f form) page {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.b.book+f.action, strings.NewReader(f.fields.Encode()))
	require.NoError(t, err)
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return s.do(t, req)
}

func (s *signer) do(t testing.TB, req *http.Request) page {
	t.Helper()
	resp, err := s.client.Do(req)
	require.NoError(t, err)
	defer resp.Body.Close()
	require.Contains(t, resp.Header.Get("Content-Type"), "text/html")
	var body bytes.Buffer
	_, err = body.ReadFrom(resp.Body)
	require.NoError(t, err)
	root, err := html.Parse(&body)
	require.NoError(t, err)
	p := page{status: resp.StatusCode, path: resp.Request.URL.Path}
	read(root, &p, nil)
	p.text = strings.Join(strings.Fields(p.text), " ")
	return p
}

// read collects the text and the forms of a page.
func read(n *html.Node, p *page, in *form) {
	attributes := map[string]string{}
	for _, a := range n.Attr {
		attributes[a.Key] = a.Val
	}
	_, checked := attributes["checked"]
	switch {
	case n.Type == html.TextNode:
		p.text += " " + n.Data
	case n.Type != html.ElementNode:
	case n.Data == "script" || n.Data == "style":
		return
	case n.Data == "form":
		p.forms = append(p.forms, form{action: attributes["action"], fields: url.Values{}, ticks: url.Values{}})
		in = &p.forms[len(p.forms)-1]
	case in == nil || attributes["name"] == "":
	case n.Data == "input" && attributes["type"] == "checkbox" && !checked:
		in.ticks.Add(attributes["name"], attributes["value"])
	case n.Data == "input" && attributes["type"] == "radio" && !checked:
	case n.Data == "input":
		in.fields.Add(attributes["name"], attributes["value"])
	case n.Data == "textarea":
		in.fields.Set(attributes["name"], "")
	}
	for child := n.FirstChild; child != nil; child = child.NextSibling {
		read(child, p, in)
	}
}

// sign does what a person does who agrees, and waits until the page says that it is signed.
func (s *signer) sign(t testing.TB) {
	t.Helper()
	s.confirm(t)
	s.reaches(t, "signed")
}

// confirm reads, ticks every document, sends the form, and confirms with the code of the mail.
func (s *signer) confirm(t testing.TB) {
	t.Helper()
	p := s.open(t, s.url)
	require.Equal(t, http.StatusOK, p.status)
	consent := p.form(t, "/consent")
	maps.Copy(consent.fields, consent.ticks)
	if s.strokes != "" {
		consent.fields.Set("strokes", s.strokes)
	}
	p = s.send(t, consent)
	require.Equalf(t, http.StatusOK, p.status, "%s", p.text)
	require.Truef(t, strings.HasSuffix(p.path, "/code"), "%s: %s", p.path, p.text)
	code := p.form(t, "/confirm")
	code.fields.Set("code", s.code(t))
	p = s.send(t, code)
	require.Equalf(t, http.StatusOK, p.status, "%s", p.text)
	require.Truef(t, strings.HasSuffix(p.path, "/done"), "%s: %s", p.path, p.text)
}

// code waits for the mail with the one-time code.
func (s *signer) code(t testing.TB) string {
	t.Helper()
	var codes []string
	until(t, waitTime, "the code for "+s.user, func() bool {
		codes = s.codes(t)
		return len(codes) > s.before
	})
	return codes[len(codes)-1]
}

// codes are those that were sent to the person for the envelope so far.
func (s *signer) codes(t testing.TB) (codes []string) {
	t.Helper()
	var mails []struct {
		Code string `json:"code"`
	}
	call(t, http.MethodGet, s.b.book+"/dev/mails?kind=code&user="+s.user+"&envelope="+url.QueryEscape(s.extID), nil).decode(t, http.StatusOK, &mails)
	for _, m := range mails {
		codes = append(codes, m.Code)
	}
	return codes
}

// decline declines with a reason.
func (s *signer) decline(t testing.TB, reason string) {
	t.Helper()
	p := s.open(t, s.url+"/decline")
	f := p.form(t, "/decline")
	f.fields.Set("reason", reason)
	p = s.send(t, f)
	require.Equalf(t, http.StatusOK, p.status, "%s", p.text)
	s.reaches(t, "declined")
}

// reaches waits until the page has a status.
func (s *signer) reaches(t testing.TB, status string) {
	t.Helper()
	var state struct {
		Status string `json:"status"`
	}
	until(t, waitTime, "the page of "+s.user+" is "+status, func() bool {
		call(t, http.MethodGet, s.url+"/state", nil).decode(t, http.StatusOK, &state)
		return state.Status == status
	})
}
