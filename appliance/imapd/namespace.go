package imapd

// runNamespace is NAMESPACE (RFC 2342): personal mailboxes and nothing else.
func runNamespace(s *session, c *call) error {
	if err := c.End(); err != nil {
		return err
	}
	s.w.B = append(s.w.B, `* NAMESPACE (("" "/")) NIL NIL`...)
	s.w.End()
	return nil
}
