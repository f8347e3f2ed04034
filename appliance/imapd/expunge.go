package imapd

import (
	"errors"
	"strconv"

	"hauspost/store"
)

// runExpunge is EXPUNGE and UID EXPUNGE (RFC 4315). The EXPUNGE responses come
// with the news at the end of the command.
func runExpunge(s *session, c *call) error {
	var uids []uint32
	if c.byUID {
		if err := c.Space(); err != nil {
			return err
		}
		wanted, err := s.wants(c)
		if err != nil {
			return err
		}
		// Not nil, which would mean all.
		uids = pick(s.box.uids, wanted)
	}
	if err := c.End(); err != nil {
		return err
	}
	if err := s.mayChange(); err != nil {
		return err
	}
	if _, err := s.srv.store.Expunge(s.srv.ctx, s.box.id, uids); err != nil {
		return err
	}
	if s.condstore {
		return ok("HIGHESTMODSEQ "+strconv.FormatUint(s.box.live.Sync(s.box.uids, s.box.modseq).ModSeq, 10), "Expunged")
	}
	return nil
}

// mayChange refuses changes in a mailbox that was opened by EXAMINE.
func (s *session) mayChange() error {
	if s.box.readOnly {
		return no("NOPERM", "The mailbox was opened for reading only")
	}
	return nil
}

func isGone(err error) bool { return errors.Is(err, store.ErrNotFound) }
