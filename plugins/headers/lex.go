package headers

import (
	"strings"
	"unicode/utf8"
)

// kind is what a token is.
type kind int

const (
	word   kind = iota + 1 // letters, digits and most signs
	text                   // "in quotes"
	mark                   // one of ( ) , :
	broken                 // a text without its end, or a foreign quote
	end
)

// token is one piece of the rules.
type token struct {
	kind kind
	// text is what it says: of a text without quotes and escapes.
	text string
	// line and column begin at 1; columns count characters. first tells that
	// nothing is before it on its line.
	line, column int
	first        bool
}

// is tells whether the token is that word, in any case of letters.
func (t token) is(w string) bool { return t.kind == word && strings.EqualFold(t.text, w) }

// isMark tells whether the token is that mark.
func (t token) isMark(m string) bool { return t.kind == mark && t.text == m }

// begins tells whether a rule begins with the token, next being the one after.
func (t token) begins(next token) bool {
	return t.first && (t.is("if") || t.is("always") || t.kind == text && next.isMark(":"))
}

// say names the token for a fault.
func (t token) say() string {
	switch t.kind {
	case end:
		return "the end of the rules"
	case text:
		return `the text "` + shorten(t.text) + `"`
	default:
		return `"` + shorten(t.text) + `"`
	}
}

// shorten keeps a fault readable.
func shorten(s string) string {
	const most = 40
	n := 0
	for i := range s {
		if n++; n > most {
			return s[:i] + "…"
		}
	}
	return s
}

// lexer cuts rules into tokens.
type lexer struct {
	in           string
	line, column int
	first        bool
}

func newLexer(in string) *lexer { return &lexer{in: in, line: 1, column: 1, first: true} }

// take gives the next n octets, which stay on the line.
func (l *lexer) take(n int) string {
	s := l.in[:n]
	l.in = l.in[n:]
	l.column += utf8.RuneCountInString(s)
	return s
}

// next gives the next token; end again and again after the last one.
func (l *lexer) next() token {
	l.blank()
	t := token{line: l.line, column: l.column, first: l.first}
	l.first = false
	if l.in == "" {
		t.kind = end
		return t
	}
	switch c := l.in[0]; {
	case c == '"':
		l.take(1)
		t.kind, t.text = text, ""
		if !l.quoted(&t.text) {
			t.kind = broken
		}
	case strings.IndexByte("(),:", c) >= 0:
		t.kind, t.text = mark, l.take(1)
	default:
		t.kind, t.text = word, l.take(wordEnd(l.in))
		if r, _ := utf8.DecodeRuneInString(t.text); strings.ContainsRune("'‘’“”„«»", r) {
			t.kind = broken
		}
	}
	return t
}

// blank passes over space and remarks.
func (l *lexer) blank() {
	for l.in != "" {
		switch c := l.in[0]; {
		case c == '\n':
			l.in = l.in[1:]
			l.line++
			l.column, l.first = 1, true
		case c == ' ' || c == '\t' || c == '\r':
			l.take(1)
		case c == '#':
			n := strings.IndexByte(l.in, '\n')
			if n < 0 {
				n = len(l.in)
			}
			l.take(n)
		default:
			return
		}
	}
}

func wordEnd(s string) int {
	if n := strings.IndexAny(s, " \t\r\n\"(),:"); n >= 0 {
		return n
	}
	return len(s)
}

// quoted reads a text up to its closing quote, which is on the same line.
func (l *lexer) quoted(into *string) bool {
	var b strings.Builder
	for {
		n := strings.IndexAny(l.in, "\"\\\n")
		if n < 0 {
			n = len(l.in)
		}
		b.WriteString(l.take(n))
		*into = b.String()
		if l.in == "" || l.in[0] == '\n' {
			return false
		}
		if l.take(1) == `"` {
			return true
		}
		// A backslash is for a quote or another one; before anything else it
		// stands for itself.
		if l.in != "" && (l.in[0] == '"' || l.in[0] == '\\') {
			b.WriteString(l.take(1))
		} else {
			b.WriteByte('\\')
		}
	}
}
