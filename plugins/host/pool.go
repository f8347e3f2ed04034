package host

import (
	"context"
	"slices"
	"sync"
	"time"
)

// pool has the workers of one chain.
type pool struct {
	h       *Host
	plugins []*plugin
	// users counts calls under way, and the Host; it is guarded by Host.mu.
	users int

	mu      sync.Mutex
	workers []*worker
	// normal and careful are those who wait for a worker.
	normal, careful []*waiter
	ended           bool
	// tried is closed when the first worker is ready, or is known not to be.
	tried    chan struct{}
	wasTried bool
	// problem is why the last worker did not start, until retry.
	problem string
	backoff time.Duration
	retry   time.Time
	again   *time.Timer
	// strikes counts workers that died while they loaded a plugin, outcast says
	// why one is left out for that; both by the number of the plugin.
	strikes map[int]int
	outcast map[int]string
}

// waiter waits for a place in a worker.
type waiter struct {
	ready chan *worker
	// failure is set before ready is closed.
	failure *Failure
}

const (
	startFirst = 500 * time.Millisecond
	startLast  = time.Minute
	// worthWaiting is how long messages wait for the next try to start a worker.
	worthWaiting = 2 * time.Second
	// keepIdle is how long workers beyond the first one are kept.
	keepIdle = 10 * time.Second
)

// begin starts the first worker and waits until it is ready or cannot be.
func (p *pool) begin(ctx context.Context) error {
	p.mu.Lock()
	p.ensure()
	p.mu.Unlock()
	select {
	case <-p.tried:
	case <-ctx.Done():
		return ctx.Err()
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.problem != "" {
		return &Failure{Kind: FailWorker, Text: p.problem}
	}
	return nil
}

// end kills all workers. Who still flies gets its end by that.
func (p *pool) end() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.ended = true
	if p.again != nil {
		p.again.Stop()
	}
	for _, w := range p.workers {
		w.kill("the host is done with it")
	}
	p.refuse(closing())
}

func closing() *Failure {
	return &Failure{Kind: FailBusy, Text: ErrClosed.Error()}
}

// acquire gives a place in a worker, which the flight or release gives back.
func (p *pool) acquire(ctx context.Context, careful bool) (*worker, *Failure) {
	if ctx.Err() != nil {
		return nil, cancelled()
	}
	p.mu.Lock()
	if w := p.pick(careful); w != nil {
		w.places++
		p.mu.Unlock()
		return w, nil
	}
	queue := p.queue(careful)
	if p.ended {
		p.mu.Unlock()
		return nil, closing()
	}
	if len(*queue) >= p.h.o.Queue {
		p.mu.Unlock()
		return nil, &Failure{Kind: FailBusy, Text: "too many messages wait for the plugins"}
	}
	me := &waiter{ready: make(chan *worker, 1)}
	*queue = append(*queue, me)
	p.ensure()
	p.mu.Unlock()

	long := time.NewTimer(p.h.o.QueueTime)
	defer long.Stop()
	failure := cancelled()
	select {
	case w := <-me.ready:
		return w, me.failure
	case <-ctx.Done():
	case <-long.C:
		failure = &Failure{Kind: FailBusy, Text: "no worker was free for " + p.h.o.QueueTime.String()}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if i := slices.Index(*queue, me); i >= 0 {
		*queue = slices.Delete(*queue, i, i+1)
		return nil, failure
	}
	if w := <-me.ready; w != nil {
		p.free(w)
	}
	return nil, failure
}

func (p *pool) queue(careful bool) *[]*waiter {
	if careful {
		return &p.careful
	}
	return &p.normal
}

// release gives a place back that was not used.
func (p *pool) release(w *worker) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.free(w)
}

// free gives a place back. Like all that follows, it wants p.mu held.
func (p *pool) free(w *worker) {
	if w.places--; w.places == 0 {
		w.idle = time.Now()
	}
	p.dispatch()
}

// dispatch gives places to those who wait.
func (p *pool) dispatch() {
	for _, careful := range []bool{true, false} {
		queue := p.queue(careful)
		for len(*queue) > 0 {
			w := p.pick(careful)
			if w == nil {
				break
			}
			w.places++
			(*queue)[0].ready <- w
			*queue = slices.Delete(*queue, 0, 1)
		}
	}
}

// pick finds a worker with a free place, or nil.
func (p *pool) pick(careful bool) *worker {
	if careful {
		return p.pickCareful()
	}
	var best, spare *worker
	serving := false
	for _, w := range p.workers {
		switch {
		case w.careful:
			if w.state == ready && w.places == 0 && len(p.careful) == 0 {
				spare = w
			}
			continue
		case w.state == ready && w.places < p.h.o.Parallel && better(w, best):
			best = w
		}
		serving = serving || w.state <= ready
	}
	if best == nil && !serving && spare != nil {
		spare.careful = false
		return spare
	}
	return best
}

// better prefers workers in which nothing hangs.
func better(w, than *worker) bool {
	return than == nil || w.tired() < than.tired() || w.tired() == than.tired() && w.places < than.places
}

// pickCareful finds a careful worker that has nothing to do, or makes one of
// those that there are.
func (p *pool) pickCareful() *worker {
	var spare *worker
	others := 0
	for _, w := range p.workers {
		if w.state != ready {
			continue
		}
		if w.careful {
			if w.places == 0 {
				return w
			}
			continue
		}
		others++
		if w.places == 0 {
			spare = w
		}
	}
	if spare != nil && others > 1 {
		spare.careful = true
		return spare
	}
	return nil
}

// ensure starts the workers that are needed.
func (p *pool) ensure() {
	if p.ended || len(p.plugins) == 0 {
		return
	}
	good, careful, alive := 0, 0, 0
	for _, w := range p.workers {
		if w.state > ready {
			continue
		}
		alive++
		switch {
		case w.careful:
			careful++
		case w.state == starting || w.tired() == 0:
			good++
		}
	}
	wantCareful := min(len(p.careful), max(1, p.h.o.Processes/2))
	if good > 0 && careful >= wantCareful || alive >= p.h.o.Processes {
		return
	}
	if wait := time.Until(p.retry); wait > 0 {
		p.later(wait)
		if alive == 0 && wait > worthWaiting {
			p.refuse(&Failure{Kind: FailWorker, Text: p.problem, innocent: true})
		}
		return
	}
	if good == 0 {
		p.start(false)
		alive++
	}
	if careful < wantCareful && alive < p.h.o.Processes {
		p.start(true)
	}
}

// later looks again when a worker may be started again.
func (p *pool) later(wait time.Duration) {
	if p.again != nil {
		p.again.Stop()
	}
	p.again = time.AfterFunc(wait, func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.ensure()
	})
}

// refuse sends everybody away who waits.
func (p *pool) refuse(f *Failure) {
	for _, queue := range []*[]*waiter{&p.normal, &p.careful} {
		for _, me := range *queue {
			each := *f
			me.failure = &each
			close(me.ready)
		}
		*queue = nil
	}
}

// started notes how the start of a worker ended.
func (p *pool) started(problem string) {
	if !p.wasTried {
		p.wasTried = true
		close(p.tried)
	}
	p.problem = problem
	if problem == "" {
		p.backoff, p.retry = 0, time.Time{}
		p.dispatch()
		return
	}
	p.backoff = min(max(2*p.backoff, startFirst), startLast)
	p.retry = time.Now().Add(p.backoff)
}

// lookAfter retires workers that are idle and not needed, or hold too much.
func (p *pool) lookAfter() {
	p.mu.Lock()
	defer p.mu.Unlock()
	serving := 0
	for _, w := range p.workers {
		if w.state != ready {
			continue
		}
		if w.places == 0 && w.flown && w.rss() > p.h.o.RSS {
			w.old = true
		}
		if !w.careful {
			serving++
		}
	}
	for _, w := range p.workers {
		if w.state != ready || w.places > 0 {
			continue
		}
		long := time.Since(w.idle) > keepIdle
		switch {
		case w.careful:
			if long && serving > 0 {
				w.kill("it is not needed")
			}
		case serving > 1 && (w.old || long):
			serving--
			w.kill("it is not needed, or held too much memory")
		}
	}
	p.ensure()
}
