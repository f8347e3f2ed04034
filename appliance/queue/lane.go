package queue

import (
	"container/heap"
	"time"
)

const (
	// windowSize is how many due rows of a lane are known in memory; with it a
	// message to MaxTogether recipients is seen whole.
	windowSize = 128
	// MaxTogether is how many recipients of a message go in one attempt (RFC
	// 5321, section 4.5.3.1.8).
	MaxTogether = 100
	// largeSize is the size beyond which a message is large, in octets.
	largeSize = 1 << 20
	// maxOvertaken is how often a large message is overtaken by small ones.
	maxOvertaken = 10
	// firstSlots is how many attempts run at a destination of which nothing is
	// known.
	firstSlots = 2
)

// slot is a row as a lane knows it.
type slot struct{ id, msg, size int64 }

// lane is the line of rows for one destination on one way. It is there while
// rows wait.
type lane struct {
	name        string
	domain, via string
	// window are due rows in the order of their IDs that nobody tries. Where
	// exhausted is false the store has more; where it is true, all others
	// are due at next or later (Unix milliseconds; 0 for never, as far as is
	// known). unknown: next may be too late.
	window             []slot
	exhausted, unknown bool
	next               int64
	// maxSeen is the highest row that was ever in the window.
	maxSeen int64
	// active attempts run, large of them with large messages, where slots is
	// how many may.
	active, large, slots int
	// gen counts what is learned of the destination: an attempt that began
	// before the last failure does not count for another one.
	gen uint64
	// episode is set while the destination fails; wait has to pass before it is
	// tried again. localFailures counts failures of this side in a row.
	episode       *episode
	wait, pace    wait
	localFailures int
	// overtaken counts by message.
	overtaken map[int64]int

	// queued: it is in Queue.ready. index is its place in the heap, or -1; at
	// is when it is looked at.
	queued bool
	index  int
	at     time.Time
}

// probing tells that only one attempt at a time may go there, to see whether it
// works again.
func (l *lane) probing() bool { return l.episode != nil || l.localFailures > 0 }

// lane finds or makes a lane.
func (q *Queue) lane(name string) *lane {
	if l := q.lanes[name]; l != nil {
		return l
	}
	l := &lane{name: name, exhausted: true, slots: firstSlots, index: -1}
	l.domain, l.via = splitLane(name)
	q.lanes[name] = l
	return l
}

// limits gives pace and number of attempts at a time of a lane.
func (q *Queue) limits(l *lane) (time.Duration, int) {
	pace, slots := q.o.Limits.Pace, q.o.Limits.PerDestination
	if q.o.Route != nil && l.name != SentDestination {
		p, n := q.o.Route(l.domain, l.via)
		if p > 0 {
			pace = p
		}
		if n > 0 {
			slots = n
		}
	}
	return pace, slots
}

// makeReady puts a lane at the end of those that may have something to try.
func (q *Queue) makeReady(l *lane) {
	if l.index >= 0 {
		heap.Remove(&q.timers, l.index)
	}
	if !l.queued {
		l.queued = true
		q.ready = append(q.ready, l)
	}
}

// park lets a lane rest until it can do something, or forgets it.
func (q *Queue) park(l *lane, now time.Time) {
	held := max(l.wait.left(now), l.pace.left(now))
	at := now.Add(held)
	switch {
	case len(l.window) > 0 || !l.exhausted:
		if held == 0 {
			return // the end of an attempt makes it ready
		}
	case l.next != 0:
		at = now.Add(time.Duration(max(0, l.next-now.UnixMilli())) * time.Millisecond)
	case l.active > 0:
		return
	case l.unknown:
		q.wantTotals = true
		return
	case held == 0:
		delete(q.lanes, l.name)
		return
	}
	l.at = at
	heap.Push(&q.timers, l)
}

// laneHeap orders lanes by when they are looked at.
type laneHeap []*lane

func (h laneHeap) Len() int           { return len(h) }
func (h laneHeap) Less(i, j int) bool { return h[i].at.Before(h[j].at) }
func (h laneHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].index, h[j].index = i, j
}

// Push implements heap.Interface.
func (h *laneHeap) Push(x any) {
	l := x.(*lane)
	l.index = len(*h)
	*h = append(*h, l)
}

// Pop implements heap.Interface.
func (h *laneHeap) Pop() any {
	old := *h
	l := old[len(old)-1]
	*h = old[:len(old)-1]
	l.index = -1
	return l
}
