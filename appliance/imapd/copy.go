package imapd

import (
	"errors"
	"strconv"

	"hauspost/appliance/imapd/wire"
	"hauspost/store"
)

func runCopy(s *session, c *call) error {
	uids, dest, err := s.readCopy(c)
	if err != nil {
		return err
	}
	moving := s.beginMove(uids, dest)
	result, err := s.srv.store.Copy(s.srv.ctx, s.box.id, uids, s.account.ID, dest.Name)
	s.endMove(moving, &result)
	if err != nil {
		return copyError(err)
	}
	if code := copyUID(&result); code != "" {
		return ok(code, "Copied")
	}
	return nil
}

// runMove is MOVE (RFC 6851). COPYUID comes before the EXPUNGE responses, which
// are among the news at the end of the command.
func runMove(s *session, c *call) error {
	uids, dest, err := s.readCopy(c)
	if err != nil {
		return err
	}
	if err := s.mayChange(); err != nil {
		return err
	}
	moving := s.beginMove(uids, dest)
	result, err := s.srv.store.Move(s.srv.ctx, s.box.id, uids, s.account.ID, dest.Name)
	s.endMove(moving, &result)
	if err != nil {
		return copyError(err)
	}
	if code := copyUID(&result); code != "" {
		s.untagged("OK", code, "Moved")
	}
	return nil
}

func (s *session) readCopy(c *call) (uids []uint32, dest store.Mailbox, err error) {
	if err := c.Space(); err != nil {
		return nil, dest, err
	}
	wanted, err := s.wants(c)
	if err != nil {
		return nil, dest, err
	}
	if err := c.Space(); err != nil {
		return nil, dest, err
	}
	name, err := s.mailbox(c)
	if err != nil {
		return nil, dest, err
	}
	if err := c.End(); err != nil {
		return nil, dest, err
	}
	dest, err = s.srv.store.Mailbox(s.srv.ctx, s.account.ID, name)
	if err == nil && dest.NoSelect {
		err = store.ErrNotFound
	}
	if err != nil {
		return nil, dest, copyError(err)
	}
	return pick(s.box.uids, wanted), dest, nil
}

func copyError(err error) error {
	if errors.Is(err, store.ErrNotFound) {
		return no("TRYCREATE", "There is no such mailbox")
	}
	return err
}

// copyUID gives the response code of RFC 4315, empty where nothing was copied.
func copyUID(r *store.CopyResult) string {
	if len(r.Source) == 0 {
		return ""
	}
	b := append([]byte(nil), "COPYUID "...)
	b = strconv.AppendUint(b, uint64(r.UIDValidity), 10)
	b = append(b, ' ')
	b = wire.AppendSet(b, r.Source)
	b = append(b, ' ')
	return string(wire.AppendSet(b, r.Dest))
}
