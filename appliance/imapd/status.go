package imapd

import (
	"hauspost/appliance/imapd/wire"
	"hauspost/store"
)

// statusItem is an entry in the table of STATUS items: it gives the value.
type statusItem struct {
	name  string
	value func(s *session, mb *store.Mailbox) (uint64, error)
}

var statusItems = []statusItem{
	{"MESSAGES", func(_ *session, mb *store.Mailbox) (uint64, error) { return uint64(mb.Messages), nil }},
	{"RECENT", (*session).recentIn},
	{"UIDNEXT", func(_ *session, mb *store.Mailbox) (uint64, error) { return uint64(mb.UIDNext), nil }},
	{"UIDVALIDITY", func(_ *session, mb *store.Mailbox) (uint64, error) { return uint64(mb.UIDValidity), nil }},
	{"UNSEEN", func(_ *session, mb *store.Mailbox) (uint64, error) { return uint64(mb.Unseen), nil }},
	{"DELETED", func(_ *session, mb *store.Mailbox) (uint64, error) { return uint64(mb.MarkedDeleted), nil }},
	{"SIZE", func(_ *session, mb *store.Mailbox) (uint64, error) { return uint64(mb.Size), nil }},
	{"HIGHESTMODSEQ", func(s *session, mb *store.Mailbox) (uint64, error) { return mb.HighestModSeq, nil }},
	{"APPENDLIMIT", func(s *session, _ *store.Mailbox) (uint64, error) { return uint64(s.srv.limits.AppendLimit), nil }},
}

// recentIn counts the messages that no session was shown as \Recent.
func (s *session) recentIn(mb *store.Mailbox) (uint64, error) {
	live, err := s.srv.store.Live(s.srv.ctx, mb.ID)
	if err != nil {
		return 0, err
	}
	defer live.Close()
	first := live.Recent(false)
	n := uint64(0)
	entries := live.Entries(nil)
	for i := len(entries) - 1; i >= 0 && entries[i].UID >= first; i-- {
		n++
	}
	return n, nil
}

// readStatusItems reads a list of STATUS items.
func (s *session) readStatusItems(c *call) ([]*statusItem, error) {
	var items []*statusItem
	err := c.List(func() error {
		name, err := c.Word()
		if err != nil {
			return err
		}
		for i := range statusItems {
			if statusItems[i].name == name {
				items = append(items, &statusItems[i])
				if name == "HIGHESTMODSEQ" {
					s.enableCondstore()
				}
				return nil
			}
		}
		return bad("There is no STATUS item %s", name)
	})
	if err == nil && len(items) == 0 {
		err = bad("Syntax: expected STATUS items")
	}
	return items, err
}

func runStatus(s *session, c *call) error {
	if err := c.Space(); err != nil {
		return err
	}
	name, err := s.mailbox(c)
	if err != nil {
		return err
	}
	if err := c.Space(); err != nil {
		return err
	}
	items, err := s.readStatusItems(c)
	if err != nil {
		return err
	}
	if err := c.End(); err != nil {
		return err
	}
	mb, err := s.srv.store.Mailbox(s.srv.ctx, s.account.ID, name)
	if err != nil {
		return err
	}
	if mb.NoSelect {
		return no("NONEXISTENT", "There is no such mailbox")
	}
	return s.writeStatus(&mb, items)
}

func (s *session) writeStatus(mb *store.Mailbox, items []*statusItem) error {
	w := append(s.w.B, "* STATUS "...)
	w = wire.AppendMailbox(w, mb.Name, s.utf8Names())
	w = append(w, " ("...)
	for i, it := range items {
		n, err := it.value(s, mb)
		if err != nil {
			return err
		}
		if i > 0 {
			w = append(w, ' ')
		}
		w = append(w, it.name...)
		w = append(w, ' ')
		w = wire.AppendNumber(w, n)
	}
	s.w.B = append(w, ')')
	s.w.End()
	return nil
}
