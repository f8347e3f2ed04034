package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
)

// A group is what one commit makes durable: the ops of all requests that
// waited together. It reads what was committed before it and what it changed
// itself.
type group struct {
	s   *Store
	ctx context.Context
	seq uint64
	ops []*op
	// body is the ops as the redo log will hold them.
	body encoder
	// boxes are copies of the mailboxes that this group changed; a nil entry is
	// one that it dropped. names likewise, with 0 for a name that is gone.
	boxes map[int64]*Mailbox
	names map[nameKey]int64
	subs  map[nameKey]bool
	// touched are mailboxes whose messages changed otherwise than by new ones:
	// what memory says of them is no longer true within this group.
	touched map[int64]bool
	live    []liveChange
	// dirty: the transaction has changes that no op tells of.
	dirty bool

	nextMailbox, nextMsg, nextQueued int64
	lastValidity                     uint32
	// dequeued: rows of the queue went, so that the counters must be written
	// and references taken back.
	dequeued bool
}

type nameKey struct{ owner, name string }

type liveChange struct {
	mailbox int64
	added   []Entry
	changed []Entry
	gone    []uint32
	dropped bool
}

const subscriptionKind = "subscription"

func (s *Store) newGroup(ctx context.Context) *group {
	return &group{
		s: s, ctx: ctx, seq: s.seq + 1,
		boxes: map[int64]*Mailbox{}, names: map[nameKey]int64{}, subs: map[nameKey]bool{}, touched: map[int64]bool{},
		nextMailbox: s.nextMailbox, nextMsg: s.committedMsg, nextQueued: s.nextQueued, lastValidity: s.lastValidity,
	}
}

// box gives this group's own copy of a mailbox.
func (g *group) box(id int64) (*Mailbox, error) {
	if b, ok := g.boxes[id]; ok {
		if b == nil {
			return nil, ErrNotFound
		}
		return b, nil
	}
	g.s.mu.RLock()
	b, ok := g.s.boxes[id]
	g.s.mu.RUnlock()
	if !ok {
		return nil, ErrNotFound
	}
	c := *b
	g.boxes[id] = &c
	return &c, nil
}

// named finds a mailbox by name.
func (g *group) named(owner, name string) (*Mailbox, error) {
	k := nameKey{owner, name}
	id, ok := g.names[k]
	if !ok {
		g.s.mu.RLock()
		id = g.s.names[k]
		g.s.mu.RUnlock()
	}
	if id == 0 {
		return nil, ErrNotFound
	}
	return g.box(id)
}

// boxesOf lists the names of an owner's mailboxes as this group sees them.
func (g *group) boxesOf(owner string) []string {
	var names []string
	g.s.mu.RLock()
	for k := range g.s.names {
		if _, ok := g.names[k]; k.owner == owner && !ok {
			names = append(names, k.name)
		}
	}
	g.s.mu.RUnlock()
	for k, id := range g.names {
		if k.owner == owner && id != 0 {
			names = append(names, k.name)
		}
	}
	return names
}

func (g *group) change(mailbox int64) *liveChange {
	for i := range g.live {
		if g.live[i].mailbox == mailbox {
			return &g.live[i]
		}
	}
	g.live = append(g.live, liveChange{mailbox: mailbox})
	return &g.live[len(g.live)-1]
}

// emit applies an op and keeps it for the log.
func (g *group) emit(o *op) error {
	g.ops = append(g.ops, o)
	o.encode(&g.body, true)
	return g.apply(o)
}

// apply carries out one op in the transaction and in the group's copies. It is
// the only place where ops become rows, now and after a crash.
func (g *group) apply(o *op) error {
	st := g.s.stmts
	switch o.kind {
	case opDocPut:
		if o.kindName == subscriptionKind {
			g.subs[splitName(o.key)] = true
		}
		return g.exec(st.docPut, o.kindName, o.key, o.value)
	case opDocDelete:
		if o.kindName == subscriptionKind {
			g.subs[splitName(o.key)] = false
		}
		return g.exec(st.docDelete, o.kindName, o.key)
	case opMessage:
		return g.applyMessage(o)
	case opPlace:
		return g.applyPlace(o)
	case opFlags:
		return g.applyFlags(o)
	case opExpunge:
		g.touched[o.mailbox] = true
		for i := 0; i+1 < len(o.uids); i += 2 {
			if err := g.exec(st.bury, g.seq, o.mailbox, o.uids[i], o.uids[i+1]); err != nil {
				return err
			}
			if err := g.exec(st.remove, o.mailbox, o.uids[i], o.uids[i+1]); err != nil {
				return err
			}
		}
		return g.bump(o.mailbox)
	case opQueuePut:
		g.nextQueued = max(g.nextQueued, o.queued.ID+1)
		q := o.queued
		return g.exec(st.queuePut, q.ID, q.Msg, q.File[:], q.Size, q.State, q.Due, q.Added, q.Destination, q.Sender, q.Recipient, q.Note, nonNil(q.Value))
	case opQueueDelete:
		g.dequeued = true
		if err := g.exec(st.queueBury, o.mailbox); err != nil {
			return err
		}
		return g.exec(st.queueRemove, o.mailbox)
	case opQueueCounter:
		g.nextQueued = max(g.nextQueued, o.mailbox)
		return nil
	case opKeyPut, opKeyDelete, opKeyDrop, opKeyPrune:
		return g.applyKeys(o)
	case opCounters:
		g.nextMailbox = max(g.nextMailbox, o.mailbox)
		g.nextMsg = max(g.nextMsg, o.msg)
		g.lastValidity = max(g.lastValidity, o.validity)
		return nil
	default:
		return g.applyMailbox(o)
	}
}

func (g *group) applyMailbox(o *op) error {
	if o.kind == opMailboxCreate {
		g.boxes[o.mailbox] = &Mailbox{
			ID: o.mailbox, Owner: o.owner, Name: o.name, SpecialUse: o.key,
			UIDValidity: o.validity, UIDNext: 1, HighestModSeq: g.seq,
		}
		g.names[nameKey{o.owner, o.name}] = o.mailbox
		g.nextMailbox = max(g.nextMailbox, o.mailbox+1)
		g.lastValidity = max(g.lastValidity, o.validity)
		return nil
	}
	b, err := g.box(o.mailbox)
	if err != nil {
		return fmt.Errorf("mailbox %d: %w", o.mailbox, err)
	}
	switch o.kind {
	case opMailboxName:
		if g.names[nameKey{b.Owner, b.Name}] == b.ID || !g.has(nameKey{b.Owner, b.Name}) {
			g.names[nameKey{b.Owner, b.Name}] = 0
		}
		b.Name = o.name
		g.names[nameKey{b.Owner, b.Name}] = b.ID
	case opMailboxDrop:
		g.touched[o.mailbox] = true
		g.names[nameKey{b.Owner, b.Name}] = 0
		g.boxes[o.mailbox] = nil
		g.change(o.mailbox).dropped = true
		// The row stays, marked dead, until the reaper has emptied it.
		return g.writeBox(b, true)
	case opMailboxNoSelect:
		b.NoSelect = o.noselect
	case opMailboxKeywords:
		b.Keywords = nil
		if err := json.Unmarshal(o.value, &b.Keywords); err != nil {
			return fmt.Errorf("keywords of mailbox %d: %w", o.mailbox, err)
		}
	case opMailboxState:
		b.UIDNext, b.HighestModSeq = o.uid, o.modseq
	default:
		return fmt.Errorf("%w: kind %d", errDamagedOp, o.kind)
	}
	return nil
}

func (g *group) has(k nameKey) bool {
	_, ok := g.names[k]
	return ok
}

func (g *group) applyMessage(o *op) error {
	d := o.derived
	if d == nil {
		again, _, err := g.s.deriveFromFile(o.msg, o.id)
		if errors.Is(err, os.ErrNotExist) || errors.Is(err, errDamagedFile) {
			// Expunged and removed since, or for "store verify" to report: one
			// file must not keep the box from starting.
			g.s.log.Warn("a message file could not be read again", "id", o.id.String(), "error", err)
		} else if err != nil {
			return fmt.Errorf("message %s: %w", o.id, err)
		}
		d = &again
	}
	g.nextMsg = max(g.nextMsg, o.msg+1)
	return g.exec(g.s.stmts.message, o.msg, o.id[:], o.rawSize, o.size, o.sum[:], o.refs,
		packForms(d), nonNil(d.Structure), nonNil(d.Envelope))
}

func nonNil(b []byte) []byte {
	if b == nil {
		return []byte{}
	}
	return b
}

func (g *group) applyPlace(o *op) error {
	b, err := g.box(o.mailbox)
	if err != nil {
		return fmt.Errorf("mailbox %d: %w", o.mailbox, err)
	}
	modseq := g.seq
	if o.modseq != 0 {
		modseq = o.modseq
	}
	if o.copied {
		if err := g.exec(g.s.stmts.refs, o.msg); err != nil {
			return err
		}
	}
	if err := g.exec(g.s.stmts.place, o.mailbox, o.uid, o.msg, o.id[:], int64(o.flags), modseq, o.size, o.internal, o.zone, o.saved); err != nil {
		return err
	}
	e := Entry{UID: o.uid, Flags: o.flags, ModSeq: modseq, Msg: o.msg, ID: o.id,
		Size: uint32(o.size), Internal: o.internal, Saved: o.saved, Zone: o.zone}
	b.UIDNext = max(b.UIDNext, o.uid+1)
	b.HighestModSeq = max(b.HighestModSeq, modseq)
	b.count(e, 1)
	c := g.change(o.mailbox)
	c.added = append(c.added, e)
	return nil
}

// count adds (n = 1) or removes (n = -1) a message in the counters.
func (m *Mailbox) count(e Entry, n int) {
	m.Messages = uint32(int(m.Messages) + n)
	if e.Flags&Seen == 0 {
		m.Unseen = uint32(int(m.Unseen) + n)
	}
	if e.Flags&Deleted != 0 {
		m.MarkedDeleted = uint32(int(m.MarkedDeleted) + n)
	}
	m.Size += int64(n) * int64(e.Size)
}

func (g *group) applyFlags(o *op) error {
	g.touched[o.mailbox] = true
	stmt := g.s.stmts.flagsAdd
	switch o.flagOp {
	case FlagsRemove:
		stmt = g.s.stmts.flagsRemove
	case FlagsReplace:
		stmt = g.s.stmts.flagsReplace
	}
	for i := 0; i+1 < len(o.uids); i += 2 {
		if err := g.exec(stmt, int64(o.flags), g.seq, o.mailbox, o.uids[i], o.uids[i+1]); err != nil {
			return err
		}
	}
	return g.bump(o.mailbox)
}

func (g *group) bump(mailbox int64) error {
	b, err := g.box(mailbox)
	if err != nil {
		return fmt.Errorf("mailbox %d: %w", mailbox, err)
	}
	b.HighestModSeq = g.seq
	return nil
}

// unlogged runs a change of rows that needs no op, because after a crash it is
// found necessary and done again.
func (g *group) unlogged(fn func() error) error {
	g.dirty = true
	return fn()
}

// finish writes the changed mailboxes and the counters. Most commits change a
// mailbox, whose mod-sequence is then the sequence number: loadState takes it
// from there, and the row of the counters is not written each time.
func (g *group) finish() error {
	told := g.nextMailbox == g.s.nextMailbox && g.lastValidity == g.s.lastValidity && !g.dequeued
	inBox := false
	for _, b := range g.boxes {
		if b == nil {
			continue
		}
		inBox = inBox || b.HighestModSeq == g.seq
		if err := g.writeBox(b, false); err != nil {
			return err
		}
	}
	if told && inBox {
		return nil
	}
	return g.exec(g.s.stmts.state, g.seq, g.nextMailbox, g.nextMsg, g.lastValidity, g.nextQueued)
}

func (g *group) writeBox(b *Mailbox, dead bool) error {
	return g.exec(g.s.stmts.box, b.ID, b.Owner, b.Name, b.UIDValidity, b.UIDNext, b.HighestModSeq, b.NoSelect,
		b.SpecialUse, strings.Join(b.Keywords, " "), b.Messages, b.Unseen, b.MarkedDeleted, b.Size, dead)
}

func (g *group) exec(st *sql.Stmt, args ...any) error {
	if _, err := st.ExecContext(g.ctx, args...); err != nil {
		return &indexError{full(err)}
	}
	return nil
}

// indexError is what SQLite said to a change: a full or broken disk, not a
// wrong request.
type indexError struct{ err error }

func (e *indexError) Error() string { return "writing to the index: " + e.err.Error() }
func (e *indexError) Unwrap() error { return e.err }

func (g *group) doc(kind, key string) ([]byte, error) {
	var v []byte
	err := g.s.stmts.docGet.QueryRowContext(g.ctx, kind, key).Scan(&v)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, fmt.Errorf("%s %q: %w", kind, key, ErrNotFound)
	}
	return v, err
}

func splitName(key string) nameKey {
	owner, name, _ := strings.Cut(key, "\x00")
	return nameKey{owner, name}
}
