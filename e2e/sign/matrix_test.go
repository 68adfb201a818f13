package sign

import (
	"fmt"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

var (
	levels      = []string{"B-B", "B-T", "B-LT", "B-LTA"}
	cadesLevels = levels[:3]
)

// combination is one case of the matrix: a file, and who signs it how, one after the other.
type combination struct {
	input, level string
	signers      []key
	// visible is for PAdES, detached for CAdES.
	visible, detached bool
}

func (c combination) String() string {
	return fmt.Sprintf("%s/%s/%d", c.input, c.level, len(c.signers))
}

// combinations are the cases of PAdES. Each file is signed by one, by two, by three and by
// four, so that ten signatures have all ten key types; levels and appearances move on from
// file to file. TestCoverage proves that every pair of values meets.
func combinations() []combination {
	var list []combination
	for i, in := range inputs {
		next := i * 3
		for r := range 4 {
			c := combination{input: in.name, level: levels[(i+r)%len(levels)], visible: (r+i/4)%2 == 0}
			for range r + 1 {
				c.signers = append(c.signers, keys[next%len(keys)])
				next++
			}
			list = append(list, c)
		}
	}
	return list
}

// cadesCombinations are the cases of CAdES, made in the same way, attached and detached.
func cadesCombinations() []combination {
	var list []combination
	for i, in := range contents {
		for _, detached := range []bool{false, true} {
			next := i
			if detached {
				next += 4
			}
			for r := range 4 {
				c := combination{input: in.name, level: cadesLevels[(i+r)%len(cadesLevels)], detached: detached}
				for range r + 1 {
					c.signers = append(c.signers, keys[next%len(keys)])
					next++
				}
				list = append(list, c)
			}
		}
	}
	return list
}

// TestCoverage: of level, key type, input, number of signers and appearance or form, every
// value of one meets every value of each other.
func TestCoverage(t *testing.T) {
	require.Len(t, keys, 10)
	var pades, cades []string
	for _, in := range inputs {
		pades = append(pades, in.name)
	}
	for _, in := range contents {
		cades = append(cades, in.name)
	}
	requirePairs(t, combinations(), pades, levels)
	requirePairs(t, cadesCombinations(), cades, cadesLevels)
}

func requirePairs(t *testing.T, list []combination, names, levels []string) {
	t.Helper()
	met := map[[2]string]bool{}
	for _, c := range list {
		values := []string{"input " + c.input, "level " + c.level, fmt.Sprint("signers ", len(c.signers)), fmt.Sprint("form ", c.visible, c.detached)}
		for i, a := range values {
			for _, b := range values[i+1:] {
				met[[2]string{a, b}] = true
			}
			for _, k := range c.signers {
				met[[2]string{a, "key " + k.name}] = true
			}
		}
	}
	var factors [5][]string
	for _, name := range names {
		factors[0] = append(factors[0], "input "+name)
	}
	for _, level := range levels {
		factors[1] = append(factors[1], "level "+level)
	}
	for n := 1; n <= 4; n++ {
		factors[2] = append(factors[2], fmt.Sprint("signers ", n))
	}
	for _, c := range list {
		form := fmt.Sprint("form ", c.visible, c.detached)
		if !slices.Contains(factors[3], form) {
			factors[3] = append(factors[3], form)
		}
	}
	require.Len(t, factors[3], 2)
	for _, k := range keys {
		factors[4] = append(factors[4], "key "+k.name)
	}
	for i, some := range factors {
		for _, others := range factors[i+1:] {
			for _, a := range some {
				for _, b := range others {
					require.Truef(t, met[[2]string{a, b}], "%s never meets %s", a, b)
				}
			}
		}
	}
}
