// Package maillog has the typed events of a message's life and carries each of
// them to two places: the log (slog) and the trace of the message.
//
// An event never holds a password, a body or a header's text beyond what its
// fields name. Package maillog must not import anything of ours but envelope
// and reply.
package maillog

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"hauspost/appliance/envelope"
)

// Event is one step in the life of a message. The concrete types are in
// events.go; their JSON fields are part of the schema of `hauspost trace`.
type Event interface {
	// Step is the stable name of the event, such as "accepted".
	Step() string
	// Say puts the event into one sentence for people.
	Say() string
}

// Entry is an event with its time, as the trace keeps it.
type Entry struct {
	At    time.Time       `json:"at"`
	Step  string          `json:"step"`
	Say   string          `json:"say"`
	Event json.RawMessage `json:"event"`
}

// Log carries events to slog. The zero Log is silent.
type Log struct {
	Logger *slog.Logger
	Now    func() time.Time
}

func (l Log) now() time.Time {
	if l.Now == nil {
		return time.Now()
	}
	return l.Now()
}

// Trace collects the events of one message. It is safe for several goroutines.
type Trace struct {
	ID  envelope.ID
	log Log

	mu      sync.Mutex
	entries []Entry
}

// NewTrace starts the trace of the message id.
func (l Log) NewTrace(id envelope.ID) *Trace { return &Trace{ID: id, log: l} }

// Add records ev in the trace and logs it.
func (t *Trace) Add(ev Event) {
	e := t.log.emit(t.ID, ev)
	t.mu.Lock()
	t.entries = append(t.entries, e)
	t.mu.Unlock()
}

// Entries gives a copy of what was recorded so far.
func (t *Trace) Entries() []Entry {
	t.mu.Lock()
	defer t.mu.Unlock()
	return append([]Entry(nil), t.entries...)
}

// Emit logs an event that belongs to id and returns it as the trace keeps it.
// id may be empty for events that belong to no message.
func (l Log) Emit(id envelope.ID, ev Event) Entry { return l.emit(id, ev) }

func (l Log) emit(id envelope.ID, ev Event) Entry {
	raw, err := json.Marshal(ev)
	if err != nil {
		raw = fmt.Appendf(nil, "{%q:%q}", "error", err.Error())
	}
	e := Entry{At: l.now().UTC(), Step: ev.Step(), Say: ev.Say(), Event: raw}
	if l.Logger != nil && l.Logger.Enabled(context.Background(), slog.LevelInfo) {
		attrs := []slog.Attr{slog.String("step", e.Step)}
		if id != "" {
			attrs = append(attrs, slog.String("id", string(id)))
		}
		say, logged := e.Say, e.Event
		if b, ok := ev.(interface{ brief() Event }); ok {
			short := b.brief()
			if raw, err := json.Marshal(short); err == nil {
				say, logged = short.Say(), raw
			}
		}
		attrs = append(attrs, slog.Any("event", logged))
		l.Logger.LogAttrs(context.Background(), slog.LevelInfo, say, attrs...)
	}
	return e
}

// Encode gives entries as one JSON array, the form in which the store keeps
// them.
func Encode(entries []Entry) []byte {
	b, err := json.Marshal(entries)
	if err != nil {
		return []byte("[]")
	}
	return b
}

// Decode reads what Encode wrote.
func Decode(b []byte) ([]Entry, error) {
	var es []Entry
	if err := json.Unmarshal(b, &es); err != nil {
		return nil, fmt.Errorf("reading a trace: %w", err)
	}
	return es, nil
}
