//go:build !cgo

// As the jail, the worker is made for a binary without cgo.

package host

import (
	"crypto/sha256"
	"encoding/binary"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"hauspost/plugins/abi"
	process "hauspost/plugins/host/worker"
	"hauspost/plugins/pack"
)

const realWorker = "real-worker"

func init() { programs[realWorker] = process.Main }

// guest is a module with on_message, of this code; score is at 0 in its memory. Function 0 is effects, 1 is event.
func guest(code ...byte) []byte {
	text := func(s string) []byte { return append(leb(len(s)), s...) }
	section := func(id byte, content ...[]byte) []byte {
		var b []byte
		for _, c := range content {
			b = append(b, c...)
		}
		return append(append([]byte{id}, leb(len(b))...), b...)
	}
	function := append(append([]byte{0}, code...), 0x0b)
	return concat(
		[]byte("\x00asm\x01\x00\x00\x00"),
		section(1, []byte{2, 0x60, 2, 0x7f, 0x7f, 1, 0x7f, 0x60, 0, 1, 0x7f}),
		section(2, []byte{2}, text(abi.Module), text("effects"), []byte{0, 0}, text(abi.Module), text("event"), []byte{0, 0}),
		section(3, []byte{1, 1}),
		section(5, []byte{1, 0, 2}),
		section(7, []byte{2}, text("memory"), []byte{2, 0}, text("on_message"), []byte{0, 2}),
		section(10, []byte{1}, leb(len(function)), function),
		section(11, []byte{1, 0, 0x41, 0, 0x0b}, leb(len(score)), score),
	)
}

var score = (&abi.Effects{List: []abi.Effect{{Kind: abi.Score, Symbol: "REAL", Points: 1}}}).Append(nil)

func concat(list ...[]byte) (b []byte) {
	for _, x := range list {
		b = append(b, x...)
	}
	return b
}

func leb(n int) []byte { return binary.AppendUvarint(nil, uint64(n)) }

// constant pushes a small number, which as a signed one has a bit to spare.
func constant(n int) []byte {
	b := []byte{0x41}
	for ; n > 63; n >>= 7 {
		b = append(b, byte(n&0x7f|0x80))
	}
	return append(b, byte(n))
}

var (
	// scores gives the score and returns.
	scores = concat(constant(0), constant(len(score)), []byte{0x10, 0})
	// hangs loops without end where the event has more than 2000 octets, and
	// scores otherwise.
	hangs = concat(constant(1024), constant(60000), []byte{0x10, 1}, constant(2000), []byte{0x4a, 0x04, 0x40, 0x03, 0x40, 0x0c, 0, 0x0b, 0x0b}, scores)
	traps = []byte{0x00}
)

// realPlugin has a module in a file.
func realPlugin(t testing.TB, id string, limit time.Duration, code []byte) Plugin {
	t.Helper()
	wasm := guest(code...)
	path := filepath.Join(t.TempDir(), id)
	if err := os.WriteFile(path, wasm, 0o600); err != nil {
		t.Fatal(err)
	}
	q := fakePlugin(id)
	q.Stages, q.SHA256, q.Limits = []abi.Stage{abi.OnMessage}, sha256.Sum256(wasm), pack.Limits{Time: limit, Memory: 1 << 20}
	q.Wasm = func() (*os.File, error) { return os.Open(path) }
	return q
}

func realHost(t testing.TB, o Options, plugins ...Plugin) *Host {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	o.Command, o.Cache = []string{exe, realWorker}, filepath.Join(t.TempDir(), "cache")
	return newHost(t, o, plugins...)
}

const littleMail = "From: a@example.org\r\nSubject: hello\r\n\r\nhello\r\n"

func TestRealChain(t *testing.T) {
	t.Parallel()
	changed := realPlugin(t, "changed", 10*time.Second, scores)
	changed.SHA256[0]++
	h := realHost(t, Options{}, realPlugin(t, "a", 10*time.Second, scores), realPlugin(t, "b", 10*time.Second, traps),
		realPlugin(t, "c", 10*time.Second, scores), changed)
	for range 20 {
		runs := h.Call(bgCtx, Call{Event: doing("", "", ""), Content: sealed(littleMail), Replay: map[string]*Record{}})
		expect(t, runs, "a b:trap c changed:load")
		if len(runs[2].Effects) != 1 || runs[2].Effects[0].Symbol != "REAL" {
			t.Fatalf("%+v", runs[2])
		}
	}
	s := h.Status()
	if len(s.Workers) != 1 || len(s.Workers[0].Walls) == 0 || s.Plugins[0].LoadTime == 0 {
		t.Errorf("%+v", s)
	}
	_ = syscall.Kill(s.Workers[0].PID, syscall.SIGKILL)
	expect(t, h.Call(bgCtx, Call{Event: doing("", "", ""), Content: sealed(littleMail)}), "a b:trap c changed:load")
}

// TestRealHangs: a guest that loops without end costs nobody else anything.
func TestRealHangs(t *testing.T) {
	t.Parallel()
	h := realHost(t, Options{Parallel: 4}, realPlugin(t, "bad", time.Second, hangs), realPlugin(t, "good", 20*time.Second, scores))
	var wg sync.WaitGroup
	work := make(chan int)
	for range 4 {
		wg.Go(func() {
			for i := range work {
				e, want := doing("", "", ""), "bad good"
				if i%10 == 9 {
					e.Sender, want = strings.Repeat("x", 3000), "bad:timeout good"
				}
				expect(t, h.Call(bgCtx, Call{Event: e, Content: sealed(littleMail), Replay: map[string]*Record{}}), want)
			}
		})
	}
	for i := range 60 {
		work <- i
	}
	close(work)
	wg.Wait()
}

// BenchmarkReal is what an empty plugin, or three of them, add to a message.
func BenchmarkReal(b *testing.B) {
	empty := constant(0)
	for name, n := range map[string]int{"one": 1, "three": 3} {
		b.Run(name, func(b *testing.B) {
			var plugins []Plugin
			for _, id := range []string{"a", "b", "c"}[:n] {
				plugins = append(plugins, realPlugin(b, id, 10*time.Second, empty))
			}
			h := realHost(b, Options{}, plugins...)
			benchmarkCalls(b, h, Call{Event: doing("", "", ""), Content: sealed(littleMail)})
			b.ReportMetric(float64(h.Status().Workers[0].RSS>>20), "worker-MiB")
		})
	}
}
