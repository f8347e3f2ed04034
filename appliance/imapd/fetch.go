package imapd

import (
	"bytes"
	"errors"
	"io"
	"log/slog"
	"slices"
	"strconv"
	"sync"

	"hauspost/appliance/imapd/wire"
	"hauspost/appliance/message"
	"hauspost/store"
)

const (
	// fetchChunk is how many messages are read from the index together.
	fetchChunk = 256
	// streamFrom is the size from which messages are not read into memory, but
	// streamed to the client.
	streamFrom = 1 << 20
	maxItems   = 200
)

// fileBuffers are for messages below placeFrom, largeBuffers for others.
var (
	fileBuffers  = sync.Pool{New: func() any { b := make([]byte, 0, 32<<10); return &b }}
	largeBuffers = sync.Pool{New: func() any { b := make([]byte, 0, 256<<10); return &b }}
)

func putFileBuffer(b *[]byte) {
	if cap(*b) <= 2*placeFrom {
		fileBuffers.Put(b)
	}
}

func putLargeBuffer(b *[]byte) {
	if cap(*b) <= streamFrom+64<<10 {
		largeBuffers.Put(b)
	}
}

// fetcher is one FETCH command.
type fetcher struct {
	s     *session
	items []fetchItem
	// cols are what the items need, and text that one of them needs to know
	// where the text of a large message begins; seen tells that they set \Seen.
	cols      store.Columns
	text      bool
	seen      bool
	withFlags bool
	withUID   bool
	// since is the CHANGEDSINCE of RFC 7162, changed tells that there is one.
	since   uint64
	changed bool

	// seenNow are the messages that FETCH itself made \Seen, in UID order.
	seenNow []uint32
	entries []store.Entry
	arena   []byte
	blobs   []blobs
	buf     *[]byte
	// large is the buffer of the message at hand where it has a place.
	large  *[]byte
	placed bool

	// The message at hand.
	e                   *store.Entry
	seq                 int
	envelope, structure []byte
	raw, head           []byte
	root                *message.Part
	// unread counts messages that could not be read, missing those that are
	// gone.
	unread, missing int
	unknownEncoding bool
}

// blobs are where a message's envelope and structure are in the arena.
type blobs struct{ start, middle, end int }

func runFetch(s *session, c *call) error {
	if err := c.Space(); err != nil {
		return err
	}
	wanted, err := s.wants(c)
	if err != nil {
		return err
	}
	f := &fetcher{s: s}
	if err := f.read(c); err != nil {
		return err
	}
	if f.seen && !s.box.readOnly {
		if err := f.markSeen(wanted); err != nil {
			return err
		}
	}
	f.buf = fileBuffers.Get().(*[]byte)
	defer func() {
		f.leave()
		putFileBuffer(f.buf)
	}()
	if err := wanted.chunks(fetchChunk, f.chunk); err != nil {
		return err
	}
	switch {
	case f.unread > 0:
		return no("CONTACTADMIN", strconv.Itoa(f.unread)+" messages could not be read; the log of the box says why")
	case f.unknownEncoding:
		return no("UNKNOWN-CTE", "A part has a transfer encoding that is not known")
	case f.missing > 0 && !c.byUID:
		return ok("EXPUNGEISSUED", "Some of the messages are gone")
	}
	return nil
}

// fetchMacros are the macros of RFC 9051, section 6.4.5.
var fetchMacros = map[string][]string{
	"FAST": {"FLAGS", "INTERNALDATE", "RFC822.SIZE"},
	"ALL":  {"FLAGS", "INTERNALDATE", "RFC822.SIZE", "ENVELOPE"},
	"FULL": {"FLAGS", "INTERNALDATE", "RFC822.SIZE", "ENVELOPE", "BODY"},
}

// fetchModifiers is the table of FETCH modifiers (RFC 4466).
var fetchModifiers = map[string]func(f *fetcher, c *call) error{
	"CHANGEDSINCE": func(f *fetcher, c *call) error {
		if err := c.Space(); err != nil {
			return err
		}
		var err error
		f.since, err = c.Number64()
		f.changed = true
		f.s.enableCondstore()
		return err
	},
}

// read reads the items and modifiers.
func (f *fetcher) read(c *call) error {
	if err := c.Space(); err != nil {
		return err
	}
	if c.byUID {
		f.add("UID", itemUID)
	}
	if c.Peek() == '(' {
		items := 0
		if err := c.List(func() error { items++; return f.readItem(c) }); err != nil {
			return err
		}
		if items == 0 {
			return bad("Syntax: expected FETCH items")
		}
	} else if err := f.readItem(c); err != nil {
		return err
	}
	if c.Skip(' ') {
		if err := c.List(func() error {
			name, err := c.Word()
			if err != nil {
				return err
			}
			modifier := fetchModifiers[name]
			if modifier == nil {
				return bad("There is no FETCH modifier %s", name)
			}
			return modifier(f, c)
		}); err != nil {
			return err
		}
	}
	if f.changed || f.withFlags && f.s.condstore {
		f.add("MODSEQ", itemModSeq)
	}
	return c.End()
}

// add adds an item, but UID and MODSEQ not twice.
func (f *fetcher) add(name string, it fetchItem) {
	it.name = name
	if name == "UID" || name == "MODSEQ" || name == "FLAGS" {
		if slices.ContainsFunc(f.items, func(i fetchItem) bool { return i.name == name }) {
			return
		}
	}
	f.items = append(f.items, it)
	f.cols |= it.cols
	f.text = f.text || it.text
	f.seen = f.seen || it.seen
	f.withFlags = f.withFlags || name == "FLAGS"
	f.withUID = f.withUID || name == "UID"
}

func (f *fetcher) readItem(c *call) error {
	if len(f.items) > maxItems {
		return no("LIMIT", "Too many items in one FETCH")
	}
	name, err := c.Name()
	if err != nil {
		return err
	}
	if macro := fetchMacros[name]; macro != nil {
		for _, n := range macro {
			f.add(n, fetchItems[n])
		}
		return nil
	}
	if c.Peek() == '[' {
		read := sectionItems[name]
		if read == nil {
			return bad("There is no FETCH item %s[", name)
		}
		it, err := read(c)
		if err == nil {
			f.add(name+"[", it)
		}
		return err
	}
	it, found := fetchItems[name]
	if !found {
		return bad("There is no FETCH item %s", name)
	}
	if name == "MODSEQ" {
		f.s.enableCondstore()
	}
	f.add(name, it)
	return nil
}

// markSeen sets \Seen on what is going to be shown, in one step.
func (f *fetcher) markSeen(wanted spans) error {
	b := f.s.box
	err := wanted.chunks(4*fetchChunk, func(lo, hi int) error {
		f.entries = b.live.Lookup(f.entries[:0], b.uids[lo:hi])
		for i := range f.entries {
			e := &f.entries[i]
			if e.UID != 0 && e.Flags&store.Seen == 0 && (f.since == 0 || e.ModSeq > f.since) {
				f.seenNow = append(f.seenNow, e.UID)
			}
		}
		return nil
	})
	if err != nil || len(f.seenNow) == 0 {
		return err
	}
	result, err := f.s.srv.store.SetFlags(f.s.srv.ctx, b.id, f.seenNow, store.FlagsAdd, []string{`\Seen`}, 0)
	if err != nil {
		return err
	}
	f.s.know(result.Changed)
	return nil
}

// chunk answers for the messages lo to hi by index into the session's UIDs.
func (f *fetcher) chunk(lo, hi int) error {
	b := f.s.box
	if err := f.s.srv.ctx.Err(); err != nil {
		return err
	}
	f.entries = b.live.Lookup(f.entries[:0], b.uids[lo:hi])
	read := f.chunkCols() != 0
	if err := f.readRows(); err != nil {
		return err
	}
	for i := range f.entries {
		e := &f.entries[i]
		if e.UID == 0 {
			f.missing++
			continue
		}
		if f.since > 0 && e.ModSeq <= f.since {
			continue
		}
		f.e, f.seq = e, lo+i+1
		f.envelope, f.structure, f.root = nil, nil, nil
		f.raw, f.head = nil, nil
		if read {
			at := f.blobs[i]
			f.envelope, f.structure = f.arena[at.start:at.middle], f.arena[at.middle:at.end]
		}
		if err := f.message(); err != nil {
			return err
		}
		if err := f.s.w.Err(); err != nil {
			f.s.readErr = err
			return err
		}
	}
	return nil
}

// chunkCols are the columns that the chunk at hand needs: that of large messages
// tells where their text begins.
func (f *fetcher) chunkCols() store.Columns {
	if f.text && slices.ContainsFunc(f.entries, func(e store.Entry) bool { return e.Size >= streamFrom }) {
		return f.cols | store.ColStructure
	}
	return f.cols
}

// readRows copies what the items need of the index, so that no transaction is
// held while the client reads.
func (f *fetcher) readRows() error {
	cols := f.chunkCols()
	if cols == 0 {
		return nil
	}
	f.arena = f.arena[:0]
	f.blobs = slices.Grow(f.blobs[:0], len(f.entries))[:len(f.entries)]
	clear(f.blobs)
	asked := f.entries
	if slices.ContainsFunc(asked, func(e store.Entry) bool { return e.UID == 0 || f.since > 0 && e.ModSeq <= f.since }) {
		asked = slices.DeleteFunc(slices.Clone(asked), func(e store.Entry) bool {
			return e.UID == 0 || f.since > 0 && e.ModSeq <= f.since
		})
	}
	if len(asked) == 0 {
		return nil
	}
	at := 0
	return f.s.srv.store.Rows(f.s.srv.ctx, f.s.box.id, asked, cols, func(e *store.Entry, r *store.Row) error {
		for f.entries[at].UID != e.UID {
			at++
		}
		start := len(f.arena)
		f.arena = append(f.arena, r.Envelope...)
		middle := len(f.arena)
		f.arena = append(f.arena, r.Structure...)
		f.blobs[at] = blobs{start, middle, len(f.arena)}
		return nil
	})
}

// message writes the FETCH response of the message at hand. One that cannot be
// read is left out, as long as nothing of it was sent.
func (f *fetcher) message() error {
	s := f.s
	before := f.unknownEncoding
	err := f.respond()
	f.leave()
	if err == nil {
		s.w.End()
		return nil
	}
	if !s.w.Drop() {
		s.log(slog.LevelError, "imap fetch broke off", "uid", f.e.UID, "error", err.Error())
		s.readErr = errBroken
		return err
	}
	var refused *answer
	switch {
	case errors.As(err, &refused):
		return err
	case errors.Is(err, message.ErrEncoding):
		f.unknownEncoding = true
	case errors.Is(err, store.ErrNotFound):
		f.missing++
	default:
		f.unknownEncoding = before
		f.unread++
		s.log(slog.LevelError, "imap cannot read a message", "mailbox", s.box.name, "uid", f.e.UID, "id", f.e.ID.String(), "error", err.Error())
	}
	return nil
}

func (f *fetcher) respond() error {
	s := f.s
	s.w.B = append(s.w.B, "* "...)
	s.w.B = strconv.AppendInt(s.w.B, int64(f.seq), 10)
	s.w.B = append(s.w.B, " FETCH ("...)
	for i := range f.items {
		if i > 0 {
			s.w.B = append(s.w.B, ' ')
		}
		if err := f.items[i].write(f); err != nil {
			return err
		}
	}
	// Flags that FETCH changed are told even if nobody asked.
	if len(f.seenNow) > 0 && !f.withFlags {
		if _, found := slices.BinarySearch(f.seenNow, f.e.UID); found {
			s.w.B = append(s.w.B, " FLAGS "...)
			s.w.B = s.appendFlags(s.w.B, f.e.UID, f.e.Flags)
			if s.condstore && !f.changed {
				s.w.B = append(s.w.B, ' ')
				s.w.B = appendModSeq(s.w.B, f.e.ModSeq)
			}
		}
	}
	s.w.B = append(s.w.B, ')')
	return nil
}

// place waits for a place for the message at hand, until it was answered.
func (f *fetcher) place() error {
	if f.placed {
		return nil
	}
	if err := f.s.srv.places.take(f.s.srv.stopping, f.s.account.ID); err != nil {
		return no("UNAVAILABLE", "The server is shutting down")
	}
	f.placed = true
	return nil
}

// leave gives the place back, and all memory that came with it.
func (f *fetcher) leave() {
	if !f.placed {
		return
	}
	if f.large != nil {
		putLargeBuffer(f.large)
		f.large = nil
	}
	f.placed = false
	f.s.srv.places.give(f.s.account.ID)
}

// load reads the whole message at hand, which is below streamFrom, into memory.
func (f *fetcher) load() error {
	if f.raw != nil {
		return nil
	}
	buf := f.buf
	if f.e.Size >= placeFrom {
		if err := f.place(); err != nil {
			return err
		}
		if f.large == nil {
			f.large = largeBuffers.Get().(*[]byte)
		}
		buf = f.large
	}
	raw, err := f.s.srv.store.ReadMessage(f.s.srv.ctx, *f.e, (*buf)[:0])
	*buf = raw[:0]
	if err != nil {
		return err
	}
	if len(raw) != int(f.e.Size) {
		return io.ErrUnexpectedEOF
	}
	f.raw = raw
	f.head, _ = message.SplitHeader(raw)
	return nil
}

// loadHeader reads the header of the message at hand into memory, and nothing
// else where that can be. It is not found where only load can tell it.
func (f *fetcher) loadHeader() (found bool, err error) {
	if f.head != nil {
		return true, nil
	}
	b, found, err := f.s.srv.store.ReadHeader(f.s.srv.ctx, *f.e, (*f.buf)[:0])
	*f.buf = b[:0]
	if err != nil || !found {
		return false, nil // load tells what is wrong, if anything is
	}
	f.head, _ = message.SplitHeader(b)
	if cap(b) <= 2*placeFrom {
		return true, nil
	}
	// A message that was compressed a lot: keep no more of it than is needed.
	small := make([]byte, 0, 32<<10)
	f.buf = &small
	if len(f.head) >= placeFrom {
		return true, f.place()
	}
	f.head = bytes.Clone(f.head)
	return true, nil
}

// literal begins a literal of n octets.
func (f *fetcher) literal(n int, binary bool) {
	if binary {
		f.s.w.B = append(f.s.w.B, '~')
	}
	f.s.w.B = append(f.s.w.B, '{')
	f.s.w.B = wire.AppendNumber(f.s.w.B, uint64(n))
	f.s.w.B = append(f.s.w.B, "}\r\n"...)
}
