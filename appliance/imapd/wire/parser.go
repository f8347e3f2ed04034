package wire

import (
	"bytes"
	"strings"
	"unicode/utf8"
)

// MaxDepth is how deep parentheses may be nested in a command.
const MaxDepth = 20

// Parser reads the arguments of one command from memory. Literals stand in the
// text as they came: {n}, CRLF and n octets; one that was not read yet is only
// announced at the end. The errors of its methods are *SyntaxError.
type Parser struct {
	b     []byte
	i     int
	depth int
}

// NewParser makes a parser that reads b. It keeps b.
func NewParser(b []byte) *Parser { return &Parser{b: b} }

// Extend goes on with b, which begins with the text so far.
func (p *Parser) Extend(b []byte) { p.b = b }

// Offset is the number of octets read.
func (p *Parser) Offset() int { return p.i }

// Seek goes back to an Offset.
func (p *Parser) Seek(offset int) { p.i = offset }

// AtEnd tells whether everything was read.
func (p *Parser) AtEnd() bool { return p.i >= len(p.b) }

// Peek gives the next octet, 0 at the end.
func (p *Parser) Peek() byte {
	if p.AtEnd() {
		return 0
	}
	return p.b[p.i]
}

// Skip reads c if it is next.
func (p *Parser) Skip(c byte) bool {
	if p.Peek() == c && !p.AtEnd() {
		p.i++
		return true
	}
	return false
}

// Expect reads c.
func (p *Parser) Expect(c byte) error {
	if p.Skip(c) {
		return nil
	}
	if p.AtEnd() {
		return syntax("the command ends where %q was expected", c)
	}
	return syntax("expected %q", c)
}

// Space reads one space.
func (p *Parser) Space() error {
	if p.Skip(' ') {
		return nil
	}
	if p.AtEnd() {
		return syntax("an argument is missing")
	}
	return syntax("expected a space")
}

// End makes sure that nothing is left. Spaces at the end are let pass, as some
// clients send them.
func (p *Parser) End() error {
	for p.Skip(' ') {
	}
	if !p.AtEnd() {
		return syntax("too many arguments")
	}
	return nil
}

// List reads a list in parentheses with item called for each element. It may
// be empty.
func (p *Parser) List(item func() error) error {
	if err := p.Expect('('); err != nil {
		return err
	}
	if p.depth++; p.depth > MaxDepth {
		return syntax("nested too deep")
	}
	defer func() { p.depth-- }()
	if p.Skip(')') {
		return nil
	}
	for {
		if err := item(); err != nil {
			return err
		}
		if p.Skip(')') {
			return nil
		}
		if err := p.Space(); err != nil {
			return err
		}
	}
}

// isAtomChar is ATOM-CHAR of RFC 9051; octets above 127 are none.
func isAtomChar(c byte) bool {
	switch c {
	case '(', ')', '{', ' ', '%', '*', '"', '\\', ']':
		return false
	}
	return c > ' ' && c < 0x7f
}

func isAStringChar(c byte) bool { return isAtomChar(c) || c == ']' }

func (p *Parser) span(ok func(c byte) bool) []byte {
	start := p.i
	for p.i < len(p.b) && ok(p.b[p.i]) {
		p.i++
	}
	return p.b[start:p.i]
}

// Tag reads a command's tag.
func (p *Parser) Tag() (string, error) {
	t := p.span(func(c byte) bool { return isAStringChar(c) && c != '+' })
	if len(t) == 0 || len(t) > 128 {
		return "", syntax("expected a tag")
	}
	return string(t), nil
}

// Atom reads an atom as it stands.
func (p *Parser) Atom() (string, error) {
	a := p.span(isAtomChar)
	if len(a) == 0 {
		return "", syntax("expected an atom")
	}
	return string(a), nil
}

// Word reads an atom and gives it in upper case, for names of the protocol.
func (p *Parser) Word() (string, error) {
	a, err := p.Atom()
	return strings.ToUpper(a), err
}

// Name reads letters, digits, dots, hyphens, equals and underscores and gives
// them in upper case: names that a bracket may follow, such as BODY.PEEK[.
func (p *Parser) Name() (string, error) {
	a := p.span(func(c byte) bool {
		return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' ||
			c == '.' || c == '-' || c == '=' || c == '_'
	})
	if len(a) == 0 {
		return "", syntax("expected a name")
	}
	return strings.ToUpper(string(a)), nil
}

// String reads a quoted string or a literal.
func (p *Parser) String() (string, error) {
	switch p.Peek() {
	case '"':
		return p.quoted()
	case '{', '~':
		return p.literal()
	}
	return "", syntax("expected a string")
}

// AString reads an atom, a quoted string or a literal.
func (p *Parser) AString() (string, error) {
	switch p.Peek() {
	case '"', '{':
		return p.String()
	}
	a := p.span(isAStringChar)
	if len(a) == 0 {
		return "", syntax("expected a string")
	}
	return string(a), nil
}

// NString reads a string or NIL, which gives ok false.
func (p *Parser) NString() (s string, ok bool, err error) {
	if c := p.Peek(); c == 'n' || c == 'N' {
		w, err := p.Word()
		if err != nil || w != "NIL" {
			return "", false, syntax("expected a string or NIL")
		}
		return "", false, nil
	}
	s, err = p.String()
	return s, err == nil, err
}

func (p *Parser) quoted() (string, error) {
	p.i++
	rest := p.b[p.i:]
	j := bytes.IndexAny(rest, "\"\\\r\n")
	if j >= 0 && rest[j] == '"' {
		p.i += j + 1
		return checkText(rest[:j])
	}
	var out []byte
	for k := 0; k < len(rest); k++ {
		switch c := rest[k]; c {
		case '"':
			p.i += k + 1
			return checkText(out)
		case '\\':
			k++
			if k == len(rest) || rest[k] != '"' && rest[k] != '\\' {
				return "", syntax("a backslash in a quoted string quotes only \" and \\")
			}
			out = append(out, rest[k])
		case '\r', '\n':
			return "", syntax("line end in a quoted string")
		default:
			out = append(out, c)
		}
	}
	return "", syntax("quoted string without an end")
}

func checkText(b []byte) (string, error) {
	if !utf8.Valid(b) {
		return "", syntax("a quoted string must be UTF-8")
	}
	return string(b), nil
}

func (p *Parser) literal() (string, error) {
	l, n, ok := p.announced()
	if !ok {
		return "", syntax("malformed literal")
	}
	p.i += n
	if !bytes.HasPrefix(p.b[p.i:], []byte("\r\n")) || int64(len(p.b)-p.i-2) < l.Size {
		return "", syntax("a literal is not allowed here")
	}
	p.i += 2
	s := string(p.b[p.i : p.i+int(l.Size)])
	p.i += int(l.Size)
	if strings.IndexByte(s, 0) >= 0 && !l.Binary {
		return "", syntax("NUL in a literal")
	}
	return s, nil
}

// announced gives the literal announced here and the length of its
// announcement without CRLF.
func (p *Parser) announced() (Literal, int, bool) {
	rest := p.b[p.i:]
	end := bytes.IndexByte(rest, '}')
	if end < 0 || end > 32 {
		return Literal{}, 0, false
	}
	if rest[0] != '{' && !bytes.HasPrefix(rest, []byte("~{")) {
		return Literal{}, 0, false
	}
	if bytes.Count(rest[:end], []byte("{")) != 1 {
		return Literal{}, 0, false
	}
	l, ok := TrailingLiteral(rest[:end+1])
	return l, end + 1, ok
}

// Announced reads the announcement of a literal whose octets were not read yet,
// at the very end of the text.
func (p *Parser) Announced() (Literal, error) {
	if p.AtEnd() {
		return Literal{}, syntax("expected a literal")
	}
	l, n, ok := p.announced()
	if !ok || p.i+n != len(p.b) {
		return Literal{}, syntax("expected a literal")
	}
	p.i += n
	return l, nil
}

// Number64 reads a number of at most 63 bits.
func (p *Parser) Number64() (uint64, error) {
	digits := p.span(func(c byte) bool { return '0' <= c && c <= '9' })
	if len(digits) == 0 {
		return 0, syntax("expected a number")
	}
	var n uint64
	for _, c := range digits {
		d := uint64(c - '0')
		if n > (1<<63-1-d)/10 {
			return 0, syntax("the number is too large")
		}
		n = n*10 + d
	}
	return n, nil
}

// Number reads a number of at most 32 bits.
func (p *Parser) Number() (uint32, error) {
	n, err := p.Number64()
	if err == nil && n > 1<<32-1 {
		err = syntax("the number is too large")
	}
	return uint32(n), err
}

// Flag reads a flag: a keyword, or a system flag, which comes in its canonical
// case. \Recent and system flags unknown to RFC 9051 are errors.
func (p *Parser) Flag() (string, error) {
	system := p.Skip('\\')
	a, err := p.Atom()
	if err != nil {
		return "", syntax("expected a flag")
	}
	if !system {
		if len(a) > 100 {
			return "", syntax("a keyword has at most 100 characters")
		}
		return a, nil
	}
	for _, f := range [...]string{`\Seen`, `\Answered`, `\Flagged`, `\Deleted`, `\Draft`} {
		if strings.EqualFold(f[1:], a) {
			return f, nil
		}
	}
	return "", syntax(`no such system flag, or one that cannot be set`)
}

// Flags reads a list of flags in parentheses.
func (p *Parser) Flags() ([]string, error) {
	var list []string
	err := p.List(func() error {
		f, err := p.Flag()
		list = append(list, f)
		return err
	})
	return list, err
}
