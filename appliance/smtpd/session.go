package smtpd

import (
	"context"

	"hauspost/appliance/envelope"
	"hauspost/appliance/esmtp"
	"hauspost/appliance/maillog"
	"hauspost/appliance/reply"
)

// session is one connection. It implements esmtp.Session; the verbs are in
// files of their own.
type session struct {
	srv  *Server
	conn *esmtp.Conn
	// heloFact is what is odd about the name, if anything.
	heloFact *envelope.Fact

	// The reverse name is asked for once, at the first MAIL.
	reverseAsked bool
	hostname     string
	reverseFact  envelope.Fact

	tx *transaction
}

// stranger tells whether the peer is neither this machine itself nor one of
// the exempt networks.
func (s *session) stranger() bool {
	remote := s.conn.Remote().Addr()
	return remote != s.conn.Local().Addr() && !s.srv.opt.Limits.IsExempt(remote)
}

// Refused implements esmtp.Session: one event, one count for each refusal.
func (s *session) Refused(_ context.Context, verb, argument string, r *reply.Reply) {
	ev := maillog.Refused{
		Verb: verb, Argument: argument, Code: r.Code, Enhanced: r.Enhanced,
		Reason: r.Name, Text: r.Text,
	}
	if r.Cause != nil {
		ev.Cause = r.Cause.Error()
	}
	s.srv.count(func(st *Stats) { st.Refused[r.Name]++ })
	if s.tx != nil {
		s.tx.trace.Add(ev)
	} else {
		s.srv.opt.Log.Emit("", ev)
	}
}

// Reset implements esmtp.Session.
func (s *session) Reset(_ context.Context, cause esmtp.Cause) {
	tx := s.tx
	s.tx = nil
	if tx == nil || tx.Stored {
		return
	}
	switch cause {
	case esmtp.Gone, esmtp.TimedOut:
		tx.trace.Add(maillog.Vanished{After: tx.Step})
		s.srv.count(func(st *Stats) { st.Vanished++ })
	case esmtp.Renewed:
		tx.trace.Add(esmtp.Withdrawn{After: tx.Step})
	case esmtp.Answered, esmtp.Closed:
	}
	if s.srv.opt.Keep != nil {
		s.srv.opt.Keep(tx.Envelope.ID, tx.trace.Entries())
	}
}

// Close implements esmtp.Session.
func (s *session) Close() {}
