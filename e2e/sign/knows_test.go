package sign

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestJudges: each judge accepts files that are well signed, by other software and by the
// command, and refuses them when one byte is different or when it does not know the root.
func TestJudges(t *testing.T) {
	a, w := pki(t), files(t)
	ours := filepath.Join(t.TempDir(), "ours.pdf")
	s := signbus(t, "sign", w.file("pdfbox-form"), "-o", ours, "--key", a.file("P-256.p12"))
	require.Zero(t, s.code, s.errs)
	for file, signer := range map[string]string{w.file("signed-pdfbox"): "Carla", w.file("signed-signpdf"): "Carla", ours: "Anna P-256"} {
		data, err := os.ReadFile(file)
		require.NoError(t, err)
		changed := filepath.Join(t.TempDir(), "changed.pdf")
		require.NoError(t, os.WriteFile(changed, bytes.Replace(data, []byte("/MediaBox"), []byte("/MediaBux"), 1), 0o600))
		for _, j := range judges {
			t.Run(filepath.Base(file)+"/"+j.name, func(t *testing.T) {
				good := j.judge(t, file, a.root())
				require.Len(t, good.signatures, 1, good.said)
				require.Equal(t, signer, good.signatures[0].signer, good.said)
				if knows(j.name, good.signatures[0]) {
					require.True(t, good.good(), good.said)
				}
				bad := j.judge(t, changed, a.root())
				require.False(t, bad.good(), bad.said)
				if j.trust {
					unknown := j.judge(t, file, a.file("P-384.pem"))
					require.False(t, unknown.good(), unknown.said)
				}
			})
		}
	}
}
