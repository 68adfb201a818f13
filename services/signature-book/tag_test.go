package signaturebook

import (
	"bytes"
	"errors"
	"io/fs"
	"path/filepath"
	"testing"
	"testing/fstest"
	"time"

	"github.com/stretchr/testify/require"

	"signbus.dev/pkg/contract/handover"
	"signbus.dev/pkg/pki"
	"signbus.dev/pkg/store"
	"signbus.dev/services/signature-book/catalogue"
)

func TestTag(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 9, 10, 11, 9, 23, 0, time.UTC)
	const date = "10/09/2026 11:09:23 UTC"
	bare := handover.Actor{Name: "Anna", Surname: "Alpha"}
	full := handover.Actor{Name: "Anna", Surname: "Alpha", Title: "Engineer", Organization: "Office", Company: "Works"}
	for name, c := range map[string]struct {
		text  []string
		actor handover.Actor
		want  []string
	}{
		"default":                {nil, full, []string{"Alpha Anna", date}},
		"all empty":              {[]string{"", "", ""}, full, []string{"Alpha Anna", date}},
		"as published":           {[]string{"Signed by #nnss#", "TOC", "OPD"}, full, []string{"Signed by Alpha Anna", "Engineer", date}},
		"with spaces":            {[]string{"Signed by # NNSS #", "NAN", "NAN"}, full, []string{"Signed by Alpha Anna"}},
		"organization":           {[]string{"#nnss#", "NAN", "ORG"}, full, []string{"Alpha Anna", "Office"}},
		"no organization":        {[]string{"#nnss#", "NAN", "ORG"}, bare, []string{"Alpha Anna"}},
		"company":                {[]string{"#nnss#", "CMP", "TTL"}, full, []string{"Alpha Anna", "Works", "Engineer"}},
		"first of three":         {[]string{"x", "TOC", "NAN"}, handover.Actor{Name: "Anna", Company: "Works"}, []string{"x", "Works"}},
		"no text":                {[]string{"", "CMP", "NAN"}, full, []string{"Alpha Anna", "Works"}},
		"unknown word":           {[]string{"x", "WHO", "OPD"}, full, []string{"x", date}},
		"a seal":                 {nil, handover.Actor{}, []string{"demo", date}},
		"a name is not read":     {[]string{"#nnss#", "NAN", "NAN"}, handover.Actor{Surname: "$1#nnss#"}, []string{"$1#nnss#"}},
		"more lines than usable": {[]string{"x", "CMP", "ORG", "TTL"}, full, []string{"x", "Works", "Office"}},
		"one line":               {[]string{"x"}, full, []string{"x"}},
	} {
		require.Equal(t, c.want, tag(c.text, c.actor, "demo", at), name)
	}
}

func TestMaskMail(t *testing.T) {
	t.Parallel()
	for address, want := range map[string]string{
		"anna@example.com": "a•••@example.com", "ä@example.com": "ä•••@example.com", "": "", "@x": "", "anna": "",
	} {
		require.Equal(t, want, maskMail(address))
	}
}

func TestMessagesAreComplete(t *testing.T) {
	t.Parallel()
	texts, err := catalogue.Read(messages, "messages")
	require.NoError(t, err)
	files, err := filepath.Glob("messages/*.json")
	require.NoError(t, err)
	require.Len(t, texts, len(files))
	for _, language := range texts {
		for _, key := range []string{"mail.code.text", "mail.invitation.text", "mail.invitation.text.other"} {
			text := language.Text(key, "name", "N", "subject", "S", "code", "C", "minutes", "M", "sender", "R", "message", "", "link", "L")
			require.NotContains(t, text, "{", language.Language)
			require.Contains(t, text, "S", language.Language)
		}
		require.Contains(t, language.Text("mail.code.text", "code", "123456"), "123456")
		require.Contains(t, language.Text("mail.invitation.text", "link", "https://x"), "https://x")
		require.True(t, language.Has("mail.code.subject"))
		require.True(t, language.Has("mail.invitation.subject"))
		require.True(t, language.Has("mail.invitation.subject.other"))
	}
}

func TestSecrets(t *testing.T) {
	t.Parallel()
	_, err := newSecrets(bytes.Repeat([]byte("x"), 31))
	require.ErrorContains(t, err, "needs 32")
	one, err := newSecrets(bytes.Repeat([]byte("x"), 32))
	require.NoError(t, err)
	two, err := newSecrets(bytes.Repeat([]byte("y"), 32))
	require.NoError(t, err)
	require.Len(t, one.token("a1"), tokenLength)
	require.NotEqual(t, one.token("a1"), one.token("a2"))
	require.NotEqual(t, one.token("a1"), two.token("a1"))

	sealed := one.mails.seal([]byte("hello anna"), "m1")
	require.NotContains(t, string(sealed), "anna")
	plain, err := one.mails.open(sealed, "m1")
	require.NoError(t, err)
	require.Equal(t, "hello anna", string(plain))
	for _, wrong := range []func() ([]byte, error){
		func() ([]byte, error) { return one.mails.open(sealed, "m2") },
		func() ([]byte, error) { return two.mails.open(sealed, "m1") },
		func() ([]byte, error) { return one.mails.open(sealed[:10], "m1") },
	} {
		_, err := wrong()
		require.ErrorIs(t, err, errSealed)
	}
}

func TestKeeper(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, db *store.DB) {
		require.NoError(t, Migrate(t.Context(), db))
		k := NewKeeper(db)
		_, err := k.Get(t.Context(), "user.1")
		require.ErrorIs(t, err, pki.ErrNotFound)
		kept, err := k.PutIfAbsent(t.Context(), "user.1", []byte("first"))
		require.NoError(t, err)
		require.Equal(t, "first", string(kept))
		kept, err = k.PutIfAbsent(t.Context(), "user.1", []byte("second"))
		require.NoError(t, err)
		require.Equal(t, "first", string(kept))
		kept, err = k.Get(t.Context(), "user.1")
		require.NoError(t, err)
		require.Equal(t, "first", string(kept))

		for _, name := range []string{"revoked-1", "revoked-2", "revokedx-3", "seal-4.1"} {
			_, err = k.PutIfAbsent(t.Context(), name, []byte(name))
			require.NoError(t, err)
		}
		var listed []string
		list := func(name string, value []byte) error {
			require.Equal(t, name, string(value))
			listed = append(listed, name)
			return nil
		}
		require.NoError(t, k.Each(t.Context(), "revoked", list))
		require.ElementsMatch(t, []string{"revoked-1", "revoked-2"}, listed)
		require.NoError(t, k.Each(t.Context(), "tsa", list))
		require.NoError(t, k.Each(t.Context(), "", list))
		require.Len(t, listed, 2)
		stop := errors.New("enough")
		require.ErrorIs(t, k.Each(t.Context(), "revoked", func(string, []byte) error { return stop }), stop)
	})
}

// Records from before there were kinds are listed with the others.
func TestKeeperFindsOlderRecords(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, db *store.DB) {
		require.NoError(t, db.Migrate(t.Context(), "signature_book", firstMigration(t)))
		require.NoError(t, db.Update(t.Context(), func(tx *store.Tx) error {
			for _, name := range []string{"lock", "tsa.1", "user-a.1", "seal-b.1"} {
				if _, err := tx.Exec(t.Context(), `INSERT INTO signature_key (name, value) VALUES ($1, $2)`, name, []byte("x")); err != nil {
					return err
				}
			}
			return nil
		}))
		require.NoError(t, Migrate(t.Context(), db))
		var listed []string
		for _, kind := range []string{"user", "seal", "lock", "tsa"} {
			require.NoError(t, NewKeeper(db).Each(t.Context(), kind, func(name string, _ []byte) error {
				listed = append(listed, name)
				return nil
			}))
		}
		require.Equal(t, []string{"user-a.1", "seal-b.1"}, listed)
	})
}

// firstMigration is the folder of migrations as it was at first.
func firstMigration(t *testing.T) fs.FS {
	t.Helper()
	text, err := migrations.ReadFile("migrations/00001_signature_book.sql")
	require.NoError(t, err)
	return fstest.MapFS{"migrations/00001_signature_book.sql": {Data: text}}
}

func TestAuthorityOnTheKeeper(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, db *store.DB) {
		require.NoError(t, Migrate(t.Context(), db))
		k := NewKeeper(db)
		one, err := pki.Open(t.Context(), k, pki.Options{Passphrase: []byte("p")})
		require.NoError(t, err)
		two, err := pki.Open(t.Context(), NewKeeper(db), pki.Options{Passphrase: []byte("p")})
		require.NoError(t, err)
		require.True(t, one.Certificate().Equal(two.Certificate()), "two processes have two authorities")
		user, err := one.User(t.Context(), pki.User{Customer: "demo", ExternalID: "anna", Name: "Anna Alpha"})
		require.NoError(t, err)
		_, err = two.Revoke(t.Context(), user.Chain[0].SerialNumber, pki.Superseded, time.Time{})
		require.NoError(t, err)
		listed, err := one.Revoked(t.Context())
		require.NoError(t, err)
		require.Len(t, listed, 1)
		require.Zero(t, listed[0].Serial.Cmp(user.Chain[0].SerialNumber))
	})
}
