package host

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"reflect"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"hauspost/plugins/abi"
	"hauspost/plugins/pack"
)

// Plugin is one plugin of a chain.
type Plugin struct {
	// ID is unique in a chain.
	ID, Version string
	Stages      []abi.Stage
	// Timer is the time between two calls of on_timer; the host only keeps it.
	Timer time.Duration
	// Wasm opens the module; it is called for each worker that starts, which
	// checks that it has SHA256.
	Wasm     func() (*os.File, error)
	SHA256   [32]byte
	Grants   pack.Grants
	Limits   pack.Limits
	Settings abi.Settings
	// Seed makes random octets differ from box to box.
	Seed [32]byte
}

// Keys keeps what plugins keep. Both methods give up when ctx does.
type Keys interface {
	// Get gives one value for each key.
	Get(ctx context.Context, plugin string, keys [][]byte, now time.Time) ([]abi.Value, error)
	// Apply makes changes last, all or none.
	Apply(ctx context.Context, plugin string, changes []abi.Change, now time.Time) error
}

// DNS answers questions. It is called for many at a time.
type DNS interface {
	Lookup(ctx context.Context, q abi.Question) abi.Answer
}

// Service is something outside that plugins may use by a name.
type Service interface {
	// Call sends a request, and the content where it is not nil: a file of
	// unknown origin that must be read by ReadAt from 0 on and up to its size.
	// The reply has at most abi.MaxReply octets.
	Call(ctx context.Context, request []byte, content *os.File) ([]byte, error)
}

// Options are how a Host is to be. Command is all that must be given.
type Options struct {
	// Command starts a worker; its socket is the file link.FD. Its environment
	// is empty.
	Command []string
	// Cache is the folder of compiled modules; it is made with 0700. Empty: no
	// cache.
	Cache string
	// Keys, DNS and Services answer plugins; nil ones have no answers.
	Keys     Keys
	DNS      DNS
	Services map[string]Service
	Logger   *slog.Logger
	Now      func() time.Time
	// Parallel is how many messages one worker has at a time; 0 is one for each
	// processor, but two at least.
	Parallel int
	// MaxTime and MaxMemory are ceilings for the limits of all plugins; 0 is
	// those of package pack.
	MaxTime   time.Duration
	MaxMemory int64
	// Processes is how many workers there may be for a chain, at least 2; 0 is 4.
	Processes int
	// Queue is how many messages may wait for a worker, and QueueTime how long;
	// 0 is 1000 and 30 s.
	Queue     int
	QueueTime time.Duration
	// StartTime is how long a worker may take to load one plugin; 0 is 2 minutes.
	// Of that its first code, once compiled, may run for a quarter.
	StartTime time.Duration
	// RSS is how much an idle worker may hold before it is replaced, in octets; 0 is
	// 256 MiB.
	RSS int64
	// Tick is how often workers are looked after; 0 is 5 s.
	Tick time.Duration
	// Alarm is told when a plugin is no longer asked because it failed too
	// often. It must return soon.
	Alarm func(plugin string, f Failure)
}

// Host asks plugins. Its methods may be called at the same time.
type Host struct {
	o        Options
	restarts atomic.Int64
	// announced: the walls have been told of.
	announced sync.Once

	// using keeps calls of Use apart.
	using sync.Mutex

	mu     sync.Mutex
	pool   *pool
	pools  map[*pool]bool
	closed bool
	// changed is closed and replaced when a pool has ended.
	changed chan struct{}
	stop    chan struct{}
	done    chan struct{}

	serves atomic.Pointer[[abi.OnTimer + 1]int]
}

// ErrClosed is the error of a Host after Close.
var ErrClosed = errors.New("the host of the plugins is closed")

// New makes a Host without plugins; no worker is started.
func New(o Options) (*Host, error) {
	if len(o.Command) == 0 {
		return nil, errors.New("making the host of the plugins: no command for its workers was given")
	}
	if o.Cache != "" {
		if err := os.MkdirAll(o.Cache, 0o700); err != nil {
			return nil, fmt.Errorf("making the folder of compiled plugins: %w", err)
		}
		if err := os.Chmod(o.Cache, 0o700); err != nil {
			return nil, fmt.Errorf("closing the folder of compiled plugins to others: %w", err)
		}
	}
	o.defaults()
	h := &Host{o: o, pools: map[*pool]bool{}, changed: make(chan struct{}), stop: make(chan struct{}), done: make(chan struct{})}
	h.serves.Store(new([abi.OnTimer + 1]int))
	go h.lookAfter()
	return h, nil
}

func (o *Options) defaults() {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	o.Parallel = or(o.Parallel, max(2, runtime.GOMAXPROCS(0)))
	o.MaxTime = or(o.MaxTime, pack.MaxTime)
	o.MaxMemory = or(o.MaxMemory, pack.MaxMemory)
	o.Processes = max(2, or(o.Processes, 4))
	o.Queue = or(o.Queue, 1000)
	o.QueueTime = or(o.QueueTime, 30*time.Second)
	o.StartTime = or(o.StartTime, 2*time.Minute)
	o.RSS = or(o.RSS, 256<<20)
	o.Tick = or(o.Tick, 5*time.Second)
}

func or[T int | int64 | time.Duration](v, otherwise T) T {
	if v <= 0 {
		return otherwise
	}
	return v
}

// Use makes plugins the chain, in their order. It returns when a worker has
// loaded it, or cannot; the chain is used in both cases, and calls say what is
// wrong. Plugins that cannot be loaded are told in Status and by their runs,
// the others go on. Figures and breakers of plugins whose module stays the same
// are kept.
func (h *Host) Use(ctx context.Context, plugins []Plugin) error {
	h.using.Lock()
	defer h.using.Unlock()
	p, err := h.newPool(plugins)
	if err != nil {
		return err
	}
	if len(plugins) > 0 {
		err = p.begin(ctx)
	}
	if closed := h.publish(p); closed != nil {
		return closed
	}
	return err
}

// Begin is Use that does not wait: calls wait for the worker, as long as calls
// wait for one.
func (h *Host) Begin(plugins []Plugin) error {
	h.using.Lock()
	defer h.using.Unlock()
	p, err := h.newPool(plugins)
	if err != nil {
		return err
	}
	p.mu.Lock()
	p.ensure()
	p.mu.Unlock()
	return h.publish(p)
}

// publish has calls from now on use p.
func (h *Host) publish(p *pool) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		p.end()
		return ErrClosed
	}
	old := h.pool
	h.pool, h.pools[p] = p, true
	var serves [abi.OnTimer + 1]int
	for _, q := range p.plugins {
		for _, s := range q.Stages {
			serves[s]++
		}
	}
	h.serves.Store(&serves)
	if old != nil {
		h.leaveLocked(old)
	}
	return nil
}

// newPool makes a pool of a chain. It is in use by the Host itself.
func (h *Host) newPool(plugins []Plugin) (*pool, error) {
	h.mu.Lock()
	old, closed := h.pool, h.closed
	h.mu.Unlock()
	if closed {
		return nil, ErrClosed
	}
	p := &pool{h: h, users: 1, tried: make(chan struct{}), strikes: map[int]int{}, outcast: map[int]string{}}
	for _, q := range plugins {
		if slices.ContainsFunc(p.plugins, func(have *plugin) bool { return have.ID == q.ID }) {
			return nil, fmt.Errorf("using the plugin %s: it is in the chain twice", q.ID)
		}
		if slices.ContainsFunc(q.Stages, func(s abi.Stage) bool { return s < abi.OnConnect || s > abi.OnTimer }) {
			return nil, fmt.Errorf("using the plugin %s: it names a stage that there is not", q.ID)
		}
		q.Stages = slices.Compact(slices.Sorted(slices.Values(q.Stages)))
		now := &plugin{Plugin: q, figures: newFigures()}
		now.hard = min(or(q.Limits.Time, pack.DefaultTime), h.o.MaxTime)
		now.memory = min(or(q.Limits.Memory, pack.DefaultMemory), h.o.MaxMemory)
		if old != nil {
			for _, was := range old.plugins {
				if was.ID == q.ID && was.SHA256 == q.SHA256 {
					now.figures = was.figures
					now.changed(&was.Plugin)
				}
			}
		}
		p.plugins = append(p.plugins, now)
	}
	return p, nil
}

// changed gives a plugin another chance whose owner did something about it.
func (q *plugin) changed(was *Plugin) {
	if reflect.DeepEqual(q.Settings, was.Settings) && reflect.DeepEqual(q.Grants, was.Grants) && q.Limits == was.Limits {
		return
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	q.breaker = breaker{}
}

// Serves tells how many plugins have to be asked at a stage. It costs next to
// nothing.
func (h *Host) Serves(s abi.Stage) int {
	if s < abi.OnConnect || s > abi.OnTimer {
		return 0
	}
	return h.serves.Load()[s]
}

// enter gives the pool of the chain, which stays until leave; nil where there
// is none. With ErrClosed comes the last one, which does nothing any more.
func (h *Host) enter() (*pool, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return h.pool, ErrClosed
	}
	if h.pool != nil {
		h.pool.users++
	}
	return h.pool, nil
}

func (h *Host) leave(p *pool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.leaveLocked(p)
}

func (h *Host) leaveLocked(p *pool) {
	if p.users--; p.users > 0 {
		return
	}
	p.end()
	delete(h.pools, p)
	close(h.changed)
	h.changed = make(chan struct{})
}

// lookAfter retires workers that are not needed or hold too much.
func (h *Host) lookAfter() {
	defer close(h.done)
	tick := time.NewTicker(h.o.Tick)
	defer tick.Stop()
	for {
		select {
		case <-h.stop:
			return
		case <-tick.C:
		}
		h.mu.Lock()
		pools := make([]*pool, 0, len(h.pools))
		for p := range h.pools {
			pools = append(pools, p)
		}
		h.mu.Unlock()
		for _, p := range pools {
			p.lookAfter()
		}
	}
}

// Close lets calls under way end until ctx does, takes no further ones, and
// ends all workers. The error is that of ctx where calls were cut off.
func (h *Host) Close(ctx context.Context) error {
	h.mu.Lock()
	if h.closed {
		h.mu.Unlock()
		return nil
	}
	h.closed = true
	close(h.stop)
	if h.pool != nil {
		h.leaveLocked(h.pool)
	}
	var err error
	for len(h.pools) > 0 && err == nil {
		changed := h.changed
		h.mu.Unlock()
		select {
		case <-changed:
		case <-ctx.Done():
			err = ctx.Err()
		}
		h.mu.Lock()
	}
	for p := range h.pools {
		p.end()
	}
	h.mu.Unlock()
	<-h.done
	return err
}
