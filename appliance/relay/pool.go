package relay

import (
	"context"
	"slices"
	"sync"
	"time"
)

// pool counts connections, keeps idle ones, and lets attempts wait for one in
// the order in which they came.
type pool struct {
	l     *Limits
	after func(d time.Duration, fire func()) (stop func() bool)

	mu      sync.Mutex
	open    int            // with those that are about to be opened
	perHost map[string]int // open by slot
	idle    []*conn        // the oldest first
	waiters []*waiter
	closed  bool
}

// waiter is an attempt that waits for a connection to a host.
type waiter struct {
	slot  string
	limit int
	fits  func(*conn) bool
	// ready gets a connection of another attempt, or nil for the right to open
	// one.
	ready chan *conn
}

func newPool(l *Limits, after func(time.Duration, func()) func() bool) *pool {
	return &pool{l: l, after: after, perHost: make(map[string]int)}
}

// take gives the idle connection that was used last among those that fit.
func (p *pool) take(fits func(*conn) bool) *conn {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.takeLocked(fits)
}

func (p *pool) takeLocked(fits func(*conn) bool) *conn {
	for i, k := range slices.Backward(p.idle) {
		if fits(k) {
			p.idle = slices.Delete(p.idle, i, i+1)
			k.stopIdle()
			return k
		}
	}
	return nil
}

// get waits for an idle connection to a host that fits, or for the right to
// open one (nil). surplus is an idle connection that had to make room, and is
// for the caller to close; it counts no more.
func (p *pool) get(ctx context.Context, slot string, limit int, fits func(*conn) bool) (k, surplus *conn, err error) {
	p.mu.Lock()
	if k := p.takeLocked(func(k *conn) bool { return k.slot == slot && fits(k) }); k != nil {
		p.mu.Unlock()
		return k, nil, nil
	}
	if p.perHost[slot] >= limit {
		surplus = p.takeLocked(func(k *conn) bool { return k.slot == slot })
	} else if p.open >= p.l.Connections && len(p.idle) > 0 {
		surplus = p.takeLocked(func(k *conn) bool { return k == p.idle[0] })
	}
	if surplus != nil {
		p.add(surplus.slot, -1)
		surplus.slot = ""
	}
	if p.perHost[slot] < limit && p.open < p.l.Connections {
		p.add(slot, 1)
		p.mu.Unlock()
		return nil, surplus, nil
	}
	w := &waiter{slot: slot, limit: limit, fits: fits, ready: make(chan *conn, 1)}
	p.waiters = append(p.waiters, w)
	p.mu.Unlock()
	select {
	case k := <-w.ready:
		return k, surplus, nil
	case <-ctx.Done():
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if i := slices.Index(p.waiters, w); i >= 0 {
		p.waiters = slices.Delete(p.waiters, i, i+1)
		return nil, surplus, ctx.Err()
	}
	// What was given in the same moment is used: the next step sees ctx.
	return <-w.ready, surplus, nil
}

// add adds to what is open. It needs the lock.
func (p *pool) add(slot string, n int) {
	p.open += n
	if p.perHost[slot] += n; p.perHost[slot] == 0 {
		delete(p.perHost, slot)
	}
}

// release gives back the right to a connection.
func (p *pool) release(slot string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.add(slot, -1)
	p.waiters = slices.DeleteFunc(p.waiters, func(w *waiter) bool {
		if p.perHost[w.slot] >= w.limit || p.open >= p.l.Connections {
			return false
		}
		p.add(w.slot, 1)
		w.ready <- nil
		return true
	})
}

// put keeps a connection for the next message, or hands it to one that waits.
// false: it is of no more use, or makes room for another; the caller closes it.
func (p *pool) put(k *conn, expired func(*conn)) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed || p.l.Idle < 0 {
		return false
	}
	for i, w := range p.waiters {
		if w.slot == k.slot && w.fits(k) {
			p.waiters = slices.Delete(p.waiters, i, i+1)
			w.ready <- k
			return true
		}
	}
	if slices.ContainsFunc(p.waiters, func(w *waiter) bool { return w.slot == k.slot || p.open >= p.l.Connections }) {
		return false
	}
	p.idle = append(p.idle, k)
	k.stopIdle = p.after(p.l.Idle, func() {
		if p.take(func(other *conn) bool { return other == k }) != nil {
			expired(k)
		}
	})
	return true
}

// close empties the pool for good and gives what was idle: a goodbye to each is
// to be counted off group.
func (p *pool) close(group *sync.WaitGroup) []*conn {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	idle := p.idle
	group.Add(len(idle))
	for _, k := range idle {
		k.stopIdle()
	}
	p.idle = nil
	return idle
}

func (p *pool) count() (open, idle, waiting int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.open, len(p.idle), len(p.waiters)
}

// leave runs a goodbye beside everything else, unless the pool is closed.
func (p *pool) leave(group *sync.WaitGroup, bye func()) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return false
	}
	group.Go(bye)
	return true
}
