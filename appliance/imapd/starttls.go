package imapd

import "errors"

// runStartTLS is STARTTLS (RFC 9051, section 6.2.1). Whatever stands behind it
// in the clear was not sent by whom the handshake proves to be there: the
// connection ends.
func runStartTLS(s *session, c *call) error {
	if err := c.End(); err != nil {
		return err
	}
	if !s.canStartTLS() {
		return bad("TLS is not available, or active already")
	}
	if s.rd.Buffered() > 0 {
		return &answer{kind: "BAD", text: "Nothing may be sent behind STARTTLS before the handshake", hangUp: true}
	}
	s.reply(c.tag, &answer{kind: "OK", text: "Begin TLS negotiation now"}, c.name)
	if err := s.w.Flush(); err != nil {
		return err
	}
	if !s.handshake() {
		s.readErr = errHandshake
	}
	// What the client said of itself before is forgotten (RFC 9051, 11.1).
	s.client = ""
	return errAnswered
}

var errHandshake = errors.New("the TLS handshake failed")
