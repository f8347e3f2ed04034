package deliver

import (
	"context"
	"fmt"
	"strings"
	"time"

	"hauspost/appliance/envelope"
	"hauspost/appliance/maillog"
	"hauspost/appliance/queue"
	"hauspost/appliance/reply"
)

// detours sends a message where filters want it besides or instead of its
// recipients. What cannot be done leaves the message where it was going, and
// the trace says why.
type detours struct {
	directory Directory
	now       time.Time
	env       *envelope.Envelope
	trace     *maillog.Trace
	routes    *routes
	verdict   *envelope.Verdict
	// by is in whose name copies for no recipient in particular are made; the
	// first recipient where it is null.
	by envelope.Address
	// sent are the addresses in the fields Delivered-To.
	sent func() []string
	// arrive tells what becomes of the message for somebody here. Its errors
	// refuse the message.
	arrive func(a envelope.Address) (envelope.Disposition, error)
}

// follow makes the copies and the redirects for one recipient. It tells whether
// one of these took the message away.
func (d *detours) follow(ctx context.Context, rcpt envelope.Recipient, own envelope.Disposition) (away bool, err error) {
	for _, to := range d.atMost(own.Redirects, envelope.EffectRedirect, rcpt.Address) {
		done, err := d.send(ctx, envelope.EffectRedirect, to, rcpt.Address)
		if err != nil {
			return false, err
		}
		away = away || done
	}
	for _, to := range own.Copies {
		if _, err := d.send(ctx, envelope.EffectCopy, to, rcpt.Address); err != nil {
			return false, err
		}
	}
	return away, nil
}

// atMost bounds what is for all and for one recipient together.
func (d *detours) atMost(list []string, kind envelope.EffectKind, by envelope.Address) []string {
	for i := maxSends; i < len(list); i++ {
		d.trace.Add(maillog.Waived{Kind: kind, Argument: list[i], Recipient: by.String(), Why: fmt.Sprintf("there are %d already", maxSends)})
	}
	return list[:min(len(list), maxSends)]
}

// copies makes the copies that are for no recipient in particular.
func (d *detours) copies(ctx context.Context) error {
	if d.verdict.Action.Stronger(envelope.Keep) {
		return nil
	}
	by := d.by
	if by.IsNull() && len(d.env.To) > 0 {
		by = d.env.To[0].Address
	}
	for _, to := range d.verdict.Copies {
		if _, err := d.send(ctx, envelope.EffectCopy, to, by); err != nil {
			return err
		}
	}
	return nil
}

// send adds the places of one address, or says in the trace why it cannot.
func (d *detours) send(ctx context.Context, kind envelope.EffectKind, to string, by envelope.Address) (done bool, err error) {
	addr, targets, why := d.resolve(ctx, to, by)
	if why != "" {
		d.trace.Add(maillog.Waived{Kind: kind, Argument: to, Recipient: by.String(), Why: why})
		return false, nil
	}
	via := fmt.Sprintf("%s of mail for %s", kind, by)
	for _, t := range targets {
		if t.Via != "" {
			via += ", " + t.Via
		}
		if t.Account == "" {
			item := d.item(t.Address, envelope.Disposition{})
			item.Alias, item.Header = by, deliveredTo(by)
			if !t.Alias.IsNull() {
				item.Alias, item.Header = t.Alias, item.Header+deliveredTo(t.Alias)
			}
			d.routes.remote(item, via)
			done = true
			continue
		}
		there, err := d.arrive(addr)
		if err != nil {
			return false, err
		}
		if there.Action != envelope.Discard {
			t.Via = via
			d.routes.local(envelope.Recipient{Address: addr}, t, there)
			done = true
		}
	}
	return done, nil
}

// resolve finds who is behind an address, or says why mail for by cannot go
// there.
func (d *detours) resolve(ctx context.Context, to string, by envelope.Address) (addr envelope.Address, targets []envelope.Target, why string) {
	addr, err := envelope.ParseAddress(to)
	if err != nil {
		return addr, nil, "it is no address"
	}
	if addr.Key() == by.Key() {
		return addr, nil, "it leads to where it comes from"
	}
	targets, err = d.directory.Resolve(ctx, addr)
	if err != nil {
		if r := reply.Of(err); r.Name != reply.RelayDenied.Name {
			return addr, nil, "nobody can be found there: " + r.Text
		}
		targets = []envelope.Target{{Address: addr}}
	}
	if refused := again(d.sent, targets); refused != nil {
		return addr, nil, refused.Text
	}
	for _, t := range targets {
		if t.Account == "" && d.was(by) {
			return addr, nil, fmt.Sprintf("this message left here for <%s> before: it goes round in circles", by)
		}
	}
	return addr, targets, ""
}

// was tells whether the message left the house for an address before.
func (d *detours) was(a envelope.Address) bool {
	for _, name := range d.sent() {
		if s, err := envelope.ParseAddress(name); err == nil && strings.EqualFold(s.Key(), a.Key()) {
			return true
		}
	}
	return false
}

// forward adds an address elsewhere to which an alias leads.
func (d *detours) forward(t envelope.Target, own envelope.Disposition) {
	item := d.item(t.Address, own)
	item.Alias, item.Header = t.Alias, deliveredTo(t.Alias)
	d.routes.remote(item, t.Via)
}

func (d *detours) item(to envelope.Address, own envelope.Disposition) queue.Item {
	item := newItem(queue.KindForward, d.env, envelope.Recipient{Address: to}, d.verdict, own)
	item.Added, item.Due = d.now, d.now
	return item
}
