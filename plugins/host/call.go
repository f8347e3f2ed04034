package host

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"hauspost/plugins/abi"
)

// Call is one event for the plugins of its stage.
type Call struct {
	// Event has the stage. A time of 0 is set to the present one. Recipients
	// behind the first ones are left out where it would be larger than
	// abi.MaxEvent.
	Event abi.Event
	// Content opens the message: a memfd that is sealed, or a file that is open
	// for reading only. The host closes it. It is not called where no plugin is
	// asked; nil means that there is no message.
	Content func() (*os.File, error)
	// Only asks only plugins with these IDs; nil asks all.
	Only []string
	// Replay, where it is not nil, makes the call one that leaves nothing
	// behind: no changes of keys, no figures, no breaker. A plugin that has a
	// record here gets its clock, random octets and the answers of DNS and
	// services from it, and ErrAgain for what is not in it.
	Replay map[string]*Record
}

// Run is what one plugin did.
type Run struct {
	Plugin, Version string
	// Took is the time in the worker with waiting for answers; the way there and
	// back is not in it.
	Took time.Duration
	// Effects are granted and clean; whether they come true is not the host's
	// to say.
	Effects []abi.Effect
	// Dropped says in words what was left out or changed of what it proposed.
	Dropped []string
	// Failure is nil where the plugin did its work. There are no effects and
	// changes otherwise.
	Failure *Failure
	Log     []string
	// Changes are of OnMessage and OnSubmit, to be applied when the message is
	// taken. At other stages the host has applied them.
	Changes []abi.Change
	// Memory is that of the instance in octets.
	Memory int64
	Record Record

	// dropped counts what Dropped tells.
	dropped int
}

// The kinds of a Failure.
const (
	// FailTimeout: its wall time was over.
	FailTimeout = "timeout"
	// FailTrap: it trapped, or said that it failed.
	FailTrap = "trap"
	// FailExit: it ended itself.
	FailExit = "exit"
	// FailMemory: it wanted more memory than it may have.
	FailMemory = "memory"
	// FailLoad: it could not be loaded.
	FailLoad = "load"
	// FailWorker: the worker died of it, or there is none.
	FailWorker = "worker"
	// FailBreaker: it was not asked, because it failed too often.
	FailBreaker = "breaker"
	// FailBusy: it was not asked, because too many messages waited for too long.
	FailBusy = "busy"
	// FailCancelled: the caller did not wait any longer.
	FailCancelled = "cancelled"
)

// Failure is why a plugin did not do its work.
type Failure struct {
	Kind string
	// Text is for people.
	Text string
	// Since is the first failure after the last success, of whatever kind. It is
	// zero where the host is closed, or nobody waited.
	Since time.Time
	// innocent tells that the plugin has no part in it.
	innocent bool
}

// its tells whether the breaker has to know of it.
func (f *Failure) its() bool {
	switch f.Kind {
	case FailLoad, FailBreaker, FailBusy, FailCancelled:
		return false
	}
	return !f.innocent
}

// Error implements error.
func (f *Failure) Error() string { return f.Text }

// step is one plugin of a call.
type step struct {
	plugin *plugin
	// index is that of the plugin in its pool.
	index  int
	run    *Run
	probe  bool
	asked  bool
	time   int64
	seed   [32]byte
	replay *Record
}

// call is a Call under way.
type call struct {
	*Call
	h     *Host
	p     *pool
	steps []*step
	file  *os.File
	// noted are the findings that go with the event.
	findings []abi.Finding
	cut      bool
}

// Call asks the plugins of the event's stage, in the order of the chain, and
// gives one Run for each of them. It never fails as a whole: what failed is in
// the runs. It returns soon after ctx does, at the latest.
func (h *Host) Call(ctx context.Context, c Call) []Run {
	p, err := h.enter()
	if p == nil {
		return nil
	}
	if err != nil {
		return closedRuns(p, &c)
	}
	defer h.leave(p)
	now := h.o.Now()
	if c.Event.Time == 0 {
		c.Event.Time = now.UnixNano()
	}
	k := &call{Call: &c, h: h, p: p, findings: c.Event.Findings}
	runs := k.prepare(now)
	if len(k.steps) > 0 {
		k.work(ctx)
		if k.file != nil {
			_ = k.file.Close()
		}
	}
	k.finish(ctx)
	return runs
}

// asks tells whether a plugin is to be asked.
func (c *Call) asks(q *plugin) bool {
	return slices.Contains(q.Stages, c.Event.Stage) && (c.Only == nil || slices.Contains(c.Only, q.ID))
}

// closedRuns are those of a host that is closed: a message that comes so late
// must not pass as one of which nobody had to be asked.
func closedRuns(p *pool, c *Call) []Run {
	var runs []Run
	for _, q := range p.plugins {
		if c.asks(q) {
			runs = append(runs, Run{Plugin: q.ID, Version: q.Version, Failure: closing()})
		}
	}
	return runs
}

// prepare makes the runs, and steps of those plugins that are to be asked.
func (k *call) prepare(now time.Time) []Run {
	n := 0
	for _, q := range k.p.plugins {
		if k.asks(q) {
			n++
		}
	}
	if n == 0 {
		return nil
	}
	runs := make([]Run, n)
	n = 0
	for i, q := range k.p.plugins {
		if !k.asks(q) {
			continue
		}
		r := &runs[n]
		n++
		r.Plugin, r.Version = q.ID, q.Version
		s := &step{plugin: q, index: i, run: r, time: k.Event.Time}
		if k.Replay == nil {
			ok, probe, failing := q.ask(now)
			if !ok {
				r.Failure = &Failure{Kind: FailBreaker, Since: failing,
					Text: "it was not asked, because it has failed too often; it will be tried again by and by"}
				continue
			}
			s.probe = probe
		}
		s.begin(k.Replay[q.ID])
		k.steps = append(k.steps, s)
	}
	return runs
}

// begin sets the clock and the seed.
func (s *step) begin(from *Record) {
	s.replay = from
	if from != nil {
		s.time = from.Time
		copy(s.seed[:], from.Seed)
	} else {
		_, _ = rand.Read(s.seed[:]) // never fails
	}
}

// open opens the message, when there is a place for it: those that wait for one
// may be many, and their contents take memory.
func (k *call) open() *Failure {
	if k.Content == nil || k.file != nil {
		return nil
	}
	f, err := k.Content()
	if err == nil && f == nil {
		err = errors.New("there is none")
	}
	if err != nil {
		return &Failure{Kind: FailWorker, Text: "the message could not be given to it: " + err.Error(), innocent: true}
	}
	k.file = f
	if err := readOnly(f); err != nil {
		return &Failure{Kind: FailWorker, Text: "the message could not be given to it: " + err.Error(), innocent: true}
	}
	return nil
}

// readOnly makes sure that a worker cannot change the file that it gets.
func readOnly(f *os.File) error {
	raw, err := f.SyscallConn()
	if err != nil {
		return err
	}
	var flags, seals int
	var failed error
	if err := raw.Control(func(fd uintptr) {
		if flags, failed = unix.FcntlInt(fd, unix.F_GETFL, 0); failed == nil && flags&unix.O_ACCMODE != unix.O_RDONLY {
			seals, failed = unix.FcntlInt(fd, unix.F_GET_SEALS, 0)
		}
	}); err != nil {
		return err
	}
	if failed != nil {
		return fmt.Errorf("asking whether its file can be written: %w", failed)
	}
	const still = unix.F_SEAL_WRITE | unix.F_SEAL_SHRINK | unix.F_SEAL_GROW
	if flags&unix.O_ACCMODE != unix.O_RDONLY && seals&still != still {
		return errors.New("its file can be written, and is not sealed")
	}
	return nil
}

// maxUnsent is how many workers may be gone before they hear of a message; of
// more it is taken to be their fault, or the message's.
const maxUnsent = 3

// work asks all steps, by as many workers as it takes.
func (k *call) work(ctx context.Context) {
	todo := k.steps
	careful, unsent := false, 0
	for len(todo) > 0 {
		w, failure := k.p.acquire(ctx, careful)
		if failure != nil {
			k.failAll(todo, failure)
			return
		}
		if todo = k.loaded(w, todo); len(todo) == 0 {
			k.p.release(w)
			return
		}
		if failure := k.open(); failure != nil {
			k.p.release(w)
			k.failAll(todo, failure)
			return
		}
		f := k.fly(ctx, w, todo)
		for i := range f.results {
			k.take(todo[i], &f.results[i])
		}
		todo = todo[len(f.results):]
		if len(todo) == 0 {
			return
		}
		now := todo[0]
		switch {
		case f.end == endUnsent && unsent < maxUnsent:
			unsent++
		case f.end == endCancelled:
			k.failAll(todo, cancelled())
			return
		case f.end == endTimeout:
			k.fail(now, f, &Failure{Kind: FailTimeout, Text: "it took longer than " + now.plugin.hard.String()})
			todo = todo[1:]
		case careful:
			k.fail(now, f, &Failure{Kind: FailWorker, Text: "its worker ended, twice: " + f.reason})
			todo = todo[1:]
		default:
			careful = true
		}
	}
}

// loaded sorts out what this worker could not load.
func (k *call) loaded(w *worker, todo []*step) []*step {
	for _, s := range todo {
		if w.problems[s.index] != "" {
			todo = slices.DeleteFunc(slices.Clone(todo), func(s *step) bool {
				problem := w.problems[s.index]
				if problem != "" {
					s.run.Failure = &Failure{Kind: FailLoad, Text: problem}
				}
				return problem != ""
			})
			break
		}
	}
	return todo
}

func cancelled() *Failure {
	return &Failure{Kind: FailCancelled, Text: "nobody waited for it any longer"}
}

func (k *call) failAll(steps []*step, f *Failure) {
	for _, s := range steps {
		each := *f
		s.run.Failure = &each
	}
}

func (k *call) fail(s *step, f *flight, failure *Failure) {
	s.asked = true
	s.run.Failure = failure
	s.run.Took, s.run.Record = f.ended, f.record
}

// event gives the encoded event with what is known by now.
func (k *call) event() []byte {
	e := k.Event
	e.Findings = k.findings
	b := e.Append(make([]byte, 0, 512))
	for len(b) > abi.MaxEvent {
		k.cut = true
		switch {
		case len(e.Findings) > 0:
			e.Findings = nil
		case len(e.Recipients) > 1:
			e.Recipients = e.Recipients[:len(e.Recipients)/2]
		case len(e.Facts) > 0:
			e.Facts = e.Facts[:len(e.Facts)/2]
		default:
			e = abi.Event{Stage: e.Stage, Time: e.Time, Size: e.Size, Junk: e.Junk}
		}
		b = e.Append(b[:0])
	}
	return b
}

// finish notes how the runs ended, and applies changes where no message does.
func (k *call) finish(ctx context.Context) {
	for _, s := range k.steps {
		r := s.run
		if k.cut && s.asked {
			r.drop("the event was too large for it and was cut short")
		}
		if k.Replay != nil {
			continue
		}
		k.apply(ctx, s)
		if s.plugin.ends(r, s.probe, k.h.o.Now()) && k.h.o.Alarm != nil {
			k.h.o.Alarm(r.Plugin, *r.Failure)
		}
	}
}

func (k *call) apply(ctx context.Context, s *step) {
	r := s.run
	if len(r.Changes) == 0 || k.Event.Stage == abi.OnMessage || k.Event.Stage == abi.OnSubmit {
		return
	}
	err := errors.New("there is no place for them")
	if k.h.o.Keys != nil {
		err = k.h.o.Keys.Apply(ctx, r.Plugin, r.Changes, time.Unix(0, s.time))
	}
	if err != nil {
		k.h.o.Logger.Warn("A plugin's values could not be kept.", "plugin", r.Plugin, "error", err)
		r.drop("its values could not be kept: " + err.Error())
	}
	r.Changes = nil
}
