package host

import (
	"context"
	"time"

	"hauspost/plugins/abi"
	"hauspost/plugins/host/link"
)

// How a flight ends.
const (
	// endDone: all of its steps have results.
	endDone = iota + 1
	// endTimeout: the time of a step was over.
	endTimeout
	// endLost: the worker is gone.
	endLost
	// endCancelled: nobody waits for it; it may go on in the worker.
	endCancelled
	// endUnsent: the worker was gone before.
	endUnsent
)

// flight is a chain under way in a worker. pool.mu guards it until it has
// landed; then it belongs to its caller.
type flight struct {
	id    uint64
	w     *worker
	steps []*step
	when  abi.Stage

	// sent is when the worker was asked.
	sent    time.Time
	results []result
	// effects and changes came before the result of this step.
	effects, changes []byte

	// Wall time of this step: used up to resumed, which is zero while it waits
	// for an answer.
	began, resumed time.Time
	used           time.Duration
	slow           bool
	timer          *time.Timer
	ended          time.Duration

	// ctx is that of questions; nil before the first one.
	ctx       context.Context
	cancel    context.CancelFunc
	asks      asks
	record    Record
	abandoned bool
	landed    bool
	end       int
	reason    string
	done      chan struct{}
}

// result is what came of a step.
type result struct {
	*link.Result
	effects, changes []byte
	took             time.Duration
	record           Record
}

// fly sends steps to a worker in which there is a place for them, and waits
// for their end.
func (k *call) fly(ctx context.Context, w *worker, steps []*step) *flight {
	p := w.p
	run := &link.Run{Event: k.event(), Chain: make([]link.Step, len(steps)), HasFile: k.file != nil}
	for i, s := range steps {
		run.Chain[i] = link.Step{Plugin: w.numbers[s.index], Time: s.time, Seed: s.seed}
	}
	f := &flight{w: w, steps: steps, when: k.Event.Stage, done: make(chan struct{})}
	p.mu.Lock()
	if w.state != ready {
		f.end = endUnsent
		p.mu.Unlock()
		return f
	}
	w.lastID++
	f.id = w.lastID
	run.ID = f.id
	w.flights[f.id] = f
	f.sent = time.Now()
	f.step()
	p.mu.Unlock()

	var err error
	if k.file != nil {
		err = w.conn.Send(run, k.file)
	} else {
		err = w.conn.Send(run)
	}
	if err != nil {
		// It was gone before it heard of the message, so nobody is to blame.
		p.mu.Lock()
		w.kill("it could not be asked: " + err.Error())
		f.land(endUnsent)
		p.mu.Unlock()
	}
	select {
	case <-f.done:
		return f
	case <-ctx.Done():
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if f.landed {
		return f
	}
	// The worker still has it; what comes of it is of no interest.
	f.abandoned = true
	f.stopAsking()
	go func() { _ = w.conn.Send(&link.Cancel{ID: f.id}) }()
	return &flight{end: endCancelled, results: f.results[:len(f.results):len(f.results)]}
}

// step begins the clock of the next step. This and what follows, but for late,
// wants p.mu held.
func (f *flight) step() {
	now := time.Now()
	f.began, f.resumed, f.used = now, now, 0
	f.quick()
	f.asks = asks{}
	f.effects, f.changes = nil, nil
	s := f.steps[len(f.results)]
	f.record = Record{Time: s.time, Seed: s.seed[:]}
	f.arm()
}

// quick notes that something goes on.
func (f *flight) quick() {
	if f.slow {
		f.slow = false
		f.w.slow--
	}
}

func (f *flight) plugin() *plugin { return f.steps[len(f.results)].plugin }

// arm sets the timer for the next limit.
func (f *flight) arm() {
	next := f.plugin().hard
	if !f.slow {
		next = f.plugin().soft()
	}
	if f.timer == nil {
		f.timer = time.AfterFunc(next-f.used, f.late)
		return
	}
	f.timer.Reset(next - f.used)
}

// late is called when a limit may have passed.
func (f *flight) late() {
	p := f.w.p
	p.mu.Lock()
	defer p.mu.Unlock()
	if f.landed || f.resumed.IsZero() {
		return
	}
	used := f.used + time.Since(f.resumed)
	q := f.plugin()
	switch {
	case used >= q.hard:
		f.w.kill("the plugin " + q.ID + " did not end in time")
		f.land(endTimeout)
		return
	case used >= q.soft() && !f.slow:
		f.slow = true
		f.w.slow++
		p.ensure()
	}
	now := time.Now()
	f.used, f.resumed = used, now
	f.arm()
}

// pause stops the clock for an answer.
func (f *flight) pause() {
	f.used += time.Since(f.resumed)
	f.resumed = time.Time{}
	f.timer.Stop()
}

// resume lets the clock go on.
func (f *flight) resume() {
	f.resumed = time.Now()
	f.arm()
}

// land ends the flight.
func (f *flight) land(end int) {
	if f.landed {
		return
	}
	f.landed, f.end = true, end
	f.ended = time.Since(f.began)
	f.timer.Stop()
	f.stopAsking()
	f.quick()
	f.w.flown = true
	delete(f.w.flights, f.id)
	f.w.p.free(f.w)
	close(f.done)
}

// asking gives the context of its questions.
func (f *flight) asking() context.Context {
	if f.ctx == nil {
		f.ctx, f.cancel = context.WithCancel(context.Background())
		if f.abandoned {
			f.cancel()
		}
	}
	return f.ctx
}

// stopAsking takes questions back.
func (f *flight) stopAsking() {
	if f.cancel != nil {
		f.cancel()
	}
}

// result takes the result of a step.
func (w *worker) result(r *link.Result) string {
	w.p.mu.Lock()
	defer w.p.mu.Unlock()
	f, problem := w.flight(r.Run, r.Position)
	if problem != "" {
		return problem
	}
	last := len(f.results) == len(f.steps)-1
	if r.Last != last && !(r.Last && f.abandoned) {
		return "the last result of a run is not where it has to be"
	}
	if f.tooMuch(len(r.Effects), len(r.Changes)) {
		return "a result is too large"
	}
	f.results = append(f.results, result{Result: r, effects: join(f.effects, r.Effects), changes: join(f.changes, r.Changes),
		took: f.took(r.Took), record: f.record})
	if r.Last {
		f.land(endDone)
	} else {
		f.step()
	}
	return ""
}

// took is how long a step took: what the worker says of itself, no more than
// since the message was sent to it, and what it waited for our answers. Results
// that come together would otherwise all count for the first of them.
func (f *flight) took(said time.Duration) time.Duration {
	now := time.Now()
	used := f.used
	if !f.resumed.IsZero() {
		used += now.Sub(f.resumed)
	}
	waited := now.Sub(f.began) - used
	return max(0, min(said, now.Sub(f.sent))) + waited
}

// more takes a piece of a result.
func (w *worker) more(m *link.More) string {
	w.p.mu.Lock()
	defer w.p.mu.Unlock()
	f, problem := w.flight(m.Run, m.Position)
	if problem != "" {
		return problem
	}
	if len(m.Effects)+len(m.Changes) == 0 || f.tooMuch(len(m.Effects), len(m.Changes)) {
		return "a piece of a result is empty or too large"
	}
	f.effects, f.changes = append(f.effects, m.Effects...), append(f.changes, m.Changes...)
	return ""
}

func (f *flight) tooMuch(effects, changes int) bool {
	return len(f.effects)+len(f.changes)+effects+changes > link.MaxResult
}

func join(before, last []byte) []byte {
	if before == nil {
		return last
	}
	return append(before, last...)
}

// flight finds a flight about which the worker may speak now.
func (w *worker) flight(id uint64, position int) (*flight, string) {
	f := w.flights[id]
	switch {
	case f == nil:
		return nil, "it spoke of a run that there is not"
	case position != len(f.results):
		return nil, "it spoke of a step that is not the one under way"
	case f.resumed.IsZero():
		return nil, "it spoke of a step that waits for an answer"
	}
	return f, ""
}
