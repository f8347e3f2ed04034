package imapd

// runClose is CLOSE: messages marked \Deleted go without a word, unless the
// mailbox was opened by EXAMINE.
func runClose(s *session, c *call) error {
	if err := c.End(); err != nil {
		return err
	}
	if !s.box.readOnly {
		if _, err := s.srv.store.Expunge(s.srv.ctx, s.box.id, nil); err != nil && !isGone(err) {
			return err
		}
	}
	s.unselect()
	return nil
}

// runUnselect is UNSELECT: CLOSE that removes nothing.
func runUnselect(s *session, c *call) error {
	if err := c.End(); err != nil {
		return err
	}
	s.unselect()
	return nil
}
