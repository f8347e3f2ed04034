package control

import (
	"context"
	"encoding/json"
	"log/slog"
	"sync"
)

// Ring keeps the most recent log entries in memory, so that a memory card is
// spared. Entries are kept as they come and put into words only when somebody
// reads them. It is safe for many goroutines.
type Ring struct {
	mu      sync.Mutex
	records []kept
	next    uint64 // sequence number of the next record
	waiters map[chan struct{}]bool
}

type kept struct {
	record slog.Record
	attrs  []slog.Attr
}

// NewRing makes a ring for that many entries, at least one.
func NewRing(lines int) *Ring {
	return &Ring{records: make([]kept, max(lines, 1)), waiters: map[chan struct{}]bool{}}
}

// Handler gives a slog handler that writes records of level and above into
// the ring.
func (r *Ring) Handler(level slog.Level) slog.Handler { return &ringHandler{ring: r, level: level} }

func (r *Ring) add(k kept) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.records[r.next%uint64(len(r.records))] = k
	r.next++
	for w := range r.waiters {
		select {
		case w <- struct{}{}:
		default: // it has been told and has not looked yet
		}
	}
}

// since copies the records from sequence number seq on, as far as they are
// still there, and gives the number to go on with.
func (r *Ring) since(seq uint64) ([]kept, uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if n := uint64(len(r.records)); r.next > n {
		seq = max(seq, r.next-n)
	}
	var out []kept
	for ; seq < r.next; seq++ {
		out = append(out, r.records[seq%uint64(len(r.records))])
	}
	return out, seq
}

// Read calls fn as Admin.Log does.
func (r *Ring) Read(ctx context.Context, q LogQuery, fn func(LogEntry) error) error {
	level, err := parseLevel(q.Level)
	if err != nil {
		return err
	}
	wake := make(chan struct{}, 1)
	if q.Follow {
		r.mu.Lock()
		r.waiters[wake] = true
		r.mu.Unlock()
		defer func() {
			r.mu.Lock()
			delete(r.waiters, wake)
			r.mu.Unlock()
		}()
	}
	records, seq := r.since(0)
	entries := choose(records, q.ID, level)
	if q.Lines > 0 && len(entries) > q.Lines {
		entries = entries[len(entries)-q.Lines:]
	}
	for {
		for _, e := range entries {
			if err := fn(e); err != nil {
				return err
			}
		}
		if !q.Follow {
			return nil
		}
		select {
		case <-ctx.Done():
			return nil
		case <-wake:
		}
		records, seq = r.since(seq)
		entries = choose(records, q.ID, level)
	}
}

func parseLevel(s string) (slog.Level, error) {
	level := slog.LevelDebug
	if s == "" {
		return level, nil
	}
	if err := level.UnmarshalText([]byte(s)); err != nil {
		return level, &Error{Kind: KindInvalid, Text: "the level " + s + " is none of debug, info, warn, error"}
	}
	return level, nil
}

func choose(records []kept, id string, level slog.Level) []LogEntry {
	var out []LogEntry
	for _, k := range records {
		if k.record.Level < level {
			continue
		}
		if e := k.entry(); id == "" || e.ID == id {
			out = append(out, e)
		}
	}
	return out
}

func (k kept) entry() LogEntry {
	e := LogEntry{At: k.record.Time.UTC(), Level: levelWord(k.record.Level), Text: k.record.Message}
	put := func(a slog.Attr) bool {
		if a.Key == "id" {
			e.ID = a.Value.String()
			return true
		}
		if e.Fields == nil {
			e.Fields = map[string]any{}
		}
		e.Fields[a.Key] = plain(a.Value)
		return true
	}
	for _, a := range k.attrs {
		put(a)
	}
	k.record.Attrs(put)
	return e
}

// plain turns a value into something that JSON can hold without losing it.
func plain(v slog.Value) any {
	v = v.Resolve()
	switch v.Kind() {
	case slog.KindGroup:
		m := map[string]any{}
		for _, a := range v.Group() {
			m[a.Key] = plain(a.Value)
		}
		return m
	case slog.KindInt64:
		return v.Int64()
	case slog.KindUint64:
		return v.Uint64()
	case slog.KindFloat64:
		return v.Float64()
	case slog.KindBool:
		return v.Bool()
	}
	if raw, ok := v.Any().(json.RawMessage); ok && json.Valid(raw) {
		return raw
	}
	return v.String()
}

func levelWord(l slog.Level) string {
	switch {
	case l < slog.LevelInfo:
		return "debug"
	case l < slog.LevelWarn:
		return "info"
	case l < slog.LevelError:
		return "warn"
	}
	return "error"
}

type ringHandler struct {
	ring   *Ring
	level  slog.Level
	prefix string
	attrs  []slog.Attr
}

// Enabled implements slog.Handler.
func (h *ringHandler) Enabled(_ context.Context, l slog.Level) bool { return l >= h.level }

// Handle implements slog.Handler.
func (h *ringHandler) Handle(_ context.Context, r slog.Record) error {
	if h.prefix == "" {
		h.ring.add(kept{record: r.Clone(), attrs: h.attrs})
		return nil
	}
	renamed := slog.NewRecord(r.Time, r.Level, r.Message, r.PC)
	r.Attrs(func(a slog.Attr) bool {
		a.Key = h.prefix + a.Key
		renamed.AddAttrs(a)
		return true
	})
	h.ring.add(kept{record: renamed, attrs: h.attrs})
	return nil
}

// WithAttrs implements slog.Handler.
func (h *ringHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	c := *h
	c.attrs = append([]slog.Attr(nil), h.attrs...)
	for _, a := range attrs {
		a.Key = h.prefix + a.Key
		c.attrs = append(c.attrs, a)
	}
	return &c
}

// WithGroup implements slog.Handler.
func (h *ringHandler) WithGroup(name string) slog.Handler {
	c := *h
	c.prefix = h.prefix + name + "."
	return &c
}
