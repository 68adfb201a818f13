package contract

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

const blobScheme = "blob:"

var (
	blobScope  = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$`)
	blobDigest = regexp.MustCompile(`^[0-9a-f]{64}$`)
)

// BlobRef names document bytes in the blob store.
type BlobRef struct {
	// Scope is the folder of the blob: the envelope id, or the id of an upload.
	Scope string
	// SHA256 is the lower-case hexadecimal digest.
	SHA256 string
	// Size is the number of bytes.
	Size int64
}

// BlobURI writes the uri that stands in a [Document] in place of its bytes:
// `blob:<scope>/<sha256>/<size>`.
func BlobURI(ref BlobRef) string {
	return fmt.Sprintf("%s%s/%s/%d", blobScheme, ref.Scope, ref.SHA256, ref.Size)
}

// ParseBlobURI reads a blob uri. It refuses anything that [BlobURI] would not write,
// so that a caller can never name a path.
func ParseBlobURI(uri string) (BlobRef, error) {
	return parseBlobURI(uri, "uri")
}

func parseBlobURI(uri, path string) (BlobRef, error) {
	rest, found := strings.CutPrefix(uri, blobScheme)
	if !found {
		return BlobRef{}, notSupported(path, "only the blob: uri of an uploaded document is supported")
	}
	parts := strings.Split(rest, "/")
	if len(parts) == 3 && blobScope.MatchString(parts[0]) && blobDigest.MatchString(parts[1]) {
		size, err := strconv.ParseInt(parts[2], 10, 64)
		if err == nil && size > 0 && strconv.FormatInt(size, 10) == parts[2] {
			return BlobRef{Scope: parts[0], SHA256: parts[1], Size: size}, nil
		}
	}
	return BlobRef{}, illegal(path, "must be blob:<scope>/<sha256>/<size> as the upload answered")
}
