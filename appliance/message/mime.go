package message

import (
	"bytes"
	"strings"
)

// mimeParam is one parameter as it stands in a header.
type mimeParam struct{ name, value []byte }

// mimeParser reads structured MIME fields (RFC 2045, section 5.1; RFC 2183),
// and the many that only look so. Its slices are valid until the next field.
type mimeParser struct {
	s        []byte
	pos      int
	params   []mimeParam
	arena    []byte
	noQuotes bool
	noParens bool
}

func (p *mimeParser) start(value []byte) {
	clear(p.params)
	*p = mimeParser{s: value, params: p.params[:0], arena: p.arena[:0]}
}

// isToken tells which octets a MIME token may hold.
func isToken(c byte) bool {
	return c > ' ' && c < 0x7f && strings.IndexByte(`()<>@,;:\"/[]?=`, c) < 0
}

func (p *mimeParser) token() []byte {
	start := p.pos
	for p.pos < len(p.s) && isToken(p.s[p.pos]) {
		p.pos++
	}
	return p.s[start:p.pos]
}

// space skips white space and comments.
func (p *mimeParser) space() {
	for p.pos < len(p.s) {
		switch c := p.s[p.pos]; {
		case isSpace(c):
			p.pos++
		case c == '(' && !p.noParens:
			if end := commentEnd(p.s, p.pos); end > 0 {
				p.pos = end
			} else {
				p.noParens = true
			}
		default:
			return
		}
	}
}

func (p *mimeParser) at(c byte) bool { return p.pos < len(p.s) && p.s[p.pos] == c }

// contentType reads a Content-Type. It is not ok where that is no type and
// subtype, which makes it text/plain (RFC 2045, section 5.2).
func (p *mimeParser) contentType(value []byte) (typ, subtype []byte, ok bool) {
	p.start(value)
	p.space()
	typ = p.token()
	p.space()
	if len(typ) == 0 || !p.at('/') {
		return nil, nil, false
	}
	p.pos++
	p.space()
	if subtype = p.token(); len(subtype) == 0 {
		return nil, nil, false
	}
	p.readParams()
	return typ, subtype, true
}

// disposition reads a Content-Disposition; the result is empty where there is
// none to be seen.
func (p *mimeParser) disposition(value []byte) []byte {
	p.start(value)
	p.space()
	d := p.token()
	p.readParams()
	return d
}

// readParams reads the parameters up to the end of the field. Missing
// semicolons and values, and junk, are passed over.
func (p *mimeParser) readParams() {
	for {
		p.space()
		if p.pos >= len(p.s) || len(p.params) >= MaxParams {
			return
		}
		if p.at(';') {
			p.pos++
			continue
		}
		name := p.token()
		p.space()
		if len(name) == 0 || !p.at('=') {
			p.junk()
			continue
		}
		p.pos++
		p.space()
		p.params = append(p.params, mimeParam{name, p.value()})
	}
}

func (p *mimeParser) junk() {
	if i := bytes.IndexByte(p.s[p.pos:], ';'); i >= 0 {
		p.pos += i
	} else {
		p.pos = len(p.s)
	}
}

// value reads the value of a parameter, without quotes and folds.
func (p *mimeParser) value() []byte {
	if p.at('"') {
		if !p.noQuotes {
			if end := closing(p.s, p.pos); end > 0 {
				start := len(p.arena)
				p.arena = appendUnquoted(p.arena, p.s[p.pos+1:end])
				p.pos = end + 1
				return p.arena[start:len(p.arena):len(p.arena)]
			}
			p.noQuotes = true
		}
		p.pos++ // never closed: up to the semicolon, as without quotes
	}
	start := len(p.arena)
	for {
		run := p.pos
		for p.pos < len(p.s) && !isSpace(p.s[p.pos]) && p.s[p.pos] != ';' {
			p.pos++
		}
		p.arena = append(p.arena, p.s[run:p.pos]...)
		p.space()
		if p.pos >= len(p.s) || p.at(';') || p.nextParam() {
			return p.arena[start:len(p.arena):len(p.arena)]
		}
		// White space in a value that ought to have been quoted.
		p.arena = append(p.arena, ' ')
	}
}

// nextParam tells whether another parameter begins here, its semicolon missing.
func (p *mimeParser) nextParam() bool {
	i := p.pos
	for i < len(p.s) && isToken(p.s[i]) {
		i++
	}
	if i == p.pos {
		return false
	}
	for i < len(p.s) && isSpace(p.s[i]) {
		i++
	}
	return i < len(p.s) && p.s[i] == '='
}

// param gives the first parameter of that name as it stands; names are compared
// without regard to case.
func (p *mimeParser) param(name string) []byte {
	for _, q := range p.params {
		if len(q.name) == len(name) && bytes.EqualFold(q.name, []byte(name)) {
			return q.value
		}
	}
	return nil
}

// writeParams writes the parameters as IMAP has them, NIL if there are none.
func (p *mimeParser) writeParams(w *wire) {
	for i, q := range p.params {
		if i == 0 {
			w.text("(")
		} else {
			w.text(" ")
		}
		w.string(q.name)
		w.text(" ")
		w.string(q.value)
	}
	if len(p.params) == 0 {
		w.text("NIL")
		return
	}
	w.text(")")
}

// writeLanguages writes a Content-Language as a list, NIL if it is empty.
func writeLanguages(w *wire, value []byte) {
	n := 0
	for len(value) > 0 {
		tag, rest, _ := bytes.Cut(value, []byte{','})
		value = rest
		if tag = trim(tag); len(tag) == 0 {
			continue
		}
		if n == 0 {
			w.text("(")
		} else {
			w.text(" ")
		}
		w.string(tag)
		n++
	}
	if n == 0 {
		w.text("NIL")
		return
	}
	w.text(")")
}
