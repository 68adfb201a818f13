package provider_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"signbus.dev/pkg/contract"
	"signbus.dev/pkg/provider"
)

const path = "envelope.procDef.tasks[2]"

func task(change func(*contract.Task)) contract.Task {
	t := contract.Task{
		Type: contract.TaskHuman, Action: contract.TaskWork, CertType: contract.CertInternal,
		ActionDefs: []contract.ActionDef{{Type: contract.ActionSign}, {Type: contract.ActionView}},
	}
	if change != nil {
		change(&t)
	}
	return t
}

func TestCheckAdmitsWhatIsDeclared(t *testing.T) {
	t.Parallel()
	book := provider.SignatureBook(false)
	for _, trust := range []contract.TrustLevel{contract.TrustInternalPDF, contract.TrustDigitalPDF} {
		for _, level := range contract.Levels() {
			require.NoError(t, book.Check(path, trust, level, task(nil)))
		}
	}
	seal := task(func(t *contract.Task) {
		t.Type, t.Action, t.CertType, t.ActionDefs = contract.TaskAutomatic, contract.TaskSeal, "", t.ActionDefs[:1]
	})
	require.NoError(t, book.Check(path, contract.TrustInternalPDF, contract.LevelBT, seal))
}

func TestGraphometricSignaturesTakeAnEscrowCertificate(t *testing.T) {
	t.Parallel()
	graphometric := task(func(t *contract.Task) { t.ActionDefs[0].Type = contract.ActionGraphometric })
	require.NoError(t, provider.SignatureBook(true).Check(path, contract.TrustGraphoFEA, contract.LevelBLT, graphometric))
}

func TestCheckSaysWhatIsMissing(t *testing.T) {
	t.Parallel()
	nothingAlone := provider.SignatureBook(false)
	nothingAlone.Automatic, nothingAlone.Seal = false, false
	cades := provider.SignatureBook(false)
	cades.Levels = map[contract.Format][]string{contract.CAdES: contract.Levels()}
	for name, c := range map[string]struct {
		provider provider.Capabilities
		trust    contract.TrustLevel
		level    string
		task     contract.Task
		want     string
	}{
		"trust level": {
			provider.SignatureBook(false), contract.TrustFEA, contract.LevelBT, task(nil),
			"envelope.trustLevelCode: the provider signature-book works on envelopes of trust level INTERNAL_PDF, DIGITAL_PDF or DIGITAL_P7M",
		},
		"escrow": {
			provider.SignatureBook(false), contract.TrustGraphoFEA, contract.LevelBT, task(nil),
			"envelope.trustLevelCode: the provider signature-book lacks an escrow certificate for graphometric signatures; the operator names it in SIGNBUS_ESCROW_CERT",
		},
		"format": {
			cades, contract.TrustInternalPDF, contract.LevelBT, task(nil),
			"envelope.trustLevelCode: the provider signature-book makes signatures of format CAdES",
		},
		"level": {
			provider.SignatureBook(false), contract.TrustDigitalP7M, contract.LevelBLTA, task(nil),
			path + ".confString.signatureLevel: the provider signature-book makes CAdES signatures of level B-B, B-T or B-LT",
		},
		"automatic": {
			nothingAlone, contract.TrustInternalPDF, contract.LevelBT, task(func(t *contract.Task) { t.Action = contract.TaskAutoSign }),
			path + ".action: the provider signature-book does not sign automatically; give the task another provider",
		},
		"seal": {
			nothingAlone, contract.TrustInternalPDF, contract.LevelBT, task(func(t *contract.Task) { t.Action = contract.TaskSeal }),
			path + ".action: the provider signature-book does not seal; give the task another provider",
		},
		"certificate": {
			provider.SignatureBook(false), contract.TrustInternalPDF, contract.LevelBT, task(func(t *contract.Task) { t.CertType = contract.CertToken }),
			path + ".certType: the provider signature-book works with certificates of type I or R",
		},
		"action": {
			provider.SignatureBook(false), contract.TrustInternalPDF, contract.LevelBT, task(func(t *contract.Task) { t.ActionDefs[1].Type = contract.ActionInitial }),
			path + ".actionDefs[1].type: the provider signature-book performs actions of type S, A, V or G",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := c.provider.Check(path, c.trust, c.level, c.task)
			require.EqualError(t, err, c.want)
			require.Equal(t, contract.CodeNotSupported, contract.CodeOf(err))
		})
	}
}
