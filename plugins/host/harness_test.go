package host

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"hauspost/plugins/abi"
	"hauspost/plugins/pack"
)

var bgCtx = context.Background()

// fakePlugin serves all stages and may do all.
func fakePlugin(id string) Plugin {
	q := Plugin{ID: id, Version: "1.0.0", Stages: abi.Stages(), Limits: pack.Limits{Time: 10 * time.Second},
		Wasm: func() (*os.File, error) { return os.Open("/dev/null") }}
	for k := abi.Score; k <= abi.Exempt; k++ {
		q.Grants.Effects = append(q.Grants.Effects, k)
	}
	q.Grants.Stops = []abi.Action{abi.Reject}
	q.Grants.Header, q.Grants.Body, q.Grants.Keys = true, true, true
	q.Grants.DNS, q.Grants.Services = []string{"dnsbl.example.org"}, []string{"scan", "gone"}
	q.Grants.FieldNames, q.Grants.Points = []string{"X-Fake-*"}, 10
	return q
}

// fakePlugins are some of them, with a limit.
func fakePlugins(limit time.Duration, ids ...string) []Plugin {
	var list []Plugin
	for _, id := range ids {
		q := fakePlugin(id)
		q.Limits.Time = limit
		list = append(list, q)
	}
	return list
}

// doing is an event at which a plugin does something.
func doing(plugin, do, detail string) abi.Event {
	return abi.Event{Stage: abi.OnMessage, Sender: "a@example.org", Recipients: []string{"Ann@example.org", "ben@example.org"},
		Facts: []abi.Fact{{Name: plugin, Value: do, Detail: detail}}}
}

// log collects what is logged.
type log struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *log) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(b)
}

func (l *log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// newHost makes a host whose workers are fakes.
func newHost(t testing.TB, o Options, plugins ...Plugin) *Host {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	if o.Command == nil {
		o.Command = []string{exe, fakeWorker}
	}
	l := &log{}
	if o.Logger == nil {
		o.Logger = slog.New(slog.NewTextHandler(l, nil))
	}
	h, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(bgCtx, 10*time.Second)
		defer cancel()
		if err := h.Close(ctx); err != nil {
			t.Errorf("closing: %v", err)
		}
		if t.Failed() {
			t.Log(l.String())
		}
	})
	if len(plugins) > 0 {
		if err := h.Use(bgCtx, plugins); err != nil {
			t.Fatal(err)
		}
	}
	return h
}

// wait polls until something is so.
func wait(t testing.TB, what string, so func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !so(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited in vain: %s", what)
		}
	}
}

// kinds writes the ends of runs: "a" for a success, "b:timeout" for a failure.
func kinds(runs []Run) string {
	var list []string
	for _, r := range runs {
		if r.Failure != nil {
			list = append(list, r.Plugin+":"+r.Failure.Kind)
		} else {
			list = append(list, r.Plugin)
		}
	}
	return strings.Join(list, " ")
}

func expect(t *testing.T, runs []Run, want string) {
	t.Helper()
	if got := kinds(runs); got != want {
		t.Errorf("got %q, want %q", got, want)
		for _, r := range runs {
			if r.Failure != nil {
				t.Logf("%s: %s", r.Plugin, r.Failure.Text)
			}
		}
	}
}

// sealed makes a message as it is handed to a host.
func sealed(text string) func() (*os.File, error) {
	return func() (*os.File, error) {
		fd, err := unix.MemfdCreate("message", unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
		if err != nil {
			return nil, err
		}
		f := os.NewFile(uintptr(fd), "message")
		if _, err := io.WriteString(f, text); err != nil {
			return nil, err
		}
		_, err = unix.FcntlInt(f.Fd(), unix.F_ADD_SEALS, unix.F_SEAL_WRITE|unix.F_SEAL_GROW|unix.F_SEAL_SHRINK)
		return f, err
	}
}

// fakeKeys keeps values in memory.
type fakeKeys struct {
	mu      sync.Mutex
	applied []string
	fail    error
}

func (k *fakeKeys) Get(_ context.Context, plugin string, keys [][]byte, _ time.Time) ([]abi.Value, error) {
	var list []abi.Value
	for _, key := range keys {
		list = append(list, abi.Value{Found: true, Bytes: []byte(plugin + "/" + string(key))})
	}
	return list, k.fail
}

func (k *fakeKeys) Apply(_ context.Context, plugin string, changes []abi.Change, _ time.Time) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, c := range changes {
		k.applied = append(k.applied, fmt.Sprintf("%s/%s=%s", plugin, c.Key, c.Bytes))
	}
	return k.fail
}

// clock is one that tests set.
type clock struct {
	mu sync.Mutex
	t  time.Time
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.t
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.t = c.t.Add(d)
}
