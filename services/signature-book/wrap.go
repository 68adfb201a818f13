package signaturebook

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"mime"

	"signbus.dev/pkg/blob"
	"signbus.dev/pkg/contract"
	"signbus.dev/pkg/digest"
	"signbus.dev/pkg/sign/cades"
)

// wrap signs a file of any type: the new version is a signed message with the file inside.
// A document that is such a message already gets one more signature beside the others.
func (one *signer) wrap(ctx context.Context, in blob.Reader, state digest.State, v *version) error {
	var message *cades.Message
	err := one.guard(func() (err error) {
		message, err = one.message(digest.Source{ReaderAt: in, Size: in.Size(), Digest: state}, v)
		if err != nil {
			return err
		}
		return message.Sign(ctx, cades.Params{
			Level: cades.Level(one.job.SignatureLevel), MIMEType: v.contentType,
			Signer: one.identity.Signer, Chain: one.identity.Chain, Timestamp: one.stampValue, Revocation: one.Revocation, Now: one.Now,
		})
	})
	if err != nil {
		return fmt.Errorf("sign blob %s: %w", v.sha256, err)
	}
	ref, err := one.put(ctx, message)
	if err != nil {
		return fmt.Errorf("sign blob %s: %w", v.sha256, err)
	}
	if !signedMessage(v.mimeType) {
		v.mimeType, v.fileName = contract.MimeP7M, v.fileName+".p7m"
	}
	v.sha256, v.size, v.signatures = ref.SHA256, ref.Size, message.Signers()
	return nil
}

// stampValue gets a time-stamp token over a signature value.
func (one *signer) stampValue(ctx context.Context, value []byte) ([]byte, error) {
	sum := sha256.Sum256(value)
	return one.Timestamp(ctx, sum[:])
}

func (one *signer) message(src digest.Source, v *version) (*cades.Message, error) {
	if signedMessage(v.mimeType) {
		return cades.Open(src, digest.Source{})
	}
	return cades.New(src, false), nil
}

// signedMessage reports whether a document is a signed message by its media type.
func signedMessage(mimeType string) bool {
	kind, _, err := mime.ParseMediaType(mimeType)
	return err == nil && kind == contract.MimeP7M
}

// put stores the message. Its content goes straight from one file to the other.
func (one *signer) put(ctx context.Context, message *cades.Message) (blob.Ref, error) {
	reader, writer := io.Pipe()
	done := make(chan error, 1)
	go func() {
		err := one.guard(func() error { return message.WriteTo(ctx, writer) })
		writer.CloseWithError(err)
		done <- err
	}()
	ref, err := one.Blobs.Put(ctx, one.scope, reader, message.Size())
	reader.CloseWithError(errors.Join(io.ErrClosedPipe, err)) // lets the writer end when Put gave up
	if wrote := <-done; wrote != nil && !errors.Is(wrote, io.ErrClosedPipe) {
		return blob.Ref{}, wrote
	}
	return ref, err
}
