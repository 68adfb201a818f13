// Package provider describes what performs assignments: the signature book of the bus
// and the providers of others.
//
// It promises that a task which a provider cannot perform is refused with the field
// and a sentence that says why, so that nothing is ever made weaker in silence. It does
// not perform anything and does not choose between providers.
package provider

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"signbus.dev/pkg/contract"
)

// Capabilities is what a provider declares about itself. What is not listed it cannot do.
type Capabilities struct {
	// Name is how a task names the provider.
	Name string
	// Levels are the signature formats, each with its baseline levels, such as B-T.
	Levels map[contract.Format][]string
	// TrustLevels are those of the envelopes that it can work on.
	TrustLevels []contract.TrustLevel
	// Unready are further trust levels that it could work on, each with what the operator
	// has to configure first.
	Unready map[contract.TrustLevel]string
	// ActionTypes is what people can do with it.
	ActionTypes []contract.ActionType
	// CertTypes are the certificates that people can sign with.
	CertTypes []contract.CertType
	// Automatic says that it can sign in the name of a person who is not there.
	Automatic bool
	// Seal says that it can sign with the customer's own certificate.
	Seal bool
	// PerAssignment says that a job is one assignment; else it is a whole process.
	PerAssignment bool
}

// SignatureBookName is the name of the provider of the bus itself.
const SignatureBookName = "signature-book"

// SignatureBook returns what the provider of the bus itself can do; escrow says whether it
// has certificates to encrypt graphometric recordings for.
func SignatureBook(escrow bool) Capabilities {
	c := Capabilities{
		Name: SignatureBookName,
		Levels: map[contract.Format][]string{
			contract.PAdES: contract.Levels(),
			contract.CAdES: {contract.LevelBB, contract.LevelBT, contract.LevelBLT},
		},
		TrustLevels:   []contract.TrustLevel{contract.TrustInternalPDF, contract.TrustDigitalPDF, contract.TrustDigitalP7M},
		ActionTypes:   []contract.ActionType{contract.ActionSign, contract.ActionApprove, contract.ActionView, contract.ActionGraphometric},
		CertTypes:     []contract.CertType{contract.CertInternal, contract.CertRemote},
		Automatic:     true,
		Seal:          true,
		PerAssignment: true,
	}
	if escrow {
		c.TrustLevels = append(c.TrustLevels, contract.TrustGraphoFEA)
	} else {
		c.Unready = map[contract.TrustLevel]string{contract.TrustGraphoFEA: "an escrow certificate for graphometric signatures; the operator names it in SIGNBUS_ESCROW_CERT"}
	}
	return c
}

// DefaultLevel is the signature level of a task where neither the task nor its customer
// names one.
const DefaultLevel = contract.LevelBLT

// Check returns a [contract.Error] with the code not_supported for the first thing in
// the task that the provider cannot do, nil when it can do all. path is where the task
// stands in the request; level is the signature level that was chosen for it.
func (c Capabilities) Check(path string, trust contract.TrustLevel, level string, task contract.Task) error {
	format := trust.Format()
	switch {
	case c.Unready[trust] != "":
		return c.cannot("envelope.trustLevelCode", "lacks %s", c.Unready[trust])
	case !slices.Contains(c.TrustLevels, trust):
		return c.cannot("envelope.trustLevelCode", "works on envelopes of trust level %s", list(c.TrustLevels))
	case len(c.Levels[format]) == 0:
		return c.cannot("envelope.trustLevelCode", "makes signatures of format %s", list(slices.Sorted(maps.Keys(c.Levels))))
	case !slices.Contains(c.Levels[format], level):
		return c.cannot(path+".confString.signatureLevel", "makes %s signatures of level %s", format, list(c.Levels[format]))
	case task.Action == contract.TaskAutoSign && !c.Automatic:
		return c.cannot(path+".action", "does not sign automatically; give the task another provider")
	case task.Action == contract.TaskSeal && !c.Seal:
		return c.cannot(path+".action", "does not seal; give the task another provider")
	case task.CertType != "" && !slices.Contains(c.CertTypes, task.CertType):
		return c.cannot(path+".certType", "works with certificates of type %s", list(c.CertTypes))
	}
	for i, a := range task.ActionDefs {
		if !slices.Contains(c.ActionTypes, a.Type) {
			return c.cannot(fmt.Sprintf("%s.actionDefs[%d].type", path, i), "performs actions of type %s", list(c.ActionTypes))
		}
	}
	return nil
}

func (c Capabilities) cannot(path, format string, args ...any) error {
	return &contract.Error{
		Code: contract.CodeNotSupported, Path: path,
		Message: fmt.Sprintf("the provider %s %s", c.Name, fmt.Sprintf(format, args...)),
	}
}

// list joins what is possible for a sentence.
func list[T ~string](values []T) string {
	words := make([]string, len(values))
	for i, v := range values {
		words[i] = string(v)
	}
	if len(words) < 2 {
		return strings.Join(words, "")
	}
	return strings.Join(words[:len(words)-1], ", ") + " or " + words[len(words)-1]
}
