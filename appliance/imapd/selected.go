package imapd

import (
	"slices"
	"strconv"

	"hauspost/appliance/imapd/wire"
	"hauspost/store"
)

// selected is the selected mailbox as the client knows it.
type selected struct {
	live     *store.Live
	id       int64
	name     string
	readOnly bool
	// uids are those of the messages that the client was told of, in the order
	// of their sequence numbers; modseq is what sync compares from.
	uids   []uint32
	modseq uint64
	// withheld tells that messages are gone of which the client must not hear yet.
	withheld bool
	// told are flag changes, in UID order, that the client knows from the answer
	// to its own command.
	told []knownChange
	// recent are the messages that are \Recent in this session.
	recent []wire.Range
	// keywords are those that the client was told of.
	keywords []string
	flags    flagText
	stop     func()
}

type knownChange struct {
	uid    uint32
	modseq uint64
}

// flagText remembers the text of the last flags, as neighbours mostly have the
// same.
type flagText struct {
	flags  store.Flags
	recent bool
	valid  bool
	text   []byte
}

// unselect leaves the selected mailbox.
func (s *session) unselect() {
	if s.box == nil {
		return
	}
	s.box.stop()
	s.box.live.Close()
	s.box, s.saved = nil, nil
	if s.state == selectedState {
		s.state = authenticated
	}
}

// isRecent tells whether the message is \Recent in this session.
func (b *selected) isRecent(uid uint32) bool {
	for _, r := range b.recent {
		if uid >= r.First && uid <= r.Last {
			return true
		}
	}
	return false
}

// claimRecent makes the given new messages \Recent in this session where they
// were not in another one, and gives the number of those that are.
func (b *selected) claimRecent(fresh []store.Entry) {
	first := b.live.Recent(!b.readOnly)
	last := fresh[len(fresh)-1].UID
	first = max(first, fresh[0].UID)
	if first > last {
		return
	}
	if n := len(b.recent); n > 0 && b.recent[n-1].Last+1 >= first {
		b.recent[n-1].Last = last
		return
	}
	b.recent = append(b.recent, wire.Range{First: first, Last: last})
}

func (b *selected) countRecent() int {
	n := 0
	for _, r := range b.recent {
		lo, _ := slices.BinarySearch(b.uids, r.First)
		hi, found := slices.BinarySearch(b.uids, r.Last)
		if found {
			hi++
		}
		n += hi - lo
	}
	return n
}

var systemFlags = [...]struct {
	flag store.Flags
	name string
}{
	{store.Answered, `\Answered`}, {store.Flagged, `\Flagged`}, {store.Deleted, `\Deleted`},
	{store.Seen, `\Seen`}, {store.Draft, `\Draft`},
}

const (
	firstKeyword = 8
	keywordBits  = ^store.Flags(0) &^ (1<<firstKeyword - 1)
)

// appendFlags appends the flags of a message as a list in parentheses.
func (s *session) appendFlags(dst []byte, uid uint32, flags store.Flags) []byte {
	b := s.box
	recent := !s.rev2 && len(b.recent) > 0 && b.isRecent(uid)
	t := &b.flags
	if !t.valid || t.flags != flags || t.recent != recent {
		if flags>>firstKeyword != 0 {
			s.learnKeywords(flags)
		}
		t.flags, t.recent, t.valid = flags, recent, true
		t.text = b.renderFlags(t.text[:0], flags, recent)
	}
	return append(dst, t.text...)
}

func (b *selected) renderFlags(dst []byte, flags store.Flags, recent bool) []byte {
	dst = append(dst, '(')
	start := len(dst)
	for _, f := range systemFlags {
		if flags&f.flag != 0 {
			dst = append(dst, f.name...)
			dst = append(dst, ' ')
		}
	}
	for i, k := range b.keywords {
		if flags>>(firstKeyword+i)&1 != 0 {
			dst = append(dst, k...)
			dst = append(dst, ' ')
		}
	}
	if recent {
		dst = append(dst, `\Recent `...)
	}
	if n := len(dst); n > start {
		dst = dst[:n-1]
	}
	return append(dst, ')')
}

// learnKeywords asks for the mailbox's keywords if flags has one that the
// session does not know.
func (s *session) learnKeywords(flags store.Flags) {
	b := s.box
	if flags>>(firstKeyword+len(b.keywords)) == 0 {
		return
	}
	if mb, err := b.live.Mailbox(); err == nil && len(mb.Keywords) > len(b.keywords) {
		b.keywords = slices.Clone(mb.Keywords)
		b.flags.valid = false
	}
}

// tellKeywords announces keywords that came up since the client was told of
// them.
func (s *session) tellKeywords(entries []store.Entry) {
	var all store.Flags
	for i := range entries {
		all |= entries[i].Flags
	}
	before := len(s.box.keywords)
	s.learnKeywords(all)
	if len(s.box.keywords) > before {
		s.writeFlagsResponses()
	}
}

// writeFlagsResponses writes FLAGS and PERMANENTFLAGS.
func (s *session) writeFlagsResponses() {
	b := s.box
	all := store.Seen | store.Answered | store.Flagged | store.Deleted | store.Draft
	list := b.renderFlags(nil, all|keywordBits, false)
	s.w.B = append(s.w.B, "* FLAGS "...)
	s.w.B = append(s.w.B, list...)
	s.w.End()
	if b.readOnly {
		s.untagged("OK", "PERMANENTFLAGS ()", "No flags can be changed here")
		return
	}
	s.untagged("OK", "PERMANENTFLAGS "+string(list[:len(list)-1])+` \*)`, "Flags that can be changed")
}

// sync tells the client what changed in the selected mailbox; expunges only
// where they are allowed. It returns the messages that are new.
func (s *session) sync(expunges bool) []store.Entry {
	b := s.box
	delta := b.live.Sync(b.uids, b.modseq)
	gone := delta.Gone
	if b.withheld && expunges {
		gone = b.missing()
	}
	b.modseq = delta.ModSeq
	switch {
	case len(gone) == 0:
	case expunges:
		s.tellGone(gone)
		b.withheld = false
	default:
		b.withheld = true
	}
	if n := len(delta.New); n > 0 {
		b.uids = slices.Grow(b.uids, n)
		for i := range delta.New {
			b.uids = append(b.uids, delta.New[i].UID)
		}
		s.tellCount("EXISTS", len(b.uids))
		if !s.rev2 {
			b.claimRecent(delta.New)
			s.tellCount("RECENT", b.countRecent())
		}
	}
	s.tellChanged(delta.Changed)
	b.told = b.told[:0]
	if cap(b.told) > 64 {
		b.told = nil
	}
	return delta.New
}

// missing gives the indices of messages that are gone, by looking each one up:
// sync told the store of a mod-sequence beyond their end.
func (b *selected) missing() []int {
	var gone []int
	entries := b.live.Lookup(nil, b.uids)
	for i := range entries {
		if entries[i].UID == 0 {
			gone = append(gone, i)
		}
	}
	return gone
}

func (s *session) tellCount(what string, n int) {
	s.w.B = append(s.w.B, "* "...)
	s.w.B = strconv.AppendInt(s.w.B, int64(n), 10)
	s.w.B = append(s.w.B, ' ')
	s.w.B = append(s.w.B, what...)
	s.w.End()
}

// tellGone writes EXPUNGE for the messages at the given indices, and forgets
// them.
func (s *session) tellGone(gone []int) {
	b := s.box
	kept := b.uids[:gone[0]]
	for k, i := range gone {
		s.tellCount("EXPUNGE", i+1-k)
		end := len(b.uids)
		if k+1 < len(gone) {
			end = gone[k+1]
		}
		kept = append(kept, b.uids[i+1:end]...)
	}
	b.uids = kept
}

// tellChanged writes FETCH for flags that changed, but for what the client knows.
func (s *session) tellChanged(changed []store.Entry) {
	if len(changed) == 0 {
		return
	}
	b := s.box
	s.tellKeywords(changed)
	known, at := b.told, 0
	for i := range changed {
		e := &changed[i]
		for len(known) > 0 && known[0].uid < e.UID {
			known = known[1:]
		}
		if len(known) > 0 && known[0].uid == e.UID && known[0].modseq == e.ModSeq {
			continue
		}
		j, found := slices.BinarySearch(b.uids[at:], e.UID)
		at += j
		if found {
			s.writeFlagFetch(at+1, e, false, false)
		}
	}
}

// writeFlagFetch writes an unsolicited FETCH with the flags of a message, or,
// if silent, only its mod-sequence.
func (s *session) writeFlagFetch(seq int, e *store.Entry, withUID, silent bool) {
	w := append(s.w.B, "* "...)
	w = strconv.AppendInt(w, int64(seq), 10)
	w = append(w, " FETCH ("...)
	if withUID {
		w = append(w, "UID "...)
		w = wire.AppendNumber(w, uint64(e.UID))
		w = append(w, ' ')
	}
	if !silent {
		w = append(w, "FLAGS "...)
		w = s.appendFlags(w, e.UID, e.Flags)
	}
	if s.condstore {
		if !silent {
			w = append(w, ' ')
		}
		w = appendModSeq(w, e.ModSeq)
	}
	s.w.B = append(w, ')')
	s.w.End()
}

func appendModSeq(dst []byte, modseq uint64) []byte {
	dst = append(dst, "MODSEQ ("...)
	dst = wire.AppendNumber(dst, modseq)
	return append(dst, ')')
}
