package message

import (
	"bytes"
	"encoding/binary"
	"strconv"
	"strings"
)

// kind is the form that a part has in a body structure.
type kind uint8

const (
	kindBasic kind = iota
	kindText
	kindMessage   // message/rfc822
	kindGlobal    // message/global, a message only for clients that know UTF-8
	kindMultipart // has children
)

func (k kind) container() bool { return k >= kindMessage }

// span is a piece of indexer.texts.
type span struct{ start, end int }

// node is one part on its way into the blob.
type node struct {
	kind   kind
	digest bool
	// parent is the node that holds it, an index; 0 for the root too.
	parent int
	// Offsets into the raw message.
	headerStart, headerEnd, bodyEnd int
	lines, children                 int
	// basic is the text before the size (for a multipart: the subtype),
	// extension the extension data without the space before it, empty if it is
	// all NIL; envelope that of an embedded message.
	basic, extension, envelope span
}

// noExtension is the extension data of a part without any.
const noExtension = "NIL NIL NIL NIL"

// describe writes the texts of a part whose header was read last, sets the
// node's kind, and gives the boundary of a multipart.
func (x *indexer) describe(n *node, c entityContext) (boundaryText []byte) {
	w, f, p := &x.texts, &x.header, &x.mime
	thin := len(w.b) > maxStructure
	typ, subtype, ok := p.contentType(f.v[fieldType])
	switch {
	case !ok:
	case thin && len(typ)+len(subtype) > 100:
		ok = false
	case bytes.EqualFold(typ, []byte("multipart")):
		boundaryText = p.boundary()
		ok = len(boundaryText) > 0 // without one it is no multipart at all
	}
	start := len(w.b)
	var texts [2]string // type and subtype where they are not from the header
	switch {
	case !ok && c.digest && len(f.v[fieldType]) == 0:
		n.kind, texts = kindMessage, [2]string{"message", "rfc822"}
	case !ok:
		n.kind, texts = kindText, [2]string{"text", "plain"}
	case boundaryText != nil:
		n.kind, n.digest = kindMultipart, bytes.EqualFold(subtype, []byte("digest"))
	case bytes.EqualFold(typ, []byte("message")) && bytes.EqualFold(subtype, []byte("rfc822")):
		n.kind = kindMessage
	case bytes.EqualFold(typ, []byte("message")) && bytes.EqualFold(subtype, []byte("global")):
		n.kind = kindGlobal
	case bytes.EqualFold(typ, []byte("text")):
		n.kind = kindText
	}
	if n.kind.container() && (c.depth >= MaxDepth || len(x.nodes) >= MaxParts) {
		n.kind, texts, boundaryText, ok = kindBasic, [2]string{"application", "octet-stream"}, nil, false
	}
	if n.kind == kindMultipart {
		w.string(subtype)
		n.basic = span{start, len(w.b)}
		start = len(w.b)
		x.writeContentParams(thin)
		w.text(" ")
		x.writeExtension(n, start, thin)
		return boundaryText
	}
	if ok {
		w.string(typ)
		w.text(" ")
		w.string(subtype)
		w.text(" ")
		x.writeContentParams(thin)
	} else {
		w.text(`"` + texts[0] + `" "` + texts[1] + `" `)
		if n.kind == kindText {
			w.text(`("charset" "us-ascii")`)
		} else {
			w.text("NIL")
		}
	}
	x.writeBasic(thin)
	n.basic = span{start, len(w.b)}
	start = len(w.b)
	x.writeOptional(f.v[fieldMD5], thin)
	w.text(" ")
	x.writeExtension(n, start, thin)
	return nil
}

func (x *indexer) writeContentParams(thin bool) {
	if thin {
		x.texts.text("NIL")
		return
	}
	x.mime.writeParams(&x.texts)
}

// writeBasic writes the fields between parameters and size.
func (x *indexer) writeBasic(thin bool) {
	w, f, p := &x.texts, &x.header, &x.mime
	w.text(" ")
	x.writeOptional(f.v[fieldContentID], thin)
	w.text(" ")
	x.writeOptional(f.v[fieldDescription], thin)
	w.text(" ")
	p.start(f.v[fieldEncoding])
	p.space()
	encoding := p.token()
	if len(encoding) == 0 && p.at('"') {
		encoding = p.value()
	}
	if len(encoding) == 0 || thin && len(encoding) > 40 {
		w.text(`"7bit"`)
		return
	}
	w.string(encoding)
}

// writeOptional writes an unfolded field, NIL where it is missing.
func (x *indexer) writeOptional(value []byte, thin bool) {
	if thin {
		value = nil
	}
	x.env.nstring(&x.texts, value)
}

// writeExtension writes disposition, language and location, which end the
// extension data that begins at start.
func (x *indexer) writeExtension(n *node, start int, thin bool) {
	w, f, p := &x.texts, &x.header, &x.mime
	value, language := f.v[fieldDisposition], f.v[fieldLanguage]
	if thin {
		value, language = nil, nil
	}
	if d := p.disposition(value); len(d) > 0 {
		w.text("(")
		w.string(d)
		w.text(" ")
		p.writeParams(w)
		w.text(") ")
	} else {
		w.text("NIL ")
	}
	writeLanguages(w, language)
	w.text(" ")
	x.writeOptional(f.v[fieldLocation], thin)
	n.extension = span{start, len(w.b)}
	if string(w.b[start:]) == noExtension {
		w.b = w.b[:start]
		n.extension.end = start
	}
}

// writeEmbedded writes the envelope of the message in the part whose node is
// at; the header that was read last is that of the message.
func (x *indexer) writeEmbedded(at int) {
	w := &x.texts
	start := len(w.b)
	if start > maxStructure {
		w.text(emptyEnvelope)
	} else {
		x.env.write(w, &x.header)
	}
	x.nodes[at].envelope = span{start, len(w.b)}
}

// encodeStructure writes the blob: the version, then each part before its
// children as its kind, its offset from the parent's body, the sizes of header
// and body, lines (text, message), number of children (multipart), and its
// texts with their lengths before them. Numbers are varints.
func (x *indexer) encodeStructure() {
	b := append(x.out.b[:0], blobVersion)
	if x.texts.wide {
		b[0] |= blobWide
	}
	for i := range x.nodes {
		n := &x.nodes[i]
		base := 0
		if i > 0 {
			// The empty line of an embedded message without a body may be the
			// line end that belongs to a boundary, and so outside of its parent.
			parent := &x.nodes[n.parent]
			base = parent.headerEnd
			n.headerStart = min(n.headerStart, parent.bodyEnd)
			n.headerEnd = min(n.headerEnd, parent.bodyEnd)
			n.bodyEnd = min(n.bodyEnd, parent.bodyEnd)
		}
		b = append(b, byte(n.kind))
		b = binary.AppendUvarint(b, uint64(n.headerStart-base))
		b = binary.AppendUvarint(b, uint64(n.headerEnd-n.headerStart))
		b = binary.AppendUvarint(b, uint64(n.bodyEnd-n.headerEnd))
		switch n.kind {
		case kindText, kindMessage, kindGlobal:
			b = binary.AppendUvarint(b, uint64(n.lines))
		case kindMultipart:
			b = binary.AppendUvarint(b, uint64(n.children))
		}
		b = x.appendSpan(b, n.basic)
		b = x.appendSpan(b, n.extension)
		if n.kind == kindMessage || n.kind == kindGlobal {
			b = x.appendSpan(b, n.envelope)
		}
	}
	x.out.b = b
}

func (x *indexer) appendSpan(b []byte, s span) []byte {
	b = binary.AppendUvarint(b, uint64(s.end-s.start))
	return append(b, x.texts.b[s.start:s.end]...)
}

// blobNode is one part as it stands in the blob.
type blobNode struct {
	kind                        kind
	offset, header, body, lines int
	children                    int
	basic, extension, envelope  []byte
}

// blobReader reads a blob part by part.
type blobReader struct {
	b   []byte
	bad bool
}

func openStructure(blob []byte) (r blobReader, wide, ok bool) {
	if len(blob) < 2 || blob[0]&^blobWide != blobVersion {
		return r, false, false
	}
	return blobReader{b: blob[1:]}, blob[0]&blobWide != 0, true
}

func (r *blobReader) number() int {
	const most = 1 << 40
	v, n := binary.Uvarint(r.b)
	if n <= 0 || v > most {
		r.b, r.bad = nil, true
		return 0
	}
	r.b = r.b[n:]
	return int(v)
}

func (r *blobReader) bytes() []byte {
	n := r.number()
	if n > len(r.b) {
		r.b, r.bad = nil, true
		return nil
	}
	s := r.b[:n]
	r.b = r.b[n:]
	return s
}

func (r *blobReader) node() (n blobNode) {
	if len(r.b) == 0 || kind(r.b[0]) > kindMultipart {
		r.b, r.bad = nil, true
		return n
	}
	n.kind = kind(r.b[0])
	r.b = r.b[1:]
	n.offset, n.header, n.body = r.number(), r.number(), r.number()
	switch n.kind {
	case kindText:
		n.lines = r.number()
	case kindMessage, kindGlobal:
		n.lines, n.children = r.number(), 1
	case kindMultipart:
		n.children = r.number()
		r.bad = r.bad || n.children == 0
	}
	n.basic, n.extension = r.bytes(), r.bytes()
	if n.kind == kindMessage || n.kind == kindGlobal {
		n.envelope = r.bytes()
	}
	return n
}

// emptyBody stands for a blob that cannot be read.
const emptyBody = `("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 0 0`

// AppendBodyStructure appends the IMAP body structure in its parentheses to
// dst (RFC 9051, section 7.5.2): BODYSTRUCTURE if extended, else BODY. For utf8
// see AppendEnvelope; without it a message/global is a part like any other. A
// blob of another version gives an empty text part.
func AppendBodyStructure(dst, blob []byte, extended, utf8 bool) []byte {
	start := len(dst)
	r, wide, ok := openStructure(blob)
	if ok {
		o := renderer{blobReader: r, extended: extended, narrow: wide && !utf8, utf8: utf8}
		dst = o.part(dst, 0)
		ok = !o.bad
	}
	if !ok {
		dst = append(dst[:start], emptyBody...)
		if extended {
			dst = append(dst, " "+noExtension...)
		}
		return append(dst, ')')
	}
	return dst
}

type renderer struct {
	blobReader
	extended, narrow, utf8 bool
}

func (o *renderer) text(dst, s []byte) []byte {
	if o.narrow {
		return appendNarrow(dst, s)
	}
	return append(dst, s...)
}

func (o *renderer) part(dst []byte, depth int) []byte {
	n := o.node()
	if depth > MaxDepth+1 {
		o.bad = true
	}
	if o.bad {
		return dst
	}
	dst = append(dst, '(')
	if n.kind == kindMultipart {
		for i := 0; i < n.children && !o.bad; i++ {
			dst = o.part(dst, depth+1)
		}
		dst = append(dst, ' ')
	}
	dst = o.text(dst, n.basic)
	if n.kind != kindMultipart {
		dst = append(dst, ' ')
		dst = strconv.AppendInt(dst, int64(n.body), 10)
	}
	if n.kind == kindMessage || n.kind == kindGlobal {
		mark := len(dst)
		dst = append(o.text(append(dst, ' '), n.envelope), ' ')
		dst = o.part(dst, depth+1)
		if n.kind == kindGlobal && !o.utf8 {
			dst = dst[:mark]
		} else {
			n.kind = kindMessage
		}
	}
	if n.kind == kindText || n.kind == kindMessage {
		dst = append(dst, ' ')
		dst = strconv.AppendInt(dst, int64(n.lines), 10)
	}
	if o.extended {
		dst = append(dst, ' ')
		if len(n.extension) == 0 {
			dst = append(dst, noExtension...)
		} else {
			dst = o.text(dst, n.extension)
		}
	}
	return append(dst, ')')
}

// boundary gives the boundary of the Content-Type that was read last, in memory
// of its own. It must not end in white space (RFC 2046, section 5.1.1).
func (p *mimeParser) boundary() []byte {
	b := p.param("boundary")
	if b == nil {
		list := make([]Param, 0, len(p.params))
		for _, q := range p.params {
			list = append(list, Param{string(q.name), string(q.value)})
		}
		value, _ := paramValue(list, "boundary")
		b = []byte(value)
	}
	return []byte(strings.TrimRight(string(b), " \t\r\n"))
}
