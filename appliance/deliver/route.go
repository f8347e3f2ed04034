package deliver

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"hauspost/appliance/envelope"
	"hauspost/appliance/maillog"
	"hauspost/appliance/queue"
	"hauspost/appliance/reply"
	"hauspost/store"
)

// placement is one mailbox with the recipient that leads to it.
type placement struct {
	place     store.Place
	recipient envelope.Recipient
	target    envelope.Target
}

// routes is where a message goes: mailboxes here, recipients elsewhere.
type routes struct {
	placements []placement
	items      []queue.Item
	// vias are the names of what led out of the house, one for each item.
	vias []string
	// remotes are the keys of the addresses elsewhere.
	remotes map[string]bool
}

// quarantine is the mailbox for what a filter wants kept away.
const quarantine = "Quarantine"

// local adds the targets of a recipient here. A person who is behind several
// recipients gets the message once.
func (r *routes) local(rcpt envelope.Recipient, t envelope.Target, v envelope.Verdict) {
	if slices.ContainsFunc(r.placements, func(p placement) bool { return p.target.Account == t.Account }) {
		return
	}
	mailbox := v.Mailbox
	if mailbox == "" {
		mailbox = "INBOX"
	}
	if v.Action == envelope.Quarantine {
		mailbox = quarantine
	}
	r.placements = append(r.placements, placement{
		// Everybody has an INBOX: one without is an account that went
		// away meanwhile, and must not come back by a delivery.
		place:     store.Place{Owner: t.Account, Mailbox: mailbox, Create: mailbox != "INBOX"},
		recipient: rcpt, target: t,
	})
}

// remote adds a recipient elsewhere, once.
func (r *routes) remote(item queue.Item, via string) {
	key := item.Recipient.Address.Key()
	if r.remotes[key] {
		return
	}
	if r.remotes == nil {
		r.remotes = map[string]bool{}
	}
	r.remotes[key] = true
	r.items, r.vias = append(r.items, item), append(r.vias, via)
}

// commit makes a message durable in all the places of its routes.
type commit struct {
	store *store.Store
	env   *envelope.Envelope
	trace *maillog.Trace
	wake  func([]store.Queued)
	// with is done in the same commit; any of it may be nil.
	with []func(tx *store.Tx) error
}

// also is all of with as one, nil where there is nothing to do.
func (c *commit) also() func(tx *store.Tx) error {
	todo := slices.DeleteFunc(slices.Clone(c.with), func(f func(*store.Tx) error) bool { return f == nil })
	if len(todo) == 0 {
		return nil
	}
	return func(tx *store.Tx) error {
		for _, f := range todo {
			if err := f(tx); err != nil {
				return err
			}
		}
		return nil
	}
}

func (c *commit) run(ctx context.Context, content *store.Staged, prefix []byte, r *routes) error {
	if len(r.placements)+len(r.items) == 0 {
		return c.discard(ctx)
	}
	id, err := store.ParseID(string(c.env.ID))
	if err != nil {
		return reply.LocalError.Because(err)
	}
	d := store.Delivery{ID: id, Prefix: prefix, Annex: annex(c.trace.Entries()), With: c.also()}
	for _, p := range r.placements {
		d.Places = append(d.Places, p.place)
	}
	for i := range r.items {
		row, err := queue.Row(&r.items[i])
		if err != nil {
			return reply.LocalError.Because(err)
		}
		d.Queue = append(d.Queue, row)
	}
	placed, err := c.store.Deliver(ctx, content, d)
	if errors.Is(err, store.ErrNotFound) {
		return recipientChanged.Because(err)
	}
	if errors.Is(err, store.ErrTooLarge) {
		return tooManyRecipients.Because(err)
	}
	if err != nil {
		return reply.StorageError.Because(err)
	}
	if len(d.Queue) > 0 {
		c.wake(d.Queue)
	}
	before := len(c.trace.Entries())
	for i, at := range placed {
		p := &r.placements[i]
		c.trace.Add(maillog.Stored{
			Recipient: p.recipient.Address.String(), Account: p.target.Address.String(),
			Mailbox: at.Mailbox, UID: at.UID, Via: p.target.Via,
		})
	}
	for i, q := range d.Queue {
		if q.Destination == queue.SentDestination {
			continue
		}
		ev := maillog.Queued{Recipient: q.Recipient, Destination: q.Destination, Number: q.ID}
		if i < len(r.vias) {
			ev.Via = r.vias[i]
		}
		c.trace.Add(ev)
	}
	return keepTrace(c.store, c.env.ID, c.trace, before)
}

// discard does the rest of a commit whose message a filter threw away.
func (c *commit) discard(ctx context.Context) error {
	if with := c.also(); with != nil {
		if err := c.store.Update(ctx, with); err != nil {
			return reply.StorageError.Because(err)
		}
	}
	return keepTrace(c.store, c.env.ID, c.trace, 0)
}

// recipientChanged: a recipient was there at RCPT and is not there any more.
// Asked again, the client is told for good.
var recipientChanged = reply.New(451, "4.2.1", "recipient-changed", "A recipient changed while this message came in, please try again")

// tooManyRecipients: they would not fit into one commit, however often they are
// tried. There are some thousands, mostly by large aliases.
var tooManyRecipients = reply.New(554, "5.5.3", "too-many-recipients", "This message would go to too many people at once, please send it to fewer")

// route resolves the recipients of a submitted message. Mail for people here
// takes the path of mail from outside: the filters of what arrives look at it.
func (m *Submission) route(ctx context.Context, v envelope.Verdict) (*routes, error) {
	r, out := &routes{}, m.out
	arrival := sync.OnceValues(func() (envelope.Verdict, error) { return m.arrive(ctx, v) })
	for _, rcpt := range m.env.To {
		targets, err := out.o.Directory.Resolve(ctx, rcpt.Address)
		if err != nil && reply.Of(err).Name != reply.RelayDenied.Name {
			return nil, recipientChanged.Because(fmt.Errorf("recipient <%s>: %w", rcpt.Address, err))
		}
		if err != nil {
			r.remote(out.item(m.env, rcpt, v), "")
			continue
		}
		for _, t := range targets {
			if t.Account == "" {
				// The author is one of ours: that it went through an alias does
				// not change who answers for it.
				item := out.item(m.env, envelope.Recipient{Address: t.Address, Notify: rcpt.Notify, ORcpt: rcpt.ORcpt}, v)
				item.Header = deliveredTo(t.Alias)
				r.remote(item, t.Via)
				continue
			}
			arrived, err := arrival()
			if err != nil {
				return nil, err
			}
			if arrived.Action != envelope.Discard {
				r.local(rcpt, t, arrived)
			}
		}
	}
	return r, nil
}

// arrive asks the filters of what arrives. What those of what leaves want kept
// away is kept away here too. Without filters there is nothing to ask twice.
func (m *Submission) arrive(ctx context.Context, leaving envelope.Verdict) (envelope.Verdict, error) {
	o := &m.out.o
	if o.Scanner.Filters(false) == 0 {
		return leaving, nil
	}
	f := filters{o.Scanner, o.Policy, o.Now, m.trace}
	seen, err := f.ask(ctx, messageOf(m.env, m.content))
	if err != nil {
		return envelope.Verdict{}, err
	}
	m.with = append(m.with, seen.with)
	v := seen.verdict
	if v.Action == envelope.Keep && leaving.Action == envelope.Quarantine {
		v.Action = envelope.Quarantine
	}
	return v, nil
}

func (out *Outbound) item(env *envelope.Envelope, rcpt envelope.Recipient, v envelope.Verdict) queue.Item {
	item := newItem(queue.KindSubmission, env, rcpt, v)
	item.Added, item.Due = out.o.Now(), out.o.Now()
	return item
}

// newItem makes the part of an item that both paths share. What a filter wants
// kept away is held for the owner to look at.
func newItem(kind string, env *envelope.Envelope, rcpt envelope.Recipient, v envelope.Verdict) queue.Item {
	item := queue.Item{
		Kind: kind, Destination: rcpt.Address.Domain, Sender: env.From, Recipient: rcpt,
		EnvID: env.EnvID, Ret: env.Ret, Body: env.Body, SMTPUTF8: env.SMTPUTF8, RequireTLS: env.RequireTLS,
	}
	if v.Action == envelope.Quarantine {
		item.State = queue.Held
	}
	return item
}

// deliveredTo is the field by which the box knows a message that it sent out
// itself before.
func deliveredTo(alias envelope.Address) string {
	return "Delivered-To: " + clean(alias.String()) + "\r\n"
}
