package host

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"net"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"hauspost/plugins/abi"
	"hauspost/plugins/host/link"
)

// The test binary is also the worker, and the parent that is killed.
const (
	fakeWorker = "fake-worker"
	fakeParent = "fake-parent"
)

// programs are what the test binary is besides.
var programs = map[string]func() int{}

func init() {
	programs[fakeWorker] = func() int { return (&fake{answers: map[uint64]chan *link.Answer{}}).main() }
	programs[fakeParent] = parentMain
}

func TestMain(m *testing.M) {
	if len(os.Args) > 1 && programs[os.Args[1]] != nil {
		os.Exit(programs[os.Args[1]]())
	}
	os.Exit(m.Run())
}

// fake is a worker without guests. What a plugin does stands in the event: in
// the value of the fact that has the plugin's name. Without one it gives a
// score.
type fake struct {
	conn    *link.Conn
	raw     int
	plugins []*link.Load
	busy    atomic.Int32

	mu      sync.Mutex
	lastAsk uint64
	answers map[uint64]chan *link.Answer
}

func (k *fake) main() int {
	k.raw, _ = unix.Dup(link.FD)
	unix.CloseOnExec(k.raw)
	conn, err := link.Open(os.NewFile(link.FD, "frames"))
	if err != nil {
		return 1
	}
	k.conn = conn
	if !k.configure() {
		return 1
	}
	for {
		f, files, err := conn.Receive()
		if err != nil {
			return 0
		}
		switch f := f.(type) {
		case *link.Run:
			var file *os.File
			if len(files) > 0 {
				file = files[0]
			}
			k.busy.Add(1)
			go k.run(f, file)
		case *link.Answer:
			k.mu.Lock()
			k.answers[f.ID] <- f
			delete(k.answers, f.ID)
			k.mu.Unlock()
		}
	}
}

// configure takes the chain. A plugin whose seed begins with a mark is loaded
// as that says.
func (k *fake) configure() bool {
	f, _, err := k.conn.Receive()
	c, ok := f.(*link.Configure)
	if err != nil || !ok {
		return false
	}
	r := &link.Ready{Walls: []string{"a wall\x1b[2J"}, Missing: []string{"another"}, Compiler: true}
	for n := range c.Plugins {
		f, files, err := k.conn.Receive()
		l, ok := f.(*link.Load)
		if err != nil || !ok || len(files) != 1 {
			return false
		}
		loaded := link.Loaded{Took: time.Millisecond, Pooled: true, Memory: 1 << 20}
		switch mark := string(bytes.TrimRight(l.Seed[:], "\x00")); mark {
		case "bad":
			loaded = link.Loaded{Error: "it imports \"dns\" without a grant"}
		case "die":
			fmt.Fprintln(os.Stderr, "dying\x1b[31m of it")
			os.Exit(7)
		case "never":
			time.Sleep(time.Hour)
		case "die loading":
			_ = k.conn.Send(&link.Loading{Plugin: n})
			os.Exit(7)
		case "never started":
			_ = k.conn.Send(&link.Loading{Plugin: n})
			_ = k.conn.Send(&link.Loading{Plugin: n, Start: true})
			time.Sleep(time.Hour)
		case "loads for ever":
			for {
				_ = k.conn.Send(&link.Loading{Plugin: n})
			}
		}
		k.plugins = append(k.plugins, l)
		r.Plugins = append(r.Plugins, loaded)
		_ = files[0].Close()
	}
	return k.conn.Send(r) == nil
}

func (k *fake) run(run *link.Run, file *os.File) {
	defer k.busy.Add(-1)
	var e abi.Event
	if e.Decode(run.Event) != nil {
		os.Exit(9)
	}
	for i, s := range run.Chain {
		do, detail := "", ""
		for _, f := range e.Facts {
			if f.Name == k.plugins[s.Plugin].ID {
				do, detail = f.Value, f.Detail
			}
		}
		r := &link.Result{Run: run.ID, Position: i, Memory: 1 << 20, Took: time.Millisecond, Last: i == len(run.Chain)-1}
		r.Effects = (&abi.Effects{List: []abi.Effect{{Kind: abi.Score, Symbol: "FAKE", Points: 1}}}).Append(nil)
		k.do(do, detail, r, &e, file)
		if err := k.conn.Send(r); err != nil {
			return
		}
	}
	if file != nil {
		_ = file.Close()
	}
}

// do does what a plugin shall do; it changes the result.
func (k *fake) do(do, detail string, r *link.Result, e *abi.Event, file *os.File) {
	switch do {
	case "":
	case "hang":
		select {}
	case "slow":
		d, _ := time.ParseDuration(detail)
		time.Sleep(d)
	case "die":
		os.Exit(3)
	case "trap":
		r.Failure, r.Text = link.FailTrap, "unreachable\nline"
	case "unread":
		r.Failure, r.Text = link.FailWorker, "no room for the message"
	case "odd":
		r.Failure = "no such failure"
	case "effects":
		r.Effects, _ = hex.DecodeString(detail)
	case "change":
		r.Changes, _ = hex.DecodeString(detail)
	case "pieces":
		half := len(r.Effects) / 2
		_ = k.conn.Send(&link.More{Run: r.Run, Position: r.Position, Effects: r.Effects[:half]})
		r.Effects = r.Effects[half:]
	case "findings":
		for _, f := range e.Findings {
			r.Log = append(r.Log, f.By+" "+f.Symbol)
		}
	case "log":
		r.Log = []string{strings.Repeat("x", 700), "a\tb\x07\u202ec\xff", strings.Repeat("y", 20000)}
	case "read":
		b := make([]byte, 100)
		n, _ := file.ReadAt(b, 0)
		r.Log = []string{string(b[:n])}
	case "process":
		r.Log = []string{fmt.Sprint(os.Environ()), fmt.Sprint(os.Args[1:]), fmt.Sprint(os.Getpid())}
	case "stderr":
		for i := range 5000 {
			fmt.Fprintf(os.Stderr, "line %d %s\n", i, strings.Repeat("z", 5000))
		}
	case "keys", "dns", "service", "service-file", "keys-file", "service-pipe":
		k.asking(do, detail, r)
	default:
		k.lie(do, r)
	}
}

// asking asks what the detail says in hexadecimals, and logs the answer so.
func (k *fake) asking(do, detail string, r *link.Result) {
	a := &link.Ask{Run: r.Run, Position: r.Position, Kind: link.AskService}
	a.Data, _ = hex.DecodeString(detail)
	var files []*os.File
	switch do {
	case "keys", "keys-file":
		a.Kind = link.AskKeys
	case "dns":
		a.Kind = link.AskDNS
	}
	switch do {
	case "service-file", "keys-file":
		fd, _ := unix.MemfdCreate("part", 0)
		f := os.NewFile(uintptr(fd), "part")
		_, _ = f.WriteString("the part")
		files = []*os.File{f}
	case "service-pipe":
		r, _, _ := os.Pipe()
		files = []*os.File{r}
	}
	a.HasFile = len(files) > 0
	answer := make(chan *link.Answer, 1)
	k.mu.Lock()
	k.lastAsk++
	a.ID = k.lastAsk
	k.answers[a.ID] = answer
	k.mu.Unlock()
	_ = k.conn.Send(a, files...)
	got := <-answer
	r.Log = []string{fmt.Sprint(int(got.Errno)), hex.EncodeToString(got.Data)}
}

// stray is the name of files that the parent must not keep.
const stray = "hauspost-test-stray"

// lie breaks the rules of the link.
func (k *fake) lie(do string, r *link.Result) {
	send := func(f link.Frame) { _ = k.conn.Send(f) }
	fd, _ := unix.MemfdCreate(stray, 0)
	file := os.NewFile(uintptr(fd), stray)
	switch do {
	case "lie-run":
		send(&link.Result{Run: r.Run + 1000, Last: true})
	case "lie-position":
		send(&link.Result{Run: r.Run, Position: r.Position + 1, Last: r.Last})
	case "lie-last":
		send(&link.Result{Run: r.Run, Position: r.Position, Last: !r.Last})
	case "lie-direction":
		send(&link.Run{})
	case "lie-ready":
		send(&link.Ready{})
	case "lie-more":
		for range 100 {
			send(&link.More{Run: r.Run, Position: r.Position, Changes: make([]byte, link.MaxPiece)})
		}
	case "lie-empty-more":
		send(&link.More{Run: r.Run, Position: r.Position})
	case "lie-file":
		_ = k.conn.Send(&link.Result{Run: r.Run, Position: r.Position, Last: r.Last}, file)
	case "lie-ask-file":
		_ = k.conn.Send(&link.Ask{ID: 1, Run: r.Run, Position: r.Position, Kind: link.AskKeys}, file)
	case "lie-ask-run":
		_ = k.conn.Send(&link.Ask{ID: 1, Run: r.Run + 7, Position: r.Position, Kind: link.AskKeys, HasFile: true}, file)
	case "lie-asks":
		for i := range uint64(1000) {
			send(&link.Ask{ID: i, Run: r.Run, Position: r.Position, Kind: link.AskDNS})
		}
	case "lie-files":
		fds := make([]int, 200)
		for i := range fds {
			fds[i] = fd
		}
		_ = unix.Sendmsg(k.raw, []byte{1}, unix.UnixRights(fds...), nil, 0)
	case "lie-garbage":
		_ = unix.Sendmsg(k.raw, []byte("\xff\xfegarbage"), nil, nil, 0)
	case "lie-huge":
		_ = unix.SetsockoptInt(k.raw, unix.SOL_SOCKET, unix.SO_SNDBUF, 1<<20)
		_ = unix.Sendmsg(k.raw, make([]byte, link.MaxFrame+10), nil, nil, 0)
	case "lie-empty":
		_ = unix.Sendmsg(k.raw, nil, unix.UnixRights(fd), nil, 0)
	}
	select {} // the parent has to end this
}

// parentMain is a mail process that is killed while its worker hangs.
func parentMain() int {
	h, err := New(Options{Command: []string{os.Args[0], fakeWorker}})
	if err != nil {
		return 1
	}
	if err := h.Use(bgCtx, []Plugin{fakePlugin("a")}); err != nil {
		return 1
	}
	fmt.Println(h.Status().Workers[0].PID)
	h.Call(bgCtx, Call{Event: doing("a", "hang", "")})
	return 1
}

// listenUnix gives a listener on a socket in a folder of the test.
func listenUnix(t *testing.T) (net.Listener, string) {
	t.Helper()
	path := t.TempDir() + "/s"
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l, path
}
