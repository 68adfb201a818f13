package catalogue_test

import (
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/require"

	"signbus.dev/services/signature-book/catalogue"
)

func files(t *testing.T) catalogue.Set {
	t.Helper()
	set, err := catalogue.Read(fstest.MapFS{
		"texts/en.json":  {Data: []byte(`{"hello":"Hello {name}","cats.one":"one cat","cats.other":"{n} cats"}`)},
		"texts/it.json":  {Data: []byte(`{"hello":"Ciao {name}"}`)},
		"texts/read.txt": {Data: []byte(`notes`)},
	}, "texts")
	require.NoError(t, err)
	return set
}

func TestTexts(t *testing.T) {
	t.Parallel()
	it := files(t).Choose("it", "")
	require.Equal(t, "Ciao {name}", it.Text("hello"))
	require.Equal(t, "Ciao {x} anna", it.Text("hello", "name", "{x} anna"), "a value is not read again")
	require.Equal(t, "one cat", it.Count("cats", 1), "English where the language misses a text")
	require.Equal(t, "5 cats", it.Count("cats", 5))
	require.Equal(t, "no.such.key", it.Text("no.such.key"))
	require.True(t, it.Has("hello"))
	require.False(t, it.Has("no.such.key"))
}

func TestChoose(t *testing.T) {
	t.Parallel()
	set := files(t)
	for _, c := range []struct{ language, accept, want string }{
		{"", "", "en"},
		{"it-IT", "en", "it"},
		{"IT_it", "", "it"},
		{"xx", "fr, it;q=0.3, en;q=0.2", "it"},
		{"", "it;q=0,en;q=0.1", "en"},
		{"", "it;q=bad", "en"},
		{"", "*", "en"},
	} {
		require.Equal(t, c.want, set.Choose(c.language, c.accept).Language, "%v", c)
	}
}

func TestReadRefuses(t *testing.T) {
	t.Parallel()
	_, err := catalogue.Read(fstest.MapFS{"texts/it.json": {Data: []byte(`{}`)}}, "texts")
	require.ErrorContains(t, err, "no catalogue for en")
	_, err = catalogue.Read(fstest.MapFS{"texts/en.json": {Data: []byte(`[]`)}}, "texts")
	require.ErrorContains(t, err, "read messages of en")
	_, err = catalogue.Read(fstest.MapFS{}, "texts")
	require.Error(t, err)
}
