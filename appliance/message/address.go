package message

import "bytes"

// addressKind tells the three forms of an IMAP address structure apart.
type addressKind uint8

const (
	addressMailbox addressKind = iota
	addressGroup               // the start of a group; mailbox is its name
	addressGroupEnd
)

// address is one address of a header; name and route are nil where missing.
type address struct {
	kind                       addressKind
	name, route, mailbox, host []byte
}

// addressParser reads address lists as RFC 5322 has them, obsolete syntax
// included, and makes the best of everything else. It never goes back, so it
// takes linear time.
type addressParser struct {
	s   []byte
	pos int
	// list is what was read; its slices point into arena.
	list  []address
	arena []byte
	// phrase is the text of the words so far, local the same as a local part:
	// it starts anew at phrase[cut:] where words stand apart.
	phrase, local []byte
	cut           int
	comment       []byte
	// After the first comment or quoted string that does not end, the rest of
	// the value has none.
	noComments, noQuotes bool
	// left is how many addresses may still be read.
	left int
}

func (p *addressParser) keep(b []byte) []byte {
	start := len(p.arena)
	p.arena = append(p.arena, b...)
	return p.arena[start:len(p.arena):len(p.arena)]
}

func (p *addressParser) emit(a address) {
	if p.left > 0 {
		p.left--
		p.list = append(p.list, a)
	}
}

// parse adds the addresses of a header value to the list.
func (p *addressParser) parse(value []byte) {
	p.s, p.pos, p.noComments, p.noQuotes = value, 0, false, false
	group := false
	for p.pos < len(p.s) && p.left > 0 {
		switch c := p.s[p.pos]; {
		case c == ',' || c == '>' || isSpace(c):
			p.pos++
		case c == ';':
			p.pos++
			if group {
				p.emit(address{kind: addressGroupEnd})
				group = false
			}
		default:
			group = p.element(group) || group
		}
	}
	if group {
		p.left = max(p.left, 1) // a group that was begun is ended
		p.emit(address{kind: addressGroupEnd})
	}
}

// element reads one mailbox, or the name of a group, and tells whether it was
// the latter.
func (p *addressParser) element(inGroup bool) bool {
	p.phrase, p.local, p.cut, p.comment = p.phrase[:0], p.local[:0], 0, nil
	gap := false
	for p.pos < len(p.s) {
		c := p.s[p.pos]
		switch {
		case isSpace(c):
			p.pos++
			gap = true
		case c == ',' || c == ';':
			p.bare()
			return false
		case c == ':' && !inGroup && len(p.phrase) > 0:
			p.pos++
			p.emit(address{kind: addressGroup, mailbox: p.keep(p.phrase)})
			return true
		case c == '<':
			p.angle(p.phrase)
			return false
		case c == '@':
			p.addrSpec()
			return false
		case c == '>':
			p.pos++
		case c == '(' && p.skipComment():
			gap = true
		case c == '"':
			if w, ok := p.quoted(); ok {
				p.word(w, gap)
			} else {
				p.pos++
			}
			gap = false
		default:
			p.word(p.atom(), gap)
			gap = false
		}
	}
	p.bare()
	return false
}

// word adds a word to the phrase and to the local part. Words that stand apart
// make a display name, and the last of them the local part, if one comes; but
// white space around dots is obsolete syntax within a local part.
func (p *addressParser) word(w []byte, gap bool) {
	if gap && len(p.phrase) > 0 {
		if p.phrase[len(p.phrase)-1] != '.' && (len(w) == 0 || w[0] != '.') {
			p.cut, p.local = len(p.phrase), p.local[:0]
		}
		p.phrase = append(p.phrase, ' ')
	}
	p.phrase = append(p.phrase, w...)
	p.local = append(p.local, w...)
}

// atom takes the run of ordinary characters at the position, at least one
// octet. An encoded word is taken whole, even with specials in it.
func (p *addressParser) atom() []byte {
	start := p.pos
	if n := encodedWordLen(p.s[p.pos:]); n > 0 {
		p.pos += n
		return p.s[start:p.pos]
	}
	for p.pos++; p.pos < len(p.s); p.pos++ {
		switch p.s[p.pos] {
		case ' ', '\t', '\r', '\n', '(', '<', '>', '@', ',', ';', ':', '"':
			return p.s[start:p.pos]
		}
	}
	return p.s[start:p.pos]
}

// encodedWordLen gives the length of the encoded word at the start of b, 0 if
// there is none. It looks no further than RFC 2047 lets a word be, times two.
func encodedWordLen(b []byte) int {
	if len(b) < 8 || b[0] != '=' || b[1] != '?' {
		return 0
	}
	b = b[:min(len(b), 150)]
	marks := 1
	for i := 2; i < len(b); i++ {
		switch b[i] {
		case ' ', '\t', '\r', '\n', '"', '<', '>':
			return 0
		case '?':
			if marks++; marks > 3 && i+1 < len(b) && b[i+1] == '=' {
				return i + 2
			}
		}
	}
	return 0
}

// quoted takes the quoted string at the position, without its quotes.
func (p *addressParser) quoted() ([]byte, bool) {
	end := -1
	if !p.noQuotes {
		end = closing(p.s, p.pos)
	}
	if end < 0 {
		p.noQuotes = true
		return nil, false
	}
	inner := p.s[p.pos+1 : end]
	p.pos = end + 1
	if bytes.IndexByte(inner, '\\') < 0 && bytes.IndexByte(inner, '\n') < 0 {
		return inner, true
	}
	start := len(p.arena)
	p.arena = appendUnquoted(p.arena, inner)
	return p.arena[start:len(p.arena):len(p.arena)], true
}

// closing gives the offset of the quote that ends the quoted string at s[pos],
// -1 if there is none.
func closing(s []byte, pos int) int {
	for i := pos + 1; i < len(s); i++ {
		switch s[i] {
		case '\\':
			i++
		case '"':
			return i
		}
	}
	return -1
}

// appendUnquoted appends the inside of a quoted string or comment, unfolded and
// without the backslashes of quoted pairs.
func appendUnquoted(dst, inner []byte) []byte {
	for i := 0; i < len(inner); i++ {
		switch c := inner[i]; {
		case c == '\\' && i+1 < len(inner):
			i++
			dst = append(dst, inner[i])
		case c == '\n', c == '\r' && i+1 < len(inner) && inner[i+1] == '\n':
		default:
			dst = append(dst, c)
		}
	}
	return dst
}

// skipComment skips the comment at the position and remembers its text, which
// is an old way to write a name. It fails where the comment does not end.
func (p *addressParser) skipComment() bool {
	if p.noComments {
		return false
	}
	end := commentEnd(p.s, p.pos)
	if end < 0 {
		p.noComments = true
		return false
	}
	p.comment = p.s[p.pos+1 : end-1]
	p.pos = end
	return true
}

// commentEnd gives the offset behind the comment at s[pos], -1 if it does not
// end. Comments nest.
func commentEnd(s []byte, pos int) int {
	depth := 0
	for i := pos; i < len(s); i++ {
		switch s[i] {
		case '\\':
			i++
		case '(':
			depth++
		case ')':
			if depth--; depth == 0 {
				return i + 1
			}
		}
	}
	return -1
}

// skipSpace skips white space and comments.
func (p *addressParser) skipSpace() {
	for p.pos < len(p.s) {
		switch c := p.s[p.pos]; {
		case isSpace(c):
			p.pos++
		case c == '(' && p.skipComment():
		default:
			return
		}
	}
}

// name gives the display name: the phrase, or the last comment.
func (p *addressParser) name(phrase []byte) []byte {
	if len(phrase) > 0 {
		return p.keep(phrase)
	}
	if len(p.comment) > 0 {
		start := len(p.arena)
		p.arena = appendUnquoted(p.arena, trim(p.comment))
		return p.arena[start:len(p.arena):len(p.arena)]
	}
	return nil
}

// bare ends an element that had neither "@" nor "<": a local part without a
// domain if it is one word, else a name without an address. The missing parts
// are empty, as NIL would tell of a group.
func (p *addressParser) bare() {
	switch {
	case len(p.phrase) == 0:
	case p.cut == 0:
		mailbox := p.keep(p.local)
		p.emit(address{name: p.name(nil), mailbox: mailbox, host: []byte{}})
	default:
		p.emit(address{name: p.keep(p.phrase), mailbox: []byte{}, host: []byte{}})
	}
}

// addrSpec reads on at the "@" of an address without angle brackets.
func (p *addressParser) addrSpec() {
	p.pos++
	mailbox := p.keep(p.local)
	host := p.domain()
	for p.pos < len(p.s) {
		c := p.s[p.pos]
		switch {
		case c == ',' || c == ';':
			p.emit(address{name: p.name(p.phrase[:p.cut]), mailbox: mailbox, host: host})
			return
		case c == '<': // an address as display name, not quoted
			p.phrase = append(append(p.phrase, '@'), host...)
			p.angle(p.phrase)
			return
		case c == '"':
			if _, ok := p.quoted(); !ok {
				p.pos++
			}
		case c == '(' && p.skipComment():
		default:
			p.pos++
		}
	}
	p.emit(address{name: p.name(p.phrase[:p.cut]), mailbox: mailbox, host: host})
}

// domain reads a domain or an address literal, with white space and comments
// around its dots taken out.
func (p *addressParser) domain() []byte {
	p.skipSpace()
	start := len(p.arena)
	if p.pos < len(p.s) && p.s[p.pos] == '[' {
		for p.pos < len(p.s) {
			c := p.s[p.pos]
			if c == ',' || c == ';' || c == '>' {
				break
			}
			p.pos++
			if !isSpace(c) {
				p.arena = append(p.arena, c)
			}
			if c == ']' {
				break
			}
		}
	}
	for p.pos < len(p.s) {
		run := p.pos
	atom:
		for p.pos < len(p.s) {
			switch p.s[p.pos] {
			case ' ', '\t', '\r', '\n', '(', ')', '<', '>', ',', ';', '"':
				break atom
			}
			p.pos++
		}
		p.arena = append(p.arena, p.s[run:p.pos]...)
		after := p.pos
		p.skipSpace()
		dot := p.pos < len(p.s) && p.s[p.pos] == '.' || len(p.arena) > start && p.arena[len(p.arena)-1] == '.'
		if p.pos == after || !dot {
			break
		}
	}
	return p.arena[start:len(p.arena):len(p.arena)]
}

// angle reads the address in angle brackets at the position and what follows
// it up to the end of the element.
func (p *addressParser) angle(phrase []byte) {
	p.pos++
	comment := p.comment // those within the brackets are no names
	p.skipSpace()
	route := p.route()
	mailbox := p.angleLocal()
	host := []byte{}
	if p.pos < len(p.s) && p.s[p.pos] == '@' {
		p.pos++
		host = p.domain()
	}
	for p.pos < len(p.s) {
		c := p.s[p.pos]
		if c == ',' || c == ';' || c == '<' {
			break
		}
		p.pos++
		if c == '>' {
			break
		}
	}
	p.comment = comment
	p.skipSpace()
	p.emit(address{name: p.name(phrase), route: route, mailbox: mailbox, host: host})
	p.skipJunk()
}

// route takes an obsolete source route ("@a,@b:") with its colon off the
// position and gives it without colon, white space and comments; nil if there
// is none.
func (p *addressParser) route() []byte {
	if p.pos >= len(p.s) || p.s[p.pos] != '@' {
		return nil
	}
	start, from := len(p.arena), p.pos
	for {
		p.skipSpace()
		if p.pos >= len(p.s) || bytes.IndexByte([]byte(`<>";`), p.s[p.pos]) >= 0 {
			p.arena, p.pos = p.arena[:start], from
			return nil
		}
		c := p.s[p.pos]
		p.pos++
		if c == ':' {
			p.skipSpace()
			return p.arena[start:len(p.arena):len(p.arena)]
		}
		p.arena = append(p.arena, c)
	}
}

// angleLocal reads the local part within angle brackets, up to "@", ">", "<" or
// the end.
func (p *addressParser) angleLocal() []byte {
	local := p.local[:0]
	gap := false
words:
	for p.pos < len(p.s) {
		c := p.s[p.pos]
		var w []byte
		switch {
		case c == '@' || c == '>' || c == '<':
			break words
		case isSpace(c):
			p.pos++
			gap = true
			continue
		case c == '(' && p.skipComment():
			gap = true
			continue
		case c == '"':
			q, ok := p.quoted()
			if !ok {
				p.pos++
				continue
			}
			w = q
		default:
			w = p.atom()
		}
		if gap && len(local) > 0 && local[len(local)-1] != '.' && (len(w) == 0 || w[0] != '.') {
			local = append(local, ' ')
		}
		local = append(local, w...)
		gap = false
	}
	p.local = local
	return p.keep(local)
}

// skipJunk skips what stands between an address and the next comma, unless it
// looks like an address whose comma is missing.
func (p *addressParser) skipJunk() {
	for i := p.pos; i < len(p.s); i++ {
		switch p.s[i] {
		case '<', '@':
			return
		case ',', ';':
			p.pos = i
			return
		}
	}
	p.pos = len(p.s)
}
