package submit

import (
	"context"

	"hauspost/appliance/esmtp"
	"hauspost/appliance/maillog"
	"hauspost/appliance/reply"
)

var (
	errStartTLSFirst = reply.New(530, "5.7.0", "needs-tls", "Must issue a STARTTLS command first")
	errSignInFirst   = reply.New(530, "5.7.0", "needs-auth", "Please sign in first: this server sends mail for its own people only")
	errAuthInClear   = reply.New(538, "5.7.11", "auth-needs-tls", "Must issue a STARTTLS command first, so that nobody reads your password")
)

// session is one connection. It implements esmtp.Session, Gatekeeper and
// Authenticator; the verbs are in files of their own.
type session struct {
	srv  *Server
	conn *esmtp.Conn
	// trusted tells that the peer is in one of Options.Trusted.
	trusted bool
	// signed is who signed in; it counts once the peer was told so.
	signed Author
	// attempt is a sign-in that has begun and not ended.
	attempt *SignIn

	tx *transaction
}

// transaction is what was said of one message so far, and its trace.
type transaction struct {
	esmtp.Transaction
	trace  *maillog.Trace
	author Author
	// noDNS tells that a name server did not answer: the rest of the
	// recipients need not wait for the same.
	noDNS bool
}

// author is who may send at this moment.
func (s *session) author() (a Author, ok bool) {
	switch {
	case s.conn.Authenticated():
		return s.signed, true
	case s.trusted:
		return Author{Mechanism: "network", Trusted: true}, true
	}
	return Author{}, false
}

// Permit implements esmtp.Gatekeeper.
func (s *session) Permit(verb string) *reply.Reply {
	_, known := s.author()
	secure := s.conn.TLS() != nil
	switch verb {
	case "AUTH":
		if !secure {
			return errAuthInClear
		}
	case "MAIL", "RCPT", "DATA", "VRFY", "EXPN", "HELP":
		if !known && !secure {
			return errStartTLSFirst
		}
		if !known && verb == "MAIL" {
			return errSignInFirst
		}
	}
	return nil
}

// Helo implements esmtp.Session. Mail programs call themselves anything.
func (s *session) Helo(context.Context, string) *reply.Reply { return nil }

// Refused implements esmtp.Session: one event, one count for each refusal.
func (s *session) Refused(_ context.Context, verb, argument string, r *reply.Reply) {
	s.srv.count(func(st *Stats) { st.Refused[r.Name]++ })
	cause := ""
	if r.Cause != nil {
		cause = r.Cause.Error()
	}
	switch {
	case verb == "AUTH" && s.attempt != nil:
		s.endAttempt(r.Text, cause)
	case s.tx != nil:
		s.tx.trace.Add(refused(verb, argument, r, cause))
	default:
		s.srv.opt.Log.Emit("", refused(verb, argument, r, cause))
	}
}

func refused(verb, argument string, r *reply.Reply, cause string) maillog.Refused {
	return maillog.Refused{
		Verb: verb, Argument: argument, Code: r.Code, Enhanced: r.Enhanced,
		Reason: r.Name, Text: r.Text, Cause: cause,
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

// Close implements esmtp.Session. A sign-in whose client went away has failed.
func (s *session) Close() {
	if s.attempt != nil {
		s.endAttempt("the client went away", "")
	}
}
