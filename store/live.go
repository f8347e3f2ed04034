package store

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"fmt"
	"slices"
	"sort"
	"sync"
)

// maxTail is how many recent changes a live mailbox remembers one by one;
// sessions that are further behind compare everything.
const maxTail = 4096

// idleLives is how many mailboxes stay in memory though nobody has them open.
const idleLives = 16

// live is a mailbox in memory, kept current by publish.
type live struct {
	s    *Store
	id   int64
	refs int    // guarded by Store.liveMu
	used uint64 // guarded by Store.liveMu

	mu      sync.RWMutex
	entries []Entry
	high    uint64
	// tail are the UIDs of recent changes with their mod-sequences; complete
	// for everything after tailFrom.
	tail     []change
	tailFrom uint64
	watchers map[*watcher]struct{}
}

type change struct {
	modseq uint64
	uid    uint32
}

type watcher struct{ fn func() }

// Live is an open mailbox, shared by all sessions that have it open.
type Live struct {
	*live
	once sync.Once
}

// Live opens a mailbox's live view; Close it when done. ErrNotFound.
func (s *Store) Live(ctx context.Context, mailbox int64) (*Live, error) {
	l, err := s.live(ctx, mailbox)
	if err != nil {
		return nil, err
	}
	return &Live{live: l}, nil
}

// live finds or loads a mailbox and takes a reference.
func (s *Store) live(ctx context.Context, mailbox int64) (*live, error) {
	s.liveMu.Lock()
	if l, ok := s.lives[mailbox]; ok {
		l.refs++
		s.liveUse++
		l.used = s.liveUse
		s.liveMu.Unlock()
		return l, nil
	}
	s.liveMu.Unlock()

	conn, err := s.loads.Conn(ctx)
	if err != nil {
		return nil, fmt.Errorf("reading mailbox %d: %w", mailbox, err)
	}
	defer conn.Close()
	// No commit becomes visible while the mailbox is read.
	s.publishing.RLock()
	defer s.publishing.RUnlock()
	s.mu.RLock()
	box, ok := s.boxes[mailbox]
	s.mu.RUnlock()
	if !ok {
		return nil, ErrNotFound
	}
	entries, err := loadEntries(ctx, conn, mailbox, int(box.Messages))
	if err != nil {
		return nil, err
	}
	s.liveMu.Lock()
	defer s.liveMu.Unlock()
	l, ok := s.lives[mailbox]
	if !ok {
		l = &live{s: s, id: mailbox, entries: entries, high: box.HighestModSeq, tailFrom: box.HighestModSeq}
		s.lives[mailbox] = l
	}
	l.refs++
	s.liveUse++
	l.used = s.liveUse
	return l, nil
}

func loadEntries(ctx context.Context, conn *sql.Conn, mailbox int64, sizeHint int) ([]Entry, error) {
	entries := make([]Entry, 0, sizeHint)
	err := scan(ctx, conn, "SELECT uid, flags, modseq, msg, size, internal, saved, zone, file FROM placement WHERE mailbox = ? ORDER BY uid", []int64{mailbox}, func(values []driver.Value) error {
		var n [8]int64
		for i := range n {
			n[i], _ = values[i].(int64)
		}
		e := Entry{UID: uint32(n[0]), Flags: Flags(n[1]), ModSeq: uint64(n[2]), Msg: n[3],
			Size: uint32(n[4]), Internal: n[5], Saved: n[6], Zone: int16(n[7])}
		file, _ := values[8].([]byte)
		copy(e.ID[:], file)
		entries = append(entries, e)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("reading mailbox %d: %w", mailbox, err)
	}
	return entries, nil
}

func (s *Store) releaseLive(l *live) {
	s.liveMu.Lock()
	defer s.liveMu.Unlock()
	l.refs--
	if l.refs > 0 {
		return
	}
	var idle []*live
	for _, x := range s.lives {
		if x.refs == 0 {
			idle = append(idle, x)
		}
	}
	if len(idle) <= idleLives {
		return
	}
	oldest := slices.MinFunc(idle, func(a, b *live) int { return int(int64(a.used) - int64(b.used)) })
	delete(s.lives, oldest.id)
}

// Close releases the view.
func (l *Live) Close() { l.once.Do(func() { l.s.releaseLive(l.live) }) }

// Mailbox gives the mailbox with its counters as of now. The name follows
// renames; ErrNotFound once it was deleted.
func (l *Live) Mailbox() (Mailbox, error) {
	l.s.mu.RLock()
	defer l.s.mu.RUnlock()
	b, ok := l.s.boxes[l.id]
	if !ok {
		return Mailbox{}, ErrNotFound
	}
	m := *b
	m.Subscribed = l.s.subs[nameKey{m.Owner, m.Name}]
	return m, nil
}

// Recent gives the first UID that no session was shown as \Recent yet since the
// store was opened, and, if claim is set, claims all up to now.
func (l *Live) Recent(claim bool) uint32 {
	l.mu.RLock()
	defer l.mu.RUnlock()
	l.s.recentMu.Lock()
	defer l.s.recentMu.Unlock()
	first := max(1, l.s.recent[l.id])
	if n := len(l.entries); claim && n > 0 {
		l.s.recent[l.id] = max(first, l.entries[n-1].UID+1)
	}
	return first
}

// Entries appends all entries to dst.
func (l *Live) Entries(dst []Entry) []Entry {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return append(dst, l.entries...)
}

// Lookup appends to dst one entry for each of uids (ascending); an entry with
// UID 0 where the message is gone.
func (l *Live) Lookup(dst []Entry, uids []uint32) []Entry {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return l.lookup(dst, uids)
}

func (l *live) lookup(dst []Entry, uids []uint32) []Entry {
	start, k := len(dst), 0
	dst = append(dst, make([]Entry, len(uids))...)
	l.each(uids, func(i int) {
		for uids[k] != l.entries[i].UID {
			k++
		}
		dst[start+k] = l.entries[i]
	})
	return dst
}

// each calls fn with the index of every entry that has one of uids (ascending).
func (l *live) each(uids []uint32, fn func(i int)) {
	if len(uids) == 0 {
		return
	}
	i := l.find(uids[0])
	few := len(uids)*16 < len(l.entries)
	for _, uid := range uids {
		// Few UIDs of many: look each up. Many: walk.
		if few {
			i = l.find(uid)
		} else {
			for i < len(l.entries) && l.entries[i].UID < uid {
				i++
			}
		}
		if i < len(l.entries) && l.entries[i].UID == uid {
			fn(i)
		}
	}
}

// find gives the index of the first entry with at least that UID.
func (l *live) find(uid uint32) int {
	return sort.Search(len(l.entries), func(i int) bool { return l.entries[i].UID >= uid })
}

// Sync compares what a session knows (its UIDs ascending, its mod-sequence)
// with the mailbox.
func (l *Live) Sync(uids []uint32, since uint64) Delta {
	l.mu.RLock()
	defer l.mu.RUnlock()
	d := Delta{ModSeq: l.high}
	if since == l.high {
		return d
	}
	last := uint32(0)
	if len(uids) > 0 {
		last = uids[len(uids)-1]
	}
	if n := l.find(last + 1); n < len(l.entries) {
		d.New = append(d.New, l.entries[n:]...)
	}
	if since >= l.tailFrom {
		l.syncTail(&d, uids, since, last)
		return d
	}
	changed := 0
	for i := range l.entries {
		if l.entries[i].ModSeq > since && l.entries[i].UID <= last {
			changed++
		}
	}
	d.Changed = make([]Entry, 0, changed)
	i := 0
	for at, uid := range uids {
		for i < len(l.entries) && l.entries[i].UID < uid {
			i++
		}
		switch {
		case i == len(l.entries) || l.entries[i].UID != uid:
			d.Gone = append(d.Gone, at)
		case l.entries[i].ModSeq > since:
			d.Changed = append(d.Changed, l.entries[i])
		}
	}
	return d
}

// syncTail finds what changed among a session's UIDs from the recent changes.
func (l *live) syncTail(d *Delta, uids []uint32, since uint64, last uint32) {
	first := sort.Search(len(l.tail), func(i int) bool { return l.tail[i].modseq > since })
	changed := make([]uint32, 0, len(l.tail)-first)
	for _, c := range l.tail[first:] {
		if c.uid <= last {
			changed = append(changed, c.uid)
		}
	}
	slices.Sort(changed)
	for _, uid := range slices.Compact(changed) {
		at, known := slices.BinarySearch(uids, uid)
		if !known {
			continue
		}
		if i := l.find(uid); i < len(l.entries) && l.entries[i].UID == uid {
			d.Changed = append(d.Changed, l.entries[i])
		} else {
			d.Gone = append(d.Gone, at)
		}
	}
}

// Watch has fn called after every change of the mailbox. fn must return at
// once and must not call the store; it may be called from several goroutines.
func (l *Live) Watch(fn func()) (stop func()) {
	w := &watcher{fn}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.watchers == nil {
		l.watchers = map[*watcher]struct{}{}
	}
	l.watchers[w] = struct{}{}
	return func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		delete(l.watchers, w)
	}
}

// publishLive carries a group's changes into memory and returns whom to tell.
func (s *Store) publishLive(g *group) []func() {
	var tell []func()
	for i := range g.live {
		c := &g.live[i]
		s.liveMu.Lock()
		l := s.lives[c.mailbox]
		if c.dropped {
			delete(s.lives, c.mailbox)
		}
		s.liveMu.Unlock()
		if c.dropped {
			s.recentMu.Lock()
			delete(s.recent, c.mailbox)
			s.recentMu.Unlock()
		}
		if l == nil {
			continue
		}
		tell = l.publish(c, g.seq, tell)
	}
	return tell
}

func (l *live) publish(c *liveChange, seq uint64, tell []func()) []func() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if c.dropped {
		l.entries, l.tail, l.tailFrom = nil, nil, seq
	}
	i := 0
	l.tail = slices.Grow(l.tail, len(c.changed))
	for _, e := range c.changed {
		if i >= len(l.entries) || l.entries[i].UID != e.UID {
			i = l.find(e.UID)
		}
		if i < len(l.entries) && l.entries[i].UID == e.UID {
			l.entries[i] = e
			l.tail = append(l.tail, change{seq, e.UID})
			i++
		}
	}
	if len(c.gone) > 0 {
		kept := l.entries[:0]
		gone := c.gone
		for _, e := range l.entries {
			for len(gone) > 0 && gone[0] < e.UID {
				gone = gone[1:]
			}
			if len(gone) > 0 && gone[0] == e.UID {
				l.tail = append(l.tail, change{seq, e.UID})
				continue
			}
			kept = append(kept, e)
		}
		l.entries = kept
	}
	if !c.dropped {
		l.entries = append(l.entries, c.added...)
	}
	l.high = seq
	if len(l.tail) > 2*maxTail {
		cut := len(l.tail) - maxTail
		// A commit's changes are kept or dropped together.
		for cut < len(l.tail) && l.tail[cut].modseq == l.tail[cut-1].modseq {
			cut++
		}
		l.tailFrom = l.tail[cut-1].modseq
		l.tail = append([]change(nil), l.tail[cut:]...)
	}
	for w := range l.watchers {
		tell = append(tell, w.fn)
	}
	return tell
}
