package deliver

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"hauspost/appliance/envelope"
	"hauspost/appliance/maillog"
	"hauspost/appliance/queue"
	"hauspost/appliance/reply"
)

// departure is a submitted message on its way to its recipients.
type departure struct {
	*Submission
	// leaving is the verdict of the filters of what leaves, arrival that of
	// those of what arrives.
	leaving *envelope.Verdict
	arrival func() (*envelope.Verdict, error)
	routes  *routes
	detours *detours
}

// route resolves the recipients of a submitted message. Mail for people here
// takes the path of mail from outside: the filters of what arrives look at it,
// if it is for anybody here. It gives the fields that the filters add as well.
func (m *Submission) route(ctx context.Context, v *envelope.Verdict) (*routes, []envelope.Field, error) {
	asked := false
	d := &departure{Submission: m, leaving: v, routes: &routes{}}
	d.arrival = sync.OnceValues(func() (*envelope.Verdict, error) {
		asked = true
		return m.arrive(ctx)
	})
	d.detours = &detours{directory: m.out.o.Directory, now: m.out.o.Now(), env: m.env, trace: m.trace, routes: d.routes, verdict: v, by: m.env.From,
		sent:   func() []string { return m.header.DeliveredTo },
		arrive: d.here}
	for _, rcpt := range m.env.To {
		if err := d.recipient(ctx, rcpt); err != nil {
			return nil, nil, err
		}
	}
	if err := d.detours.copies(ctx); err != nil {
		return nil, nil, err
	}
	fields := v.Headers
	if asked {
		arrived, err := d.arrival()
		if err != nil {
			return nil, nil, err
		}
		arriving := *d.detours
		arriving.verdict = arrived
		if err := arriving.copies(ctx); err != nil {
			return nil, nil, err
		}
		fields = slices.Concat(fields, m.fieldsHere(arrived, d.routes))
	}
	return d.routes, fields, nil
}

// fieldsHere gives the fields of the filters of what arrives. There is one
// message for all who get it, so strangers would see them as well: then there
// are none.
func (m *Submission) fieldsHere(arrived *envelope.Verdict, r *routes) []envelope.Field {
	if len(r.items) == 0 {
		return arrived.Headers
	}
	for _, f := range arrived.Headers {
		m.trace.Add(maillog.Waived{Kind: envelope.EffectAddHeader, Argument: f.Name, Why: "the message leaves the house as well, and the field is for people here"})
	}
	return nil
}

// recipient adds the ways to one recipient.
func (d *departure) recipient(ctx context.Context, rcpt envelope.Recipient) error {
	own := d.leaving.For(rcpt.Address)
	if own.Action == envelope.Discard {
		return nil
	}
	targets, err := d.out.o.Directory.Resolve(ctx, rcpt.Address)
	elsewhere := err != nil
	if elsewhere && reply.Of(err).Name != reply.RelayDenied.Name {
		return recipientChanged.Because(fmt.Errorf("recipient <%s>: %w", rcpt.Address, err))
	}
	if away, err := d.detours.follow(ctx, rcpt, own); away || err != nil {
		return err
	}
	if elsewhere {
		d.routes.remote(d.item(rcpt, own), "")
		return nil
	}
	for _, t := range targets {
		if t.Account == "" {
			// The author is one of ours: that it went through an alias does
			// not change who answers for it.
			item := d.item(envelope.Recipient{Address: t.Address, Notify: rcpt.Notify, ORcpt: rcpt.ORcpt}, own)
			item.Header = deliveredTo(t.Alias)
			d.routes.remote(item, t.Via)
			continue
		}
		if err := d.arriving(ctx, rcpt, t); err != nil {
			return err
		}
	}
	return nil
}

// arriving delivers to a person here, as the filters of what arrives want it.
func (d *departure) arriving(ctx context.Context, rcpt envelope.Recipient, t envelope.Target) error {
	own, err := d.here(rcpt.Address)
	if err != nil || own.Action == envelope.Discard {
		return err
	}
	if away, err := d.detours.follow(ctx, rcpt, own); away || err != nil {
		return err
	}
	d.routes.local(rcpt, t, own)
	return nil
}

// here tells what becomes of the message for somebody here. What the filters of
// what leaves want kept away is kept away here too.
func (d *departure) here(a envelope.Address) (envelope.Disposition, error) {
	arrived, err := d.arrival()
	if err != nil {
		return envelope.Disposition{}, err
	}
	own := arrived.For(a)
	if leaving := d.leaving.For(a); leaving.Action.Stronger(own.Action) {
		own.Action, own.Reason = leaving.Action, leaving.Reason
		own.Copies, own.Redirects = nil, nil
	}
	return own, nil
}

// arrive asks the filters of what arrives.
func (m *Submission) arrive(ctx context.Context) (*envelope.Verdict, error) {
	if m.out.o.Scanner.Filters(false) == 0 {
		return &envelope.Verdict{Action: envelope.Keep}, nil
	}
	seen, err := m.filters().ask(ctx, false, "", nil)
	if err != nil {
		return nil, err
	}
	m.with, m.verdict = append(m.with, seen.with), &seen.verdict
	return &seen.verdict, nil
}

func (m *Submission) filters() *filters {
	o := &m.out.o
	return &filters{o.Store, o.Scanner, o.Policy, o.Now, m.env, m.content, m.trace}
}

func (d *departure) item(rcpt envelope.Recipient, own envelope.Disposition) queue.Item {
	item := newItem(queue.KindSubmission, d.env, rcpt, d.leaving, own)
	item.Added, item.Due = d.out.o.Now(), d.out.o.Now()
	return item
}
