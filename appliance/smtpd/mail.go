package smtpd

import (
	"context"
	"strings"

	"hauspost/appliance/envelope"
	"hauspost/appliance/esmtp"
	"hauspost/appliance/maillog"
	"hauspost/appliance/reply"
)

var (
	errSenderRate    = reply.New(450, "4.7.1", "sender-rate", "Too many messages from this sender just now, please try again later")
	errShortSender   = reply.New(553, "5.1.7", "sender-not-fqdn", "The domain of the sender is not a full one")
	errUnknownSender = reply.New(550, "5.1.8", "sender-domain-unknown", "The domain of the sender does not exist, so nobody could answer")
	errNullMXSender  = reply.New(550, "5.7.27", "sender-null-mx", "The domain of the sender says that it receives no mail, so nobody could answer")
	errSenderTrouble = reply.New(451, "4.4.3", "sender-dns-trouble", "The domain of the sender cannot be looked up just now, please try again later")
	errNoReverse     = reply.New(550, "5.7.25", "no-reverse-dns", "Your address has no reverse name that leads back to it")
	errReverseLater  = reply.New(451, "4.7.25", "reverse-dns-trouble", "Your reverse name cannot be looked up just now, please try again later")
)

// Mail implements esmtp.Session. The trace of the message begins here.
func (s *session) Mail(ctx context.Context, m esmtp.Mail) *reply.Reply {
	begun := s.srv.record.Begin(s.conn, m, s.srv.opt.Now())
	tx := &begun
	s.tx = tx
	dns, cancel := s.lookupContext(ctx)
	defer cancel()
	s.askReverse(dns)
	c := &tx.Envelope.Client
	c.Hostname = s.hostname
	tx.Trace.Add(maillog.Connected{
		Client: c.Addr.String(), Hostname: c.Hostname, HELO: c.HELO, Protocol: c.Protocol, TLS: c.TLS,
	})
	facts, r := s.checkSender(dns, m.From)
	tx.Envelope.Facts = facts
	if len(facts) > 0 {
		tx.Trace.Add(maillog.Checked{Facts: facts})
	}
	if r == nil {
		r = s.filterSender(ctx)
	}
	if r != nil {
		return r
	}
	tx.Trace.Add(maillog.Sender{From: m.From.String(), Size: m.Size})
	return nil
}

// lookupContext bounds the time of the DNS, where it is asked at all.
func (s *session) lookupContext(ctx context.Context) (context.Context, context.CancelFunc) {
	if s.srv.opt.Names == nil {
		return ctx, func() {}
	}
	return context.WithTimeout(ctx, s.srv.opt.Limits.DNSTimeout)
}

// askReverse finds the peer's reverse name once per connection.
func (s *session) askReverse(ctx context.Context) {
	if s.reverseAsked || s.srv.opt.Names == nil {
		return
	}
	s.reverseAsked = true
	name, a, detail := confirmReverse(ctx, s.srv.opt.Names, s.conn.Remote().Addr())
	s.hostname = name
	s.reverseFact = envelope.Fact{Name: "fcrdns", Value: string(a), Detail: detail}
}

// checkSender finds the facts about peer and sender, and whether one of them
// is a reason to refuse.
func (s *session) checkSender(ctx context.Context, from envelope.Address) (facts []envelope.Fact, r *reply.Reply) {
	if s.heloFact != nil {
		facts = append(facts, *s.heloFact)
	}
	if s.reverseAsked {
		facts = append(facts, s.reverseFact)
		r = s.judgeReverse()
	}
	if r == nil && !from.IsNull() {
		var f *envelope.Fact
		if f, r = s.checkDomain(ctx, from); f != nil {
			facts = append(facts, *f)
		}
	}
	if r == nil && !s.withinRate(from) {
		r = errSenderRate
	}
	return facts, r
}

func (s *session) judgeReverse() *reply.Reply {
	checks := &s.srv.opt.Checks
	switch {
	case !checks.RequireReverseDNS || !s.stranger():
		return nil
	case s.reverseFact.Value == string(no):
		return errNoReverse
	case s.reverseFact.Value == string(trouble) && checks.DeferOnDNSTrouble:
		return errReverseLater
	}
	return nil
}

// checkDomain looks at the sender's domain: a full one, that can take an answer.
func (s *session) checkDomain(ctx context.Context, from envelope.Address) (*envelope.Fact, *reply.Reply) {
	checks := &s.srv.opt.Checks
	if from.IsLiteral() {
		return &envelope.Fact{Name: "sender.domain", Value: "literal"}, nil
	}
	if !strings.Contains(from.Domain, ".") {
		f := &envelope.Fact{Name: "sender.domain", Value: "short"}
		if !checks.AllowShortSender {
			return f, errShortSender
		}
		return f, nil
	}
	if s.srv.opt.Names == nil {
		return nil, nil
	}
	a, detail := takesMail(ctx, s.srv.opt.Names, from.Domain)
	f := &envelope.Fact{Name: "sender.domain", Value: string(a), Detail: detail}
	switch {
	case a == no && !checks.AllowUnknownSender:
		return f, errUnknownSender
	case a == nullMX && !checks.AllowUnknownSender:
		return f, errNullMXSender
	case a == trouble && checks.DeferOnDNSTrouble:
		return f, errSenderTrouble
	}
	return f, nil
}

// withinRate takes one message from the sender's and its domain's rates.
func (s *session) withinRate(from envelope.Address) bool {
	remote := s.conn.Remote().Addr()
	if s.srv.opt.Limits.IsExempt(remote) {
		return true
	}
	now, key := s.srv.opt.Now(), from.Key()
	if from.IsNull() {
		key = "<> " + esmtp.Network(remote).String()
	} else if s.srv.domains != nil && !s.srv.domains.Take(now, from.Domain) {
		return false
	}
	return s.srv.senders == nil || s.srv.senders.Take(now, key)
}
