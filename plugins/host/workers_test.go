package host

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"hauspost/plugins/abi"
)

func TestChainInOrder(t *testing.T) {
	t.Parallel()
	rcpt := fakePlugin("rcpt")
	rcpt.Stages = []abi.Stage{abi.OnRcpt}
	h := newHost(t, Options{}, fakePlugin("a"), rcpt, fakePlugin("b"), fakePlugin("c"))
	if h.Serves(abi.OnMessage) != 3 || h.Serves(abi.OnRcpt) != 4 || h.Serves(0) != 0 || h.Serves(99) != 0 {
		t.Error("Serves is wrong")
	}
	runs := h.Call(bgCtx, Call{Event: doing("", "", "")})
	expect(t, runs, "a b c")
	for _, r := range runs {
		if len(r.Effects) != 1 || r.Effects[0].Symbol != "FAKE" || r.Version != "1.0.0" || r.Took <= 0 || r.Memory != 1<<20 || r.Record.Time == 0 {
			t.Errorf("%+v", r)
		}
	}
	expect(t, h.Call(bgCtx, Call{Event: doing("", "", ""), Only: []string{"c", "rcpt"}}), "c")
	if runs := h.Call(bgCtx, Call{Event: doing("", "", ""), Only: []string{}}); len(runs) != 0 {
		t.Errorf("nobody was to be asked: %s", kinds(runs))
	}
}

func TestTimeout(t *testing.T) {
	t.Parallel()
	h := newHost(t, Options{}, fakePlugins(60*time.Millisecond, "a", "b", "c")...)
	for range 3 {
		e := doing("b", "hang", "")
		e.Facts = append(e.Facts, abi.Fact{Name: "c", Value: "findings"})
		runs := h.Call(bgCtx, Call{Event: e, Content: sealed("x")})
		expect(t, runs, "a b:timeout c")
		// What was found before the time was over is known after it.
		if got := fmt.Sprint(runs[2].Log); got != "[a FAKE]" {
			t.Errorf("c knows %s", got)
		}
	}
	s := h.Status()
	if s.Plugins[1].Failures[FailTimeout] != 3 || s.Plugins[1].Failing.IsZero() || s.Plugins[0].Calls != 3 || s.Restarts < 3 {
		t.Errorf("%+v", s)
	}
}

// TestHangEveryTenth: whatever hangs, each message has exactly one answer of
// each plugin, and those that do not hang have a good one.
func TestHangEveryTenth(t *testing.T) {
	t.Parallel()
	plugins := fakePlugins(400*time.Millisecond, "bad", "good")
	plugins[1].Limits.Time = 10 * time.Second
	c := &clock{t: time.Unix(1e9, 0)}
	h := newHost(t, Options{Parallel: 4, Now: c.now}, plugins...)
	work := make(chan int)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for i := range work {
				do, want := "", "bad good"
				if i%10 == 9 {
					do, want = "hang", "bad:timeout good"
				}
				// The breaker is not what is tested here.
				runs := h.Call(bgCtx, Call{Event: doing("bad", do, ""), Replay: map[string]*Record{}})
				expect(t, runs, want)
			}
		})
	}
	for i := range 1000 {
		work <- i
	}
	close(work)
	wg.Wait()
}

func TestDeathOfAWorker(t *testing.T) {
	t.Parallel()
	h := newHost(t, Options{Parallel: 8}, fakePlugins(10*time.Second, "a", "b")...)
	var wg sync.WaitGroup
	for range 6 {
		wg.Go(func() { expect(t, h.Call(bgCtx, Call{Event: doing("b", "slow", "100ms")}), "a b") })
	}
	wait(t, "the slow ones are under way", func() bool { return h.Status().Workers[0].Busy == 6 })
	runs := h.Call(bgCtx, Call{Event: doing("a", "die", "")})
	expect(t, runs, "a:worker b")
	if text := runs[0].Failure.Text; !strings.Contains(text, "exit status 3") {
		t.Errorf("it is not said how the worker ended: %q", text)
	}
	wg.Wait()
	expect(t, h.Call(bgCtx, Call{Event: doing("", "", "")}), "a b")
}

// TestInnocents: who was in a worker that is killed for another's sake is done
// again, once.
func TestInnocents(t *testing.T) {
	t.Parallel()
	plugins := fakePlugins(10*time.Second, "a", "b")
	plugins[0].Limits.Time = 300 * time.Millisecond
	keys := &fakeKeys{}
	h := newHost(t, Options{Parallel: 5, Keys: keys}, plugins...)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() { expect(t, h.Call(bgCtx, Call{Event: doing("b", "slow", "600ms")}), "a b") })
	}
	wait(t, "the slow ones are under way", func() bool { return h.Status().Workers[0].Busy == 4 })
	expect(t, h.Call(bgCtx, Call{Event: doing("a", "hang", "")}), "a:timeout b")
	wg.Wait()
	for _, s := range h.Status().Plugins {
		if s.Calls != 5 || s.Failures[FailWorker] != 0 {
			t.Errorf("%+v", s)
		}
	}
}

func TestKilledByHand(t *testing.T) {
	t.Parallel()
	h := newHost(t, Options{Parallel: 8}, fakePlugins(10*time.Second, "a", "b")...)
	first := h.Status().Workers[0].PID
	// One without work is there again before anybody asks.
	_ = syscall.Kill(first, syscall.SIGKILL)
	wait(t, "there is another worker", func() bool {
		s := h.Status()
		return len(s.Workers) == 1 && s.Workers[0].PID != first
	})
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() { expect(t, h.Call(bgCtx, Call{Event: doing("a", "slow", "50ms")}), "a b") })
	}
	wait(t, "they are under way", func() bool { return h.Status().Workers[0].Busy == 8 })
	_ = syscall.Kill(h.Status().Workers[0].PID, syscall.SIGKILL)
	wg.Wait()
	if s := h.Status(); len(s.Plugins[0].Failures) != 0 || s.Plugins[0].Calls != 8 {
		t.Errorf("somebody innocent has a failure: %+v", s.Plugins[0])
	}
}

func TestSlowIsNotGuilty(t *testing.T) {
	t.Parallel()
	h := newHost(t, Options{Parallel: 2}, fakePlugins(10*time.Second, "a")...)
	first := h.Status().Workers[0].PID
	done := make(chan []Run)
	go func() { done <- h.Call(bgCtx, Call{Event: doing("a", "slow", "300ms")}) }()
	wait(t, "a second worker is ready", func() bool { return len(h.Status().Workers) == 2 })
	runs := h.Call(bgCtx, Call{Event: doing("a", "process", "")})
	if pid := runs[0].Log[2]; pid == strconv.Itoa(first) {
		t.Error("the message was given to the worker in which something hangs")
	}
	expect(t, <-done, "a")
	if n := h.Status().Restarts; n != 0 {
		t.Errorf("%d workers ended", n)
	}
}

func TestLies(t *testing.T) {
	t.Parallel()
	for _, lie := range []string{"run", "position", "last", "direction", "ready", "more", "empty-more", "file", "ask-file", "ask-run", "asks",
		"files", "garbage", "huge", "empty"} {
		t.Run(lie, func(t *testing.T) {
			t.Parallel()
			h := newHost(t, Options{}, fakePlugins(10*time.Second, "a", "b", "c")...)
			expect(t, h.Call(bgCtx, Call{Event: doing("b", "lie-"+lie, "")}), "a b:worker c")
			expect(t, h.Call(bgCtx, Call{Event: doing("", "", "")}), "a b c")
			wait(t, "no file of the worker's is open", func() bool { return strays(t) == 0 })
		})
	}
}

// strays counts files that the fake sent and nobody asked for.
func strays(t *testing.T) (n int) {
	t.Helper()
	list, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range list {
		if to, err := os.Readlink("/proc/self/fd/" + e.Name()); err == nil && strings.Contains(to, stray) {
			n++
		}
	}
	return n
}

func TestNobodyWaitsForEver(t *testing.T) {
	t.Parallel()
	h := newHost(t, Options{Parallel: 1, Processes: 2, Queue: 1, QueueTime: 30 * time.Millisecond}, fakePlugins(time.Hour, "a", "b")...)
	ctx, cancel := context.WithCancel(bgCtx)
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() { expect(t, h.Call(ctx, Call{Event: doing("b", "hang", "")}), "a b:cancelled") })
		wait(t, "it hangs, and there is another worker", func() bool {
			s := h.Status()
			return len(s.Workers) == 2 && s.Workers[0].Busy == 1
		})
	}
	wait(t, "both workers hang", func() bool {
		s := h.Status()
		return len(s.Workers) == 2 && s.Workers[0].Busy+s.Workers[1].Busy == 2
	})
	// One waits until its time is over, and there is no room for another.
	runs := h.Call(bgCtx, Call{Event: doing("", "", "")})
	expect(t, runs, "a:busy b:busy")
	var refused atomic.Int32
	var crowd sync.WaitGroup
	for range 20 {
		crowd.Go(func() {
			runs := h.Call(bgCtx, Call{Event: doing("", "", "")})
			expect(t, runs, "a:busy b:busy")
			if strings.Contains(runs[0].Failure.Text, "too many") {
				refused.Add(1)
			}
		})
	}
	crowd.Wait()
	if refused.Load() == 0 {
		t.Error("the queue takes everybody")
	}
	cancel()
	wg.Wait()
	expect(t, h.Call(ctx, Call{Event: doing("", "", "")}), "a:cancelled b:cancelled")
	if s := h.Status(); s.Plugins[1].Breaker != BreakerClosed || s.Plugins[1].Calls != 0 {
		t.Errorf("what nobody waited for counts: %+v", s.Plugins[1])
	}
	// What hangs in the workers is nobody's call any longer.
	ctx, cancel = context.WithTimeout(bgCtx, 10*time.Second)
	defer cancel()
	if err := h.Close(ctx); err != nil {
		t.Error(err)
	}
}

func TestUse(t *testing.T) {
	t.Parallel()
	h := newHost(t, Options{}, fakePlugins(10*time.Second, "a")...)
	done := make(chan []Run)
	go func() { done <- h.Call(bgCtx, Call{Event: doing("a", "slow", "100ms")}) }()
	wait(t, "it is under way", func() bool { return h.Status().Workers[0].Busy == 1 })
	old := h.Status().Workers[0].PID
	bad, lost := fakePlugin("bad"), fakePlugin("lost")
	copy(bad.Seed[:], "bad")
	lost.Wasm = func() (*os.File, error) { return nil, errors.New("it was thrown away") }
	if err := h.Use(bgCtx, []Plugin{lost, bad, fakePlugin("a"), fakePlugin("b")}); err != nil {
		t.Fatal(err)
	}
	runs := h.Call(bgCtx, Call{Event: doing("", "", "")})
	expect(t, runs, "lost:load bad:load a b")
	if !strings.Contains(runs[0].Failure.Text, "thrown away") || !strings.Contains(runs[1].Failure.Text, "without a grant") {
		t.Errorf("%v, %v", runs[0].Failure, runs[1].Failure)
	}
	expect(t, <-done, "a")
	wait(t, "the worker of the old chain is gone", func() bool { return syscall.Kill(old, 0) == syscall.ESRCH })
	s := h.Status()
	if s.Plugins[1].LoadError == "" || s.Plugins[2].LoadError != "" || s.Plugins[2].Calls != 2 || !s.Plugins[3].Pooled {
		t.Errorf("%+v", s.Plugins)
	}
	if w := s.Workers[0]; fmt.Sprint(w.Walls, w.Missing, w.Compiler) != "[a wall[2J] [another] true" || w.RSS == 0 {
		t.Errorf("%+v", w)
	}
	if err := h.Use(bgCtx, []Plugin{fakePlugin("a"), fakePlugin("a")}); err == nil {
		t.Error("a plugin was taken twice")
	}
	if err := h.Use(bgCtx, nil); err != nil || h.Serves(abi.OnMessage) != 0 || len(h.Call(bgCtx, Call{Event: doing("", "", "")})) != 0 {
		t.Error("there are still plugins", err)
	}
}

func TestNoWorker(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		command []string
		mark    string
		want    string
	}{
		"no program": {[]string{"/nonexistent/program"}, "", "no such file"},
		"dies":       {nil, "die", "exit status 7"},
		"not ready":  {nil, "never", "not ready after"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := &log{}
			h := newHost(t, Options{Command: c.command, StartTime: 500 * time.Millisecond, Logger: slog.New(slog.NewTextHandler(l, nil))})
			q := fakePlugin("a")
			copy(q.Seed[:], c.mark)
			if err := h.Use(bgCtx, []Plugin{q}); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Fatalf("Use says %v", err)
			}
			// The chain is in force all the same, so that its owner's wish for
			// failures is.
			if h.Serves(abi.OnMessage) != 1 {
				t.Error("the chain is not used")
			}
			runs := h.Call(bgCtx, Call{Event: doing("", "", ""), Content: func() (*os.File, error) {
				t.Error("the message was opened, though there was no place for it")
				return nil, os.ErrInvalid
			}})
			expect(t, runs, "a:worker")
			// Its owner may want mail to wait, but not for ever.
			if first := runs[0].Failure.Since; first.IsZero() || !h.Call(bgCtx, Call{Event: doing("", "", "")})[0].Failure.Since.Equal(first) {
				t.Errorf("it is missing since %v", first)
			}
			if s := h.Status(); !strings.Contains(s.Problem, c.want) || s.Plugins[0].Breaker != BreakerClosed {
				t.Errorf("%+v", s)
			}
			if c.mark == "die" {
				wait(t, "its last words are logged", func() bool { return strings.Contains(l.String(), `text="dying[31m of it"`) })
			}
		})
	}
}

// TestOneThatCannotBeLoaded: a plugin that ends its worker, or keeps it, before
// there is a message takes the others from nobody.
func TestOneThatCannotBeLoaded(t *testing.T) {
	t.Parallel()
	for _, mark := range []string{"die loading", "never started"} {
		t.Run(mark, func(t *testing.T) {
			t.Parallel()
			h := newHost(t, Options{StartTime: time.Second}, fakePlugin("a"))
			bad := fakePlugin("bad")
			copy(bad.Seed[:], mark)
			if err := h.Use(bgCtx, []Plugin{fakePlugin("a"), bad, fakePlugin("b")}); err != nil {
				t.Fatal(err)
			}
			for range 3 {
				expect(t, h.Call(bgCtx, Call{Event: doing("", "", "")}), "a bad:load b")
			}
			_ = syscall.Kill(h.Status().Workers[0].PID, syscall.SIGKILL)
			expect(t, h.Call(bgCtx, Call{Event: doing("", "", "")}), "a bad:load b")
			if s := h.Status(); !strings.Contains(s.Plugins[1].LoadError, "left out") || s.Problem != "" {
				t.Errorf("%+v", s)
			}
			if err := h.Use(bgCtx, []Plugin{fakePlugin("a"), fakePlugin("bad")}); err != nil {
				t.Fatal(err)
			}
			expect(t, h.Call(bgCtx, Call{Event: doing("", "", "")}), "a bad")
		})
	}
	// A worker that goes back and forth is not believed.
	h := newHost(t, Options{StartTime: 10 * time.Second})
	bad := fakePlugin("bad")
	copy(bad.Seed[:], "loads for ever")
	_ = h.Use(bgCtx, []Plugin{bad})
	expect(t, h.Call(bgCtx, Call{Event: doing("", "", "")}), "bad:load")
}

func TestProcess(t *testing.T) {
	t.Parallel()
	l := &log{}
	h := newHost(t, Options{Logger: slog.New(slog.NewTextHandler(l, nil))}, fakePlugin("a"))
	runs := h.Call(bgCtx, Call{Event: doing("a", "process", "")})
	if got := strings.Join(runs[0].Log[:2], " "); got != "[] [fake-worker]" {
		t.Errorf("environment and arguments: %s", got)
	}
	first, err := os.ReadFile("/proc/" + runs[0].Log[2] + "/oom_score_adj")
	own, ownErr := os.ReadFile("/proc/self/oom_score_adj")
	if err != nil || ownErr != nil || string(first) == string(own) {
		t.Errorf("without memory it is as likely to end as this process: %s", first)
	}
	expect(t, h.Call(bgCtx, Call{Event: doing("a", "stderr", "")}), "a")
	expect(t, h.Call(bgCtx, Call{Event: doing("", "", "")}), "a")
	if n := strings.Count(l.String(), "says something"); n == 0 || n > 2*stderrBurst || len(l.String()) > 2*stderrBurst*(stderrLine+200) {
		t.Errorf("%d lines in %d octets were logged", n, len(l.String()))
	}
}

func TestWorkersThatHoldTooMuch(t *testing.T) {
	t.Parallel()
	h := newHost(t, Options{RSS: 1, Tick: 5 * time.Millisecond}, fakePlugin("a"))
	first := h.Status().Workers[0].PID
	wait(t, "the worker is another", func() bool {
		expect(t, h.Call(bgCtx, Call{Event: doing("", "", "")}), "a")
		for _, w := range h.Status().Workers {
			if w.PID == first {
				return false
			}
		}
		return true
	})
}

// TestParentDies: a worker does not outlive the mail process, even where it
// does not look at its socket.
func TestParentDies(t *testing.T) {
	t.Parallel()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	parent := exec.Command(exe, fakeParent)
	out, err := parent.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := parent.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(line))
	if err != nil || syscall.Kill(pid, 0) != nil {
		t.Fatalf("there is no worker %q", line)
	}
	_ = parent.Process.Kill()
	_ = parent.Wait()
	wait(t, "the worker is gone", func() bool {
		// Nobody here reaps it, so it may stay as a zombie.
		b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		return err != nil || strings.Contains(string(b), ") Z ")
	})
}

func TestClose(t *testing.T) {
	t.Parallel()
	h := newHost(t, Options{}, fakePlugins(time.Hour, "a")...)
	done := make(chan []Run, 1)
	go func() { done <- h.Call(bgCtx, Call{Event: doing("a", "hang", "")}) }()
	wait(t, "it is under way", func() bool { return h.Status().Workers[0].Busy == 1 })
	pid := h.Status().Workers[0].PID
	ctx, cancel := context.WithTimeout(bgCtx, 20*time.Millisecond)
	defer cancel()
	if err := h.Close(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("closing says %v", err)
	}
	if runs := <-done; runs[0].Failure == nil {
		t.Error("what was cut off was a success")
	}
	wait(t, "the worker is gone", func() bool { return syscall.Kill(pid, 0) == syscall.ESRCH })
	if err := h.Use(bgCtx, nil); !errors.Is(err, ErrClosed) {
		t.Error(err)
	}
	// Nobody may think that there was nobody to ask.
	expect(t, h.Call(bgCtx, Call{Event: doing("", "", "")}), "a:busy")
	if runs := h.Call(bgCtx, Call{Event: doing("", "", ""), Only: []string{"b"}}); runs != nil {
		t.Error("a plugin was asked that is not there")
	}
}

// TestWallsAreAnnounced holds that the log of a start says which walls stand and
// which do not, once.
func TestWallsAreAnnounced(t *testing.T) {
	t.Parallel()
	l := &log{}
	h := newHost(t, Options{Logger: slog.New(slog.NewTextHandler(l, nil))}, fakePlugin("a"))
	if err := h.Use(bgCtx, []Plugin{fakePlugin("a"), fakePlugin("b")}); err != nil {
		t.Fatal(err)
	}
	said := l.String()
	if strings.Count(said, "Plugins run behind walls.") != 1 || !strings.Contains(said, "missing=[another]") || strings.Contains(said, "slow") {
		t.Errorf("said %s", said)
	}
}
