package message

import (
	"bytes"
	"strings"
)

// lineEnd gives the offset behind the line that holds b[pos].
func lineEnd(b []byte, pos int) int {
	if i := bytes.IndexByte(b[pos:], '\n'); i >= 0 {
		return pos + i + 1
	}
	return len(b)
}

// blankLine gives the length of the empty line at the start of b, 0 if there
// is none. Bare LF is taken for a line end: old mail has it.
func blankLine(b []byte) int {
	switch {
	case len(b) > 0 && b[0] == '\n':
		return 1
	case len(b) > 1 && b[0] == '\r' && b[1] == '\n':
		return 2
	}
	return 0
}

// cutField takes the first field with its folded lines off a header. It is not
// ok at the empty line and at the end. Lines that are no fields come as if they
// were; splitField tells them.
func cutField(h []byte) (field, rest []byte, ok bool) {
	if len(h) == 0 || blankLine(h) > 0 {
		return nil, h, false
	}
	end := lineEnd(h, 0)
	for end < len(h) && (h[end] == ' ' || h[end] == '\t') {
		end = lineEnd(h, end)
	}
	return h[:end], h[end:], true
}

// splitField parts a field into its name and its value, still folded but
// without the white space around it. White space before the colon is obsolete
// but legal (RFC 5322, section 4.5).
func splitField(field []byte) (name, value []byte, ok bool) {
	i := bytes.IndexByte(field, ':')
	if i < 0 {
		return nil, nil, false
	}
	name = field[:i]
	for len(name) > 0 && isSpace(name[len(name)-1]) {
		name = name[:len(name)-1]
	}
	for _, c := range name {
		if c <= ' ' || c >= 0x7f {
			return nil, nil, false
		}
	}
	return name, trim(field[i+1:]), len(name) > 0
}

func isSpace(c byte) bool { return c == ' ' || c == '\t' || c == '\r' || c == '\n' }

// trim cuts white space and line ends off both ends; the result is never nil.
func trim(b []byte) []byte {
	for len(b) > 0 && isSpace(b[0]) {
		b = b[1:]
	}
	for len(b) > 0 && isSpace(b[len(b)-1]) {
		b = b[:len(b)-1]
	}
	if b == nil {
		b = []byte{}
	}
	return b
}

// appendUnfolded appends v without its line ends; the white space of the folds
// stays (RFC 5322, section 2.2.3).
func appendUnfolded(dst, v []byte) []byte {
	for {
		i := bytes.IndexByte(v, '\n')
		if i < 0 {
			return append(dst, v...)
		}
		line := v[:i]
		if i > 0 && v[i-1] == '\r' {
			line = v[:i-1]
		}
		dst, v = append(dst, line...), v[i+1:]
	}
}

// SplitHeader cuts a message into its header, the empty line included, and its
// body. Without an empty line everything is header.
func SplitHeader(raw []byte) (header, body []byte) {
	pos := 0
	for pos < len(raw) {
		if n := blankLine(raw[pos:]); n > 0 {
			return raw[:pos+n], raw[pos+n:]
		}
		pos = lineEnd(raw, pos)
	}
	return raw, raw[len(raw):]
}

// HeaderFields gives the fields of header that are among names (not: that are
// not), raw and in their order, and the empty line that ends a header: what
// HEADER.FIELDS and HEADER.FIELDS.NOT answer (RFC 9051, section 6.4.5.1).
// Names are compared without regard to case. Lines that are no fields belong to
// the second.
func HeaderFields(header []byte, names [][]byte, not bool) []byte {
	out := make([]byte, 0, 512)
	for rest := header; ; {
		field, next, ok := cutField(rest)
		if !ok {
			break
		}
		rest = next
		if among(field, names) != not {
			out = append(out, field...)
		}
	}
	if n := len(out); n > 0 && out[n-1] != '\n' {
		out = append(out, '\r', '\n')
	}
	return append(out, '\r', '\n')
}

func among(field []byte, names [][]byte) bool {
	name, _, ok := splitField(field)
	if !ok {
		return false
	}
	for _, n := range names {
		if len(n) == len(name) && bytes.EqualFold(n, name) {
			return true
		}
	}
	return false
}

// eachField calls f with the value of each field of that name within the first
// MaxHeader octets of header, until f says that it has seen enough.
func eachField(header []byte, name string, f func(value []byte) (more bool)) {
	rest := header[:min(len(header), MaxHeader)]
	for {
		field, next, ok := cutField(rest)
		if !ok {
			return
		}
		rest = next
		n, value, ok := splitField(field)
		if ok && len(n) == len(name) && strings.EqualFold(string(n), name) && !f(value) {
			return
		}
	}
}

// CountField tells how many fields of that name header has, as far as it is
// read (MaxHeader).
func CountField(header []byte, name string) int {
	count := 0
	eachField(header, name, func([]byte) bool { count++; return true })
	return count
}

// Field gives the value of the first field of that name, unfolded, its encoded
// words decoded to UTF-8, without surrounding white space.
func Field(header []byte, name string) (value string, ok bool) {
	eachField(header, name, func(v []byte) bool {
		value, ok = strings.ToValidUTF8(string(appendDecodedWords(nil, v)), "\uFFFD"), true
		return false
	})
	return value, ok
}

// fieldID names the fields that Index reads.
type fieldID uint8

const (
	fieldDate fieldID = iota
	fieldSubject
	fieldFrom
	fieldSender
	fieldReplyTo
	fieldTo
	fieldCc
	fieldBcc
	fieldInReplyTo
	fieldMessageID
	fieldType
	fieldEncoding
	fieldContentID
	fieldDescription
	fieldDisposition
	fieldLanguage
	fieldLocation
	fieldMD5
	fieldCount
)

// fieldOf tells which of the fields that Index reads name is.
func fieldOf(name []byte) (fieldID, bool) {
	var buf [len("content-transfer-encoding")]byte
	if len(name) > len(buf) || len(name) < 2 {
		return 0, false
	}
	for i, c := range name {
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		buf[i] = c
	}
	switch string(buf[:len(name)]) {
	case "date":
		return fieldDate, true
	case "subject":
		return fieldSubject, true
	case "from":
		return fieldFrom, true
	case "sender":
		return fieldSender, true
	case "reply-to":
		return fieldReplyTo, true
	case "to":
		return fieldTo, true
	case "cc":
		return fieldCc, true
	case "bcc":
		return fieldBcc, true
	case "in-reply-to":
		return fieldInReplyTo, true
	case "message-id":
		return fieldMessageID, true
	case "content-type":
		return fieldType, true
	case "content-transfer-encoding":
		return fieldEncoding, true
	case "content-id":
		return fieldContentID, true
	case "content-description":
		return fieldDescription, true
	case "content-disposition":
		return fieldDisposition, true
	case "content-language":
		return fieldLanguage, true
	case "content-location":
		return fieldLocation, true
	case "content-md5":
		return fieldMD5, true
	}
	return 0, false
}

// fields are the values of one header, nil where a field is missing, slices of
// the raw message otherwise. Of several instances the first counts, except for
// destination addresses, which RFC 5322, section 4.5.3, adds up.
type fields struct {
	v    [fieldCount][]byte
	more []extraField
}

type extraField struct {
	id    fieldID
	value []byte
}

func (f *fields) reset() {
	f.v = [fieldCount][]byte{}
	clear(f.more)
	f.more = f.more[:0]
}

func (f *fields) add(field []byte) {
	name, value, ok := splitField(field)
	if !ok {
		return
	}
	id, ok := fieldOf(name)
	if !ok {
		return
	}
	if f.v[id] == nil {
		f.v[id] = value
	} else if id == fieldTo || id == fieldCc || id == fieldBcc {
		f.more = append(f.more, extraField{id, value})
	}
}
