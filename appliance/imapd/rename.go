package imapd

import (
	"errors"
	"strings"

	"hauspost/store"
)

func runRename(s *session, c *call) error {
	if err := c.Space(); err != nil {
		return err
	}
	from, err := s.mailbox(c)
	if err != nil {
		return err
	}
	if err := c.Space(); err != nil {
		return err
	}
	to, err := s.mailbox(c)
	if err != nil {
		return err
	}
	if err := c.End(); err != nil {
		return err
	}
	to = strings.TrimSuffix(to, "/")
	if err := checkName(to); err != nil {
		return err
	}
	err = s.srv.store.RenameMailbox(s.srv.ctx, s.account.ID, from, to)
	switch {
	case errors.Is(err, store.ErrExists):
		return no("ALREADYEXISTS", "There is such a mailbox already")
	case errors.Is(err, store.ErrNotAllowed):
		return no("CANNOT", "This mailbox cannot be renamed so")
	}
	return err
}
