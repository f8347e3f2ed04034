package submit

import (
	"context"

	"hauspost/appliance/esmtp"
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

// transaction is what was said of one message so far.
type transaction struct {
	esmtp.Transaction
	author Author
	// noDNS tells that a name server did not answer: the rest of the
	// recipients need not wait for the same.
	noDNS bool
}

// known is what every policy knows of a transaction; nil outside of one.
func (t *transaction) known() *esmtp.Transaction {
	if t == nil {
		return nil
	}
	return &t.Transaction
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

// Refused implements esmtp.Session. A sign-in has an event of its own.
func (s *session) Refused(_ context.Context, verb, argument string, r *reply.Reply) {
	if verb != "AUTH" || s.attempt == nil {
		s.srv.record.Refused(s.tx.known(), verb, argument, r)
		return
	}
	s.srv.record.CountRefusal(r.Name)
	cause := ""
	if r.Cause != nil {
		cause = r.Cause.Error()
	}
	s.endAttempt(r.Text, cause)
}

// Reset implements esmtp.Session.
func (s *session) Reset(_ context.Context, cause esmtp.Cause) {
	s.srv.record.Ended(s.tx.known(), cause)
	s.tx = nil
}

// Close implements esmtp.Session. A sign-in whose client went away has failed.
func (s *session) Close() {
	if s.attempt != nil {
		s.endAttempt("the client went away", "")
	}
}
