package worker

import (
	"context"
	"math"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"hauspost/plugins/abi"
	"hauspost/plugins/host/link"
)

// run is one event on its way through its chain.
type run struct {
	s       *server
	frame   *link.Run
	stage   abi.Stage
	event   []byte
	content *content

	position  int
	ended     atomic.Bool
	cancelled chan struct{}
	once      sync.Once
	// used are the instances to be set back after the end.
	used []*instance
}

// cancel ends the run as soon as that can be.
func (r *run) cancel() {
	r.once.Do(func() {
		r.ended.Store(true)
		close(r.cancelled)
	})
}

// serve asks the whole chain.
func (r *run) serve(ctx context.Context, file *os.File) {
	if file != nil {
		r.content = newContent(file)
		defer r.content.close()
	}
	var event abi.Event
	if err := event.Decode(r.frame.Event); err != nil || len(r.frame.Chain) == 0 {
		r.send(&link.Result{Failure: link.FailWorker, Text: "the event cannot be read", Last: true}, nil)
		return
	}
	r.stage, r.event = event.Stage, r.frame.Event
	for n := range r.frame.Chain {
		r.position = n
		if r.ended.Load() {
			r.send(&link.Result{Failure: link.FailCancelled, Text: errCancelled.Error(), Last: true}, nil)
			break
		}
		result, c := r.step(ctx, &r.frame.Chain[n])
		result.Last = n == len(r.frame.Chain)-1
		if result.Failure == link.FailCancelled {
			result.Last = true
		}
		r.send(result, c)
		if result.Last {
			break
		}
		if result.Failure == "" && c != nil {
			r.addFindings(r.s.plugins[r.frame.Chain[n].Plugin].load, c.effects)
		}
	}
	for _, i := range r.used {
		i.p.put(ctx, i)
	}
}

// step asks one plugin.
func (r *run) step(ctx context.Context, step *link.Step) (*link.Result, *call) {
	began := time.Now()
	result := &link.Result{}
	var p *plugin
	if step.Plugin < len(r.s.plugins) {
		p = r.s.plugins[step.Plugin]
	}
	if p == nil {
		result.Failure, result.Text = link.FailLoad, "the plugin is not loaded"
		return result, nil
	}
	i, err := p.get(ctx)
	if err != nil {
		result.Failure, result.Text = link.FailLoad, cut(clean(err.Error()), 2*abi.MaxText)
		return result, nil
	}
	c := newCall(step.Time, step.Seed)
	c.event, c.content, c.settings = r.event, r.content, p.load.Settings
	c.parent, c.cancelled = r, r.ended.Load
	f := i.call(ctx, r.stage, c)
	result.Memory = int64(i.mod.Memory().Size())
	result.Log = c.log.lines
	result.Took = time.Since(began) - c.waited
	if f != nil {
		result.Failure, result.Text = f.kind, f.text
		i.close()
		return result, nil
	}
	if c.content != nil && c.content.failed != nil {
		result.Failure, result.Text = link.FailWorker, c.content.failed.Error()
		c = nil
	}
	r.used = append(r.used, i)
	return result, c
}

// addFindings lets the next plugins see what this one proposed: of the kinds
// that it may propose, as much as fits into an event.
func (r *run) addFindings(load *link.Load, effects []abi.Effect) {
	var seen abi.Event
	for i := range effects {
		e := &effects[i]
		for _, k := range load.Effects {
			if k == e.Kind && !math.IsNaN(e.Points) && !math.IsInf(e.Points, 0) {
				seen.Findings = append(seen.Findings, abi.Finding{By: load.ID, Kind: e.Kind, Symbol: e.Symbol, Points: e.Points})
				break
			}
		}
	}
	if len(seen.Findings) == 0 {
		return
	}
	// Encoded messages one after the other are one message with all their
	// lists.
	more := seen.Append(nil)
	if len(r.event)+len(more) <= abi.MaxEvent {
		r.event = append(r.event[:len(r.event):len(r.event)], more...)
	}
}

// send sends a result with the effects and changes of c, in pieces where they
// are many.
func (r *run) send(result *link.Result, c *call) {
	result.Run, result.Position = r.frame.ID, r.position
	if c != nil {
		for i := range c.effects {
			b := (&abi.Effects{List: c.effects[i : i+1]}).Append(nil)
			r.room(result, len(b))
			result.Effects = append(result.Effects, b...)
		}
		for i := range c.keys.changes {
			b := (&abi.KeysChange{Changes: c.keys.changes[i : i+1]}).Append(nil)
			r.room(result, len(b))
			result.Changes = append(result.Changes, b...)
		}
	}
	r.s.send(result)
}

// room sends what a result has so far where n octets more would not fit.
func (r *run) room(result *link.Result, n int) {
	if len(result.Effects)+len(result.Changes)+n <= link.MaxPiece {
		return
	}
	r.s.send(&link.More{Run: result.Run, Position: result.Position, Effects: result.Effects, Changes: result.Changes})
	result.Effects, result.Changes = nil, nil
}

// ask implements asker.
func (r *run) ask(kind link.Kind, data []byte, file *os.File) ([]byte, abi.Errno) {
	id, answer := r.s.expect()
	defer r.s.forget(id)
	question := &link.Ask{ID: id, Run: r.frame.ID, Position: r.position, Kind: kind, Data: data, HasFile: file != nil}
	if file != nil {
		r.s.send(question, file)
	} else {
		r.s.send(question)
	}
	r.s.garbage.pause()
	defer r.s.garbage.resume()
	select {
	case a := <-answer:
		return a.Data, a.Errno
	case <-r.cancelled:
		return nil, abi.ErrAgain
	}
}
