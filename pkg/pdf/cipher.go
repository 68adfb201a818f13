package pdf

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/md5" //nolint:gosec // the standard says so
	"crypto/rc4" //nolint:gosec // the standard says so
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"io"
)

// keyFor returns the key for the strings and streams of an object (algorithm 1).
func (c *crypt) keyFor(m method, r ref) []byte {
	if m == methodAES256 {
		return c.key
	}
	data := append(bytes.Clone(c.key), byte(r.num), byte(r.num>>8), byte(r.num>>16), byte(r.gen), byte(r.gen>>8))
	if m == methodAES128 {
		data = append(data, "sAlT"...)
	}
	sum := md5.Sum(data) //nolint:gosec // the standard says so
	return sum[:min(len(c.key)+5, 16)]
}

func (c *crypt) rc4(key, data []byte) []byte {
	out := make([]byte, len(data))
	if s, err := rc4.NewCipher(key); err == nil { //nolint:gosec // the standard says so
		s.XORKeyStream(out, data)
	}
	return out
}

// encrypt encrypts a string or a stream of an object. The initial vector comes from
// the key and what is encrypted, so that the same update gives the same bytes, and different
// texts never share one.
func (c *crypt) encrypt(m method, r ref, plain []byte) []byte {
	switch m {
	case methodNone:
		return plain
	case methodRC4:
		return c.rc4(c.keyFor(m, r), plain)
	}
	key := c.keyFor(m, r)
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil
	}
	mac := hmac.New(sha256.New, key)
	mac.Write(binary.BigEndian.AppendUint64(nil, uint64(r.num)))
	mac.Write(plain)
	out := mac.Sum(make([]byte, 0, len(plain)+3*aes.BlockSize))[:aes.BlockSize]
	out = append(out, plain...)
	pad := aes.BlockSize - len(plain)%aes.BlockSize
	out = append(out, bytes.Repeat([]byte{byte(pad)}, pad)...)
	cipher.NewCBCEncrypter(block, out[:aes.BlockSize]).CryptBlocks(out[aes.BlockSize:], out[aes.BlockSize:])
	return out
}

// decrypt decrypts a string of an object; what is damaged is cut off.
func (c *crypt) decrypt(m method, r ref, data []byte) []byte {
	out, _ := io.ReadAll(c.reader(m, r, bytes.NewReader(data)))
	return out
}

// reader decrypts a stream of an object.
func (c *crypt) reader(m method, r ref, from io.Reader) io.Reader {
	switch m {
	case methodNone:
		return from
	case methodRC4:
		s, err := rc4.NewCipher(c.keyFor(m, r)) //nolint:gosec // the standard says so
		if err != nil {
			return bytes.NewReader(nil)
		}
		return cipher.StreamReader{S: s, R: from}
	}
	block, err := aes.NewCipher(c.keyFor(m, r))
	if err != nil {
		return bytes.NewReader(nil)
	}
	return &aesReader{from: from, block: block}
}

// aesReader decrypts AES in CBC mode with the padding of RFC 8018. The last block is kept back until the
// end is known; bytes behind the last whole block are left out, as other readers do.
type aesReader struct {
	from  io.Reader
	block cipher.Block
	mode  cipher.BlockMode
	buf   [4096]byte
	ready []byte // decrypted
	held  int    // bytes of buf not decrypted yet
	end   bool
}

func (a *aesReader) Read(p []byte) (int, error) {
	for len(a.ready) == 0 {
		if a.end {
			return 0, io.EOF
		}
		if err := a.fill(); err != nil {
			return 0, err
		}
	}
	n := copy(p, a.ready)
	a.ready = a.ready[n:]
	return n, nil
}

// fill decrypts what is held and the next bytes, but the last block before the end.
func (a *aesReader) fill() error {
	last := append([]byte(nil), a.buf[:a.held]...)
	n, err := io.ReadFull(a.from, a.buf[copy(a.buf[:], last):])
	n += len(last)
	a.end = errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)
	if err != nil && !a.end {
		return err
	}
	data := a.buf[:n-n%aes.BlockSize]
	if a.mode == nil {
		if len(data) < aes.BlockSize {
			return nil // nothing was encrypted
		}
		a.mode = cipher.NewCBCDecrypter(a.block, data[:aes.BlockSize])
		data = data[aes.BlockSize:]
	}
	if a.end {
		a.held = 0
		a.mode.CryptBlocks(data, data)
		if len(data) > 0 {
			if pad := int(data[len(data)-1]); pad >= 1 && pad <= aes.BlockSize {
				data = data[:len(data)-pad]
			}
		}
		a.ready = data
		return nil
	}
	whole := len(data) - aes.BlockSize
	ready := append([]byte(nil), data[:whole]...)
	a.mode.CryptBlocks(ready, ready)
	a.ready = ready
	a.held = copy(a.buf[:], data[whole:])
	return nil
}
