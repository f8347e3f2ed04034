package imapd

func runLogout(s *session, c *call) error {
	if err := c.End(); err != nil {
		return err
	}
	s.unselect()
	s.bye("", "Good bye")
	s.state = loggedOut
	return nil
}
