package appliance

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"hauspost/plugins/abi"
	"hauspost/plugins/pack"
)

// PluginBenched are the costs of a plugin on this machine.
type PluginBenched struct {
	ID      string `json:"id"`
	Version string `json:"version"`
	// Stage is that at which it was asked, MessageBytes the size of the message.
	Stage        string `json:"stage"`
	MessageBytes int64  `json:"message_bytes"`
	Calls        int    `json:"calls"`
	// Failures counts calls in which it failed, Failure is what the last one said.
	Failures        int     `json:"failures"`
	Failure         string  `json:"failure,omitempty"`
	P50Milliseconds float64 `json:"p50_ms"`
	P99Milliseconds float64 `json:"p99_ms"`
	// MemoryBytes is the most that one call used.
	MemoryBytes int64 `json:"memory_bytes"`
	// ColdMilliseconds is the start of a worker that compiles the plugin,
	// CachedMilliseconds that of one that finds it compiled.
	ColdMilliseconds   float64 `json:"cold_ms"`
	CachedMilliseconds float64 `json:"cached_ms"`
	// Pooled tells that its instances are used again after a reset.
	Pooled bool `json:"pooled"`
	// Interpreter tells that this machine does not compile plugins.
	Interpreter bool `json:"interpreter,omitempty"`
}

// benchTime is how long PluginBench measures at most.
const benchTime = 10 * time.Second

// PluginBench measures a plugin: path is as in PluginTest. It is asked as its
// first test says, or, where it has none, about a small message.
func PluginBench(ctx context.Context, path string, calls int) (PluginBenched, error) {
	if calls < 1 {
		return PluginBenched{}, errors.New("at least one call is needed")
	}
	p, err := openPlugin(path)
	if err != nil {
		return PluginBenched{}, err
	}
	c, err := benchCase(p)
	if err != nil {
		return PluginBenched{}, err
	}
	b, err := newBench(p)
	if err != nil {
		return PluginBenched{}, err
	}
	defer b.close()
	out := PluginBenched{ID: p.Manifest.ID, Version: p.Manifest.Version, Stage: c.Event.Stage.String(), MessageBytes: int64(len(c.Message))}
	start := time.Now()
	if err := b.use(ctx, c.Settings); err != nil {
		return out, err
	}
	out.ColdMilliseconds = inMilliseconds(time.Since(start))
	b.stop()
	if err := b.open(); err != nil {
		return out, err
	}
	start = time.Now()
	if err := b.use(ctx, c.Settings); err != nil {
		return out, err
	}
	out.CachedMilliseconds = inMilliseconds(time.Since(start))
	return out, b.measure(ctx, c, calls, &out)
}

// measure asks again and again.
func (b *bench) measure(ctx context.Context, c *pack.Case, calls int, out *PluginBenched) error {
	var took []time.Duration
	for start := time.Now(); out.Calls < calls && time.Since(start) < benchTime; out.Calls++ {
		run, err := b.call(ctx, c)
		if err != nil {
			return err
		}
		if run.Failure != nil {
			out.Failures++
			out.Failure = run.Failure.Text
		}
		took = append(took, run.Took)
		out.MemoryBytes = max(out.MemoryBytes, run.Memory)
	}
	slices.Sort(took)
	out.P50Milliseconds, out.P99Milliseconds = inMilliseconds(took[len(took)/2]), inMilliseconds(took[len(took)*99/100])
	s := b.host.Status()
	out.Pooled = len(s.Plugins) == 1 && s.Plugins[0].Pooled
	out.Interpreter = len(s.Workers) > 0 && !s.Workers[0].Compiler
	return nil
}

// benchCase gives the first test that is not about a failure, or makes one for
// the first stage that the plugin serves.
func benchCase(p *pack.Package) (*pack.Case, error) {
	cases, err := pack.Cases(p.Tests)
	if err != nil {
		return nil, err
	}
	for i := range cases {
		if !cases[i].Fails {
			return &cases[i], nil
		}
	}
	c := &pack.Case{Name: "bench", Settings: map[string]any{}}
	stage := p.Manifest.Stages[0]
	if slices.Contains(p.Manifest.Stages, abi.OnMessage) {
		stage = abi.OnMessage
	}
	if stage.HasMessage() {
		c.Message = []byte("From: Anna <anna@example.org>\r\nTo: Ben <ben@example.test>\r\nSubject: Bench\r\nDate: Thu, 01 Jan 2026 12:00:00 +0000\r\n" +
			"Message-ID: <bench@example.org>\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n" +
			strings.Repeat("This is a line of a small message, which is read by the plugin.\r\n", 60))
	}
	c.Event = abi.Event{Stage: stage, Time: time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC).UnixNano(), Hostname: "mail.example.test",
		Client: abi.Client{Address: "192.0.2.7", Port: 2525, HELO: "mx.example.org", Protocol: "ESMTP"},
		Sender: "anna@example.org", Recipients: []string{"ben@example.test"}, Size: int64(len(c.Message))}
	if _, err := p.Manifest.Resolve(c.Settings); err != nil {
		return nil, fmt.Errorf("%w; a test of the plugin can give it", err)
	}
	return c, nil
}
