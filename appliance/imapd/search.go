package imapd

import (
	"slices"
	"strings"

	"hauspost/appliance/imapd/wire"
	"hauspost/appliance/message"
	"hauspost/store"
)

// searchChunk is how many messages are looked at together.
const searchChunk = 1000

// searching is one SEARCH command (RFC 9051, section 6.4.4).
type searching struct {
	// extended asks for ESEARCH; the others are what it is to give.
	extended                   bool
	min, max, count, all, save bool
	root                       searchNode
	need                       searchNeed
	// modseq tells that MODSEQ was a criterion; modseqs are those of the results.
	modseq  bool
	modseqs []uint64
}

// searchNeed is what the criteria look at.
type searchNeed struct {
	cols  store.Columns
	files bool
}

func runSearch(s *session, c *call) error {
	q := &searching{}
	err := q.read(s, c)
	var found []uint32
	if err == nil {
		found, err = q.run(s)
	}
	if err != nil {
		// "$" becomes empty by NO, and stays as it is by BAD (RFC 5182, 2.1).
		if a, _ := answerOf(err); q.save && a.kind == "NO" {
			s.saved = nil
		}
		return err
	}
	if q.save {
		s.saved = q.toSave(s, found)
	}
	switch {
	case q.save && !q.min && !q.max && !q.count && !q.all:
		// SAVE alone asks for no response (RFC 9051, section 6.4.4.1).
	case q.extended || s.rev2:
		q.writeExtended(s, c, found)
	default:
		q.writePlain(s, c, found)
	}
	return nil
}

// toSave gives the UIDs for "$" (RFC 5182, section 2.1).
func (q *searching) toSave(s *session, found []uint32) []uint32 {
	if len(found) == 0 {
		return []uint32{}
	}
	var uids []uint32
	first, last := s.box.uids[found[0]-1], s.box.uids[found[len(found)-1]-1]
	switch {
	case q.all || q.count || !q.min && !q.max:
		uids = make([]uint32, len(found))
		for i, seq := range found {
			uids[i] = s.box.uids[seq-1]
		}
		return uids
	case q.min:
		uids = append(uids, first)
	}
	if q.max && (!q.min || last != first) {
		uids = append(uids, last)
	}
	return uids
}

// read reads what is to be returned, the charset and the criteria.
func (q *searching) read(s *session, c *call) error {
	if err := c.Space(); err != nil {
		return err
	}
	at := c.Offset()
	word, err := c.Word()
	if err == nil && word == "RETURN" {
		if err := q.readReturn(c); err != nil {
			return err
		}
		if err := c.Space(); err != nil {
			return err
		}
		at = c.Offset()
		word, err = c.Word()
	}
	if err == nil && word == "CHARSET" {
		if err := q.readCharset(c); err != nil {
			return err
		}
	} else {
		c.Seek(at)
	}
	p := &searchParser{s: s, call: c, q: q}
	q.root, err = p.keys()
	if err != nil {
		return err
	}
	return c.End()
}

func (q *searching) readCharset(c *call) error {
	if err := c.Space(); err != nil {
		return err
	}
	charset, err := c.AString()
	if err != nil {
		return err
	}
	if !strings.EqualFold(charset, "UTF-8") && !strings.EqualFold(charset, "US-ASCII") {
		return no("BADCHARSET (US-ASCII UTF-8)", "The charset must be US-ASCII or UTF-8")
	}
	return c.Space()
}

// readReturn reads the result options of RFC 4731 and RFC 5182.
func (q *searching) readReturn(c *call) error {
	q.extended = true
	if err := c.Space(); err != nil {
		return err
	}
	if err := c.List(func() error {
		option, err := c.Word()
		if err != nil {
			return err
		}
		into := map[string]*bool{"MIN": &q.min, "MAX": &q.max, "COUNT": &q.count, "ALL": &q.all, "SAVE": &q.save}[option]
		if into == nil {
			return bad("There is no SEARCH result option %s", option)
		}
		*into = true
		return nil
	}); err != nil {
		return err
	}
	if !q.min && !q.max && !q.count && !q.save {
		q.all = true
	}
	return nil
}

// writePlain writes the SEARCH response of RFC 3501.
func (q *searching) writePlain(s *session, c *call, found []uint32) {
	w := append(s.w.B, "* SEARCH"...)
	for _, seq := range found {
		w = append(w, ' ')
		w = wire.AppendNumber(w, uint64(q.number(s, c, seq)))
	}
	if q.modseq && len(found) > 0 {
		w = append(w, " ("...)
		w = append(w, "MODSEQ "...)
		w = wire.AppendNumber(w, slices.Max(q.modseqs))
		w = append(w, ')')
	}
	s.w.B = w
	s.w.End()
}

// number gives what the client wants to see of a message.
func (q *searching) number(s *session, c *call, seq uint32) uint32 {
	if c.byUID {
		return s.box.uids[seq-1]
	}
	return seq
}

// writeExtended writes the ESEARCH response (RFC 9051, section 7.3.4).
func (q *searching) writeExtended(s *session, c *call, found []uint32) {
	if !q.extended {
		q.all = true
	}
	w := append(s.w.B, "* ESEARCH (TAG "...)
	w = wire.AppendString(w, c.tag, false)
	w = append(w, ')')
	if c.byUID {
		w = append(w, " UID"...)
	}
	put := func(name string, n uint64) {
		w = append(w, name...)
		w = wire.AppendNumber(w, n)
	}
	if len(found) > 0 {
		if q.min {
			put(" MIN ", uint64(q.number(s, c, found[0])))
		}
		if q.max {
			put(" MAX ", uint64(q.number(s, c, found[len(found)-1])))
		}
	}
	if q.count {
		put(" COUNT ", uint64(len(found)))
	}
	if q.all && len(found) > 0 {
		numbers := found
		if c.byUID {
			numbers = make([]uint32, len(found))
			for i, seq := range found {
				numbers[i] = s.box.uids[seq-1]
			}
		}
		w = append(w, " ALL "...)
		w = wire.AppendSet(w, numbers)
	}
	if q.modseq && len(found) > 0 {
		put(" MODSEQ ", q.highestReturned())
	}
	s.w.B = w
	s.w.End()
}

// highestReturned is the highest mod-sequence of the messages that the response
// tells of: with MIN and MAX alone, of these (RFC 7162, section 3.1.5).
func (q *searching) highestReturned() uint64 {
	first, last := q.modseqs[0], q.modseqs[len(q.modseqs)-1]
	switch {
	case q.all || q.count || !q.min && !q.max:
		return slices.Max(q.modseqs)
	case q.min && q.max:
		return max(first, last)
	case q.min:
		return first
	}
	return last
}

// run gives the sequence numbers of the messages that match, ascending. Each
// chunk is looked at in three passes, of which the next one has only to do with
// what the one before could not decide: from memory, from the index, from the
// files.
func (q *searching) run(s *session) ([]uint32, error) {
	b := s.box
	found := make([]uint32, 0, 64)
	entries := make([]store.Entry, 0, min(searchChunk, len(b.uids)))
	var open []store.Entry
	verdicts := make([]verdict, min(searchChunk, len(b.uids)))
	m := searched{box: b}
	for lo := 0; lo < len(b.uids); lo += searchChunk {
		hi := min(lo+searchChunk, len(b.uids))
		entries = b.live.Lookup(entries[:0], b.uids[lo:hi])
		open = open[:0]
		for i := range entries {
			if entries[i].UID == 0 {
				verdicts[i] = isNo
				continue
			}
			m.seq, m.entry = lo+i+1, &entries[i]
			verdicts[i] = q.root.decide(&m, costMemory)
			if verdicts[i] == isOpen {
				open = append(open, entries[i])
			}
		}
		if len(open) > 0 {
			if err := q.decideRows(s, lo, entries, open, verdicts); err != nil {
				return nil, err
			}
		}
		for i := range entries {
			if verdicts[i] == isYes {
				found = append(found, uint32(lo+i+1))
				if q.modseq {
					q.modseqs = append(q.modseqs, entries[i].ModSeq)
				}
			}
		}
		if err := s.srv.ctx.Err(); err != nil {
			return nil, err
		}
	}
	return found, nil
}

// decideRows decides what can be decided from the index, and the rest from the
// files.
func (q *searching) decideRows(s *session, lo int, entries, open []store.Entry, verdicts []verdict) error {
	var files []searched
	at := 0
	cols := q.need.cols
	if q.need.files {
		cols |= store.ColStructure
	}
	m := searched{box: s.box}
	err := s.srv.store.Rows(s.srv.ctx, s.box.id, open, cols, func(e *store.Entry, r *store.Row) error {
		for entries[at].UID != e.UID {
			at++
		}
		m.seq, m.entry, m.row = lo+at+1, &entries[at], r
		verdicts[at] = q.root.decide(&m, costRow)
		if verdicts[at] == isOpen {
			later := m
			later.row = cloneRow(r)
			files = append(files, later)
		}
		return nil
	})
	if err != nil {
		return err
	}
	buf := largeBuffers.Get().(*[]byte)
	defer putLargeBuffer(buf)
	for i := range files {
		m := &files[i]
		raw, release, err := s.readWhole(*m.entry, (*buf)[:0])
		if err != nil {
			// Expunged meanwhile, or damaged, which `store verify` tells.
			verdicts[m.seq-lo-1] = isNo
			continue
		}
		*buf = raw
		m.raw = raw
		m.header, _ = message.SplitHeader(raw)
		verdicts[m.seq-lo-1] = q.root.decide(m, costFile)
		release()
	}
	for i := range verdicts[:len(entries)] {
		if verdicts[i] == isOpen {
			verdicts[i] = isNo
		}
	}
	return nil
}

func cloneRow(r *store.Row) *store.Row {
	c := *r
	for _, field := range []*[]byte{&c.Envelope, &c.Structure, &c.From, &c.To, &c.Cc, &c.Bcc, &c.Subject, &c.MessageID} {
		*field = slices.Clone(*field)
	}
	return &c
}

// readWhole reads a message into memory, of large ones only a few at a time:
// release gives the place back. Nobody may wait for a client before that.
func (s *session) readWhole(e store.Entry, dst []byte) (raw []byte, release func(), err error) {
	release = func() {}
	if e.Size >= streamFrom {
		select {
		case s.srv.whole <- struct{}{}:
		case <-s.srv.ctx.Done():
			return nil, nil, s.srv.ctx.Err()
		}
		release = func() { <-s.srv.whole }
	}
	raw, err = s.srv.store.ReadMessage(s.srv.ctx, e, dst)
	if err != nil {
		release()
	}
	return raw, release, err
}
