package link

import (
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"testing"

	"golang.org/x/sys/unix"

	"hauspost/plugins/abi"
)

// pair gives both ends of a talk.
func pair(t *testing.T) (parent, worker *Conn) {
	t.Helper()
	parent, theirs, err := Pair()
	if err != nil {
		t.Fatal(err)
	}
	worker, err = Open(theirs)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _ = parent.Close(), worker.Close() })
	return parent, worker
}

// hostile gives a parent and the bare socket of a worker that lies.
func hostile(t *testing.T) (*Conn, *net.UnixConn) {
	t.Helper()
	parent, worker := pair(t)
	return parent, worker.c
}

// pipe gives a pipe whose reader tells when nobody holds the writer any more.
func pipe(t *testing.T) (*os.File, *os.File) {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.Close() })
	return r, w
}

func TestFramesKeepOrderAndBounds(t *testing.T) {
	t.Parallel()
	parent, worker := pair(t)
	sent := samples()
	go func() {
		for _, f := range sent {
			if err := worker.Send(f); err != nil {
				t.Error(err)
			}
		}
		_ = worker.Close()
	}()
	for _, want := range sent {
		got, files, err := parent.Receive()
		if err != nil || len(files) != 0 {
			t.Fatalf("%T: %d files, %v", want, len(files), err)
		}
		if string(Append(nil, got)) != string(Append(nil, want)) {
			t.Fatalf("got %+v, want %+v", got, want)
		}
	}
	if _, _, err := parent.Receive(); !errors.Is(err, io.EOF) {
		t.Fatalf("at the end: %v", err)
	}
}

func TestLargestFrame(t *testing.T) {
	t.Parallel()
	parent, worker := pair(t)
	f := &Answer{Data: make([]byte, MaxFrame-6)}
	go func() {
		for range 4 {
			if err := parent.Send(f); err != nil {
				t.Error(err)
			}
		}
	}()
	for range 4 {
		got, _, err := worker.Receive()
		if err != nil || len(got.(*Answer).Data) != len(f.Data) {
			t.Fatal(err)
		}
	}
	if err := parent.Send(&Answer{Data: make([]byte, MaxFrame)}); !errors.Is(err, ErrFrame) {
		t.Fatalf("a frame that is too large: %v", err)
	}
	// The connection is still good.
	go func() { _ = parent.Send(&Cancel{ID: 1}) }()
	if got, _, err := worker.Receive(); err != nil || got.(*Cancel).ID != 1 {
		t.Fatal(got, err)
	}
}

func TestManySend(t *testing.T) {
	t.Parallel()
	parent, worker := pair(t)
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for j := range 100 {
				if err := worker.Send(&Ask{ID: uint64(i), Run: uint64(j), Kind: AskDNS, Data: make([]byte, i*100)}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	next := make([]uint64, 8)
	for range 800 {
		f, _, err := parent.Receive()
		if err != nil {
			t.Fatal(err)
		}
		a := f.(*Ask)
		if a.Run != next[a.ID] || len(a.Data) != int(a.ID)*100 {
			t.Fatalf("out of order: %+v", a)
		}
		next[a.ID]++
	}
	wg.Wait()
}

func TestFile(t *testing.T) {
	t.Parallel()
	parent, worker := pair(t)
	r, w := pipe(t)
	if err := parent.Send(&Run{ID: 1, HasFile: true}, w); err != nil {
		t.Fatal(err)
	}
	_ = w.Close()
	f, files, err := worker.Receive()
	if err != nil || len(files) != 1 || !f.(*Run).HasFile {
		t.Fatalf("%+v, %d files, %v", f, len(files), err)
	}
	if flags, err := unix.FcntlInt(files[0].Fd(), unix.F_GETFD, 0); err != nil || flags&unix.FD_CLOEXEC == 0 {
		t.Fatalf("a child would inherit the file: %x, %v", flags, err)
	}
	if _, err := files[0].WriteString("hello"); err != nil {
		t.Fatal(err)
	}
	_ = files[0].Close()
	if got, err := io.ReadAll(r); err != nil || string(got) != "hello" {
		t.Fatalf("%q, %v", got, err)
	}
	if err := parent.Send(&Cancel{}, r, r); err == nil {
		t.Fatal("two files were sent")
	}
}

func TestFilesOfBadFramesAreClosed(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		frame []byte
		files int
	}{
		"malformed":  {[]byte{99, 1, 2}, 1},
		"empty":      {nil, 1},
		"two files":  {Append(nil, &Cancel{}), 2},
		"many files": {Append(nil, &Cancel{}), 200},
		"too long":   {make([]byte, MaxFrame+100), 1},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			parent, worker := hostile(t)
			r, w := pipe(t)
			fds := make([]int, tc.files)
			for i := range fds {
				fds[i] = int(w.Fd())
			}
			if _, _, err := worker.WriteMsgUnix(tc.frame, unix.UnixRights(fds...), nil); err != nil {
				t.Fatal(err)
			}
			_ = w.Close()
			f, files, err := parent.Receive()
			if err == nil || len(files) > 0 {
				t.Fatalf("got %+v with %d files", f, len(files))
			}
			if n, err := r.Read(make([]byte, 1)); n != 0 || err != io.EOF {
				t.Fatalf("a file was left open: %d, %v", n, err)
			}
		})
	}
}

func TestCloseEndsWaiting(t *testing.T) {
	t.Parallel()
	parent, worker := pair(t)
	done := make(chan error, 2)
	go func() {
		for {
			// Nobody reads, so this blocks before long.
			if err := parent.Send(&Answer{Data: make([]byte, abi.MaxReply)}); err != nil {
				done <- err
				return
			}
		}
	}()
	go func() {
		_, _, err := parent.Receive()
		done <- err
	}()
	_ = parent.Close()
	for range 2 {
		if err := <-done; err == nil {
			t.Fatal("no error after Close")
		}
	}
	if _, err := drain(worker); !errors.Is(err, io.EOF) {
		t.Fatalf("the other end: %v", err)
	}
}

// drain receives until it fails.
func drain(c *Conn) (n int, err error) {
	for {
		if _, _, err = c.Receive(); err != nil {
			return n, err
		}
		n++
	}
}

func TestOpenRefuses(t *testing.T) {
	t.Parallel()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = unix.Close(fds[1]) }()
	if _, err := Open(os.NewFile(uintptr(fds[0]), "stream")); err == nil {
		t.Error("a stream was taken")
	}
	r, w := pipe(t)
	_ = w.Close()
	if _, err := Open(r); err == nil {
		t.Error("a pipe was taken")
	}
}

func BenchmarkRoundTrip(b *testing.B) {
	parent, theirs, err := Pair()
	if err != nil {
		b.Fatal(err)
	}
	worker, err := Open(theirs)
	if err != nil {
		b.Fatal(err)
	}
	go func() {
		for {
			f, _, err := worker.Receive()
			if err != nil {
				return
			}
			_ = worker.Send(&Result{Run: f.(*Run).ID, Last: true})
		}
	}()
	run := &Run{Event: make([]byte, 400), Chain: make([]Step, 1)}
	b.ReportAllocs()
	for b.Loop() {
		if err := parent.Send(run); err != nil {
			b.Fatal(err)
		}
		if _, _, err := parent.Receive(); err != nil {
			b.Fatal(err)
		}
	}
	_ = parent.Close()
}

// TestLastWords holds that what a worker said before it died is heard, also
// where it left frames unread.
func TestLastWords(t *testing.T) {
	t.Parallel()
	parent, worker := pair(t)
	if err := parent.Send(&Cancel{ID: 1}); err != nil {
		t.Fatal(err)
	}
	if err := worker.Send(&Loading{Plugin: 3}); err != nil {
		t.Fatal(err)
	}
	if err := worker.Close(); err != nil {
		t.Fatal(err)
	}
	f, _, err := parent.Receive()
	if l, ok := f.(*Loading); !ok || l.Plugin != 3 {
		t.Errorf("heard %+v, %v", f, err)
	}
	if f, _, err := parent.Receive(); !errors.Is(err, io.EOF) {
		t.Errorf("then %+v, %v", f, err)
	}
}
