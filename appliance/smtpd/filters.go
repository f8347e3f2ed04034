package smtpd

import (
	"context"

	"hauspost/appliance/envelope"
	"hauspost/appliance/maillog"
	"hauspost/appliance/reply"
)

// The stages at which Filters are asked here, by their names in envelope.Run.
const (
	onConnect = "on_connect"
	onMail    = "on_mail"
	onRcpt    = "on_rcpt"
)

// Filters are asked before the content of a message comes, after the box's own
// checks. They bound their own time; ctx ends with the connection. A reply
// refuses; the runs say what they did, whether it refuses or not. The envelope
// is to be read only, and not to be kept.
type Filters interface {
	// Asks tells whether there is a filter for a stage: "on_connect", "on_mail"
	// or "on_rcpt". It is called often and must be cheap; the method of a stage
	// for which it says no is not called.
	Asks(stage string) bool
	// Connect is asked about a peer that has heard and said nothing yet; a
	// refusal is all that it hears. The peer's reverse name was asked for, where
	// the box has a DNS.
	Connect(ctx context.Context, peer envelope.Client) ([]envelope.Run, *reply.Reply)
	// Mail is asked about a sender; env has no recipients yet.
	Mail(ctx context.Context, env *envelope.Envelope) ([]envelope.Run, *reply.Reply)
	// Rcpt is asked about one more recipient, who is here and not yet among
	// env.To.
	Rcpt(ctx context.Context, env *envelope.Envelope, rcpt envelope.Recipient) ([]envelope.Run, *reply.Reply)
}

// asks tells whether a stage has filters.
func (s *Server) asks(stage string) bool {
	return s.opt.Filters != nil && s.opt.Filters.Asks(stage)
}

// filterPeer asks the filters at the beginning of a connection.
func (s *session) filterPeer(ctx context.Context) *reply.Reply {
	if !s.srv.asks(onConnect) {
		return nil
	}
	dns, cancel := s.lookupContext(ctx)
	s.askReverse(dns)
	cancel()
	remote := s.conn.Remote()
	runs, r := s.srv.opt.Filters.Connect(ctx, envelope.Client{
		Addr: remote, Local: s.conn.Local(), Hostname: s.hostname, TLS: s.conn.TLSText(),
	})
	if r = refusal(r); r != nil {
		r = greeting(r)
		for i := range runs {
			s.srv.opt.Log.Emit("", maillog.Filtered{Run: runs[i]})
		}
		s.srv.record.Refused(nil, "CONNECT", remote.Addr().String(), r)
		return r
	}
	s.runs = runs
	return nil
}

// greeting gives a refusal the code that it has instead of the greeting: 554 or
// 421 (RFC 5321, section 4.3.2).
func greeting(r *reply.Reply) *reply.Reply {
	c := *r
	c.Code = 554
	if r.Temporary() {
		c.Code = 421
	}
	return &c
}

// filterSender asks the filters about the sender. What they did at the
// beginning of the connection counts for each of its messages.
func (s *session) filterSender(ctx context.Context) *reply.Reply {
	env := s.tx.Envelope
	env.Runs = append(env.Runs, s.runs...)
	if !s.srv.asks(onMail) {
		return nil
	}
	runs, r := s.srv.opt.Filters.Mail(ctx, env)
	env.Runs = append(env.Runs, runs...)
	if r = refusal(r); r != nil {
		s.tellFiltered(env.Runs)
	}
	return r
}

// filterRecipient asks the filters about one more recipient. What they say of
// one that they refuse says nothing of the message to the others.
func (s *session) filterRecipient(ctx context.Context, rcpt envelope.Recipient) *reply.Reply {
	if !s.srv.asks(onRcpt) || s.tx.Has(rcpt.Address) {
		return nil
	}
	env := s.tx.Envelope
	runs, r := s.srv.opt.Filters.Rcpt(ctx, env, rcpt)
	if r = refusal(r); r == nil {
		env.Runs = append(env.Runs, runs...)
	} else {
		s.tellFiltered(runs)
	}
	return r
}

// tellFiltered notes what the filters did that refuse. Of those that do not, the
// envelope tells the Intake.
func (s *session) tellFiltered(runs []envelope.Run) {
	for i := range runs {
		s.tx.Trace.Add(maillog.Filtered{Run: runs[i]})
	}
}

// refusal takes a reply that refuses nothing for consent.
func refusal(r *reply.Reply) *reply.Reply {
	if r == nil || r.Code < 400 {
		return nil
	}
	return r
}
