package host

import (
	"errors"
	"fmt"
	"os"
	"time"

	"hauspost/plugins/abi"
	"hauspost/plugins/host/link"
)

// load sends the chain and waits until the worker is ready. limit is what ends
// that when it takes too long.
func (w *worker) load(conn *link.Conn, limit *time.Timer) error {
	p := w.p
	w.numbers, w.problems = make([]int, len(p.plugins)), make([]string, len(p.plugins))
	p.mu.Lock()
	for i, problem := range p.outcast {
		w.problems[i] = problem
	}
	p.mu.Unlock()
	var files []*os.File
	var loads []*link.Load
	defer func() {
		for _, f := range files {
			_ = f.Close()
		}
	}()
	memory := int64(512 << 20)
	var places []int
	for i, q := range p.plugins {
		if w.problems[i] != "" {
			continue
		}
		f, err := q.Wasm()
		settings := q.Settings.Append(nil)
		switch {
		case err != nil:
			w.problems[i] = clean("its module could not be opened: "+err.Error(), abi.MaxText)
			continue
		case len(settings) > abi.MaxSettings:
			_ = f.Close()
			w.problems[i] = fmt.Sprintf("its settings are larger than %d KB", abi.MaxSettings>>10)
			continue
		}
		w.numbers[i], places = len(loads), append(places, i)
		files = append(files, f)
		loads = append(loads, &link.Load{ID: q.ID, SHA256: q.SHA256, Stages: q.Stages, Imports: imports(q), Effects: q.Grants.Effects,
			Memory: q.memory, Settings: settings, Seed: q.Seed})
		memory += q.memory * int64(p.h.o.Parallel)
	}
	if err := conn.Send(&link.Configure{Plugins: len(loads), Parallel: p.h.o.Parallel, Cache: p.h.o.Cache, Memory: memory}); err != nil {
		return err
	}
	for i, l := range loads {
		if err := conn.Send(l, files[i]); err != nil {
			// It died on the way: what it said before tells of which plugin.
			_ = w.await(conn, limit, places)
			return err
		}
	}
	return w.await(conn, limit, places)
}

// await waits until the worker is ready. places are its plugins by their numbers
// in the pool.
func (w *worker) await(conn *link.Conn, limit *time.Timer, places []int) error {
	wrong := errors.New("it sent something else than that it is ready")
	for last := -1; ; {
		f, got, err := conn.Receive()
		for _, f := range got {
			_ = f.Close()
		}
		if err != nil {
			return err
		}
		switch f := f.(type) {
		case *link.Loading:
			step, most := f.Plugin, w.p.h.o.StartTime
			if f.Start {
				step, most = step+len(places), most/4
			}
			if len(got) > 0 || f.Plugin >= len(places) || step <= last {
				return wrong
			}
			last, w.loading = step, places[f.Plugin]
			limit.Reset(most)
		case *link.Ready:
			if len(got) > 0 || len(f.Plugins) != len(places) {
				return wrong
			}
			w.loading = -1
			w.isReady(f)
			return nil
		default:
			return wrong
		}
	}
}

// strike has the plugin answer for it that was being loaded when the worker
// ended: it is left out from now on where it took too long, or where workers die
// of it. So nobody else is without plugins because of one. It tells whether
// another worker shall be started at once, and wants p.mu held.
func (w *worker) strike(problem string) bool {
	p := w.p
	if w.loading < 0 || p.ended || w.killed != "" && !w.slowStart && w.killed != "it is gone" {
		return false
	}
	q := p.plugins[w.loading]
	p.strikes[w.loading]++
	if w.slowStart || p.strikes[w.loading] > 1 {
		p.outcast[w.loading] = clean("it is left out, because workers do not come to an end of loading it: "+problem, abi.MaxText)
		p.h.o.Logger.Error("A plugin cannot be loaded, and is left out until the plugins are loaded anew.", "plugin", q.ID, "error", problem)
	}
	return true
}

// imports are the functions that a plugin may import.
func imports(q *plugin) []string {
	list := []string{"event", "settings", "reply", "effects", "log", "clock", "random"}
	for _, g := range []struct {
		granted bool
		names   []string
	}{
		{q.Grants.Header, []string{"header"}},
		{q.Grants.Body, []string{"parts", "part_read"}},
		{q.Grants.Keys, []string{"keys_get", "keys_change"}},
		{len(q.Grants.DNS) > 0, []string{"dns"}},
		{len(q.Grants.Services) > 0, []string{"service"}},
	} {
		if g.granted {
			list = append(list, g.names...)
		}
	}
	return list
}

// announce says once which walls stand around plugins.
func (w *worker) announce() {
	w.p.h.announced.Do(func() {
		log := w.p.h.o.Logger
		log.Info("Plugins run behind walls.", "walls", w.walls)
		if len(w.missing) > 0 {
			log.Warn("Walls around plugins are missing on this system.", "missing", w.missing)
		}
		if !w.compiler {
			log.Warn("Plugins are slow on this machine: it has no compiler for them, and what interprets them takes 30 to 90 times as long.")
		}
	})
}

// isReady notes what the worker says of itself and of the plugins.
func (w *worker) isReady(r *link.Ready) {
	words := func(list []string) []string {
		out := make([]string, 0, min(len(list), 32))
		for _, s := range list[:min(len(list), 32)] {
			out = append(out, clean(s, abi.MaxText))
		}
		return out
	}
	w.p.mu.Lock()
	defer w.p.mu.Unlock()
	w.walls, w.missing, w.compiler = words(r.Walls), words(r.Missing), r.Compiler
	for i, q := range w.p.plugins {
		l := link.Loaded{Error: w.problems[i]}
		if l.Error == "" {
			l = r.Plugins[w.numbers[i]]
			w.problems[i] = clean(l.Error, abi.MaxText)
		}
		q.mu.Lock()
		q.loadError, q.loadTime, q.pooled = w.problems[i], min(max(l.Took, 0), w.p.h.o.StartTime), l.Pooled
		q.instance = min(max(l.Memory, 0), q.memory)
		if q.since.IsZero() {
			q.since = w.p.h.o.Now()
		}
		q.mu.Unlock()
	}
}
