//go:build !cgo

package worker

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"

	"hauspost/plugins/abi"
	"hauspost/plugins/host/link"
)

// workerEnv makes the test binary a worker. With cgo the walls are not for all
// threads, so Hauspost is built without.
const workerEnv = "HAUSPOST_TEST_WORKER"

func TestMain(m *testing.M) {
	if os.Getenv(workerEnv) != "" {
		os.Exit(Main())
	}
	os.Exit(m.Run())
}

// process starts a worker as a process of its own, with all walls.
func process(t testing.TB, config link.Configure, loads []*link.Load, wasm [][]byte) *parent {
	t.Helper()
	conn, theirs, err := link.Pair()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), workerEnv+"=1")
	cmd.ExtraFiles = []*os.File{theirs}
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	_ = theirs.Close()
	p := &parent{t: t, conn: conn, ended: make(chan error, 1)}
	go func() {
		err := cmd.Wait()
		if err != nil {
			err = fmt.Errorf("%w: %s", err, stderr.String())
		}
		p.ended <- err
	}()
	p.setUp(config, loads, wasm)
	return p
}

// The whole process behind its walls: a Go guest from the cache and not, large
// messages, services, memory that grows, recursion, and the end by closing.
func TestProcess(t *testing.T) {
	t.Parallel()
	guest := goGuest(t, "guest")
	service := newBuilder()
	call := service.host("service")
	service.data = (&abi.ServiceRequest{Name: "s", With: true, View: abi.Text}).Append(nil)
	deep := newBuilder()
	deep.stage(op(0x10, 0))
	wasm := [][]byte{guest, service.stage(callOp(call, 0, int32(len(service.data)), 0, 0), op(0x1a), ok).bytes(), deep.bytes()}
	cache := t.TempDir()
	if err := os.Chmod(cache, 0o700); err != nil {
		t.Fatal(err)
	}
	body := "Content-Type: text/html\r\n\r\n<p>" + strings.Repeat("a needle in hay ", 20_000)
	for range 2 {
		p := process(t, link.Configure{Parallel: 2, Cache: cache, Memory: 1 << 30}, loads(wasm...), wasm)
		p.answer = func(a *link.Ask) *link.Answer {
			if !a.HasFile {
				t.Error("no part came")
			}
			return &link.Answer{}
		}
		t.Logf("%+v", *p.ready)
		for id, sender := range []string{"scan", "remember", "remember", "recurse", "panic", "remember", "scan"} {
			chain := []int{0, 1}
			if sender == "panic" {
				chain = append(chain, 2)
			}
			p.run(uint64(id), abi.Event{Stage: abi.OnMessage, Sender: sender, ID: sender}, body, chain...)
			r := p.result()
			if failed := r.Failure != ""; failed != (sender == "recurse" || sender == "panic") {
				t.Errorf("%s: %+v", sender, r)
			}
			var e abi.Effects
			if err := e.Decode(r.Effects); err != nil || sender == "scan" && e.List[0].Points < 19_999 {
				t.Errorf("%v %+v", err, e)
			}
			if r := p.result(); r.Failure != "" {
				t.Errorf("%+v", r)
			}
			if len(chain) < 3 {
				continue
			}
			if r := p.result(); r.Failure != link.FailTrap || !strings.HasPrefix(r.Text, "stack overflow") {
				t.Errorf("%+v", r)
			}
		}
	}
}

func TestProcessAlone(t *testing.T) {
	t.Parallel()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), workerEnv+"=1")
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != 2 || !strings.Contains(string(out), "started by hauspost itself") {
		t.Errorf("%v: %s", err, out)
	}
}
