package pades

import (
	"context"
	"crypto"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"signbus.dev/pkg/pdf"
	"signbus.dev/pkg/sign/cms"
	"signbus.dev/pkg/sign/graphometric"
	"signbus.dev/pkg/sign/revocation"
)

const (
	docTimestamp = "DocTimeStamp" // ISO 32000-2, 12.8.5
	subCAdES     = "ETSI.CAdES.detached"
	subPKCS7     = "adbe.pkcs7.detached"
	subRFC3161   = "ETSI.RFC3161"
)

// Report is what the check of one signature or document time-stamp found.
type Report struct {
	// Field is the name of the signed field.
	Field string `json:"field"`
	// DocTimestamp tells that it is a document time-stamp: nobody signed, an authority
	// says that the file existed.
	DocTimestamp bool `json:"docTimestamp,omitempty"`
	// Name, Reason and Location are what the document says; they are covered by the
	// signature when it is intact, and proven by nobody.
	Name     string `json:"name,omitempty"`
	Reason   string `json:"reason,omitempty"`
	Location string `json:"location,omitempty"`
	// Time is the claimed time of signing.
	Time time.Time `json:"time,omitzero"`
	// TimestampTime is the time that a time-stamp proves; zero without one that is trusted.
	TimestampTime time.Time `json:"timestampTime,omitzero"`
	// TimestampAuthority is the subject of the authority that made the time-stamp.
	TimestampAuthority string `json:"timestampAuthority,omitempty"`
	// SubFilter names the format.
	SubFilter string `json:"subFilter"`
	// Subject is the subject of the signer's certificate, Certificate the certificate.
	Subject     string            `json:"subject,omitempty"`
	Certificate *x509.Certificate `json:"-"`
	// Certification is the level at which the signature certifies the document, 1 to 3; see [pdf.Request].
	Certification int `json:"certification,omitempty"`
	// WholeFile tells whether the signature covers every byte of the file but itself.
	WholeFile bool `json:"wholeFile"`
	// LaterChanges tells whether something was changed after the signature that it does not
	// allow: anything that no later signature covers, which is trusted as much, but validation
	// data and document time-stamps; and before such a signature anything but further
	// signatures, values of fields, and annotations that the certification or that signer vouches for.
	LaterChanges bool `json:"laterChanges"`
	// Intact tells whether the signed bytes are unchanged and the signature belongs to the certificate.
	Intact bool `json:"intact"`
	// Trusted tells whether the certificate leads to one of the given roots, was valid
	// at the proven time of signing, and was not revoked by then as far as the file tells.
	Trusted bool `json:"trusted"`
	// Revoked is when the signer's certificate or one above it was revoked, by the data in
	// the file; zero when it was not. It may be later than the signature.
	Revoked time.Time `json:"revoked,omitzero"`
	// Level is the baseline level reached, as far as it is proven: time-stamps count when
	// the roots vouch for them. Empty for a signature that is not intact.
	Level Level `json:"level,omitempty"`
	// GraphometricBytes is the size of Graphometric, the sealed recording of the hand that
	// signed (see package graphometric); its content is for the holder of the escrow key.
	GraphometricBytes int    `json:"graphometricBytes,omitempty"`
	Graphometric      []byte `json:"-"`
	// Problem says in one sentence what is wrong; empty when nothing is.
	Problem string `json:"problem,omitempty"`

	end int64 // of the signed range
}

// Valid tells whether the signature is intact and trusted, and nothing uncovered came later.
func (r Report) Valid() bool { return r.Intact && r.Trusted && !r.LaterChanges }

// Verify checks every signature and document time-stamp of a file that may be hostile, in
// the order in which they were made. An error means that the file could not be read; what
// is wrong with a signature stands in its report. A file without signatures has no reports.
//
// Certificates are judged at the time that is proven (ETSI EN 319 102-1, 5.6): what a trusted
// document time-stamp covers existed then, and a signature with a trusted time-stamp was made
// before that. So a signature outlives its certificate. Without any proof the time is now.
// Revocation is judged by what the file holds; nothing is fetched.
func Verify(ctx context.Context, in io.ReaderAt, size int64, roots *x509.CertPool, now time.Time) ([]Report, error) {
	reports, err := verify(ctx, in, size, roots, now)
	if err != nil {
		return nil, fmt.Errorf("verify pdf: %w", err)
	}
	return reports, nil
}

func verify(ctx context.Context, in io.ReaderAt, size int64, roots *x509.CertPool, now time.Time) ([]Report, error) {
	// A signed file was read and accepted once; its size is not what makes it dangerous.
	limits := pdf.Limits{Bytes: max(size, 1)}
	signatures, err := pdf.Signatures(ctx, in, size, limits)
	if err != nil || len(signatures) == 0 {
		return nil, err
	}
	security, err := pdf.ReadSecurity(ctx, in, size, limits)
	if err != nil {
		return nil, err
	}
	if roots == nil {
		roots = x509.NewCertPool() // nil would ask the operating system
	}
	v := &verifier{
		ctx: ctx, in: in, size: size, limits: limits, roots: roots, now: now,
		digests: newRangeDigests(ctx, in, size), evidence: revocation.NewEvidence(ctx, dataOf(security)), signatures: signatures,
		reports: make([]Report, len(signatures)), chains: make([]signerChains, len(signatures)), changes: map[[2]int64]pdf.Change{}, revisions: map[[2]int64][]int64{},
	}
	return v.reports, v.run()
}

type verifier struct {
	ctx        context.Context
	in         io.ReaderAt
	size       int64
	limits     pdf.Limits
	roots      *x509.CertPool
	now        time.Time
	digests    *rangeDigests
	evidence   *revocation.Evidence
	signatures []pdf.Signature
	reports    []Report
	chains     []signerChains
	later      context.Context         // ends when comparing revisions takes too long
	changes    map[[2]int64]pdf.Change // between two ends of revisions
	revisions  map[[2]int64][]int64    // the ends of the updates between
}

// signerChains are the trusted paths that a signature hangs on, and when each must have been good.
type signerChains []question

// proven tells whether the evidence shows that nobody in them was revoked.
func (c signerChains) proven(by *revocation.Evidence) bool {
	return !slices.ContainsFunc(c, func(q question) bool { return by.Worst(q.chain, q.at) != revocation.Good })
}

func (v *verifier) run() error {
	for i, s := range v.signatures {
		r := &v.reports[i]
		*r = Report{
			Field: s.Field, DocTimestamp: s.Type == docTimestamp, Name: s.Name, Reason: s.Reason, Location: s.Location,
			Time: s.Time, SubFilter: s.SubFilter, Certification: s.Certify,
		}
		for _, e := range s.Extra {
			if e.Key == graphometric.EntryKey {
				r.Graphometric, r.GraphometricBytes = e.Value, len(e.Value)
			}
		}
		if r.Problem = envelope(s, v.size); r.Problem == "" {
			r.end = s.ByteRange[2] + s.ByteRange[3]
			r.WholeFile = r.end == v.size
			if !v.digests.add(i, [4]int64(s.ByteRange)) {
				r.Problem = "The signature covers bytes that others cover too, more than an honest file has."
			}
		}
	}
	// From the last to the first: what a time-stamp covers is judged at its time.
	proven, archive := v.now, -1
	for i := len(v.signatures) - 1; i >= 0; i-- {
		r := &v.reports[i]
		if r.Problem != "" {
			continue
		}
		var err error
		if r.DocTimestamp {
			err = v.stamp(i, proven)
		} else {
			err = v.signature(i, proven)
		}
		if err != nil {
			return err
		}
		if r.DocTimestamp && r.Trusted {
			archive = max(archive, i)
			if r.TimestampTime.Before(proven) {
				proven = r.TimestampTime
			}
		}
	}
	if err := v.longTerm(archive); err != nil {
		return err
	}
	var cancel context.CancelFunc
	v.later, cancel = context.WithTimeout(v.ctx, laterTime)
	defer cancel()
	return v.markLaterChanges()
}

// envelope checks everything about a signature that needs no cryptography: the
// signed range must be the whole of a revision but the signature itself, else bytes could hide
// in the gap. It returns the problem, if there is one.
func envelope(s pdf.Signature, size int64) string {
	b := s.ByteRange
	supported := s.SubFilter == subCAdES || s.SubFilter == subPKCS7
	if s.Type == docTimestamp {
		supported = s.SubFilter == subRFC3161
	}
	switch {
	case !supported:
		return "The format of the signature is not supported."
	case s.Ambiguous:
		return "The signature is described twice, so that programs read it differently."
	case len(b) != 4 || s.Contents == nil:
		return "The signature does not say which bytes it covers."
	case b[0] != 0 || b[1] <= 0 || b[2] <= b[1] || b[3] < 0 || b[3] > size || b[2] > size-b[3]:
		return "The signature claims bytes that are not in the file, or leaves out its beginning."
	case s.Start != b[1] || s.End != b[2]:
		return "The signature leaves out more than itself, so that unsigned bytes could hide."
	}
	return ""
}

// digestOf is the function that asks for the digest of what a signature covers. What
// fails in reading is kept apart from what is wrong with the signature.
func (v *verifier) digestOf(i int, failed *error) func(crypto.Hash) ([]byte, error) {
	return func(h crypto.Hash) ([]byte, error) {
		sum, err := v.digests.sum(i, h)
		*failed = err
		return sum, err
	}
}

// stamp checks a document time-stamp at a time; an error means that reading fails.
func (v *verifier) stamp(i int, at time.Time) error {
	r := &v.reports[i]
	var failed error
	token, err := cms.VerifyToken(v.signatures[i].Contents, v.digestOf(i, &failed), x509.NewCertPool(), at)
	if failed != nil {
		return failed
	}
	if token == nil {
		r.Problem = problemOf(err)
		return nil
	}
	r.Intact = true
	r.Certificate, r.Subject = token.Authority, token.Authority.Subject.String()
	r.TimestampAuthority = r.Subject
	q, problem := v.judgeStamp(token.Authority, token.Chain, token.Time, at)
	if problem != "" {
		r.Problem = problem
		return nil
	}
	r.Trusted, r.Time, r.TimestampTime = true, token.Time, token.Time
	v.chains[i] = signerChains{q}
	return nil
}

// judgeStamp tells whether an authority is trusted at a time that its token lies before.
func (v *verifier) judgeStamp(authority *x509.Certificate, carried []*x509.Certificate, stamped, at time.Time) (question, string) {
	if stamped.After(at.Add(revocation.Skew)) {
		return question{}, "The time-stamp is of a later time than what covers it."
	}
	chain, err := v.path(authority, carried, at, x509.ExtKeyUsageTimeStamping)
	if err != nil {
		return question{}, problemOf(cms.ErrTimestamp)
	}
	if v.evidence.Discredits(chain, stamped, at) {
		return question{}, "The certificate of the time-stamp authority was revoked."
	}
	return question{chain, stamped}, ""
}

// signature checks a signature at a time; an error means that reading fails.
func (v *verifier) signature(i int, at time.Time) error {
	s, r := v.signatures[i], &v.reports[i]
	var failed error
	// No roots: trust is judged below, with the certificates of the file.
	info, err := cms.Verify(s.Contents, v.digestOf(i, &failed), x509.NewCertPool(), at)
	if failed != nil {
		return failed
	}
	if info == nil {
		r.Problem = problemOf(err)
		return nil
	}
	r.Intact = true
	r.Certificate, r.Subject = info.Certificate, info.Certificate.Subject.String()
	if r.Time.IsZero() {
		r.Time = info.SigningTime
	}
	if s.SubFilter == subCAdES && info.HasSigningCertificateV2 {
		r.Level = LevelBB
	}
	signed := at
	stamp := info.Timestamp
	if stamp == nil && errors.Is(err, cms.ErrTimestamp) {
		r.Problem = problemOf(cms.ErrTimestamp)
		return nil
	}
	if stamp != nil {
		r.TimestampAuthority = stamp.Authority.Subject.String()
		q, problem := v.judgeStamp(stamp.Authority, stamp.Chain, stamp.Time, at)
		if problem != "" {
			r.Problem = problem
			return nil
		}
		v.chains[i] = append(v.chains[i], q)
		r.TimestampTime = stamp.Time
		if stamp.Time.Before(signed) {
			signed = stamp.Time
		}
		if r.Level == LevelBB {
			r.Level = LevelBT
		}
	}
	v.judgeSigner(i, info, signed)
	return nil
}

// judgeSigner tells whether a signer is trusted at the time of signing.
func (v *verifier) judgeSigner(i int, info *cms.Info, signed time.Time) {
	r := &v.reports[i]
	if err := cms.CheckUsage(info.Certificate); err != nil {
		r.Problem = problemOf(cms.ErrUntrusted)
		return
	}
	chain, err := v.path(info.Certificate, info.Chain, signed, x509.ExtKeyUsageAny)
	if err != nil {
		r.Problem = problemOf(cms.ErrUntrusted)
		if invalid := new(x509.CertificateInvalidError); errors.As(err, invalid) && invalid.Reason == x509.Expired {
			r.Problem = "The signer's certificate was not valid at the time that is proven for the signature."
		}
		return
	}
	for j, c := range chain[:len(chain)-1] {
		s := v.evidence.Status(c, chain[j+1], signed)
		if r.Revoked.IsZero() || !s.RevokedAt.IsZero() && s.RevokedAt.Before(r.Revoked) {
			r.Revoked = s.RevokedAt
		}
		if s.State == revocation.Revoked {
			r.Problem = "The signer's certificate was revoked before the time that is proven for the signature."
			return
		}
	}
	r.Trusted = true
	v.chains[i] = append(v.chains[i], question{chain, signed})
}

// path finds a way to a root, with the certificates of the message and of the file; the
// standard library bounds the work per call.
func (v *verifier) path(leaf *x509.Certificate, carried []*x509.Certificate, at time.Time, usage x509.ExtKeyUsage) ([]*x509.Certificate, error) {
	intermediates := x509.NewCertPool()
	for _, list := range [][]*x509.Certificate{carried, v.evidence.Data.Certificates} {
		for _, c := range list {
			intermediates.AddCert(c)
		}
	}
	chains, err := leaf.Verify(x509.VerifyOptions{
		Roots: v.roots, Intermediates: intermediates, CurrentTime: at, KeyUsages: []x509.ExtKeyUsage{usage},
	})
	if err != nil {
		return nil, err
	}
	return chains[0], nil
}

// longTerm raises the level of signatures whose validation data is in the file, and of
// those for which a trusted document time-stamp covers that data too. The archive is the
// number of the last such time-stamp, which covers what every earlier one covers.
func (v *verifier) longTerm(archive int) error {
	var covered *revocation.Evidence
	for i := range v.reports {
		r := &v.reports[i]
		if r.Level != LevelBT || !r.Trusted || !v.chains[i].proven(v.evidence) {
			continue
		}
		r.Level = LevelBLT
		if archive < 0 || v.reports[archive].end <= r.end {
			continue
		}
		if covered == nil {
			// The file as it was when it was time-stamped is a file of its own.
			end := v.reports[archive].end
			security, err := pdf.ReadSecurity(v.ctx, io.NewSectionReader(v.in, 0, end), end, v.limits)
			if err != nil && v.ctx.Err() != nil {
				return err
			}
			covered = revocation.NewEvidence(v.ctx, dataOf(security))
		}
		if v.chains[i].proven(covered) {
			r.Level = LevelBLTA
		}
	}
	return v.ctx.Err()
}

// laterTime bounds the comparison of all revisions of a file; those of honest ones take
// milliseconds each.
const laterTime = time.Minute

// The sentences for what came after a signature.
const (
	changedAfterLast = "The file was changed after the last signature; later changes are not signed."
	tooManyUpdates   = "The file has so many updates that it could not be found out what they changed."
	changedAfterThis = "The document was changed after this signature, before another one, in a way that this one does not allow."
)

// markLaterChanges finds what the last signature leaves open, and what came between
// signatures. A time-stamp says nothing about what it covers, so it closes nothing.
func (v *verifier) markLaterChanges() error {
	onlyStamps := !slices.ContainsFunc(v.reports, func(r Report) bool { return !r.DocTimestamp })
	for i := range v.reports {
		r := &v.reports[i]
		if !r.Intact {
			continue
		}
		var last int64 // the end of the last signature that is trusted as much
		for _, other := range v.reports {
			if other.closes(r) && (onlyStamps || !other.DocTimestamp) {
				last = max(last, other.end)
			}
		}
		problem := ""
		if open, err := v.open(last); err != nil {
			return err
		} else if open {
			problem = changedAfterLast
		} else if changed, err := v.between(r, last); err != nil {
			return err
		} else if changed {
			problem = changedAfterThis
		}
		if problem == "" {
			continue
		}
		r.LaterChanges = true
		if v.later.Err() != nil {
			problem = tooManyUpdates
		}
		if r.Problem == "" {
			r.Problem = problem
		}
	}
	return nil
}

// closes tells whether a signature answers for what another leaves open: it must be worth as much.
func (r Report) closes(other *Report) bool { return r.Intact && (r.Trusted || !other.Trusted) }

// open tells whether what comes behind an offset changes the document.
func (v *verifier) open(end int64) (bool, error) {
	switch end {
	case v.size:
		return false, nil
	case 0:
		return true, nil
	}
	change, err := v.compare(end, v.size)
	return !change.None(), err
}

// between tells whether the updates between the end of a signature and that of the last one
// changed more than they may: fields may be signed and added. Values may be filled in, as the
// certification allows; annotations may be added where it says so, and by whoever signs the
// update that they are in, which is how a signature shows on several pages.
func (v *verifier) between(r *Report, last int64) (bool, error) {
	if last <= r.end {
		return false, nil // a time-stamp behind the last signature
	}
	from := r.end
	for _, other := range v.reports { // in the order in which they were made
		if !other.Intact || other.end <= from || other.end > last {
			continue
		}
		changed, err := v.update(from, other.end, !other.DocTimestamp && other.closes(r))
		if changed || err != nil {
			return true, err
		}
		from = other.end
	}
	return false, nil
}

// update tells whether what was added from the end of one signature to that of the next changed
// more than it may. The last of its updates is the signer's own, if signed says so.
func (v *verifier) update(from, to int64, signed bool) (bool, error) {
	key := [2]int64{from, to}
	ends, ok := v.revisions[key]
	if !ok {
		var err error
		if ends, err = pdf.Revisions(v.later, v.in, from, to, v.limits); err != nil {
			return true, v.ctx.Err()
		}
		v.revisions[key] = ends
	}
	for _, end := range ends {
		change, err := v.compare(from, end)
		if err != nil {
			return true, err
		}
		const annotations = 3
		own := signed && end == to
		if change.Other || change.Annotations && change.Permission != annotations && !own {
			return true, nil
		}
		from = end
	}
	return false, nil
}

// compare tells what changed between two ends. What can not be read is a change.
func (v *verifier) compare(from, to int64) (pdf.Change, error) {
	key := [2]int64{from, to}
	known, ok := v.changes[key]
	if !ok {
		var err error
		if known, err = pdf.Compare(v.later, v.in, from, to, v.limits); err != nil {
			known.Other = true
		}
		v.changes[key] = known
	}
	return known, v.ctx.Err()
}

// problemOf says what an error of the check means to a reader.
func problemOf(err error) string {
	if errors.Is(err, cms.ErrDigestMismatch) {
		return "The signed bytes were changed after signing."
	}
	return cms.Problem(err)
}
