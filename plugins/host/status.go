package host

import (
	"maps"
	"slices"
	"time"
)

// Status is how the host and its plugins are.
type Status struct {
	Workers []WorkerStatus
	Plugins []PluginStatus
	// Restarts is how many workers ended since the start, for whatever reason.
	Restarts int64
	// Problem is why there is no worker, where there should be one.
	Problem string
}

// WorkerStatus is one worker that is ready.
type WorkerStatus struct {
	PID   int
	Since time.Time
	// RSS is its resident memory in octets.
	RSS int64
	// Walls are those that stand around it, Missing those that do not, in words.
	Walls, Missing []string
	// Compiler tells that plugins run as machine code; without it they are 30 to
	// 90 times slower.
	Compiler bool
	// Busy is how many messages it has.
	Busy int
	// Careful tells that it is kept for messages that are tried again alone.
	Careful bool
}

// PluginStatus are the figures of one plugin since it was first used.
type PluginStatus struct {
	ID, Version string
	// Since is when it was loaded first.
	Since time.Time
	Calls int64
	// P50 and P99 are of the calls of late, within 13 %.
	P50, P99 time.Duration
	// Memory is the most that one call had, in octets.
	Memory int64
	// Failures counts by kind.
	Failures         map[string]int64
	Effects, Dropped int64
	// Breaker is "closed", "open" or "probing".
	Breaker string
	// BrokenSince and Retry are for a breaker that is not closed.
	BrokenSince, Retry time.Time
	// Failing is the first failure after the last success; zero where the last
	// call was a success.
	Failing time.Time
	// LoadError is why it is not there, in words.
	LoadError string
	LoadTime  time.Duration
	// Pooled tells that its instances are reset and used again.
	Pooled bool
	// Instance is the memory of one instance after its start, in octets.
	Instance int64
}

// Status tells how things are.
func (h *Host) Status() Status {
	s := Status{Restarts: h.restarts.Load()}
	h.mu.Lock()
	p := h.pool
	h.mu.Unlock()
	if p == nil {
		return s
	}
	p.mu.Lock()
	for _, w := range p.workers {
		if w.state == ready {
			s.Workers = append(s.Workers, WorkerStatus{PID: w.pid, Since: w.since, RSS: w.rss(), Walls: slices.Clone(w.walls),
				Missing: slices.Clone(w.missing), Compiler: w.compiler, Busy: w.places, Careful: w.careful})
		}
	}
	s.Problem = p.problem
	p.mu.Unlock()
	for _, q := range p.plugins {
		s.Plugins = append(s.Plugins, q.status())
	}
	return s
}

func (q *plugin) status() PluginStatus {
	q.mu.Lock()
	defer q.mu.Unlock()
	return PluginStatus{
		ID: q.ID, Version: q.Version, Since: q.since, Calls: q.calls, P50: q.times.quantile(0.5), P99: q.times.quantile(0.99),
		Memory: q.figures.memory, Failures: maps.Clone(q.failures), Effects: q.effects, Dropped: q.dropped,
		Breaker: q.breaker.state(), BrokenSince: q.breaker.since, Retry: q.breaker.retry, Failing: q.failing,
		LoadError: q.loadError, LoadTime: q.loadTime, Pooled: q.pooled, Instance: q.instance,
	}
}
