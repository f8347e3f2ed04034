package submit

import (
	"context"
	"errors"

	"hauspost/appliance/envelope"
	"hauspost/appliance/maillog"
	"hauspost/appliance/reply"
	"hauspost/appliance/resolver"
)

// Rcpt implements esmtp.Session. What certainly cannot arrive is refused now,
// while the person still sees the message.
func (s *session) Rcpt(ctx context.Context, r envelope.Recipient) *reply.Reply {
	if s.tx.Has(r.Address) {
		return nil
	}
	if err := s.srv.opt.People.Recipient(ctx, r.Address); err != nil {
		return reply.Of(err)
	}
	no, err := s.checkDomain(ctx, r.Address)
	if err != nil {
		return reply.Of(err)
	}
	if no == nil {
		no = s.srv.recipients.take(s.srv.opt.Now(), s.payer())
	}
	if no != nil {
		return no
	}
	s.tx.Step = "RCPT"
	s.tx.Add(r)
	s.tx.Trace.Add(maillog.RecipientAccepted{To: r.Address.String()})
	return nil
}

// checkDomain asks the DNS whether a domain elsewhere can get mail at all.
// Trouble with it is no reason to refuse: the queue is patient.
func (s *session) checkDomain(ctx context.Context, addr envelope.Address) (*reply.Reply, error) {
	o := &s.srv.opt
	if o.Domains == nil || s.tx.noDNS || addr.Domain == "" || addr.IsLiteral() || o.Routed != nil && o.Routed(addr.Domain) {
		return nil, nil
	}
	if local, err := o.People.Local(ctx, addr); local || err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, o.Limits.DNSTimeout)
	defer cancel()
	_, err := o.Domains.LookupMX(ctx, addr.Domain)
	if errors.Is(err, resolver.ErrNoData) {
		_, err = o.Domains.LookupIP(ctx, addr.Domain)
	}
	switch {
	case err == nil:
		return nil, nil
	case errors.Is(err, resolver.ErrNotFound):
		return reply.New(550, "5.1.2", "no-such-domain",
			"There is no domain "+addr.Domain+"; did you mistype it?"), nil
	case errors.Is(err, resolver.ErrNullMX):
		return reply.New(556, "5.1.10", "null-mx",
			"The domain "+addr.Domain+" says that it takes no mail; did you mistype it?"), nil
	case errors.Is(err, resolver.ErrNoData):
		return reply.New(550, "5.1.2", "no-mail-server",
			"The domain "+addr.Domain+" has no server that could take mail; did you mistype it?"), nil
	}
	s.tx.noDNS = true
	return nil, nil
}
