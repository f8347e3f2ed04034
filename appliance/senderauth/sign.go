package senderauth

import (
	"crypto"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// seal says how often a signature lists a field.
type seal uint8

const (
	// always: once more than it occurs, also if it does not, so that nobody can
	// add one.
	always seal = iota
	// ifPresent: once more than it occurs, if it occurs. Mailing lists add
	// these; a list that leaves the rest alone shall not break the signature.
	ifPresent
	// asMany: as often as it occurs. Who sends a message again puts another
	// block of them on top (RFC 5322, section 3.6.6).
	asMany
)

// signedFields are the fields that are signed: those of RFC 6376, section
// 5.4.1, and what decides how a message is shown or carried.
var signedFields = []struct {
	name string
	seal seal
}{
	{"From", always},
	{"To", always},
	{"Cc", always},
	{"Subject", always},
	{"Date", always},
	{"Message-ID", always},
	{"Reply-To", always},
	{"In-Reply-To", always},
	{"References", always},
	{"MIME-Version", always},
	{"Content-Type", always},
	{"Content-Transfer-Encoding", always},
	{"TLS-Required", always}, // RFC 8689
	{"Sender", ifPresent},
	{"List-Id", ifPresent},
	{"List-Help", ifPresent},
	{"List-Unsubscribe", ifPresent},
	{"List-Unsubscribe-Post", ifPresent}, // RFC 8058 wants it signed
	{"List-Subscribe", ifPresent},
	{"List-Post", ifPresent},
	{"List-Owner", ifPresent},
	{"List-Archive", ifPresent},
	{"Resent-From", asMany},
	{"Resent-Sender", asMany},
	{"Resent-To", asMany},
	{"Resent-Cc", asMany},
	{"Resent-Date", asMany},
	{"Resent-Message-ID", asMany},
}

var (
	// ErrNoFrom: without a From field there is nothing to vouch for (RFC 6376,
	// section 5.4).
	ErrNoFrom = errors.New("a message without a From field cannot be signed")
	// errSigned: the message was signed already.
	errSigned = errors.New("the message is signed already")
)

// Options say how to sign.
type Options struct {
	// Now may be nil (time.Now).
	Now func() time.Time
}

// Signer signs one message with every key, while it streams through: the body
// is canonicalised and hashed once. It holds no more than its header and a
// small buffer, has no goroutines, and can be dropped at any time. Not for
// concurrent use.
type Signer struct {
	keys       []Key
	algorithms []string
	now        func() time.Time
	names      []string // of "h="
	header     []byte   // the signed fields, relaxed
	body       relaxedBody
	err        error
}

// NewSigner begins a message with its header as it will leave, with its empty
// line or without. What follows an empty line is body. The header is not used
// after the call. ErrKey, ErrNoFrom, ErrLineEnd, ErrHeader.
//
// Signatures are relaxed/relaxed, with the time and without an end: mail waits
// for days in queues and is judged again from mailboxes and archives, where a
// signature that ran out makes honest mail look forged.
func NewSigner(header []byte, keys []Key, o Options) (*Signer, error) {
	if len(keys) == 0 {
		return nil, fmt.Errorf("signing: %w: there is none", ErrKey)
	}
	s := &Signer{now: o.Now, body: newRelaxedBody()}
	if s.now == nil {
		s.now = time.Now
	}
	for _, k := range keys {
		k, algorithm, err := k.check()
		if err != nil {
			return nil, fmt.Errorf("signing: %w", err)
		}
		s.keys, s.algorithms = append(s.keys, k), append(s.algorithms, algorithm)
	}
	fields, rest, err := splitHeader(header)
	if err == nil {
		err = s.body.write(rest)
	}
	if err != nil {
		return nil, fmt.Errorf("signing: %w", err)
	}
	s.header = make([]byte, 0, len(header))
	for _, f := range signedFields {
		found := s.pick(fields, strings.ToLower(f.name))
		listed := found
		if f.seal == always || f.seal == ifPresent && found > 0 {
			listed++
		}
		for range listed {
			s.names = append(s.names, f.name)
		}
		if f.name == "From" && found == 0 {
			return nil, fmt.Errorf("signing: %w", ErrNoFrom)
		}
	}
	return s, nil
}

// pick adds the fields of a name to what is signed, from the last to the first
// as verifiers take them (RFC 6376, section 5.4.2), and counts them.
func (s *Signer) pick(fields []field, name string) int {
	n := 0
	for i := len(fields) - 1; i >= 0; i-- {
		if fields[i].name == name {
			s.header = append(appendRelaxedField(s.header, name, fields[i].value), "\r\n"...)
			n++
		}
	}
	return n
}

// Write takes the next piece of the body as it will leave, in CRLF lines.
// ErrLineEnd, after which nothing can be signed.
func (s *Signer) Write(p []byte) (int, error) {
	if s.err == nil {
		if err := s.body.write(p); err != nil {
			s.err = fmt.Errorf("signing: %w", err)
		}
	}
	if s.err != nil {
		return 0, s.err
	}
	return len(p), nil
}

// Sign ends the message and gives its DKIM-Signature fields, one for each key
// in their order, folded, each with its CRLF, to be put before the header. It
// can be called once.
func (s *Signer) Sign() ([]byte, error) {
	if s.err != nil {
		return nil, s.err
	}
	s.err = errSigned
	body, err := s.body.sum()
	if err != nil {
		return nil, fmt.Errorf("signing: %w", err)
	}
	var out []byte
	for i, k := range s.keys {
		text := s.unsigned(k, s.algorithms[i], body)
		digest := sha256.Sum256(appendRelaxedField(s.header[:len(s.header):len(s.header)], "dkim-signature", text))
		var hash crypto.SignerOpts = crypto.SHA256
		if s.algorithms[i] == "ed25519-sha256" {
			hash = crypto.Hash(0) // the digest is the message (RFC 8463, section 3)
		}
		signature, err := k.Private.Sign(rand.Reader, digest[:], hash)
		if err != nil {
			return nil, fmt.Errorf("signing with %s: %w", k, err)
		}
		out = append(append(out, "DKIM-Signature:"...), text...)
		out = append(appendWrapped(out, base64.StdEncoding.EncodeToString(signature), len("\tb=")), "\r\n"...)
	}
	return out, nil
}

// maxLine is how long, in octets, the lines of a signature become where words
// allow it.
const maxLine = 76

// unsigned is the value of a signature field up to its "b=".
func (s *Signer) unsigned(k Key, algorithm string, body []byte) []byte {
	out := make([]byte, 0, 1024)
	out = append(out, " v=1; a="...)
	out = append(out, algorithm...)
	out = append(out, "; c=relaxed/relaxed;\r\n\td="...)
	out = append(out, k.Domain...)
	out = append(out, ";\r\n\ts="...)
	out = append(out, k.Selector...)
	out = append(out, "; t="...)
	out = strconv.AppendInt(out, s.now().Unix(), 10)
	out = append(out, ";\r\n\th="...)
	column := len("\th=")
	for i, name := range s.names {
		if column+len(name)+1 > maxLine {
			out = append(out, "\r\n\t "...)
			column = 2
		}
		column += len(name) + 1
		out = append(out, name...)
		if i < len(s.names)-1 {
			out = append(out, ':')
		}
	}
	out = append(out, ";\r\n\tbh="...)
	out = base64.StdEncoding.AppendEncode(out, body)
	return append(out, ";\r\n\tb="...)
}

// appendWrapped appends text on a line that is at column, folded.
func appendWrapped(dst []byte, text string, column int) []byte {
	for len(text) > maxLine-column {
		dst = append(append(dst, text[:maxLine-column]...), "\r\n\t "...)
		text, column = text[maxLine-column:], 2
	}
	return append(dst, text...)
}
