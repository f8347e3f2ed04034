package host

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"

	"hauspost/plugins/host/link"
)

// The states of a worker, in the order of its life.
const (
	starting = iota
	ready
	gone
)

// worker is one process. But for what is set before it is ready, pool.mu
// guards all of it.
type worker struct {
	p    *pool
	conn *link.Conn

	state   int
	careful bool
	// old tells that it has to go for its memory.
	old bool
	// places are those that are taken, flights those that were sent.
	places  int
	flights map[uint64]*flight
	lastID  uint64
	// slow counts flights in which nothing went on for the soft limit.
	slow   int
	flown  bool
	since  time.Time
	idle   time.Time
	killed string
	// slowStart tells that it was killed because it did not get ready.
	slowStart bool

	pid      int
	process  *os.Process
	exited   chan struct{}
	exit     string
	walls    []string
	missing  []string
	compiler bool
	// loading is the plugin that it loads, by the number in the pool; -1 before
	// and after.
	loading int
	// numbers are those of the pool's plugins in the worker, problems why they
	// are not there.
	numbers  []int
	problems []string
}

// tired counts why new messages had better go elsewhere.
func (w *worker) tired() int {
	if w.old {
		return w.slow + 1
	}
	return w.slow
}

// start starts a worker. It wants p.mu held.
func (p *pool) start(careful bool) {
	w := &worker{p: p, careful: careful, flights: map[uint64]*flight{}, since: time.Now(), exited: make(chan struct{}), loading: -1}
	p.workers = append(p.workers, w)
	go w.live()
}

// live is the life of a worker.
func (w *worker) live() {
	p := w.p
	conn, err := w.spawn()
	if err == nil {
		limit := time.AfterFunc(p.h.o.StartTime, func() {
			p.mu.Lock()
			defer p.mu.Unlock()
			if w.state == starting {
				w.slowStart = true
				w.kill("it was not ready after " + p.h.o.StartTime.String())
			}
		})
		err = w.load(conn, limit)
		limit.Stop()
	}
	p.mu.Lock()
	if err != nil || w.killed != "" {
		problem := "the worker for the plugins could not be started"
		switch {
		case w.killed != "":
			problem += ": " + w.killed
		case conn != nil:
			problem += ": " + err.Error() + w.fate()
		default:
			problem += ": " + err.Error()
		}
		w.leave()
		if !w.strike(problem) {
			p.started(problem)
		}
		p.ensure()
		p.mu.Unlock()
		p.h.o.Logger.Warn("The worker for the plugins could not be started.", "error", problem)
		return
	}
	w.state, w.idle = ready, time.Now()
	p.started("")
	p.ensure()
	p.mu.Unlock()
	w.announce()

	w.bury(w.serve(conn))
}

// spawn starts the process.
func (w *worker) spawn() (*link.Conn, error) {
	conn, theirs, err := link.Pair()
	if err != nil {
		return nil, err
	}
	defer theirs.Close()
	stderr, its, err := os.Pipe()
	if err != nil {
		_ = conn.Close()
		return nil, fmt.Errorf("making a pipe for its messages: %w", err)
	}
	defer its.Close()
	o := &w.p.h.o
	cmd := exec.Command(o.Command[0], o.Command[1:]...)
	cmd.Env, cmd.Dir = []string{}, "/"
	cmd.Stderr, cmd.ExtraFiles = its, []*os.File{theirs}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	started := make(chan error)
	go func() {
		// The kernel sends Pdeathsig when the thread ends that started the
		// process, so that thread waits for it.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		started <- err
		if err != nil {
			return
		}
		w.exit = ending(cmd.Wait())
		close(w.exited)
		// What it said last is still read, but not what others might say for it.
		time.AfterFunc(time.Second, func() { _, _ = conn.Close(), stderr.Close() })
	}()
	if err := <-started; err != nil {
		_ = conn.Close()
		_ = stderr.Close()
		return nil, err
	}
	go w.listen(stderr)
	// Where memory is short a worker shall go, not the mail process.
	_ = os.WriteFile("/proc/"+strconv.Itoa(cmd.Process.Pid)+"/oom_score_adj", []byte("500"), 0)
	w.p.mu.Lock()
	w.conn, w.process, w.pid = conn, cmd.Process, cmd.Process.Pid
	if w.killed != "" {
		_ = w.process.Kill()
	}
	w.p.mu.Unlock()
	return conn, nil
}

func ending(err error) string {
	if err == nil {
		return "it ended itself"
	}
	return err.Error()
}

// serve takes frames until the worker is gone, and gives why.
func (w *worker) serve(conn *link.Conn) string {
	for {
		f, files, err := conn.Receive()
		problem := ""
		if err == nil {
			problem = w.handle(f, files)
		}
		for _, f := range files {
			if f != nil {
				_ = f.Close()
			}
		}
		switch {
		case err != nil && errors.Is(err, link.ErrFrame):
			return "it lied: " + err.Error()
		case err != nil:
			return ""
		case problem != "":
			return "it lied: " + problem
		}
	}
}

// handle does one frame; files that it keeps it takes out. What it returns is
// why the worker cannot be trusted.
func (w *worker) handle(f link.Frame, files []*os.File) string {
	switch f := f.(type) {
	case *link.Result:
		if len(files) > 0 {
			return "a result came with a file"
		}
		return w.result(f)
	case *link.More:
		if len(files) > 0 {
			return "a piece of a result came with a file"
		}
		return w.more(f)
	case *link.Ask:
		if f.HasFile != (len(files) == 1) {
			return "a question came with a file, or without one, that it did not tell of"
		}
		var file *os.File
		if f.HasFile {
			file, files[0] = files[0], nil
		}
		return w.ask(f, file)
	}
	return "it sent a frame that is not for it to send"
}

// kill makes an end of the worker; bury notices. It wants p.mu held.
func (w *worker) kill(why string) {
	if w.killed != "" {
		return
	}
	w.killed, w.state = why, gone
	if w.process != nil {
		_ = w.process.Kill()
	}
	if w.conn != nil {
		_ = w.conn.Close()
	}
}

// leave takes the worker out of its pool. It wants p.mu held.
func (w *worker) leave() {
	w.kill("it is gone")
	list := w.p.workers[:0:0]
	for _, other := range w.p.workers {
		if other != w {
			list = append(list, other)
		}
	}
	w.p.workers = list
}

// fate waits for the process to end, and says how it did.
func (w *worker) fate() string {
	select {
	case <-w.exited:
		return " (" + w.exit + ")"
	case <-time.After(time.Second):
		return ""
	}
}

// bury makes the end of a worker known to all who wait for it.
func (w *worker) bury(lie string) {
	p := w.p
	p.mu.Lock()
	reason := w.killed
	if reason == "" {
		reason = lie
	}
	meant := w.killed != ""
	p.mu.Unlock()
	if reason == "" {
		// It died by itself; how is worth a moment.
		reason = "it died" + w.fate()
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	w.leave()
	for _, f := range w.flights {
		f.reason = reason
		f.land(endLost)
	}
	if !meant {
		p.h.o.Logger.Warn("A worker for the plugins is gone.", "pid", w.pid, "error", reason)
	}
	p.h.restarts.Add(1)
	if !meant && !w.flown && time.Since(w.since) < 5*time.Second {
		// One that dies for no message would do so again.
		p.started("the worker for the plugins does not live: " + reason)
	}
	p.ensure()
	p.dispatch()
}

// rss gives the resident memory in octets; 0 where it cannot be known.
func (w *worker) rss() int64 {
	b, err := os.ReadFile("/proc/" + strconv.Itoa(w.pid) + "/statm")
	if err != nil {
		return 0
	}
	fields := strings.Fields(string(b))
	if len(fields) < 2 {
		return 0
	}
	pages, err := strconv.ParseInt(fields[1], 10, 64)
	if err != nil {
		return 0
	}
	return pages * int64(os.Getpagesize())
}

const (
	// stderrLine is how much of a line of the worker is logged, stderrBurst how
	// many lines at once, of which one a second comes back.
	stderrLine  = 500
	stderrBurst = 100
)

// listen logs what the worker says on its standard error, as far as it is not
// too much.
func (w *worker) listen(stderr *os.File) {
	left, last := float64(stderrBurst), time.Now()
	say := func(line []byte) {
		now := time.Now()
		left, last = min(stderrBurst, left+now.Sub(last).Seconds()), now
		if text := clean(string(line), stderrLine); left >= 1 && text != "" {
			left--
			w.p.h.o.Logger.Warn("A worker for the plugins says something.", "pid", w.pid, "text", text)
		}
	}
	lines(stderr, stderrLine, say)
}

// lines calls say with the first octets of each line.
func lines(r io.Reader, most int, say func(line []byte)) {
	var line []byte
	buffer := make([]byte, 4096)
	for {
		n, err := r.Read(buffer)
		for _, c := range buffer[:n] {
			if c == '\n' {
				say(line)
				line = line[:0]
			} else if len(line) < most {
				line = append(line, c)
			}
		}
		if err != nil {
			say(line)
			return
		}
	}
}
