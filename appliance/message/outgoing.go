package message

import (
	"bytes"
	"io"
	"mime"
	"net/mail"
	"strings"
)

// maxAuthors is how long, in octets, a From or Sender field may be; a longer
// one is malformed.
const maxAuthors = 64 << 10

// Outgoing is what a box must know of the header of a message that somebody
// submits (RFC 6409, section 8). Addresses are addr-specs: the local part
// quoted where it must be, the domain as it is spelled, comments, routes and
// obsolete white space taken out. One without a domain has no "@".
type Outgoing struct {
	// From are the mailboxes of all From fields, those in groups included, and
	// FromFields is how many such fields there are.
	From       []string
	FromFields int
	// SenderField is the mailbox of the first Sender field, empty without one.
	SenderField string
	// HasDate and HasMessageID tell whether there is such a field, even an
	// empty one.
	HasDate, HasMessageID bool
	// MessageID is the first Message-ID with its angle brackets, as it stands.
	MessageID string
	// Bcc are the Bcc and Resent-Bcc fields as they stand, each with its line
	// end.
	Bcc []byte
	// Received counts the Received fields, DeliveredTo holds the mailboxes of
	// the Delivered-To fields: both tell of loops.
	Received    int
	DeliveredTo []string
	// TLSOptional tells of a field "TLS-Required: No" (RFC 8689, section 5).
	TLSOptional bool
	// EightBit tells that an octet of the header is not ASCII (RFC 6532).
	EightBit bool
	// Malformed says in words for people why From or Sender cannot be relied
	// on: programs that read mail might show another author than the one in
	// From here. It never quotes the field. Empty if all is well.
	Malformed string
	// BadLine is the number of the first line, counted from 1, that is neither
	// a field nor the empty line; 0 if there is none. It ends the header: what
	// follows is not read and belongs to the body, as it does for the mail
	// servers on the way.
	BadLine int
}

// ReadOutgoing reads the header of a submitted message, with or without its
// empty line. It reads all of it, never fails, and takes linear time. Names of
// fields count in any case and with white space before the colon (RFC 5322,
// section 4.5).
func ReadOutgoing(header []byte) Outgoing {
	var o Outgoing
	p := addressParser{left: MaxAddresses}
	senders := 0
	end := eachOutgoing(header, func(field []byte, name string, value []byte) {
		switch name {
		case "from":
			o.FromFields++
			o.From = p.mailboxes(o.From, value)
			o.judge("From", value, &p)
		case "sender":
			if senders++; senders > 1 && o.Malformed == "" {
				o.Malformed = "there is more than one Sender field"
			}
			if first := p.mailboxes(nil, value); o.SenderField == "" && len(first) > 0 {
				o.SenderField = first[0]
			}
			o.judge("Sender", value, &p)
		case "date":
			o.HasDate = true
		case "message-id":
			if !o.HasMessageID {
				o.MessageID = string(appendUnfolded(nil, value))
			}
			o.HasMessageID = true
		case "bcc", "resent-bcc":
			o.Bcc = appendLine(append(o.Bcc, field...))
		case "received":
			o.Received++
		case "delivered-to":
			o.DeliveredTo = p.mailboxes(o.DeliveredTo, value)
		case "tls-required":
			o.TLSOptional = o.TLSOptional || strings.EqualFold(string(value), "no")
		}
	})
	for _, c := range header[:end] {
		o.EightBit = o.EightBit || c >= 0x80
	}
	if end < len(header) && blankLine(header[end:]) == 0 {
		o.BadLine = bytes.Count(header[:end], []byte("\n")) + 1
	}
	return o
}

// eachOutgoing calls f for each field, with its name in lower case, up to the
// empty line or the first line that is no field, and gives the offset where
// that stands.
func eachOutgoing(header []byte, f func(field []byte, name string, value []byte)) (end int) {
	for {
		field, rest, ok := cutField(header[end:])
		if !ok {
			return end
		}
		name, value, ok := splitField(field)
		// A name that is folded before its colon is one only to us.
		if !ok || bytes.IndexByte(field[:bytes.IndexByte(field, ':')], '\n') >= 0 {
			return end
		}
		end = len(header) - len(rest)
		f(field, strings.ToLower(string(name)), value)
	}
}

// mailboxes appends the addr-specs of a header value to dst; the parser's list
// holds them as well.
func (p *addressParser) mailboxes(dst []string, value []byte) []string {
	p.list, p.arena = p.list[:0], p.arena[:0]
	p.parse(value)
	for i := range p.list {
		a := &p.list[i]
		if a.kind == addressMailbox && len(a.mailbox)+len(a.host) > 0 {
			dst = append(dst, a.spec())
		}
	}
	return dst
}

// spec prints an address as RFC 5321 writes a mailbox.
func (a *address) spec() string {
	b := make([]byte, 0, len(a.mailbox)+len(a.host)+3)
	if plainLocal(a.mailbox) {
		b = append(b, a.mailbox...)
	} else {
		b = append(b, '"')
		for _, c := range a.mailbox {
			if c == '"' || c == '\\' {
				b = append(b, '\\')
			}
			b = append(b, c)
		}
		b = append(b, '"')
	}
	if len(a.host) > 0 {
		b = append(append(b, '@'), a.host...)
	}
	return string(b)
}

// plainLocal tells that a local part needs no quotes: it is a dot-atom
// (RFC 5322, section 3.2.3; RFC 6532 for what is not ASCII).
func plainLocal(local []byte) bool {
	dot := true
	for _, c := range local {
		if c == '.' && dot {
			return false
		}
		dot = c == '.'
		letter := 'a' <= c|0x20 && c|0x20 <= 'z' || '0' <= c && c <= '9' || c >= 0x80
		if !letter && !dot && strings.IndexByte("!#$%&'*+-/=?^_`{|}~", c) < 0 {
			return false
		}
	}
	return !dot
}

// judge notes what is wrong with a field of authors, whose addresses the
// parser has just read. A second parser, stricter and unrelated, must have
// found the same ones.
func (o *Outgoing) judge(name string, value []byte, p *addressParser) {
	if o.Malformed != "" {
		return
	}
	if len(p.list) == 0 {
		o.Malformed = "the " + name + " field names nobody"
		return
	}
	strict, ok := strictAddresses(value)
	for i := range p.list {
		a := &p.list[i]
		if a.kind != addressMailbox {
			continue
		}
		ok = ok && len(strict) > 0 && strict[0].Address == string(a.mailbox)+"@"+string(a.host)
		if ok {
			strict = strict[1:]
		}
	}
	switch {
	case !ok || len(strict) > 0 || p.left == 0:
		o.Malformed = "the " + name + " field is not a plain list of addresses"
	case name == "Sender" && (len(p.list) != 1 || p.list[0].kind != addressMailbox):
		o.Malformed = "the Sender field names more than one address"
	}
}

// strictAddresses reads a header value by the standard library's rules.
func strictAddresses(value []byte) ([]*mail.Address, bool) {
	if len(value) > maxAuthors {
		return nil, false
	}
	parser := mail.AddressParser{WordDecoder: &mime.WordDecoder{
		// The names do not matter here, so any charset will do.
		CharsetReader: func(_ string, r io.Reader) (io.Reader, error) { return r, nil },
	}}
	list, err := parser.ParseList(string(appendUnfolded(nil, value)))
	return list, err == nil
}

// Recipients gives the mailboxes for which a message says it is, each once, in
// their order: of To, Cc and Bcc, or, where any Resent- field stands, of
// Resent-To, Resent-Cc and Resent-Bcc alone (RFC 5322, section 3.6.6), as
// sendmail -t takes them. Groups give their members. It gives at most
// MaxAddresses + 1, so that too many can be told.
func Recipients(header []byte) []string {
	var first, resent []string
	isResent := false
	p := addressParser{left: MaxAddresses + 1}
	second := addressParser{left: MaxAddresses + 1}
	eachOutgoing(header, func(_ []byte, name string, value []byte) {
		isResent = isResent || strings.HasPrefix(name, "resent-")
		switch name {
		case "to", "cc", "bcc":
			first = p.mailboxes(first, value)
		case "resent-to", "resent-cc", "resent-bcc":
			resent = second.mailboxes(resent, value)
		}
	})
	if isResent {
		first = resent
	}
	seen := make(map[string]bool, len(first))
	kept := first[:0]
	for _, r := range first {
		if !seen[r] {
			seen[r] = true
			kept = append(kept, r)
		}
	}
	return kept
}

// Mend gives the header of a submitted message as it may leave: without the
// fields Bcc, Resent-Bcc and Return-Path, with the fields of add (each with its
// CRLF) after those that are there, and with the empty line. All other octets
// stay as they are.
//
// Where a line is no field, the header ends before it: Mend puts the empty line
// there, and the rest of header follows as the begin of the body. A header that
// holds no field at all is such a case: a message of a body only.
func Mend(header, add []byte) []byte {
	out := make([]byte, 0, len(header)+len(add)+4)
	end := eachOutgoing(header, func(field []byte, name string, _ []byte) {
		if name != "bcc" && name != "resent-bcc" && name != "return-path" {
			out = append(out, field...)
		}
	})
	out = append(appendLine(out), add...)
	if blankLine(header[end:]) == 0 {
		out = append(out, '\r', '\n')
	}
	return append(out, header[end:]...)
}

// appendLine ends the last line of b where it does not end.
func appendLine(b []byte) []byte {
	if n := len(b); n > 0 && b[n-1] != '\n' {
		return append(b, '\r', '\n')
	}
	return b
}
