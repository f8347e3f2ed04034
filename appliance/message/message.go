package message

import (
	"bytes"
	"sync"
)

// Indexed is what the mail index keeps of a message; see Index.
type Indexed struct {
	// Envelope and Structure are what AppendEnvelope, AppendBodyStructure,
	// ParseStructure, EnvelopeDate and MatchText read. Their first octet is the
	// version of the encoding.
	Envelope, Structure []byte
	// From, To, Cc, Bcc and Subject are the search forms: decoded to UTF-8,
	// folded by Fold, one line each. Addresses read "name <local@domain>",
	// separated by ", ".
	From, To, Cc, Bcc, Subject string
	// MessageID is the Message-ID with its angle brackets, as it stands.
	MessageID string
	// Sent is the Date header in Unix seconds; 0 where there is none that can
	// be read.
	Sent int64
}

// keptBuffers is how large, in octets, the buffers of an indexer may be to be
// used again.
const keptBuffers = 256 << 10

// indexer holds what Index works with.
type indexer struct {
	raw    []byte
	header fields
	env    envelopeBuilder
	mime   mimeParser
	// bounds are the boundaries of the multiparts that are open, the outermost
	// first.
	bounds []boundary
	// nodes are the parts in the order in which they begin, texts their IMAP
	// text.
	nodes []node
	texts wire
	// lines is how many lines end before the offset linesAt.
	lines, linesAt int
	out            wire
	root           rootIndex
}

// rootIndex is what only the root's header gives.
type rootIndex struct {
	envelope wire
	// forms are the search forms one after the other, and the Message-ID; cuts
	// tell where each ends.
	forms []byte
	cuts  [5]int
	sent  int64
}

var indexers = sync.Pool{New: func() any { return new(indexer) }}

// Index reads the raw bytes of a message, as IMAP serves them. It never fails
// and keeps nothing of raw.
func Index(raw []byte) Indexed {
	x := indexers.Get().(*indexer)
	out := x.index(raw)
	if x.forget(); x.size() <= keptBuffers {
		indexers.Put(x)
	}
	return out
}

func (x *indexer) index(raw []byte) Indexed {
	x.raw = raw
	x.nodes, x.bounds = x.nodes[:0], x.bounds[:0]
	x.texts = wire{b: x.texts.b[:0]}
	x.lines, x.linesAt = 0, 0
	x.entity(entityContext{root: true})
	x.encodeStructure()

	r := &x.root
	forms := string(r.forms)
	return Indexed{
		Envelope:  bytes.Clone(r.envelope.b),
		Structure: bytes.Clone(x.out.b),
		From:      forms[:r.cuts[0]],
		To:        forms[r.cuts[0]:r.cuts[1]],
		Cc:        forms[r.cuts[1]:r.cuts[2]],
		Bcc:       forms[r.cuts[2]:r.cuts[3]],
		Subject:   forms[r.cuts[3]:r.cuts[4]],
		MessageID: forms[r.cuts[4]:],
		Sent:      r.sent,
	}
}

// forget drops what points into the message.
func (x *indexer) forget() {
	x.raw = nil
	x.header.reset()
	clear(x.bounds)
	x.mime.start(nil)
	x.env.addr.s = nil
	clear(x.env.addr.list)
}

// size is about how many octets the buffers hold.
func (x *indexer) size() int {
	const perNode, perAddress, perParam = 152, 104, 48
	a, e := &x.env.addr, &x.env
	return cap(x.nodes)*perNode + cap(x.texts.b) + cap(x.out.b) + cap(x.root.envelope.b) + cap(x.root.forms) +
		cap(a.list)*perAddress + cap(a.arena) + cap(a.phrase) + cap(a.local) +
		cap(e.fromForm) + cap(e.toForm) + cap(e.ccForm) + cap(e.bccForm) + cap(e.text) + cap(e.word) +
		cap(x.mime.arena) + cap(x.mime.params)*perParam + cap(x.header.more)*perParam
}

// indexRoot makes of the root's header what is kept apart from the structure.
func (x *indexer) indexRoot() {
	r, e, f := &x.root, &x.env, &x.header
	r.envelope = wire{b: append(r.envelope.b[:0], blobVersion)}
	e.search = true
	e.write(&r.envelope, f)
	e.search = false
	if r.envelope.wide {
		r.envelope.b[0] |= blobWide
	}
	r.forms = r.forms[:0]
	for i, form := range [...][]byte{e.fromForm, e.toForm, e.ccForm, e.bccForm} {
		r.forms = append(r.forms, form...)
		r.cuts[i] = len(r.forms)
	}
	if v := f.v[fieldSubject]; v != nil {
		r.forms = e.appendDecoded(r.forms, v)
	}
	r.cuts[4] = len(r.forms)
	r.forms = appendUnfolded(r.forms, f.v[fieldMessageID])
	r.sent = 0
	if d, ok := parseDate(f.v[fieldDate]); ok {
		r.sent = d.unix()
	}
}
