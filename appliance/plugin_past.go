package appliance

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"

	"hauspost/appliance/envelope"
	"hauspost/appliance/maillog"
	"hauspost/plugins/abi"
	"hauspost/store"
)

// past is what the trace tells of how a message came.
type past struct {
	event abi.Event
	facts []envelope.Fact
	runs  []envelope.Run
	// submitted tells that somebody of the house handed it over, composed that
	// the box wrote it, arrived that it went into a mailbox, connected that some
	// other program brought it.
	submitted, composed, arrived, connected bool
	// own tells that it lies in a mailbox for what its owner writes, traced that
	// there is a trace.
	own, traced bool
}

// past reads how a message came from its trace. Of a message without one only
// what lies with it is known.
func (re *replayer) past(ctx context.Context, e storedMessage) (*past, error) {
	size, err := re.size(ctx, e.Entry)
	if err != nil {
		return nil, err
	}
	was := &past{own: e.own, event: abi.Event{ID: e.ID.String(), Time: e.InternalDate().UnixNano(), Hostname: re.chain.config.Hostname, Size: size}}
	blobs, err := re.chain.store.Trace(ctx, e.ID)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return nil, err
	}
	for _, b := range blobs {
		entries, err := maillog.Decode(b)
		if err != nil {
			return nil, fmt.Errorf("message %s: %w", e.ID, err)
		}
		for _, entry := range entries {
			was.traced = true
			was.take(entry)
		}
	}
	return was, nil
}

// size is that of a message as it came in: without what the box wrote before it.
func (re *replayer) size(ctx context.Context, e store.Entry) (int64, error) {
	r, err := re.chain.store.OpenContent(ctx, e)
	if err != nil {
		return 0, err
	}
	defer r.Close()
	return io.Copy(io.Discard, r)
}

// stage is the one at which a plugin with these stages looks at the message. Of
// one without a trace, which a mail program saved, nobody knows how it came: it
// is taken for mail that arrives.
func (p *past) stage(stages []abi.Stage) (abi.Stage, bool) {
	switch {
	case p.composed, p.own && !p.submitted && !p.connected:
		// No plugin is asked about what the box itself writes, and about what
		// mail programs file for themselves.
		return 0, false
	case p.submitted && slices.Contains(stages, abi.OnSubmit):
		return abi.OnSubmit, true
	}
	return abi.OnMessage, slices.Contains(stages, abi.OnMessage) && (p.arrived || !p.traced)
}

// at finds what a plugin did at a stage; -1 where it was not asked.
func (p *past) at(stage abi.Stage, plugin string) int {
	return slices.IndexFunc(p.runs, func(r envelope.Run) bool { return r.Filter == plugin && r.Stage == stage.String() })
}

// asked is the event that the plugin of run i was asked about at a stage, at a
// time; i is negative for one that was not asked, and that would be the last.
func (p *past) asked(stage abi.Stage, i int, at int64) abi.Event {
	e := p.event
	e.Stage, e.Time = stage, at
	if stage != abi.OnSubmit {
		e.Account = ""
	}
	for n, r := range p.runs {
		if isEarly(r.Stage) || r.Stage == stage.String() && (i < 0 || n < i) {
			for _, effect := range r.Effects {
				e.Findings = append(e.Findings, toFinding(effect))
			}
		}
	}
	return e
}

// isEarly tells whether a stage comes before the content.
func isEarly(stage string) bool {
	s, ok := abi.ParseStage(stage)
	return ok && s < abi.OnMessage
}

// take reads one entry of a trace. One of another version, which does not read,
// tells nothing.
func (p *past) take(e maillog.Entry) {
	switch e.Step {
	case maillog.Connected{}.Step():
		var ev maillog.Connected
		if json.Unmarshal(e.Event, &ev) == nil {
			p.connected, p.event.Time = true, e.At.UnixNano()
			p.event.Client = abi.Client{HELO: ev.HELO, Hostname: ev.Hostname, Protocol: ev.Protocol, TLS: ev.TLS}
			p.event.Client.Address, p.event.Client.Port = splitClient(ev.Client)
		}
	case maillog.Authenticated{}.Step():
		var ev maillog.Authenticated
		if json.Unmarshal(e.Event, &ev) == nil {
			p.event.Account, p.submitted = ev.Account, true
		}
	case maillog.Sender{}.Step():
		var ev maillog.Sender
		if json.Unmarshal(e.Event, &ev) == nil {
			p.event.Sender = ev.From
		}
	case maillog.RecipientAccepted{}.Step():
		var ev maillog.RecipientAccepted
		if json.Unmarshal(e.Event, &ev) == nil {
			p.event.Recipients = append(p.event.Recipients, ev.To)
		}
	case maillog.Checked{}.Step():
		var ev maillog.Checked
		if json.Unmarshal(e.Event, &ev) == nil {
			p.facts = append(p.facts, ev.Facts...)
			for _, f := range ev.Facts {
				p.event.Facts = append(p.event.Facts, abi.Fact(f))
			}
		}
	case maillog.Filtered{}.Step():
		var ev maillog.Filtered
		if json.Unmarshal(e.Event, &ev) == nil {
			p.runs = append(p.runs, ev.Run)
			p.submitted = p.submitted || ev.Run.Stage == abi.OnSubmit.String()
		}
	case maillog.Composed{}.Step():
		p.composed = true
	case maillog.Stored{}.Step():
		p.arrived = true
	}
}
