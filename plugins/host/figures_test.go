package host

import (
	"strings"
	"sync"
	"testing"
	"time"

	"hauspost/plugins/abi"
)

func TestHistogram(t *testing.T) {
	t.Parallel()
	var h histogram
	if h.quantile(0.5) != 0 {
		t.Error("nothing has a median")
	}
	for _, d := range []time.Duration{-5, 0, time.Microsecond, 9 * time.Microsecond, 100 * time.Microsecond, 3 * time.Millisecond, time.Second, time.Minute, 24 * time.Hour} {
		var h histogram
		h.add(d)
		got := h.quantile(0.99)
		want := min(max(d, time.Microsecond/2), 8*time.Minute)
		if f := float64(got) / float64(want); d > 3*time.Microsecond && (f < 0.85 || f > 1.15) {
			t.Errorf("%v became %v", d, got)
		}
	}
	for i := range 10000 {
		h.add(time.Duration(i) * time.Microsecond)
	}
	// Of late: half of what came before 4096 more is forgotten each time.
	if p := h.quantile(0.5); p < 6*time.Millisecond || p > 9*time.Millisecond {
		t.Errorf("the median is %v", p)
	}
	if p := h.quantile(0.99); p < 8500*time.Microsecond || p > 11500*time.Microsecond {
		t.Errorf("the 99th is %v", p)
	}
}

func TestBreaker(t *testing.T) {
	t.Parallel()
	now := time.Unix(1e9, 0)
	var b breaker
	call := func(failed bool) (asked, opened bool) {
		ok, probe := b.ask(now)
		return ok, ok && b.note(failed, probe, now)
	}
	for i := range 5 {
		if ok, opened := call(true); !ok || opened != (i == 4) {
			t.Fatalf("failure %d: asked %v, opened %v", i, ok, opened)
		}
	}
	wait := 10 * time.Second
	for range 9 {
		now = now.Add(wait - time.Millisecond)
		if ok, _ := call(true); ok {
			t.Fatalf("it was asked before %v", wait)
		}
		now = now.Add(time.Millisecond)
		if ok, _ := b.ask(now); !ok || b.state() != BreakerProbing {
			t.Fatalf("it was not asked after %v", wait)
		}
		if ok, _ := b.ask(now); ok {
			t.Fatal("two probes at a time")
		}
		if b.note(true, true, now) {
			t.Fatal("a second alarm")
		}
		wait = min(2*wait, 10*time.Minute)
	}
	now = now.Add(wait)
	b.ask(now)
	b.unprobed(now)
	if ok, _ := call(false); !ok || b.state() != BreakerClosed {
		t.Fatal("a success does not close it")
	}
	// Every second one fails.
	opened := false
	for i := 0; i < 19 && !opened; i++ {
		_, opened = call(i%2 == 0)
	}
	if !opened || b.state() != BreakerOpen {
		t.Error("half of the last twenty failed, and it is still asked")
	}
}

// TestBreakerOfOthers: what the worker could not do opens no plugin's breaker.
func TestBreakerOfOthers(t *testing.T) {
	t.Parallel()
	h := newHost(t, Options{}, fakePlugin("a"))
	for range 2 * breakerRow {
		runs := h.Call(bgCtx, Call{Event: doing("a", "unread", "")})
		expect(t, runs, "a:worker")
		if runs[0].Failure.Since.IsZero() {
			t.Error("nobody knows since when")
		}
	}
	expect(t, h.Call(bgCtx, Call{Event: doing("", "", "")}), "a")
}

func TestBreakerOfAPlugin(t *testing.T) {
	t.Parallel()
	c := &clock{t: time.Unix(1e9, 0)}
	var mu sync.Mutex
	var alarms []string
	h := newHost(t, Options{Now: c.now, Alarm: func(id string, f Failure) {
		mu.Lock()
		defer mu.Unlock()
		alarms = append(alarms, id+" "+f.Kind)
	}}, fakePlugin("a"), fakePlugin("b"))
	for range 5 {
		expect(t, h.Call(bgCtx, Call{Event: doing("a", "trap", "")}), "a:trap b")
		c.advance(time.Second)
	}
	runs := h.Call(bgCtx, Call{Event: doing("", "", "")})
	expect(t, runs, "a:breaker b")
	if f := runs[0].Failure; !f.Since.Equal(time.Unix(1e9, 0)) {
		t.Errorf("failing since %v", f.Since)
	}
	if got := strings.Join(alarms, ", "); got != "a trap" {
		t.Errorf("alarms: %s", got)
	}
	if s := h.Status().Plugins[0]; s.Breaker != BreakerOpen || !s.Retry.Equal(time.Unix(1e9+14, 0)) || s.Failures[FailBreaker] != 1 {
		t.Errorf("%+v", s)
	}
	// The owner does something about another plugin, then about this one.
	if err := h.Use(bgCtx, []Plugin{fakePlugin("a")}); err != nil || h.Status().Plugins[0].Breaker != BreakerOpen {
		t.Errorf("%v, the breaker is %s", err, h.Status().Plugins[0].Breaker)
	}
	other := fakePlugin("a")
	other.Settings.List = []abi.Setting{{Name: "x", Values: []string{"y"}}}
	if err := h.Use(bgCtx, []Plugin{other}); err != nil || h.Status().Plugins[0].Breaker != BreakerClosed {
		t.Errorf("%v, the breaker is %s", err, h.Status().Plugins[0].Breaker)
	}
	for range 5 {
		expect(t, h.Call(bgCtx, Call{Event: doing("a", "trap", "")}), "a:trap")
	}
	// Replays do not ask the breaker.
	expect(t, h.Call(bgCtx, Call{Event: doing("", "", ""), Replay: map[string]*Record{}}), "a")
	c.advance(10 * time.Second)
	expect(t, h.Call(bgCtx, Call{Event: doing("", "", "")}), "a")
	if s := h.Status().Plugins[0]; s.Breaker != BreakerClosed || !s.Failing.IsZero() {
		t.Errorf("%+v", s)
	}
}

// TestSoftLimitFollowsWhatIsUsual holds that a plugin that is slow on this
// machine does not look as if it hung, and never has more than half its time.
func TestSoftLimitFollowsWhatIsUsual(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ usual, hard, want time.Duration }{
		{time.Millisecond, 2 * time.Second, softLeast},
		{60 * time.Millisecond, 2 * time.Second, 480 * time.Millisecond},
		{time.Second, 2 * time.Second, time.Second},
		{time.Millisecond, 60 * time.Millisecond, 30 * time.Millisecond},
	} {
		q := &plugin{hard: c.hard, figures: newFigures()}
		for range usualEvery {
			q.ends(&Run{Took: c.usual}, false, time.Now())
		}
		if got := q.soft(); got < c.want*8/10 || got > c.want*12/10 {
			t.Errorf("calls of %v with a limit of %v look slow after %v, want about %v", c.usual, c.hard, got, c.want)
		}
	}
}
