package submit

import (
	"context"

	"hauspost/appliance/envelope"
	"hauspost/appliance/esmtp"
	"hauspost/appliance/maillog"
	"hauspost/appliance/reply"
)

// noHelo stands for what a client calls itself where that is no name.
const noHelo = "unknown"

// Mail implements esmtp.Session. The trace of the message begins here.
func (s *session) Mail(ctx context.Context, m esmtp.Mail) *reply.Reply {
	author, ok := s.author()
	if !ok {
		return errSignInFirst
	}
	now := s.srv.opt.Now()
	tx := &transaction{Transaction: s.srv.record.Begin(s.conn, m, now), author: author}
	s.tx = tx
	c := &tx.Envelope.Client
	if _, ok := esmtp.HeloName(c.HELO); !ok {
		c.HELO = noHelo
	}
	tx.Trace.Add(maillog.Connected{Client: c.Addr.String(), HELO: c.HELO, Protocol: c.Protocol, TLS: c.TLS})
	tx.Trace.Add(authenticated(author))
	if r := s.checkSender(ctx, author, m.From); r != nil {
		return r
	}
	if r := s.srv.messages.take(now, s.payer()); r != nil {
		return r
	}
	tx.Trace.Add(maillog.Sender{From: m.From.String(), Size: m.Size})
	return nil
}

// checkSender holds that nobody sends in the name of others. A person may send
// with the null sender (a mail program's receipt); a device may not, as nobody
// would answer for its mail.
func (s *session) checkSender(ctx context.Context, author Author, from envelope.Address) *reply.Reply {
	people := s.srv.opt.People
	var ok bool
	var err error
	var text string
	switch {
	case author.Trusted:
		text = "Your network may send without a password, but only as an address of this server"
		if !from.IsNull() {
			ok, err = people.Local(ctx, from)
		}
	case from.IsNull():
		// It is nobody's, but whose account was closed since the sign-in may
		// not even send that.
		text = "Your account " + author.Person.Address + " may not send mail any more"
		var own envelope.Address
		if own, err = envelope.ParseAddress(author.Person.Address); err == nil {
			ok, err = people.Owns(ctx, author.Person, own)
		}
	default:
		text = "You are signed in as " + author.Person.Address + ", which may not send as " + from.String()
		ok, err = people.Owns(ctx, author.Person, from)
	}
	if err != nil {
		return reply.Of(err)
	}
	if !ok {
		return reply.New(553, "5.7.1", "sender-not-owned", text)
	}
	return nil
}
