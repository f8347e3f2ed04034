package imapd

import (
	"slices"
	"strings"

	"hauspost/store"
)

// Moved is what a person says of messages by where they put them, or by a
// keyword: that they are junk, or that they are not.
type Moved struct {
	// Entries are the messages in Mailbox, in ascending order of UID. Their
	// Flags and ModSeq are not set.
	Entries []store.Entry
	// Mailbox is the name of the mailbox in which they are now, From where they
	// were before: the same mailbox where only a keyword was set.
	Mailbox, From string
	// Junk tells that they are junk.
	Junk bool
}

// The special uses that matter to feedback, and the keywords (RFC 9051, section
// 2.3.2).
const (
	junkUse  = `\Junk`
	trashUse = `\Trash`

	junkKeyword    = "$Junk"
	notJunkKeyword = "$NotJunk"
)

// moving is a COPY or MOVE that may be feedback.
type moving struct {
	from, to store.Mailbox
	entries  []store.Entry
	junk     bool
}

// beginMove looks at messages before they are copied or moved to another
// mailbox; nil means that this says nothing about them.
func (s *session) beginMove(uids []uint32, to store.Mailbox) *moving {
	if s.srv.opts.Feedback == nil {
		return nil
	}
	from, err := s.box.live.Mailbox()
	if err != nil {
		return nil
	}
	junk := to.SpecialUse == junkUse
	// What goes from junk to the trash is junk still.
	if was := from.SpecialUse == junkUse; was == junk || was && to.SpecialUse == trashUse {
		return nil
	}
	return &moving{from: from, to: to, junk: junk, entries: s.box.live.Lookup(nil, uids)}
}

// endMove tells of the messages that went.
func (s *session) endMove(m *moving, result *store.CopyResult) {
	if m == nil || len(result.Source) == 0 {
		return
	}
	gone := make([]store.Entry, 0, len(result.Source))
	at := 0
	for i, uid := range result.Source {
		for at < len(m.entries) && m.entries[at].UID < uid {
			at++
		}
		if at < len(m.entries) && m.entries[at].UID == uid {
			e := m.entries[at]
			e.UID = result.Dest[i]
			gone = append(gone, e)
		}
	}
	s.feedback(Moved{Entries: gone, Mailbox: m.to.Name, From: m.from.Name, Junk: m.junk})
}

// marking is a STORE that sets $Junk or $NotJunk.
type marking struct {
	keyword string
	before  []store.Entry
}

// beginMark looks at messages before their flags are changed; nil means that
// this says nothing about them.
func (s *session) beginMark(uids []uint32, st *storing) *marking {
	if s.srv.opts.Feedback == nil || st.op == store.FlagsRemove {
		return nil
	}
	named := func(keyword string) bool {
		return slices.ContainsFunc(st.flags, func(f string) bool { return strings.EqualFold(f, keyword) })
	}
	m := &marking{keyword: junkKeyword}
	junk, not := named(junkKeyword), named(notJunkKeyword)
	if junk == not {
		return nil
	}
	if not {
		m.keyword = notJunkKeyword
	}
	m.before = s.box.live.Lookup(nil, uids)
	return m
}

// endMark tells of the messages that did not have the keyword before. To call
// something junk that is in the junk mailbox is no news.
func (s *session) endMark(m *marking, changed []store.Entry) {
	if m == nil {
		return
	}
	box, err := s.box.live.Mailbox()
	junk := m.keyword == junkKeyword
	if err != nil || junk && box.SpecialUse == junkUse {
		return
	}
	bit := firstKeyword + slices.IndexFunc(box.Keywords, func(k string) bool { return strings.EqualFold(k, m.keyword) })
	if bit < firstKeyword {
		return
	}
	var fresh []store.Entry
	at := 0
	for _, e := range changed {
		for at < len(m.before) && m.before[at].UID < e.UID {
			at++
		}
		if at < len(m.before) && m.before[at].UID == e.UID && m.before[at].Flags&(1<<bit) == 0 {
			fresh = append(fresh, e)
		}
	}
	s.feedback(Moved{Entries: fresh, Mailbox: box.Name, From: box.Name, Junk: junk})
}

func (s *session) feedback(m Moved) {
	if len(m.Entries) == 0 {
		return
	}
	for i := range m.Entries {
		m.Entries[i].Flags, m.Entries[i].ModSeq = 0, 0
	}
	s.srv.opts.Feedback(s.srv.ctx, s.account, m)
}
