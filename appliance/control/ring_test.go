package control

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
)

func texts(t *testing.T, r *Ring, q LogQuery) string {
	t.Helper()
	var words []string
	if err := r.Read(t.Context(), q, func(e LogEntry) error { words = append(words, e.Text); return nil }); err != nil {
		t.Fatal(err)
	}
	return strings.Join(words, " ")
}

func TestRingKeepsTheNewest(t *testing.T) {
	t.Parallel()
	r := NewRing(3)
	log := slog.New(r.Handler(slog.LevelInfo))
	if got := texts(t, r, LogQuery{}); got != "" {
		t.Errorf("an empty ring gives %q", got)
	}
	log.Debug("no")
	for i := range 5 {
		log.Info(fmt.Sprint(i), "id", fmt.Sprint("m", i%2))
	}
	log.Error("bad")
	for want, q := range map[string]LogQuery{
		"3 4 bad": {},
		"4 bad":   {Lines: 2},
		"bad":     {Level: "warn"},
		"3":       {ID: "m1"},
	} {
		if got := texts(t, r, q); got != want {
			t.Errorf("%+v gives %q, want %q", q, got, want)
		}
	}
	if err := r.Read(t.Context(), LogQuery{Level: "loud"}, nil); !IsKind(err, KindInvalid) {
		t.Errorf("a bad level: %v", err)
	}
}

func TestRingFields(t *testing.T) {
	t.Parallel()
	r := NewRing(3)
	log := slog.New(r.Handler(slog.LevelDebug)).With("part", "smtp").WithGroup("g").With("a", 1)
	log.Debug("x", "b", true, "raw", json.RawMessage(`{"k":[1]}`), "err", errors.New("oops"), slog.Group("h", "c", 2.5))
	r.Read(t.Context(), LogQuery{}, func(e LogEntry) error {
		got, _ := json.Marshal(e.Fields)
		want := `{"g.a":1,"g.b":true,"g.err":"oops","g.h":{"c":2.5},"g.raw":{"k":[1]},"part":"smtp"}`
		if string(got) != want || e.Level != "debug" {
			t.Errorf("got %s %s, want %s", e.Level, got, want)
		}
		return nil
	})
}

// TestRingUnderLoad has many write and several follow: who follows sees
// entries in order and the last one, whatever was overwritten.
func TestRingUnderLoad(t *testing.T) {
	t.Parallel()
	r := NewRing(16)
	log := slog.New(r.Handler(slog.LevelInfo))
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var writers, readers sync.WaitGroup
	stop := errors.New("stop")
	for range 4 {
		readers.Go(func() {
			last := -1.0
			err := r.Read(ctx, LogQuery{Follow: true}, func(e LogEntry) error {
				if e.Text == "end" {
					return stop
				}
				n, _ := e.Fields["n"].(int64)
				if e.Fields["w"] == int64(0) && float64(n) <= last {
					t.Errorf("%d after %v", n, last)
				}
				if e.Fields["w"] == int64(0) {
					last = float64(n)
				}
				return nil
			})
			if !errors.Is(err, stop) {
				t.Errorf("following ended with %v", err)
			}
		})
	}
	for w := range 4 {
		writers.Go(func() {
			for n := range 500 {
				log.Info("x", "w", w, "n", n)
			}
		})
	}
	writers.Wait()
	log.Info("end")
	readers.Wait()
}
