package deliver

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

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
	// junk: it is the mailbox for junk, whatever that is called.
	junk bool
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

// The mailboxes that the box files into by itself. quarantine is for what a
// filter wants kept away; junk is the name of the one with the special use
// \Junk where a person has none.
const (
	inbox      = "INBOX"
	quarantine = "Quarantine"
	junk       = "Junk"
)

// local adds the targets of a recipient here. A person who is behind several
// recipients gets the message once.
func (r *routes) local(rcpt envelope.Recipient, t envelope.Target, d envelope.Disposition) {
	if slices.ContainsFunc(r.placements, func(p placement) bool { return p.target.Account == t.Account }) {
		return
	}
	p := placement{recipient: rcpt, target: t, place: store.Place{Owner: t.Account, Mailbox: inbox, Flags: d.Tags}}
	switch {
	case d.Action == envelope.Quarantine:
		p.place.Mailbox = quarantine
	case d.Junk || strings.EqualFold(d.Mailbox, junk):
		p.place.Mailbox, p.junk = junk, true
	case d.Mailbox != "":
		p.place.Mailbox = d.Mailbox
	}
	// Everybody has an INBOX: one without is an account that went away
	// meanwhile, and must not come back by a delivery.
	p.place.Create = p.place.Mailbox != inbox
	r.placements = append(r.placements, p)
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
	told  func(Delivered)
	// verdict is what told is told.
	verdict *envelope.Verdict
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
	for i := range r.placements {
		if err := c.prepare(ctx, &r.placements[i]); err != nil {
			return err
		}
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
	err = keepTrace(c.store, c.env.ID, c.trace, before)
	if c.told != nil && len(placed) > 0 {
		c.told(c.delivered(id, content.Size()+int64(len(prefix)), r, placed))
	}
	return err
}

// maxMailboxes is how many mailboxes a person may have before filters make no
// more: one that files by what strangers write would make any number.
const maxMailboxes = 500

// prepare finds or makes the mailbox for junk, and leaves out mailboxes and tags
// for which there is no room: the message is worth more. Most messages need
// neither.
// Its errors are *reply.Reply.
func (c *commit) prepare(ctx context.Context, p *placement) error {
	if !p.place.Create && len(p.place.Flags) == 0 {
		return nil
	}
	boxes, err := c.store.Mailboxes(ctx, p.place.Owner)
	if err == nil && len(boxes) == 0 {
		// Nobody comes back by a delivery.
		return recipientChanged.Because(fmt.Errorf("account %s has no mailboxes", p.place.Owner))
	}
	if err == nil && p.junk {
		p.place.Mailbox, err = c.junkMailbox(ctx, p.place.Owner, boxes)
	}
	if err != nil {
		return reply.StorageError.Because(err)
	}
	there := func() int {
		return slices.IndexFunc(boxes, func(b store.Mailbox) bool { return b.Name == p.place.Mailbox })
	}
	if there() < 0 && len(boxes) >= maxMailboxes && !p.junk && p.place.Mailbox != quarantine {
		c.trace.Add(maillog.Waived{Kind: envelope.EffectFileInto, Argument: p.place.Mailbox, Recipient: p.recipient.Address.String(),
			Why: fmt.Sprintf("it is not there, and no filter makes more than %d mailboxes for one person", maxMailboxes)})
		p.place.Mailbox, p.place.Create = inbox, false
	}
	var keywords []string
	if i := there(); i >= 0 {
		keywords = slices.Clone(boxes[i].Keywords)
		p.junk = p.junk || boxes[i].SpecialUse == `\Junk`
	}
	var flags []string
	for _, tag := range p.place.Flags {
		known := slices.ContainsFunc(keywords, func(k string) bool { return strings.EqualFold(k, tag) })
		if !known && len(keywords) >= store.MaxKeywords {
			c.trace.Add(maillog.Waived{Kind: envelope.EffectTag, Argument: tag, Recipient: p.recipient.Address.String(),
				Why: "the mailbox " + p.place.Mailbox + " has as many different tags as it can"})
			continue
		}
		if !known {
			keywords = append(keywords, tag)
		}
		flags = append(flags, tag)
	}
	p.place.Flags = flags
	return nil
}

// junkMailbox gives the name of an owner's mailbox for junk. It is made with its
// special use, so that mail programs know it.
func (c *commit) junkMailbox(ctx context.Context, owner string, boxes []store.Mailbox) (string, error) {
	for _, b := range boxes {
		if b.SpecialUse == `\Junk` && !b.NoSelect {
			return b.Name, nil
		}
	}
	_, err := c.store.CreateMailbox(ctx, owner, junk, `\Junk`)
	if err != nil && !errors.Is(err, store.ErrExists) {
		return "", err
	}
	return junk, nil
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

// newItem makes the part of an item that both paths share. What a filter wants
// kept away is held for the owner to look at.
func newItem(kind string, env *envelope.Envelope, rcpt envelope.Recipient, v *envelope.Verdict, own envelope.Disposition) queue.Item {
	item := queue.Item{
		Kind: kind, Destination: rcpt.Address.Domain, Sender: env.From, Recipient: rcpt,
		EnvID: env.EnvID, Ret: env.Ret, Body: env.Body, SMTPUTF8: env.SMTPUTF8, RequireTLS: env.RequireTLS || v.RequireTLS,
	}
	if own.Action == envelope.Quarantine {
		item.State = queue.Held
	}
	return item
}

// deliveredTo is the field by which the box knows a message that it sent out
// itself before.
func deliveredTo(alias envelope.Address) string {
	return "Delivered-To: " + clean(alias.String()) + "\r\n"
}
