package pdf

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/md5" //nolint:gosec // the standard says so
	"crypto/sha256"
	"crypto/sha512"
	"crypto/subtle"
	"encoding/binary"
	"fmt"
	"hash"
)

// method is how strings or streams are encrypted.
type method uint8

const (
	methodNone method = iota
	methodRC4
	methodAES128
	methodAES256
)

// crypt opens a file that is encrypted for its owner only: the password of its users is
// empty, and permissions say what they may do. It is the standard security handler of
// ISO 32000-2, 7.6.4, with the algorithms that older files use.
type crypt struct {
	key              []byte
	strings, streams method
	filters          map[string]method // by the names of crypt filters
	metadata         bool              // metadata streams are encrypted too
	permissions      uint32
	revision         int64
}

// padding stands for an empty password (ISO 32000-2, 7.6.4.3.2).
var padding = []byte("\x28\xBF\x4E\x5E\x4E\x75\x8A\x41\x64\x00\x4E\x56\xFF\xFA\x01\x08\x2E\x2E\x00\xB6\xD0\x68\x3E\x80\x2F\x0C\xA9\xFE\x64\x53\x69\x7A")

func encrypted(reason string) error {
	return fmt.Errorf("%w: %s; remove the password and the restrictions and send it again", ErrEncrypted, reason)
}

// unlock finds the key of an encrypted file.
func (f *file) unlock() error {
	if f.trailer.get("Encrypt").kind == kindNull {
		return nil
	}
	d, err := f.dictOf(f.trailer.get("Encrypt"), "the description of its encryption")
	if err != nil {
		return err
	}
	if d.dict.get("Filter").name() != "Standard" {
		return encrypted("it is made for certain readers")
	}
	p, ok := d.dict.get("P").integer()
	v, _ := d.dict.get("V").integer()
	c := &crypt{permissions: uint32(p), metadata: true}
	c.revision, _ = d.dict.get("R").integer()
	if m := d.dict.get("EncryptMetadata"); m.kind == kindBool {
		c.metadata = m.num == 1
	}
	if !ok {
		return encrypted("it does not say what is permitted")
	}
	length, err := c.methods(f, d, v)
	if err != nil {
		return err
	}
	id, err := f.firstID()
	if err != nil {
		return err
	}
	switch {
	case v == 5 && (c.revision == 5 || c.revision == 6):
		ok = c.open256(d.dict)
	case v >= 1 && v <= 4 && c.revision >= 2 && c.revision <= 4:
		ok = c.open128(d.dict, id.bytes(), length)
	default:
		return encrypted("the kind of its encryption is unknown")
	}
	if !ok {
		return encrypted("it opens with a password only")
	}
	f.crypt = c
	clear(f.recent[:])
	return nil
}

// firstID returns the first half of the identifier of the file, null without one.
func (f *file) firstID() (object, error) {
	ids, err := f.resolve(f.trailer.get("ID"))
	if err != nil || ids.kind != kindArray || len(ids.list()) != 2 {
		return object{}, err
	}
	id, err := f.resolve(ids.list()[0])
	if err != nil || id.kind != kindString && id.kind != kindHexString {
		return object{}, err
	}
	return id, nil
}

// methods reads how strings and streams are encrypted, and the length of the key in bytes.
func (c *crypt) methods(f *file, d object, v int64) (int, error) {
	bits, ok := d.dict.get("Length").integer()
	if !ok || v == 1 {
		bits = 40
	}
	if v < 4 {
		c.strings, c.streams = methodRC4, methodRC4
		if bits < 40 || bits > 128 || bits%8 != 0 {
			return 0, encrypted("its key has an odd length")
		}
		return int(bits / 8), nil
	}
	filters, err := f.resolve(d.dict.get("CF"))
	if err != nil {
		return 0, err
	}
	c.filters = map[string]method{"": methodNone, "Identity": methodNone}
	if filters.kind == kindDict {
		for _, e := range filters.dict.entries {
			filter, err := f.resolve(e.val)
			if err != nil {
				return 0, err
			}
			m, ok := map[string]method{"None": methodNone, "V2": methodRC4, "AESV2": methodAES128, "AESV3": methodAES256}[filter.dict.get("CFM").name()]
			if !ok || (m == methodAES256) != (v == 5) && m != methodNone {
				return 0, encrypted("the kind of its encryption is unknown")
			}
			c.filters[e.name()] = m
		}
	}
	var ok1, ok2 bool
	c.strings, ok1 = c.filters[d.dict.get("StrF").name()]
	c.streams, ok2 = c.filters[d.dict.get("StmF").name()]
	if !ok1 || !ok2 {
		return 0, encrypted("the kind of its encryption is unknown")
	}
	return 16, nil // 7.6.5.2: keys of version 4 have 128 bits
}

// open128 finds the key of revisions 2 to 4 (algorithms 2, 4 and 5).
func (c *crypt) open128(d *dict, id []byte, length int) bool {
	owner, user := d.get("O").bytes(), d.get("U").bytes()
	if len(owner) < 32 || len(user) < 32 {
		return false
	}
	h := md5.New() //nolint:gosec // the standard says so
	h.Write(padding)
	h.Write(owner[:32])
	h.Write(binary.LittleEndian.AppendUint32(nil, c.permissions))
	h.Write(id)
	if c.revision >= 4 && !c.metadata {
		h.Write([]byte{0xFF, 0xFF, 0xFF, 0xFF})
	}
	key := h.Sum(nil)
	if c.revision == 2 {
		length = 5
	} else {
		for range 50 {
			sum := md5.Sum(key[:length]) //nolint:gosec // the standard says so
			key = sum[:]
		}
	}
	c.key = key[:length]
	if c.revision == 2 {
		return subtle.ConstantTimeCompare(c.rc4(c.key, padding), user[:32]) == 1
	}
	sum := md5.Sum(append(bytes.Clone(padding), id...)) //nolint:gosec // the standard says so
	check, round := sum[:], make([]byte, length)
	for i := range byte(20) {
		for j := range round {
			round[j] = c.key[j] ^ i
		}
		check = c.rc4(round, check)
	}
	return subtle.ConstantTimeCompare(check, user[:16]) == 1
}

// open256 finds the key of revisions 5 and 6 (algorithms 2.A and 11) and checks the permissions (algorithm 13).
func (c *crypt) open256(d *dict) bool {
	user, wrapped, perms := d.get("U").bytes(), d.get("UE").bytes(), d.get("Perms").bytes()
	if len(user) < 48 || len(wrapped) < 32 || len(perms) < 16 {
		return false
	}
	if subtle.ConstantTimeCompare(c.hash(user[32:40]), user[:32]) != 1 {
		return false
	}
	block, err := aes.NewCipher(c.hash(user[40:48]))
	if err != nil {
		return false
	}
	c.key = make([]byte, 32)
	cipher.NewCBCDecrypter(block, make([]byte, aes.BlockSize)).CryptBlocks(c.key, wrapped[:32])
	if block, err = aes.NewCipher(c.key); err != nil {
		return false
	}
	var plain [16]byte
	block.Decrypt(plain[:], perms[:16])
	return binary.LittleEndian.Uint32(plain[:]) == c.permissions && string(plain[9:12]) == "adb"
}

// hash hashes the empty password with a salt (algorithm 2.B; revision 5 knows its first step only).
func (c *crypt) hash(salt []byte) []byte {
	sum := sha256.Sum256(salt)
	key := sum[:]
	if c.revision == 5 {
		return key
	}
	for i := 0; ; i++ {
		block, err := aes.NewCipher(key[:16])
		if err != nil {
			return nil
		}
		data := bytes.Repeat(key, 64)
		cipher.NewCBCEncrypter(block, key[16:32]).CryptBlocks(data, data)
		rest := 0
		for _, b := range data[:16] { // 256 leaves 1 when divided by 3
			rest += int(b)
		}
		h := [...]func() hash.Hash{sha256.New, sha512.New384, sha512.New}[rest%3]()
		h.Write(data)
		key = h.Sum(nil)
		if last := int(data[len(data)-1]); i >= 63 && last <= i-31 {
			return key[:32]
		}
	}
}
