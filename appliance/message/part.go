package message

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// ErrStructure is wrapped by the errors of ParseStructure.
var ErrStructure = errors.New("not a message structure of this version")

// Param is one parameter of a Content-Type or Content-Disposition, as it stands
// there: RFC 2231 encodings and encoded words are left.
type Param struct{ Name, Value string }

// Part is one part of a message with its place in the raw bytes. The root is
// the message itself. Offsets are in octets.
type Part struct {
	// HeaderStart and HeaderEnd enclose the part's own header with the empty
	// line that ends it; BodyStart (the same as HeaderEnd) and BodyEnd its body,
	// still encoded, without the line end that belongs to the boundary.
	HeaderStart, HeaderEnd, BodyStart, BodyEnd int
	// Type, Subtype and Encoding are in lower case and never empty, except that
	// the Encoding of a multipart is not kept.
	Type, Subtype, Encoding string
	// Params are the parameters of the Content-Type in their order.
	Params []Param
	// Disposition is in lower case, or empty.
	Disposition string
	// DispositionParams are the parameters of the Content-Disposition.
	DispositionParams []Param
	// Size is that of the body in octets; Lines how many line ends it has, for
	// text and embedded messages. The one before the boundary is not the body's.
	Size, Lines int
	// Children are the parts of a multipart, at least one; nil for others.
	Children []*Part
	// Message is the root of the embedded message of a message/rfc822 or
	// message/global; nil for others.
	Message *Part
}

// ParseStructure gives the tree of parts from the Structure that Index made.
// Every part lies within the body of its parent.
func ParseStructure(blob []byte) (*Part, error) {
	r, _, ok := openStructure(blob)
	if !ok {
		return nil, fmt.Errorf("read a structure of %d octets: %w", len(blob), ErrStructure)
	}
	p := r.part(nil, 0)
	if r.bad || len(r.b) > 0 {
		return nil, fmt.Errorf("read a structure of %d octets, %d left: %w", len(blob), len(r.b), ErrStructure)
	}
	return p, nil
}

// part reads one part and those in it; nil where the blob is bad.
func (r *blobReader) part(parent *Part, depth int) *Part {
	n := r.node()
	p := &Part{HeaderStart: n.offset, Size: n.body, Lines: n.lines}
	if parent != nil {
		p.HeaderStart += parent.BodyStart
	}
	p.HeaderEnd = p.HeaderStart + n.header
	p.BodyStart, p.BodyEnd = p.HeaderEnd, p.HeaderEnd+n.body
	if r.bad || depth > MaxDepth+1 || parent != nil && p.BodyEnd > parent.BodyEnd {
		r.b, r.bad = nil, true
		return nil
	}
	p.readTexts(r, &n)
	switch n.kind {
	case kindMultipart:
		p.Children = make([]*Part, 0, min(n.children, MaxParts))
		for range n.children {
			if r.bad {
				return nil
			}
			p.Children = append(p.Children, r.part(p, depth+1))
		}
	case kindMessage, kindGlobal:
		p.Message = r.part(p, depth+1)
	}
	return p
}

// readTexts takes apart the IMAP text of a part.
func (p *Part) readTexts(r *blobReader, n *blobNode) {
	t := wireReader{s: string(n.basic)}
	if n.kind == kindMultipart {
		p.Type = "multipart"
	} else {
		p.Type, _ = t.nstring()
		p.Type = strings.ToLower(p.Type)
		t.space()
	}
	p.Subtype, _ = t.nstring()
	p.Subtype = strings.ToLower(p.Subtype)
	if n.kind != kindMultipart {
		t.space()
		p.Params = t.params()
		t.space()
		t.nstring() // Content-ID
		t.space()
		t.nstring() // description
		t.space()
		p.Encoding, _ = t.nstring()
		p.Encoding = strings.ToLower(p.Encoding)
	}
	r.bad = r.bad || t.bad
	if len(n.extension) == 0 {
		return
	}
	t = wireReader{s: string(n.extension)}
	if n.kind == kindMultipart {
		p.Params = t.params()
	} else {
		t.nstring() // MD5
	}
	t.space()
	if t.take('(') {
		p.Disposition, _ = t.nstring()
		p.Disposition = strings.ToLower(p.Disposition)
		t.space()
		p.DispositionParams = t.params()
	}
	r.bad = r.bad || t.bad
}

// Find gives the part with the given IMAP part number (RFC 9051, section
// 6.4.5.1), counted from p, which is the root of a message. The empty path is p.
// Part 1 of a message that is not a multipart is its body.
func (p *Part) Find(path []int) (*Part, bool) {
	root := true // p is the root of a message, whose body is counted, not itself
	for _, n := range path {
		if p.Message != nil && !root {
			p, root = p.Message, true
		}
		switch {
		case p.Children != nil:
			if n < 1 || n > len(p.Children) {
				return nil, false
			}
			p = p.Children[n-1]
		case !root || n != 1:
			return nil, false
		}
		root = false
	}
	return p, true
}

// Section is what of a part is asked for.
type Section int

// The section texts of RFC 9051, section 6.4.5.1.
const (
	SectionBody   Section = iota // BODY[1.2], BODY[]
	SectionHeader                // BODY[HEADER], BODY[2.HEADER] and the fields thereof
	SectionText                  // BODY[TEXT], BODY[2.TEXT]
	SectionMIME                  // BODY[1.2.MIME]
)

// Section gives the offsets of a section of the part with the given number. It
// is not ok where there is no such part, where HEADER or TEXT is asked of a part
// that is not a message, and for MIME without a part number.
func (p *Part) Section(path []int, s Section) (start, end int, ok bool) {
	q, ok := p.Find(path)
	if !ok {
		return 0, 0, false
	}
	message := q.Message
	if len(path) == 0 {
		message = q
	}
	switch {
	case s == SectionBody && len(path) == 0:
		return q.HeaderStart, q.BodyEnd, true
	case s == SectionBody:
		return q.BodyStart, q.BodyEnd, true
	case s == SectionMIME && len(path) > 0:
		return q.HeaderStart, q.HeaderEnd, true
	case s == SectionHeader && message != nil:
		return message.HeaderStart, message.HeaderEnd, true
	case s == SectionText && message != nil:
		return message.BodyStart, message.BodyEnd, true
	}
	return 0, 0, false
}

// Param gives a parameter of the Content-Type decoded to UTF-8: RFC 2231
// encodings and continuations, and encoded words, which are not allowed there
// but used. Names are compared without regard to case.
func (p *Part) Param(name string) (string, bool) { return paramValue(p.Params, name) }

// Filename gives the name that the sender gave to the part, decoded to UTF-8;
// empty if none. It is not fit to be used as a name of a file as it is.
func (p *Part) Filename() string {
	if v, ok := paramValue(p.DispositionParams, "filename"); ok {
		return v
	}
	v, _ := paramValue(p.Params, "name")
	return v
}

// paramValue finds a parameter by its name in the forms of RFC 2231, which win
// over the plain one.
func paramValue(list []Param, name string) (string, bool) {
	var plain string
	found, pieces := false, false
	for _, q := range list {
		rest, ok := cutPrefixFold(q.Name, name)
		switch {
		case !ok:
		case rest == "*":
			return decodeExtended(q.Value), true
		case rest != "" && rest[0] == '*':
			pieces = true
		case rest == "" && !found:
			plain, found = q.Value, true
		}
	}
	if pieces {
		if v, ok := continued(list, name); ok {
			return v, true
		}
	}
	if !found {
		return "", false
	}
	return strings.ToValidUTF8(string(appendDecodedWords(nil, []byte(plain))), "\uFFFD"), true
}

func cutPrefixFold(s, prefix string) (rest string, ok bool) {
	if len(s) < len(prefix) || !strings.EqualFold(s[:len(prefix)], prefix) {
		return "", false
	}
	return s[len(prefix):], true
}

// continued joins name*0, name*1, … (RFC 2231, section 3), which may come in
// any order.
func continued(list []Param, name string) (string, bool) {
	pieces := map[int]Param{}
	for _, q := range list {
		rest, ok := cutPrefixFold(q.Name, name+"*")
		if !ok {
			continue
		}
		n, err := strconv.Atoi(strings.TrimSuffix(rest, "*"))
		if _, twice := pieces[n]; err == nil && n >= 0 && !twice {
			pieces[n] = q
		}
	}
	if _, ok := pieces[0]; !ok {
		return "", false
	}
	var value []byte
	charset := ""
	for n := 0; ; n++ {
		q, ok := pieces[n]
		if !ok {
			break
		}
		text := q.Value
		if strings.HasSuffix(q.Name, "*") {
			if n == 0 {
				charset, text = cutCharset(text)
			}
			value = appendPercent(value, text)
		} else {
			value = append(value, text...)
		}
	}
	return strings.ToValidUTF8(string(appendCharset(nil, value, charset)), "\uFFFD"), true
}

func decodeExtended(v string) string {
	charset, text := cutCharset(v)
	return strings.ToValidUTF8(string(appendCharset(nil, appendPercent(nil, text), charset)), "\uFFFD")
}

// cutCharset parts charset'language'text.
func cutCharset(v string) (charset, text string) {
	charset, rest, ok := strings.Cut(v, "'")
	if !ok {
		return "", v
	}
	_, text, ok = strings.Cut(rest, "'")
	if !ok {
		return "", v
	}
	return charset, text
}

func appendPercent(dst []byte, s string) []byte {
	for i := 0; i < len(s); i++ {
		c := s[i]
		if c == '%' && i+2 < len(s) && isHex(s[i+1]) && isHex(s[i+2]) {
			c = hex(s[i+1])<<4 | hex(s[i+2])
			i += 2
		}
		dst = append(dst, c)
	}
	return dst
}
