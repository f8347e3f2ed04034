package imapd

import "strings"

// runIdle is IDLE (RFC 2177). The session does not wait here: its loop goes on
// to read, and what comes next is the end of IDLE. Meanwhile pushers write.
func runIdle(s *session, c *call) error {
	if err := c.End(); err != nil {
		return err
	}
	s.w.B = append(s.w.B, "+ idling"...)
	s.w.End()
	s.idleTag = strings.Clone(c.tag)
	s.idling.Store(true)
	if s.box != nil {
		s.sync(true)
	}
	return errAnswered
}

// endIdle takes the line that ends IDLE.
func (s *session) endIdle(c *call) {
	c.tag, c.name = s.idleTag, "IDLE"
	s.idleTag = ""
	if s.box != nil {
		s.sync(true)
	}
	var err error
	if !strings.EqualFold(strings.TrimSpace(string(c.b)), "DONE") {
		err = bad("Expected DONE")
	}
	s.conclude(c, err)
}
