package imapd

func runSubscribe(s *session, c *call) error   { return s.subscribe(c, true) }
func runUnsubscribe(s *session, c *call) error { return s.subscribe(c, false) }

func (s *session) subscribe(c *call, on bool) error {
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
	if on {
		// Names that nobody has would only fill the list.
		if _, err := s.srv.store.Mailbox(s.srv.ctx, s.account.ID, name); err != nil {
			return err
		}
	}
	return s.srv.store.Subscribe(s.srv.ctx, s.account.ID, name, on)
}
