package worker

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"sync"
	"time"

	"github.com/tetratelabs/wazero/experimental"

	"hauspost/plugins/host/jail"
	"hauspost/plugins/host/link"
)

// walls are the two steps of the jail; tests have others, and own is not set
// where the process has more to do than to be a worker.
type walls struct {
	own   bool
	enter func(jail.Limits) (jail.Walls, error)
	seal  func() error
}

// server is the worker at the other end of the parent's socket.
type server struct {
	conn    *link.Conn
	plugins []*plugin
	pages   *pages
	garbage collector

	mu    sync.Mutex
	runs  map[uint64]*run
	asks  map[uint64]chan *link.Answer
	asked uint64
	slots chan struct{}
}

const (
	// maxFiles is how many files the worker may have open, maxFileSize how
	// large one may become: compiled code, or a part for a service.
	maxFiles    = 512
	maxFileSize = 256 << 20
	// maxParallel is how many runs are served at a time, at most.
	maxParallel = 64
)

// serve talks with the parent until it closes the socket.
func serve(ctx context.Context, conn *link.Conn, w walls) error {
	s := &server{conn: conn, runs: map[uint64]*run{}, asks: map[uint64]chan *link.Answer{}}
	s.garbage.flush = s.flush
	frame, files, err := conn.Receive()
	if err != nil {
		return end(err)
	}
	closeAll(files)
	config, ok := frame.(*link.Configure)
	if !ok {
		return fmt.Errorf("the parent began with %T instead of how the worker is to be", frame)
	}
	parallel := min(max(config.Parallel, 1), maxParallel)
	ready, err := s.prepare(ctx, config, w)
	if err != nil {
		return end(err)
	}
	defer s.close()
	s.slots = make(chan struct{}, parallel)
	if w.own {
		s.garbage.start(parallel)
	}
	if err := conn.Send(ready); err != nil {
		return end(err)
	}
	for {
		frame, files, err := conn.Receive()
		if err != nil {
			return end(err)
		}
		if err := s.frame(ctx, frame, files); err != nil {
			return err
		}
	}
}

// end makes the end of the socket no error.
func end(err error) error {
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}

func closeAll(files []*os.File) {
	for _, f := range files {
		_ = f.Close()
	}
}

// prepare loads the plugins, puts up the walls, and starts the plugins.
func (s *server) prepare(ctx context.Context, config *link.Configure, w walls) (*link.Ready, error) {
	cache, missing := config.Cache, []string(nil)
	if cache != "" {
		if err := checkFolder(cache); err != nil {
			cache, missing = "", []string{"cache: plugins are compiled at each start, as " + err.Error()}
		}
	}
	s.pages = openPages()
	stand, err := w.enter(jail.Limits{Data: config.Memory, Files: maxFiles, FileSize: maxFileSize, Cache: cache})
	if err != nil {
		return nil, err
	}
	ctx = experimental.WithCompilationWorkers(ctx, min(runtime.NumCPU(), 4))
	ready := &link.Ready{Walls: stand.Standing, Missing: append(stand.Missing, missing...), Compiler: hasCompiler()}
	for n := range config.Plugins {
		frame, files, err := s.conn.Receive()
		if err != nil {
			return nil, err
		}
		load, ok := frame.(*link.Load)
		if !ok {
			closeAll(files)
			return nil, fmt.Errorf("the parent sent %T instead of a plugin", frame)
		}
		if err := s.conn.Send(&link.Loading{Plugin: n}); err != nil {
			closeAll(files)
			return nil, err
		}
		began := time.Now()
		p, err := loadPlugin(ctx, load, files, cache)
		closeAll(files)
		loaded := link.Loaded{Took: time.Since(began)}
		if err != nil {
			loaded.Error = words(err)
		}
		s.plugins = append(s.plugins, p)
		ready.Plugins = append(ready.Plugins, loaded)
	}
	if cache != "" {
		pruneCache(cache, time.Now())
	}
	if err := w.seal(); err != nil {
		return nil, err
	}
	for n, p := range s.plugins {
		if p == nil {
			continue
		}
		if err := s.conn.Send(&link.Loading{Plugin: n, Start: true}); err != nil {
			return nil, err
		}
		began := time.Now()
		loaded := &ready.Plugins[n]
		if err := p.start(ctx, s.pages); err != nil {
			loaded.Error = words(err)
			p.close()
			s.plugins[n] = nil
		}
		loaded.Took += time.Since(began)
		loaded.Pooled, loaded.Memory = p.pooled, p.size
	}
	return ready, nil
}

// maxWords is how long the reason of a load error may be, in octets.
const maxWords = 1000

func words(err error) string { return cut(clean(err.Error()), maxWords) }

// hasCompiler tells whether wazero makes machine code here.
func hasCompiler() bool { return runtime.GOARCH == "amd64" || runtime.GOARCH == "arm64" }

// loadPlugin reads a module and compiles it.
func loadPlugin(ctx context.Context, load *link.Load, files []*os.File, cache string) (*plugin, error) {
	if len(files) != 1 {
		return nil, errors.New("the module did not come; the worker may have too many open files")
	}
	// Others may read the same open file.
	wasm, err := io.ReadAll(io.NewSectionReader(files[0], 0, maxModule+1))
	if err != nil {
		return nil, fmt.Errorf("reading the module: %w", err)
	}
	if len(wasm) <= maxModule && sha256.Sum256(wasm) != load.SHA256 {
		return nil, ModuleError("the module is not the one that was installed: its SHA-256 is another")
	}
	return newPlugin(ctx, load, wasm, cache)
}

// frame takes one frame of the parent.
func (s *server) frame(ctx context.Context, frame link.Frame, files []*os.File) error {
	switch f := frame.(type) {
	case *link.Run:
		s.begin(ctx, f, files)
		return nil
	case *link.Answer:
		s.answer(f)
	case *link.Cancel:
		s.mu.Lock()
		r := s.runs[f.ID]
		s.mu.Unlock()
		if r != nil {
			r.cancel()
		}
	default:
		closeAll(files)
		return fmt.Errorf("the parent sent an unexpected %T", frame)
	}
	closeAll(files)
	return nil
}

// begin serves a run on a goroutine of its own, when it is its turn.
func (s *server) begin(ctx context.Context, f *link.Run, files []*os.File) {
	r := &run{s: s, frame: f, cancelled: make(chan struct{})}
	if f.HasFile != (len(files) == 1) {
		closeAll(files)
		r.send(&link.Result{Failure: link.FailWorker, Text: "the message did not come with its event", Last: true}, nil)
		return
	}
	var file *os.File
	if f.HasFile {
		file = files[0]
	} else {
		closeAll(files)
	}
	s.mu.Lock()
	s.runs[f.ID] = r
	s.mu.Unlock()
	go func() {
		s.slots <- struct{}{}
		s.garbage.begin()
		r.serve(ctx, file)
		s.mu.Lock()
		delete(s.runs, f.ID)
		s.mu.Unlock()
		s.garbage.end()
		<-s.slots
	}()
}

// send sends a frame. Where that fails nobody is there any more: the socket is
// closed, which ends serve.
func (s *server) send(f link.Frame, files ...*os.File) {
	if err := s.conn.Send(f, files...); err != nil {
		_ = s.conn.Close()
	}
}

// expect makes a place for the answer to a question.
func (s *server) expect() (uint64, chan *link.Answer) {
	answer := make(chan *link.Answer, 1)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked++
	s.asks[s.asked] = answer
	return s.asked, answer
}

func (s *server) forget(id uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.asks, id)
}

// answer hands an answer to who waits for it.
func (s *server) answer(a *link.Answer) {
	s.mu.Lock()
	waiting := s.asks[a.ID]
	delete(s.asks, a.ID)
	s.mu.Unlock()
	if waiting != nil {
		waiting <- a
	}
}

// flush ends all instances that wait for work.
func (s *server) flush() {
	for _, p := range s.plugins {
		if p != nil {
			p.flush()
		}
	}
}

// close ends what waits. What still runs is left to the end of the process.
func (s *server) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range s.runs {
		r.cancel()
	}
	s.flush()
}
