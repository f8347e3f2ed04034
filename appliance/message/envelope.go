package message

import "time"

// The first octet of both blobs: the version of their encoding, and whether
// they hold 8-bit text in quoted strings.
const (
	blobVersion = 1
	blobWide    = 0x80
)

// emptyEnvelope stands for a blob that cannot be read.
const emptyEnvelope = "(NIL NIL NIL NIL NIL NIL NIL NIL NIL NIL)"

// AppendEnvelope appends the IMAP envelope (RFC 9051, section 7.5.2) in its
// parentheses to dst. With utf8, for clients that enabled UTF8=ACCEPT or
// IMAP4rev2, 8-bit text goes out in quoted strings where it is valid UTF-8;
// without, in literals. A blob of another version gives an envelope of NILs.
func AppendEnvelope(dst, blob []byte, utf8 bool) []byte {
	switch {
	case len(blob) < 2 || blob[0]&^blobWide != blobVersion:
		return append(dst, emptyEnvelope...)
	case utf8 || blob[0]&blobWide == 0:
		return append(dst, blob[1:]...)
	}
	return appendNarrow(dst, blob[1:])
}

// EnvelopeDate gives the Date header from the Envelope that Index made, with the
// zone it was written in, as SENTBEFORE, SENTON and SENTSINCE want it.
func EnvelopeDate(blob []byte) (time.Time, bool) {
	if len(blob) < 2 || blob[0]&^blobWide != blobVersion {
		return time.Time{}, false
	}
	r := wireReader{s: string(blob[1:min(len(blob), 2*maxDate)])}
	r.take('(')
	value, ok := r.nstring()
	if !ok {
		return time.Time{}, false
	}
	d, ok := parseDate([]byte(value))
	return d.time(), ok
}

// envelopeBuilder writes envelopes. Its buffers serve one message after the
// other.
type envelopeBuilder struct {
	addr addressParser
	text []byte
	// forms are the search forms of From, To, Cc and Bcc, where search is set.
	search                bool
	fromForm, toForm      []byte
	ccForm, bccForm, word []byte
}

// write appends the envelope of a header to w.
func (e *envelopeBuilder) write(w *wire, f *fields) {
	e.addr.left = MaxAddresses
	w.text("(")
	e.nstring(w, f.v[fieldDate])
	w.text(" ")
	e.nstring(w, f.v[fieldSubject])
	w.text(" ")
	from := len(w.b)
	e.addresses(w, f, fieldFrom, &e.fromForm)
	fromEnd := len(w.b)
	for _, id := range [...]fieldID{fieldSender, fieldReplyTo} {
		w.text(" ")
		// Missing or empty, both are the same as From (RFC 9051, 7.5.2).
		if !e.addresses(w, f, id, nil) {
			w.b = append(w.b[:len(w.b)-len("NIL")], w.b[from:fromEnd]...)
		}
	}
	w.text(" ")
	e.addresses(w, f, fieldTo, &e.toForm)
	w.text(" ")
	e.addresses(w, f, fieldCc, &e.ccForm)
	w.text(" ")
	e.addresses(w, f, fieldBcc, &e.bccForm)
	w.text(" ")
	e.nstring(w, f.v[fieldInReplyTo])
	w.text(" ")
	e.nstring(w, f.v[fieldMessageID])
	w.text(")")
}

// nstring writes a folded value.
func (e *envelopeBuilder) nstring(w *wire, value []byte) {
	if value == nil {
		w.text("NIL")
		return
	}
	e.text = appendUnfolded(e.text[:0], value)
	w.string(e.text)
}

// addresses writes the address list of one field and tells whether it has any.
func (e *envelopeBuilder) addresses(w *wire, f *fields, id fieldID, form *[]byte) bool {
	p := &e.addr
	clear(p.list)
	p.list, p.arena = p.list[:0], p.arena[:0]
	if p.arena == nil {
		p.arena = make([]byte, 0, 256) // empty slices of it tell "" from NIL
	}
	if v := f.v[id]; v != nil {
		p.parse(v)
	}
	for _, m := range f.more {
		if m.id == id {
			p.parse(m.value)
		}
	}
	if e.search && form != nil {
		*form = e.appendForm((*form)[:0], p.list)
	}
	if len(p.list) == 0 {
		w.text("NIL")
		return false
	}
	w.text("(")
	for i := range p.list {
		a := &p.list[i]
		w.text("(")
		w.nstring(a.name)
		w.text(" ")
		w.nstring(a.route)
		w.text(" ")
		w.nstring(a.mailbox)
		w.text(" ")
		w.nstring(a.host)
		w.text(")")
	}
	w.text(")")
	return true
}

// appendForm appends the search form of addresses: "name <local@domain>, …",
// groups as "name: …;".
func (e *envelopeBuilder) appendForm(dst []byte, list []address) []byte {
	separator := ""
	for i := range list {
		a := &list[i]
		if a.kind == addressGroupEnd {
			dst = append(dst, ';')
			separator = ", "
			continue
		}
		dst = append(dst, separator...)
		if a.kind == addressGroup {
			dst = append(e.appendDecoded(dst, a.mailbox), ':')
			separator = " "
			continue
		}
		if len(a.name) > 0 {
			dst = e.appendDecoded(dst, a.name)
		}
		if len(a.mailbox)+len(a.host) > 0 {
			if len(a.name) > 0 {
				dst = append(dst, ' ')
			}
			e.word = append(append(e.word[:0], a.mailbox...), '@')
			e.word = append(e.word, a.host...)
			if len(a.host) == 0 {
				e.word = e.word[:len(a.mailbox)]
			}
			dst = append(dst, '<')
			dst = append(appendFold(dst, e.word), '>')
		}
		separator = ", "
	}
	return dst
}

// appendDecoded appends a header text, its encoded words decoded, folded.
func (e *envelopeBuilder) appendDecoded(dst, s []byte) []byte {
	if plainHeader(s) {
		return appendFold(dst, s)
	}
	e.word = appendDecodedWords(e.word[:0], s)
	return appendFold(dst, e.word)
}
