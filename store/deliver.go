package store

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Deliver makes staged content durable in all places of d or in none. When it
// returns nil the message survives a crash and every session can see it. After
// an error nothing of it is kept. ErrNotFound for a missing mailbox that is not
// to be made, ErrTooManyKeywords.
func (s *Store) Deliver(ctx context.Context, st *Staged, d Delivery) ([]Placed, error) {
	if st.done {
		return nil, errStagedTwice
	}
	defer st.Discard()
	if len(d.Prefix) > maxPrefix || len(d.Annex) > maxAnnex {
		return nil, fmt.Errorf("delivering %s: prefix of %d or annex of %d octets is too large", d.ID, len(d.Prefix), len(d.Annex))
	}
	if len(d.Places)+len(d.Queue) == 0 {
		return nil, fmt.Errorf("delivering %s: no place to put it", d.ID)
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if err := s.reserve(st.size); err != nil {
		return nil, s.noteFault(fmt.Errorf("delivering %s: %w", d.ID, err))
	}
	msg := s.nextMsg.Add(1) - 1
	o, err := st.finish(msg, &d)
	if err != nil {
		s.fs.Remove(s.path(msg, d.ID))
		return nil, s.noteFault(fmt.Errorf("writing the message file of %s: %w", d.ID, err))
	}
	o.refs = int64(len(d.Places) + len(d.Queue))
	st.Discard()

	var placed []Placed
	err = s.submit(&request{bytes: len(o.image), fn: func(g *group) error {
		placed = make([]Placed, 0, len(d.Places))
		boxes := make([]*Mailbox, len(d.Places))
		for i, p := range d.Places {
			if boxes[i], err = g.placeBox(p); err != nil {
				return err
			}
		}
		if err := g.emit(o); err != nil {
			return err
		}
		for i, p := range d.Places {
			done, err := g.place(boxes[i], o, p)
			if err != nil {
				return err
			}
			placed = append(placed, done)
		}
		for i := range d.Queue {
			if err := g.enqueue(o, &d.Queue[i]); err != nil {
				return err
			}
		}
		if d.With != nil {
			return d.With(&Tx{g})
		}
		return nil
	}})
	if err != nil {
		s.fs.Remove(s.path(msg, d.ID))
		return nil, err
	}
	if len(d.Annex) > 0 {
		s.AppendTrace(d.ID, d.Annex)
	}
	return placed, nil
}

// placeBox finds or makes the mailbox of a place. One of which only the name is
// left becomes a mailbox again where it may be made.
func (g *group) placeBox(p Place) (*Mailbox, error) {
	b, err := g.named(p.Owner, p.Mailbox)
	if err == nil && !b.NoSelect {
		return b, nil
	}
	if err == nil && !p.Create {
		return nil, fmt.Errorf("mailbox %q: %w", p.Mailbox, ErrNotAllowed)
	}
	if !p.Create {
		return nil, fmt.Errorf("mailbox %q: %w", p.Mailbox, ErrNotFound)
	}
	return g.createMailbox(p.Owner, p.Mailbox, "")
}

func (g *group) place(b *Mailbox, o *op, p Place) (Placed, error) {
	flags, err := g.flagBits(b, p.Flags)
	if err != nil {
		return Placed{}, err
	}
	now := g.s.now()
	at := p.Internal
	if at.IsZero() {
		at = now
	}
	_, offset := at.Zone()
	uid := b.UIDNext
	err = g.emit(&op{kind: opPlace, mailbox: b.ID, uid: uid, msg: o.msg, id: o.id, flags: flags, size: o.size,
		internal: at.Unix(), saved: now.Unix(), zone: int16(offset / 60), copied: o.copied})
	return Placed{Owner: b.Owner, Mailbox: b.Name, MailboxID: b.ID, UIDValidity: b.UIDValidity, UID: uid, ModSeq: g.seq, Msg: o.msg}, err
}

// systemFlags are the flags of RFC 9051 with their bits, in canonical case.
var systemFlags = []struct {
	name string
	bit  Flags
}{{`\Answered`, Answered}, {`\Flagged`, Flagged}, {`\Deleted`, Deleted}, {`\Seen`, Seen}, {`\Draft`, Draft}}

// flagBits turns names into bits, adding unknown keywords to the mailbox.
func (g *group) flagBits(b *Mailbox, names []string) (Flags, error) {
	var bits Flags
	keywords := b.Keywords
next:
	for _, name := range names {
		for _, f := range systemFlags {
			if strings.EqualFold(f.name, name) {
				bits |= f.bit
				continue next
			}
		}
		i := slices.IndexFunc(keywords, func(k string) bool { return strings.EqualFold(k, name) })
		if i < 0 {
			if len(keywords) >= MaxKeywords {
				return 0, ErrTooManyKeywords
			}
			keywords = append(slices.Clip(keywords), name)
			i = len(keywords) - 1
		}
		bits |= 1 << (8 + i)
	}
	if len(keywords) == len(b.Keywords) {
		return bits, nil
	}
	value, err := json.Marshal(keywords)
	if err != nil {
		return 0, err
	}
	return bits, g.emit(&op{kind: opMailboxKeywords, mailbox: b.ID, value: value})
}

// FlagNames spells flags out, system flags first.
func (m *Mailbox) FlagNames(f Flags) []string {
	var names []string
	for _, sf := range systemFlags {
		if f&sf.bit != 0 {
			names = append(names, sf.name)
		}
	}
	for i, k := range m.Keywords {
		if f&(1<<(8+i)) != 0 {
			names = append(names, k)
		}
	}
	return names
}

// validity gives a UIDVALIDITY that no mailbox of this store ever had.
func (g *group) validity() uint32 {
	return max(g.lastValidity+1, uint32(g.s.now().Unix()-validityEpoch))
}

// validityEpoch keeps UIDVALIDITY below 2^31 for clients that take it as signed.
var validityEpoch = time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC).Unix()
