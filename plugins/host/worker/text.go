package worker

import (
	"bytes"
	"strings"
	"unicode/utf8"

	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"
	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/htmlindex"
	"golang.org/x/text/encoding/ianaindex"
	"golang.org/x/text/encoding/unicode"
	"golang.org/x/text/transform"

	"hauspost/plugins/abi"
)

// textOf gives text in UTF-8; of HTML what a person would read. The buffer is
// the caller's to release, its length that of the text.
func textOf(b []byte, charset string, isHTML bool) (buffer, error) {
	text, err := toUTF8(b, charset)
	if err != nil || !isHTML {
		return text, err
	}
	room, err := newBuffer(len(text) + 1)
	if err == nil {
		room = room[:len(readable(room[:0], text))]
	}
	text.release()
	return room, err
}

// toUTF8 converts text from the named charset. Where that is missing or
// unknown it is UTF-8 if it is valid, otherwise Windows-1252.
func toUTF8(b []byte, charset string) (buffer, error) {
	enc := encodingOf(charset)
	if enc == nil && utf8.Valid(b) {
		b = b[:min(len(b), abi.MaxDecoded)]
		room, err := newBuffer(len(b))
		if err == nil {
			room = room[:copy(room, b)]
		}
		return room, err
	}
	if enc == nil {
		enc = charmap.Windows1252
	}
	// No octet of any charset becomes more than three.
	room, err := newBuffer(min(3*len(b)+utf8.UTFMax, abi.MaxDecoded))
	if err != nil {
		return nil, err
	}
	n, _, _ := transform.Transformer(enc.NewDecoder()).Transform(room, b, true)
	return room[:n], nil
}

// encodingOf finds a charset by the names that browsers know, then by IANA's;
// nil is UTF-8 or unknown.
func encodingOf(name string) encoding.Encoding {
	name = strings.ToLower(strings.Trim(name, " \t\"'"))
	switch name {
	case "", "us-ascii", "ascii", "utf-8", "utf8", "unknown-8bit":
		return nil
	case "utf-16":
		return unicode.UTF16(unicode.LittleEndian, unicode.UseBOM)
	case "iso-8859-8-i", "iso-8859-8-e":
		name = "iso-8859-8"
	}
	if enc, err := htmlindex.Get(name); err == nil && enc != encoding.Replacement {
		return enc
	}
	if enc, err := ianaindex.MIME.Encoding(name); err == nil {
		return enc
	}
	return nil
}

// maxToken is the largest piece of HTML that is looked at; a larger one ends
// the text.
const maxToken = 16 << 20

// readable appends what a person would read of a page to dst, which has room
// for all of it: the text without what is in scripts, styles and hidden
// elements, in lines where blocks end.
func readable(dst, page []byte) []byte {
	w := textWriter{b: dst}
	z := html.NewTokenizer(bytes.NewReader(page))
	z.SetMaxBuf(maxToken)
	// unread are the open elements from a hidden one on.
	var unread []atom.Atom
	for {
		switch token := z.Next(); token {
		case html.ErrorToken:
			return w.b
		case html.TextToken:
			if len(unread) == 0 {
				w.text(z.Text())
			}
		case html.StartTagToken, html.SelfClosingTagToken:
			name, more := z.TagName()
			a := atom.Lookup(name)
			w.element(a)
			switch {
			case void[a]:
			case len(unread) > 0 && len(unread) < 1000:
				unread = append(unread, a)
			case silent[a] && token == html.StartTagToken,
				(a == atom.Div || a == atom.Span) && more && hidden(z):
				unread = append(unread, a)
			}
		case html.EndTagToken:
			name, _ := z.TagName()
			a := atom.Lookup(name)
			w.element(a)
			unread = closeElement(unread, a)
		}
	}
}

// closeElement takes away the innermost element a and those in it. The end of
// an element that is not open ends all that is hidden: better too much is
// read than too little.
func closeElement(unread []atom.Atom, a atom.Atom) []atom.Atom {
	if void[a] {
		return unread
	}
	for i := len(unread) - 1; i >= 0; i-- {
		if unread[i] == a {
			return unread[:i]
		}
	}
	return nil
}

// hidden tells whether the attributes of an element say that it is not shown.
func hidden(z *html.Tokenizer) bool {
	for {
		key, value, more := z.TagAttr()
		switch string(key) {
		case "hidden":
			return true
		case "style":
			style := strings.ToLower(strings.Join(strings.Fields(string(value)), ""))
			if strings.Contains(style, "display:none") {
				return true
			}
		}
		if !more {
			return false
		}
	}
}

// silent are elements whose content is not shown; void those that have none.
var (
	silent = map[atom.Atom]bool{atom.Script: true, atom.Style: true, atom.Title: true, atom.Template: true, atom.Textarea: true, atom.Iframe: true, atom.Noembed: true, atom.Noframes: true}
	void   = map[atom.Atom]bool{
		atom.Area: true, atom.Base: true, atom.Br: true, atom.Col: true, atom.Embed: true, atom.Hr: true, atom.Img: true, atom.Input: true,
		atom.Link: true, atom.Meta: true, atom.Param: true, atom.Source: true, atom.Track: true, atom.Wbr: true,
	}
	inline = map[atom.Atom]bool{
		0: true, atom.A: true, atom.B: true, atom.I: true, atom.U: true, atom.S: true, atom.Em: true, atom.Strong: true, atom.Font: true, atom.Span: true, atom.Small: true,
		atom.Big: true, atom.Sub: true, atom.Sup: true, atom.Code: true, atom.Img: true, atom.Tt: true, atom.Q: true, atom.Wbr: true,
		atom.Mark: true, atom.Abbr: true, atom.Cite: true, atom.Label: true, atom.Bdo: true,
	}
)

// textWriter joins text, with single spaces and line ends between.
type textWriter struct {
	b []byte
	// gap is what stands before the next text: 0, a space or a line end.
	gap byte
}

func (w *textWriter) element(a atom.Atom) {
	switch {
	case inline[a]:
	case a == atom.Td || a == atom.Th:
		if w.gap == 0 {
			w.gap = ' '
		}
	default:
		w.gap = '\n'
	}
}

func (w *textWriter) text(b []byte) {
	for _, c := range b {
		if c == ' ' || c == '\t' || c == '\r' || c == '\n' || c == '\f' {
			if w.gap == 0 {
				w.gap = ' '
			}
			continue
		}
		if w.gap != 0 && len(w.b) > 0 && len(w.b)+2 <= cap(w.b) {
			w.b = append(w.b, w.gap)
		}
		w.gap = 0
		if len(w.b) == cap(w.b) {
			return
		}
		w.b = append(w.b, c)
	}
}
