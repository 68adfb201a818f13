package pki

import (
	"crypto/hmac"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"math/big"
)

// ErrNotIssued means that a serial number is not one that this authority gave.
var ErrNotIssued = errors.New("serial number is not one of this authority")

// A serial number has 19 bytes, one less than RFC 5280 allows: nine random ones, and the
// first ten of their HMAC. So the authority knows its numbers again without keeping a
// list, and nobody else can make one up to be told that it is good.
const (
	serialRandom = 9
	serialLength = serialRandom + 10
)

// serial makes a number. The first byte is neither zero nor negative, so that all have one length.
func (a *Authority) serial() (*big.Int, error) {
	number := make([]byte, serialRandom, serialLength)
	if _, err := io.ReadFull(a.rand, number); err != nil {
		return nil, fmt.Errorf("serial number: %w", err)
	}
	number[0] = number[0]&0x7f | 0x40
	return new(big.Int).SetBytes(append(number, a.vault.sign(number)...)), nil
}

// Issued says whether a serial number is one that this authority gave.
func (a *Authority) Issued(serial *big.Int) bool {
	if serial == nil || serial.Sign() <= 0 || serial.BitLen() > 8*serialLength {
		return false
	}
	number := serial.FillBytes(make([]byte, serialLength))
	return hmac.Equal(number[serialRandom:], a.vault.sign(number[:serialRandom]))
}

func (v *vault) sign(number []byte) []byte {
	mac := hmac.New(sha256.New, v.serials)
	mac.Write(number)
	return mac.Sum(nil)[:serialLength-serialRandom]
}
