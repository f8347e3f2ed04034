package imapd

import (
	"errors"
	"slices"
	"strconv"

	"hauspost/appliance/imapd/wire"
	"hauspost/store"
)

// selectParams is the table of parameters of SELECT and EXAMINE (RFC 4466).
// Each reads its own arguments.
var selectParams = map[string]func(s *session, c *call) error{
	"CONDSTORE": func(s *session, _ *call) error {
		s.condstore = true
		return nil
	},
}

func runSelect(s *session, c *call) error  { return s.selectMailbox(c, false) }
func runExamine(s *session, c *call) error { return s.selectMailbox(c, true) }

func (s *session) selectMailbox(c *call, readOnly bool) error {
	if err := c.Space(); err != nil {
		return err
	}
	name, err := s.mailbox(c)
	if err != nil {
		return err
	}
	if c.Skip(' ') {
		if err := c.List(func() error {
			param, err := c.Word()
			if err != nil {
				return err
			}
			read := selectParams[param]
			if read == nil {
				return bad("There is no SELECT parameter %s", param)
			}
			return read(s, c)
		}); err != nil {
			return err
		}
	}
	if err := c.End(); err != nil {
		return err
	}
	if s.box != nil {
		s.unselect()
		s.untagged("OK", "CLOSED", "The mailbox selected before is closed")
	}
	if err := s.open(name, readOnly); err != nil {
		return err
	}
	if readOnly {
		return ok("READ-ONLY", "Examined")
	}
	return ok("READ-WRITE", "Selected")
}

// open makes a mailbox the selected one and tells the client of it.
func (s *session) open(name string, readOnly bool) error {
	ctx := s.srv.ctx
	mb, err := s.srv.store.Mailbox(ctx, s.account.ID, name)
	if errors.Is(err, store.ErrNotFound) || err == nil && mb.NoSelect {
		return no("NONEXISTENT", "There is no such mailbox")
	}
	if err != nil {
		return err
	}
	live, err := s.srv.store.Live(ctx, mb.ID)
	if err != nil {
		return err
	}
	b := &selected{live: live, id: mb.ID, name: mb.Name, readOnly: readOnly}
	// Whatever changes from now on wakes the session; what changes before the
	// first Sync is in it.
	b.stop = live.Watch(func() { s.srv.push.notify(s) })
	// UIDNEXT is taken before, so that it is not beyond what the client will be
	// told of later on.
	if mb, err = live.Mailbox(); err != nil {
		b.stop()
		live.Close()
		return err
	}
	all := live.Sync(nil, 0)
	b.modseq, b.keywords = all.ModSeq, slices.Clone(mb.Keywords)
	b.uids = make([]uint32, len(all.New))
	unseen := 0
	for i := range all.New {
		e := &all.New[i]
		b.uids[i] = e.UID
		if unseen == 0 && e.Flags&store.Seen == 0 {
			unseen = i + 1
		}
	}
	if len(all.New) > 0 && !s.rev2 {
		b.claimRecent(all.New)
	}
	s.box, s.state = b, selectedState
	s.show()
	s.describe(&mb, unseen, all.New)
	return nil
}

// describe writes the untagged responses of SELECT (RFC 9051, section 6.3.2).
func (s *session) describe(mb *store.Mailbox, unseen int, entries []store.Entry) {
	b := s.box
	s.writeFlagsResponses()
	s.tellCount("EXISTS", len(b.uids))
	if !s.rev2 {
		s.tellCount("RECENT", b.countRecent())
		if unseen > 0 {
			s.untagged("OK", "UNSEEN "+strconv.Itoa(unseen), "The first that was not seen")
		}
	}
	next := mb.UIDNext
	if n := len(entries); n > 0 {
		next = max(next, entries[n-1].UID+1)
	}
	s.untagged("OK", "UIDVALIDITY "+strconv.FormatUint(uint64(mb.UIDValidity), 10), "UIDs are valid")
	s.untagged("OK", "UIDNEXT "+strconv.FormatUint(uint64(next), 10), "The next UID")
	s.tellHighestModSeq()
	if s.rev2 {
		s.w.B = append(s.w.B, `* LIST () "/" `...)
		s.w.B = wire.AppendMailbox(s.w.B, b.name, true)
		s.w.End()
	}
}

func (s *session) tellHighestModSeq() {
	s.untagged("OK", "HIGHESTMODSEQ "+strconv.FormatUint(s.box.modseq, 10), "The highest mod-sequence")
}
