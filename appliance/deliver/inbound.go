package deliver

import (
	"context"
	"fmt"
	"sync"
	"time"

	"hauspost/appliance/envelope"
	"hauspost/appliance/maillog"
	"hauspost/appliance/message"
	"hauspost/appliance/reply"
	"hauspost/store"
)

// DefaultMaxHops is how many Received fields a message may have before it is
// taken to go round in circles (RFC 5321, section 6.3).
const DefaultMaxHops = 50

// Directory says who gets mail for an address.
type Directory interface {
	// Resolve gives the people behind addr; its errors are *reply.Reply.
	Resolve(ctx context.Context, addr envelope.Address) ([]envelope.Target, error)
}

// Options are the parts of the inbound path.
type Options struct {
	Store     *store.Store
	Directory Directory
	// Scanner may be nil: no filters.
	Scanner Scanner
	// Policy gives the owner's settings for filters as they are now; nil means
	// the zero Policy.
	Policy func() Policy
	// Wake tells the queue of new rows (aliases that lead elsewhere).
	Wake func(rows []store.Queued)
	// Told, if set, is called with what went into mailboxes. It must not wait.
	Told func(Delivered)
	// Hostname is the box's own name, for Received.
	Hostname string
	Log      maillog.Log
	// Now may be nil (time.Now).
	Now func() time.Time
	// MaxHops is DefaultMaxHops where it is 0.
	MaxHops int
}

// Inbound takes messages from outside to the mailboxes of the box's people.
type Inbound struct{ o Options }

// NewInbound makes the path from its parts.
func NewInbound(o Options) *Inbound {
	if o.Scanner == nil {
		o.Scanner = NoFilters{}
	}
	if o.Policy == nil {
		o.Policy = func() Policy { return Policy{} }
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.MaxHops == 0 {
		o.MaxHops = DefaultMaxHops
	}
	return &Inbound{o}
}

// Stage opens a place for the content of a message. Exactly one of Commit and
// Discard ends it.
func (in *Inbound) Stage(_ context.Context, env *envelope.Envelope, trace *maillog.Trace) *Staged {
	return &Staged{in: in, env: env, trace: trace, content: in.o.Store.Stage()}
}

// Staged is one message whose content is coming in.
type Staged struct {
	in      *Inbound
	env     *envelope.Envelope
	trace   *maillog.Trace
	content *store.Staged
}

// Write takes the next octets of the content.
func (m *Staged) Write(p []byte) (int, error) {
	n, err := m.content.Write(p)
	if err != nil {
		return n, reply.StorageError.Because(err)
	}
	return n, nil
}

// Discard drops the message.
func (m *Staged) Discard() { m.content.Discard() }

// Commit takes the message to where it belongs. nil means that it is durable
// there and that the peer may be told 250; any error is a *reply.Reply, and
// nothing of the message is left.
func (m *Staged) Commit(ctx context.Context) error {
	defer m.content.Discard()
	o := &m.in.o
	head := m.content.Head()

	header, _ := message.SplitHeader(head)
	if n := message.CountField(header, "Received"); n > o.MaxHops {
		return reply.TooManyHops.Because(fmt.Errorf("%d Received fields", n))
	}

	f := filters{o.Store, o.Scanner, o.Policy, o.Now, m.env, m.content, m.trace}
	seen, err := f.ask(ctx, false, "", m.env.Runs)
	if err != nil {
		return err
	}
	r, err := m.route(ctx, header, &seen.verdict)
	if err != nil {
		return err
	}
	c := commit{store: o.Store, env: m.env, trace: m.trace, wake: o.Wake, told: o.Told, verdict: &seen.verdict,
		with: []func(*store.Tx) error{seen.with}}
	prefix := appendFields(traceHeader(m.env, o.Hostname, o.Now()), seen.verdict.Headers)
	return c.run(ctx, m.content, prefix, r)
}

// route resolves the recipients: people here, and addresses elsewhere to which
// an alias or a filter leads. One through which the message comes round again
// is left out (whoever is behind it has the message), and where there is no
// other the message is refused.
func (m *Staged) route(ctx context.Context, header []byte, v *envelope.Verdict) (*routes, error) {
	r := &routes{}
	sent := sync.OnceValue(func() []string { return message.ReadOutgoing(header).DeliveredTo })
	d := detours{directory: m.in.o.Directory, now: m.in.o.Now(), env: m.env, trace: m.trace, routes: r, sent: sent, verdict: v,
		arrive: func(a envelope.Address) (envelope.Disposition, error) { return v.For(a), nil }}
	var looped *reply.Reply
	for _, rcpt := range m.env.To {
		own := v.For(rcpt.Address)
		if own.Action == envelope.Discard {
			continue
		}
		targets, err := m.in.o.Directory.Resolve(ctx, rcpt.Address)
		if err != nil {
			// It was there at RCPT: ask again rather than lose it for good.
			return nil, recipientChanged.Because(fmt.Errorf("recipient <%s>: %w", rcpt.Address, err))
		}
		if refused := again(sent, targets); refused != nil {
			looped = refused
			m.trace.Add(maillog.Refused{Verb: "RCPT", Argument: rcpt.Address.String(), Code: refused.Code, Enhanced: refused.Enhanced,
				Reason: refused.Name, Text: refused.Text})
			continue
		}
		if away, err := d.follow(ctx, rcpt, own); away || err != nil {
			if err != nil {
				return nil, err
			}
			continue
		}
		for _, t := range targets {
			if t.Account != "" {
				r.local(rcpt, t, own)
			} else {
				d.forward(t, own)
			}
		}
	}
	if looped != nil && len(r.placements)+len(r.items) == 0 {
		return nil, looped
	}
	return r, d.copies(ctx)
}

// again tells whether an alias among targets has sent the message out before:
// the fields Delivered-To name those that did.
func again(sent func() []string, targets []envelope.Target) *reply.Reply {
	for _, t := range targets {
		if t.Account != "" {
			continue
		}
		for _, name := range sent() {
			if addr, err := envelope.ParseAddress(name); err == nil && addr.Key() == t.Alias.Key() {
				return reply.New(554, "5.4.6", "mail-loop", fmt.Sprintf("This message was forwarded by <%s> before: it goes round in circles", t.Alias))
			}
		}
	}
	return nil
}

// keepTrace hands the trace's entries from n on to the store.
func keepTrace(s *store.Store, name envelope.ID, trace *maillog.Trace, n int) error {
	id, err := store.ParseID(string(name))
	if err != nil {
		return reply.LocalError.Because(err)
	}
	s.AppendTrace(id, annex(trace.Entries()[n:]))
	return nil
}
