package smtpd

import (
	"context"

	"hauspost/appliance/envelope"
	"hauspost/appliance/esmtp"
	"hauspost/appliance/reply"
)

// session is one connection. It implements esmtp.Session; the verbs are in
// files of their own.
type session struct {
	srv  *Server
	conn *esmtp.Conn
	// heloFact is what is odd about the name, if anything.
	heloFact *envelope.Fact

	// The reverse name is asked for once: for the filters at the beginning, or at
	// the first MAIL.
	reverseAsked bool
	hostname     string
	reverseFact  envelope.Fact

	// runs are what the filters did at the beginning of the connection.
	runs []envelope.Run

	tx *esmtp.Transaction
}

// stranger tells whether the peer is neither this machine itself nor one of
// the exempt networks.
func (s *session) stranger() bool {
	remote := s.conn.Remote().Addr()
	return remote != s.conn.Local().Addr() && !s.srv.opt.Limits.IsExempt(remote)
}

// Refused implements esmtp.Session.
func (s *session) Refused(_ context.Context, verb, argument string, r *reply.Reply) {
	s.srv.record.Refused(s.tx, verb, argument, r)
}

// Reset implements esmtp.Session.
func (s *session) Reset(_ context.Context, cause esmtp.Cause) {
	s.srv.record.Ended(s.tx, cause)
	s.tx = nil
}

// Close implements esmtp.Session.
func (s *session) Close() {}
