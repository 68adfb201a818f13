package pdf_test

import (
	"bytes"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"signbus.dev/pkg/pdf"
	"signbus.dev/pkg/pdf/pdftest"
)

// sources parses the files of the package, without its tests.
func sources(t *testing.T) map[string]*ast.File {
	t.Helper()
	names, err := filepath.Glob("*.go")
	require.NoError(t, err)
	out := map[string]*ast.File{}
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		text, err := os.ReadFile(name)
		require.NoError(t, err)
		if out[name], err = parser.ParseFile(token.NewFileSet(), name, text, 0); err != nil {
			t.Fatal(err)
		}
	}
	return out
}

// TestNothingCanRewriteAFile walks what the package exports: no function takes anything that
// could be written to, and the only bytes that come out are updates to be appended. It also holds
// pdfcpu, which can write files anew and so destroys signatures without an error, to reading.
func TestNothingCanRewriteAFile(t *testing.T) {
	t.Parallel()
	takes := []string{ // what functions and methods may take, receivers left out
		"context.Context", "io.ReaderAt", "int64", "int", "Limits", "Request", "Security", "[]NewField", "PageInfo", "Box", "Rect", "[]byte", "string", "bool",
	}
	gives := map[string]string{ // the functions that return bytes
		"PrepareFields": "bytes to append", "PrepareSecurity": "bytes to append",
		"Before": "of an update", "After": "of an update",
	}
	reads := []string{ // all that is used of pdfcpu
		"api.DisableConfigDir", "model.NewDefaultConfiguration", "model.LISTINFO", "model.ErrMaxRecursionDepthExceeded", "model.XRefTableEntry",
		"pdfcpu.ReadWithContext", "pdfcpu.ErrWrongPassword", "pdfcpu.ErrEncrypted",
	}
	written := map[string]bool{}
	for name, file := range sources(t) {
		foreign := map[string]bool{}
		for _, i := range file.Imports {
			if path := strings.Trim(i.Path.Value, `"`); strings.HasPrefix(path, "github.com/pdfcpu") {
				require.Equal(t, "opinion.go", name, "only the second opinion may use pdfcpu")
				foreign[path[strings.LastIndex(path, "/")+1:]] = true
			}
			require.NotEqual(t, `"os"`, i.Path.Value, "%s must not touch files", name)
		}
		ast.Inspect(file, func(n ast.Node) bool {
			if s, ok := n.(*ast.SelectorExpr); ok {
				if x, ok := s.X.(*ast.Ident); ok && foreign[x.Name] {
					require.Contains(t, reads, x.Name+"."+s.Sel.Name)
				}
			}
			return true
		})
		for _, d := range file.Decls {
			f, ok := d.(*ast.FuncDecl)
			if !ok || !f.Name.IsExported() || f.Recv != nil && !exportedReceiver(f) {
				continue
			}
			for _, p := range f.Type.Params.List {
				require.Contains(t, takes, typeName(p.Type), "%s: %s", name, f.Name.Name)
				if typeName(p.Type) == "[]byte" {
					require.Equal(t, "Fill", f.Name.Name, "a signature is the only thing to be handed in as bytes")
				}
			}
			if f.Type.Results == nil {
				continue
			}
			for _, r := range f.Type.Results.List {
				if typeName(r.Type) == "[]byte" {
					require.Contains(t, gives, f.Name.Name)
					written[f.Name.Name] = true
				}
				require.NotContains(t, typeName(r.Type), "io.")
			}
		}
	}
	require.Len(t, written, len(gives), "a test that looks at nothing proves nothing")

	data := pdftest.WithBlankField("anna")
	update, err := pdf.Prepare(t.Context(), bytes.NewReader(data), int64(len(data)), pdf.Limits{}, pdf.Request{Reserve: 10, Field: "anna"})
	require.NoError(t, err)
	fields, err := pdf.PrepareFields(t.Context(), bytes.NewReader(data), int64(len(data)), pdf.Limits{}, []pdf.NewField{{Name: "b"}})
	require.NoError(t, err)
	store, err := pdf.PrepareSecurity(t.Context(), bytes.NewReader(data), int64(len(data)), pdf.Limits{}, pdf.Security{CRLs: [][]byte{{1}}})
	require.NoError(t, err)
	for _, tail := range [][]byte{update.Tail, fields, store} {
		require.NotContains(t, string(tail), "%PDF-", "an update is no file")
		checked(t, append(bytes.Clone(data), tail...))
	}
}

func exportedReceiver(f *ast.FuncDecl) bool {
	return ast.IsExported(strings.TrimPrefix(typeName(f.Recv.List[0].Type), "*"))
}

func typeName(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.Ident:
		return e.Name
	case *ast.StarExpr:
		return "*" + typeName(e.X)
	case *ast.SelectorExpr:
		return typeName(e.X) + "." + e.Sel.Name
	case *ast.ArrayType:
		return "[]" + typeName(e.Elt)
	case *ast.MapType:
		return "map[" + typeName(e.Key) + "]" + typeName(e.Value)
	}
	return "other"
}
