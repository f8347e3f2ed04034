package imapd

import (
	"errors"

	"hauspost/store"
)

func runDelete(s *session, c *call) error {
	if err := c.Space(); err != nil {
		return err
	}
	name, err := s.mailbox(c)
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
	err = s.srv.store.DeleteMailbox(s.srv.ctx, s.account.ID, name)
	if errors.Is(err, store.ErrNotAllowed) {
		return no("CANNOT", "This mailbox cannot be deleted")
	}
	if err == nil && s.box != nil && s.box.id == mb.ID {
		s.unselect()
		s.untagged("OK", "CLOSED", "The selected mailbox was deleted")
	}
	return err
}
