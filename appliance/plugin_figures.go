package appliance

import (
	"fmt"
	"maps"
	"time"

	"hauspost/appliance/control"
	"hauspost/plugins/host"
)

// figures implements filtering.
func (p *pluginChain) figures() (workers []control.PluginWorker, restarts int64, runs map[string]control.PluginRun, wrong map[string]string) {
	state := p.state.Load()
	wrong, runs = maps.Clone(state.wrong), map[string]control.PluginRun{}
	h := p.host.Load()
	if h == nil {
		return nil, 0, runs, wrong
	}
	s := h.Status()
	for _, w := range s.Workers {
		workers = append(workers, control.PluginWorker{PID: w.PID, Since: w.Since.UTC(), Bytes: w.RSS, Walls: w.Walls, Missing: w.Missing, Interpreter: !w.Compiler})
	}
	for _, q := range s.Plugins {
		run := pluginRun(&q)
		run.LastFailure = p.complained(q.ID)
		runs[q.ID] = run
		if problem := pluginProblem(&q, s.Problem); problem != "" {
			if run.LastFailure != nil && q.Breaker != "closed" {
				problem += "; what went wrong: " + run.LastFailure.Problem
			}
			wrong[q.ID] = problem
		}
	}
	return workers, s.Restarts, runs, wrong
}

func pluginRun(q *host.PluginStatus) control.PluginRun {
	run := control.PluginRun{
		Calls: q.Calls, P50Milliseconds: milliseconds(q.P50), P99Milliseconds: milliseconds(q.P99), MemoryBytes: q.Memory, Failures: q.Failures,
		Effects: q.Effects, Dropped: q.Dropped, Breaker: q.Breaker, LoadMilliseconds: milliseconds(q.LoadTime), Pooled: q.Pooled,
	}
	if run.Failures == nil {
		run.Failures = map[string]int64{}
	}
	if q.Breaker != "closed" {
		run.BrokenSince, run.Retry = q.BrokenSince.UTC(), q.Retry.UTC()
	}
	return run
}

// pluginProblem says in words what is wrong with a plugin that runs or ought to.
func pluginProblem(q *host.PluginStatus, worker string) string {
	switch {
	case q.LoadError != "":
		return q.LoadError
	case worker != "":
		return "there is no process to run it: " + worker
	case q.Breaker != "closed":
		return fmt.Sprintf("it failed too often and is not asked for now; next try at %s", q.Retry.Local().Format(time.TimeOnly))
	}
	return ""
}
