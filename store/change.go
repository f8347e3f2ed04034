package store

import (
	"context"
	"fmt"
	"slices"
)

// withLive runs a request that reads a mailbox's messages in memory.
func (s *Store) withLive(ctx context.Context, mailbox int64, fn func(g *group, l *live) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	l, err := s.live(ctx, mailbox)
	if err != nil {
		return err
	}
	defer s.releaseLive(l)
	// Only the writer changes entries, and fn runs in the writer: no lock.
	return s.submit(&request{touches: []int64{mailbox}, fn: func(g *group) error { return fn(g, l) }})
}

// SetFlags changes flags of the messages with the given UIDs (ascending;
// missing ones are ignored). unchangedSince 0 means no condition (RFC 7162).
// Unknown keywords are added to the mailbox. ErrTooManyKeywords.
func (s *Store) SetFlags(ctx context.Context, mailbox int64, uids []uint32, how FlagOp, flags []string, unchangedSince uint64) (FlagResult, error) {
	var res FlagResult
	err := s.withLive(ctx, mailbox, func(g *group, l *live) error {
		res = FlagResult{}
		b, err := g.box(mailbox)
		if err != nil {
			return err
		}
		bits, err := g.flagBits(b, flags)
		if err != nil {
			return err
		}
		var run ranges
		changed, prev := 0, -2
		res.Changed = make([]Entry, 0, len(uids))
		l.each(uids, func(i int) {
			e := l.entries[i]
			if unchangedSince != 0 && e.ModSeq > unchangedSince {
				res.Modified = append(res.Modified, e.UID)
				return
			}
			if after := how.apply(e.Flags, bits); after != e.Flags {
				b.count(e, -1)
				e.Flags, e.ModSeq = after, g.seq
				b.count(e, 1)
				changed++
				if i == prev+1 {
					run[len(run)-1] = e.UID
				} else {
					run = append(run, e.UID, e.UID)
				}
				prev = i
			}
			res.Changed = append(res.Changed, e)
		})
		if changed == 0 {
			return nil
		}
		c := g.change(mailbox)
		if changed == len(res.Changed) && c.changed == nil {
			c.changed = slices.Clip(res.Changed) // neither is written to again
		} else {
			for _, e := range res.Changed {
				if e.ModSeq == g.seq {
					c.changed = append(c.changed, e)
				}
			}
		}
		return g.emit(&op{kind: opFlags, mailbox: mailbox, flagOp: how, flags: bits, uids: run})
	})
	return res, err
}

func (how FlagOp) apply(f, bits Flags) Flags {
	switch how {
	case FlagsAdd:
		return f | bits
	case FlagsRemove:
		return f &^ bits
	default:
		return bits
	}
}

// Expunge removes messages that are marked \Deleted: among uids, or all if
// uids is nil. It returns the UIDs removed. Their files go later.
func (s *Store) Expunge(ctx context.Context, mailbox int64, uids []uint32) ([]uint32, error) {
	var gone []uint32
	err := s.withLive(ctx, mailbox, func(g *group, l *live) error {
		candidates := l.entries
		if uids != nil {
			candidates = l.lookup(make([]Entry, 0, len(uids)), uids)
		}
		var removed []Entry
		for _, e := range candidates {
			if e.UID != 0 && e.Flags&Deleted != 0 {
				removed = append(removed, e)
			}
		}
		var err error
		gone, err = g.expunge(mailbox, l, removed)
		return err
	})
	return gone, err
}

// expunge takes entries (ascending) out of a mailbox.
func (g *group) expunge(mailbox int64, l *live, removed []Entry) ([]uint32, error) {
	if len(removed) == 0 {
		return nil, nil
	}
	b, err := g.box(mailbox)
	if err != nil {
		return nil, err
	}
	var run ranges
	gone := make([]uint32, 0, len(removed))
	at := -2
	for _, e := range removed {
		i := l.find(e.UID)
		if i == at+1 {
			run[len(run)-1] = e.UID
		} else {
			run = append(run, e.UID, e.UID)
		}
		at = i
		gone = append(gone, e.UID)
		b.count(e, -1)
	}
	c := g.change(mailbox)
	c.gone = append(c.gone, gone...)
	return gone, g.emit(&op{kind: opExpunge, mailbox: mailbox, uids: run})
}

// Copy copies messages with their flags and dates into dest. ErrNotFound if
// dest is not there.
func (s *Store) Copy(ctx context.Context, mailbox int64, uids []uint32, owner, dest string) (CopyResult, error) {
	return s.copy(ctx, mailbox, uids, owner, dest, false)
}

// Move is Copy and removal in one step (RFC 6851).
func (s *Store) Move(ctx context.Context, mailbox int64, uids []uint32, owner, dest string) (CopyResult, error) {
	return s.copy(ctx, mailbox, uids, owner, dest, true)
}

// copyBatch is how many messages one commit copies: a record of the redo log
// has to hold them.
const copyBatch = 10_000

// copy works in batches. When one fails, what was copied before it stays.
func (s *Store) copy(ctx context.Context, mailbox int64, uids []uint32, owner, dest string, move bool) (CopyResult, error) {
	res, err := s.copySome(ctx, mailbox, uids[:min(len(uids), copyBatch)], owner, dest, move)
	for n := copyBatch; n < len(uids) && err == nil; n += copyBatch {
		var more CopyResult
		more, err = s.copySome(ctx, mailbox, uids[n:min(len(uids), n+copyBatch)], owner, dest, move)
		res.Source, res.Dest = append(res.Source, more.Source...), append(res.Dest, more.Dest...)
	}
	return res, err
}

func (s *Store) copySome(ctx context.Context, mailbox int64, uids []uint32, owner, dest string, move bool) (CopyResult, error) {
	var res CopyResult
	err := s.withLive(ctx, mailbox, func(g *group, l *live) error {
		res = CopyResult{}
		to, err := g.named(owner, dest)
		if err != nil {
			return fmt.Errorf("mailbox %q: %w", dest, err)
		}
		if to.NoSelect {
			return fmt.Errorf("mailbox %q: %w", dest, ErrNotAllowed)
		}
		from, err := g.box(mailbox)
		if err != nil {
			return err
		}
		res.UIDValidity = to.UIDValidity
		var moved []Entry
		saved := s.now().Unix()
		mapped := map[Flags]Flags{}
		for _, e := range l.lookup(make([]Entry, 0, len(uids)), uids) {
			if e.UID == 0 {
				continue
			}
			flags, ok := mapped[e.Flags]
			if !ok {
				if flags, err = g.flagBits(to, from.FlagNames(e.Flags)); err != nil {
					return err
				}
				mapped[e.Flags] = flags
			}
			uid := to.UIDNext
			if err := g.emit(&op{kind: opPlace, mailbox: to.ID, uid: uid, msg: e.Msg, id: e.ID, flags: flags, size: int64(e.Size),
				internal: e.Internal, saved: saved, zone: e.Zone, copied: true}); err != nil {
				return err
			}
			res.Source, res.Dest = append(res.Source, e.UID), append(res.Dest, uid)
			moved = append(moved, e)
		}
		if !move {
			return nil
		}
		_, err = g.expunge(mailbox, l, moved)
		return err
	})
	return res, err
}
