package message

import (
	"strconv"
	"strings"
	"unicode/utf8"
)

// maxQuoted is how long a quoted string may get; longer ones go out as
// literals, which no client reads into a line buffer.
const maxQuoted = 1000

// wire builds IMAP text.
type wire struct {
	b []byte
	// wide is set once a quoted string holds 8-bit text, which clients may only
	// get after they asked for it; see appendNarrow.
	wide bool
}

func (w *wire) text(s string) { w.b = append(w.b, s...) }

// nstring writes an unfolded value, NIL if it is nil.
func (w *wire) nstring(v []byte) {
	if v == nil {
		w.text("NIL")
		return
	}
	w.string(v)
}

// string writes v as a quoted string where that is legal, else as a literal.
func (w *wire) string(v []byte) {
	ascii, special := true, false
	for _, c := range v {
		switch {
		case c >= 0x80:
			ascii = false
		case c < ' ' && c != '\t' || c == 0x7f:
			w.literal(v)
			return
		case c == '"' || c == '\\':
			special = true
		}
	}
	if len(v) > maxQuoted || !ascii && !utf8.Valid(v) {
		w.literal(v)
		return
	}
	w.wide = w.wide || !ascii
	w.b = append(w.b, '"')
	if !special {
		w.b = append(w.b, v...)
	} else {
		for _, c := range v {
			if c == '"' || c == '\\' {
				w.b = append(w.b, '\\')
			}
			w.b = append(w.b, c)
		}
	}
	w.b = append(w.b, '"')
}

// literal writes v as a literal. NUL may not stand in one; 0x80 takes its place.
func (w *wire) literal(v []byte) {
	w.b = append(w.b, '{')
	w.b = strconv.AppendInt(w.b, int64(len(v)), 10)
	w.b = append(w.b, "}\r\n"...)
	for _, c := range v {
		if c == 0 {
			c = 0x80
		}
		w.b = append(w.b, c)
	}
}

// appendNarrow appends text that wire built to dst, with literals in place of
// quoted strings that hold 8-bit text.
func appendNarrow(dst, text []byte) []byte {
	for i := 0; i < len(text); {
		switch text[i] {
		case '{':
			end := min(literalEnd(text, i), len(text))
			dst = append(dst, text[i:end]...)
			i = end
		case '"':
			end, wide, escapes := quotedEnd(text, i)
			if !wide {
				dst = append(dst, text[i:end]...)
			} else {
				dst = appendQuotedAsLiteral(dst, text[i+1:end-1], escapes)
			}
			i = end
		default:
			dst = append(dst, text[i])
			i++
		}
	}
	return dst
}

func appendQuotedAsLiteral(dst, inner []byte, escapes int) []byte {
	dst = append(dst, '{')
	dst = strconv.AppendInt(dst, int64(len(inner)-escapes), 10)
	dst = append(dst, "}\r\n"...)
	for j := 0; j < len(inner); j++ {
		if inner[j] == '\\' && j+1 < len(inner) {
			j++
		}
		dst = append(dst, inner[j])
	}
	return dst
}

// literalEnd gives the offset behind the literal at text[i]; beyond text if it
// is cut short.
func literalEnd[T []byte | string](text T, i int) int {
	n := 0
	for i++; i < len(text) && '0' <= text[i] && text[i] <= '9' && n <= len(text); i++ {
		n = n*10 + int(text[i]-'0')
	}
	return i + len("}\r\n") + n
}

// quotedEnd gives the offset behind the quoted string at text[i], whether it
// holds 8-bit text, and how many backslashes quote another character in it.
func quotedEnd[T []byte | string](text T, i int) (end int, wide bool, escapes int) {
	for i++; i < len(text); i++ {
		switch c := text[i]; {
		case c == '"':
			return i + 1, wide, escapes
		case c == '\\' && i+1 < len(text):
			escapes++
			i++
		case c >= 0x80:
			wide = true
		}
	}
	return len(text), wide, escapes
}

// wireReader reads text that wire built. Its strings are slices of s where
// nothing in them is quoted.
type wireReader struct {
	s   string
	bad bool
}

func (r *wireReader) take(c byte) bool {
	if r.s != "" && r.s[0] == c {
		r.s = r.s[1:]
		return true
	}
	return false
}

func (r *wireReader) space() { r.bad = !r.take(' ') || r.bad }

// nstring reads a string; ok is false for NIL.
func (r *wireReader) nstring() (value string, ok bool) {
	switch {
	case strings.HasPrefix(r.s, "NIL"):
		r.s = r.s[3:]
		return "", false
	case r.s != "" && r.s[0] == '"':
		end, _, escapes := quotedEnd(r.s, 0)
		if end < 2 || r.s[end-1] != '"' {
			break
		}
		value, r.s = r.s[1:end-1], r.s[end:]
		if escapes > 0 {
			value = unescape(value)
		}
		return value, true
	case r.s != "" && r.s[0] == '{':
		end := literalEnd(r.s, 0)
		start := strings.IndexByte(r.s, '\n') + 1
		if end > len(r.s) || start == 0 || start > end {
			break
		}
		value, r.s = r.s[start:end], r.s[end:]
		return value, true
	}
	r.s, r.bad = "", true
	return "", false
}

func unescape(s string) string {
	b := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+1 < len(s) {
			i++
		}
		b = append(b, s[i])
	}
	return string(b)
}

// params reads a parenthesised list of names and values, or NIL.
func (r *wireReader) params() []Param {
	if strings.HasPrefix(r.s, "NIL") {
		r.s = r.s[3:]
		return nil
	}
	if !r.take('(') {
		r.bad = true
		return nil
	}
	list := make([]Param, 0, 2)
	for !r.bad && !r.take(')') {
		if len(list) > 0 {
			r.space()
		}
		name, _ := r.nstring()
		r.space()
		value, _ := r.nstring()
		list = append(list, Param{name, value})
	}
	return list
}
