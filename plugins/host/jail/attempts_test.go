//go:build !cgo

package jail

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// ending of an attempt.
type outcome int

const (
	works  outcome = iota
	denied         // an error
	killed         // SIGSYS
	dies           // Go's end for want of memory, which has many ways
)

// guard is a wall in the way of an attempt: from a mode on, if a line of
// Walls.Standing has these words.
type guard struct {
	words string
	from  mode
	how   outcome
}

// attempt is what a copy tries. Without a jail it works.
type attempt struct {
	name   string
	try    func(place) error
	guards []guard
	// native ones cannot be tried in an emulator.
	native bool
}

// Guards that many have in their way.
var (
	noCall     = guard{"seccomp: ", entered, denied}
	noCallLate = guard{"seccomp: ", sealed, denied}
	noLife     = guard{"seccomp: ", entered, killed}
	noFile     = guard{"Landlock ", entered, denied}
	noCache    = guard{"Landlock ", sealed, denied}
	noTCP      = guard{"no network by TCP", entered, denied}
	noOutside  = guard{"no signals and abstract sockets", entered, denied}
)

var attempts = []attempt{
	{"work", work, nil, false},
	{"open outside", func(p place) error { return readFile(p.Outside) }, []guard{noCallLate, noFile}, false},
	{"list /", func(place) error { _, err := os.ReadDir("/"); return err }, []guard{noCallLate, noFile}, false},
	{"write outside", func(p place) error {
		return os.WriteFile(p.Outside+"."+fmt.Sprint(os.Getpid()), nil, 0o600)
	}, []guard{noCallLate, noFile}, false},
	{"read cache", func(p place) error { return readFile(filepath.Join(p.Cache, "there")) }, []guard{noCallLate, noCache}, false},
	{"change cache", changeCache, []guard{noCallLate, noCache}, false},
	{"symlink in cache", func(p place) error {
		return os.Symlink("/", filepath.Join(p.Cache, fmt.Sprint("link", os.Getpid())))
	}, []guard{noCall, noFile}, false},
	{"TCP", func(p place) error { return dial("tcp", p.TCP) }, []guard{noCall, noTCP}, false},
	{"UDP", func(p place) error { return dial("udp", p.TCP) }, []guard{noCall}, false},
	{"Unix socket", func(p place) error { return dial("unix", p.Unix) }, []guard{noCall}, false},
	{"abstract socket", func(p place) error { return dial("unix", p.Abstract) }, []guard{noCall, noOutside}, false},
	{"listen", func(place) error {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err == nil {
			err = l.Close()
		}
		return err
	}, []guard{noCall}, false},
	{"socket pair", func(place) error { _, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM, 0); return err }, []guard{noCall}, false},
	{"signal", func(p place) error { return unix.Kill(p.Victim, 0) }, []guard{noCall, noOutside}, false},
	{"signal to a thread", func(p place) error { return unix.Tgkill(p.Victim, p.Victim, 0) }, []guard{noCall, noOutside}, false},
	{"signal to itself", func(place) error { return unix.Kill(os.Getpid(), 0) }, nil, false},
	{"open memory", func(p place) error { return openOnly(fmt.Sprintf("/proc/%d/mem", p.Victim)) }, []guard{noCallLate, noFile}, true},
	{"more files", manyFiles, []guard{{"40 open files", entered, denied}}, false},
	{"long file", longFile, []guard{{"8 MB a file", entered, denied}}, false},
	{"raise a limit", raiseLimit, []guard{noCall}, false},
	{"clone3", func(place) error {
		// It has nothing to work with, but is there.
		if _, _, e := unix.RawSyscall(unix.SYS_CLONE3, 0, 0, 0); e == unix.ENOSYS {
			return e
		}
		return nil
	}, []guard{noCall}, true},

	{"start a program", func(place) error {
		p, err := os.StartProcess("/bin/true", []string{"true"}, &os.ProcAttr{})
		if err == nil {
			_, err = p.Wait()
		}
		return err
	}, []guard{noCall, noFile}, false},
	{"fork", fork, []guard{noLife}, true},
	{"ptrace", func(p place) error {
		if _, _, e := unix.Syscall6(unix.SYS_PTRACE, unix.PTRACE_SEIZE, uintptr(p.Victim), 0, 0, 0, 0); e != 0 {
			return e
		}
		return nil
	}, []guard{noLife}, true},
	{"read memory", func(p place) error {
		b := make([]byte, 1)
		// Nothing is read, but whether it may be is asked.
		_, err := unix.ProcessVMReadv(p.Victim, []unix.Iovec{{Base: &b[0]}}, nil, 0)
		return err
	}, []guard{noLife}, true},
	{"unshare", func(place) error { return unix.Unshare(unix.CLONE_FS) }, []guard{noLife}, false},
	{"become another program", func(place) error {
		return unix.Exec("/bin/echo", []string{"echo", `{"Results":{"become another program":""}}`}, nil)
	}, []guard{noLife, noFile}, false},
	{"memory", func(place) error { return memory(unix.PROT_READ | unix.PROT_WRITE) }, []guard{{"64 MB of memory", entered, denied}}, false},
	{"memory made writable", func(place) error { return memory(unix.PROT_NONE) }, []guard{{"64 MB of memory", entered, denied}}, false},
	{"address space", func(place) error {
		b, err := unix.Mmap(-1, 0, 500<<20, unix.PROT_NONE, unix.MAP_ANON|unix.MAP_PRIVATE|unix.MAP_NORESERVE)
		if err == nil {
			err = unix.Munmap(b)
		}
		return err
	}, []guard{{"384 MB of address space", entered, denied}}, false},
	{"heap", func(place) error {
		// The first is let through where it fits into the space.
		a, b := make([]byte, 300<<20), make([]byte, 300<<20)
		a[0], b[0] = 1, 1
		return nil
	}, []guard{{"64 MB of memory", entered, dies}}, false},
}

// expected is how an attempt ends behind walls.
func (a attempt) expected(m mode, w Walls) outcome {
	for _, g := range a.guards {
		if m >= g.from && stands(w, g.words) {
			return g.how
		}
	}
	return works
}

// lethal tells whether an attempt can end its process.
func (a attempt) lethal() bool {
	return len(a.guards) > 0 && a.guards[0].how > denied
}

// orders are ways to use the package.
var orders = map[string]func(place) error{
	"seal first": func(place) error { return Seal() },
	"enter twice": func(p place) error {
		_, err := Enter(Limits{Cache: p.Cache})
		if err == nil {
			_, err = Enter(Limits{Cache: p.Cache})
		}
		return err
	},
	"no cache": func(place) error { _, err := Enter(Limits{Cache: "/nowhere"}); return err },
	"seal twice": func(place) error {
		_, err := Enter(Limits{})
		return errors.Join(err, Seal(), Seal())
	},
}

func readFile(name string) error {
	b, err := os.ReadFile(name)
	if err == nil && len(b) == 0 {
		err = errors.New("nothing in it")
	}
	return err
}

func openOnly(name string) error {
	f, err := os.Open(name)
	if err == nil {
		err = f.Close()
	}
	return err
}

// changeCache does what a compile cache does.
func changeCache(p place) error {
	dir := filepath.Join(p.Cache, fmt.Sprint("folder", os.Getpid()))
	if err := os.Mkdir(dir, 0o700); err != nil {
		return err
	}
	f, err := os.CreateTemp(dir, "entry.*.tmp")
	if err != nil {
		return err
	}
	_, err = f.WriteString("code")
	name := filepath.Join(dir, "entry")
	if err = errors.Join(err, f.Sync(), f.Close(), os.Rename(f.Name(), name)); err != nil {
		return err
	}
	_, err = os.ReadDir(dir)
	return errors.Join(err, readFile(name), os.Remove(name), os.Remove(dir))
}

func dial(network, address string) error {
	c, err := net.Dial(network, address)
	if err == nil {
		err = c.Close()
	}
	return err
}

func fork(place) error {
	pid, _, e := unix.RawSyscall6(unix.SYS_CLONE, uintptr(unix.SIGCHLD), 0, 0, 0, 0, 0)
	if e != 0 {
		return e
	}
	if pid == 0 {
		unix.RawSyscall(unix.SYS_EXIT_GROUP, 0, 0, 0)
	}
	_, err := unix.Wait4(int(pid), nil, 0, nil)
	return err
}

func manyFiles(place) error {
	var all []int
	defer func() {
		for _, fd := range all {
			_ = unix.Close(fd)
		}
	}()
	for range 100 {
		fd, err := unix.Dup(0)
		if err != nil {
			return err
		}
		all = append(all, fd)
	}
	return nil
}

func longFile(place) error {
	fd, err := unix.MemfdCreate("long", unix.MFD_CLOEXEC)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	_, err = unix.Pwrite(fd, []byte("x"), 9<<20)
	return err
}

// memory wants 100 MB and lets them go.
func memory(prot int) error {
	b, err := unix.Mmap(-1, 0, 100<<20, prot, unix.MAP_ANON|unix.MAP_PRIVATE|unix.MAP_NORESERVE)
	if err != nil {
		return err
	}
	return errors.Join(unix.Mprotect(b, unix.PROT_READ|unix.PROT_WRITE), unix.Munmap(b))
}

func raiseLimit(place) error {
	var l unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_STACK, &l); err != nil {
		return err
	}
	return unix.Setrlimit(unix.RLIMIT_STACK, &l)
}

// work is what a worker needs all the time, with new threads, the garbage
// collector, timers, memory of all kinds and descriptors through the socket.
func work(place) error {
	var wg sync.WaitGroup
	for range 12 {
		wg.Go(func() {
			runtime.LockOSThread() // a thread that ends with it
			for range 20 {
				b := make([]byte, 100<<10)
				_, _ = rand.Read(b[:100])
			}
			time.Sleep(time.Millisecond)
		})
	}
	// A loop that has to be interrupted, by a signal from another thread.
	end := time.Now().Add(30 * time.Millisecond)
	wg.Go(func() {
		for n := 0; time.Now().Before(end); n++ {
			_ = n
		}
	})
	runtime.GC()
	wg.Wait()
	<-time.After(time.Millisecond)
	code, err := unix.Mmap(-1, 0, 1<<16, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
	if err != nil {
		return fmt.Errorf("mmap: %w", err)
	}
	if err := errors.Join(unix.Mprotect(code, unix.PROT_READ|unix.PROT_EXEC), unix.Munmap(code)); err != nil {
		return fmt.Errorf("code: %w", err)
	}
	return exchange()
}

// exchange sends a sealed file in memory through descriptor 3 and gets it back.
func exchange() error {
	fd, err := unix.MemfdCreate("message", unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
	if err != nil {
		return fmt.Errorf("memfd_create: %w", err)
	}
	f := os.NewFile(uintptr(fd), "message")
	defer f.Close()
	if _, err := f.WriteString("a message"); err != nil {
		return err
	}
	if _, err := unix.FcntlInt(f.Fd(), unix.F_ADD_SEALS, unix.F_SEAL_SHRINK|unix.F_SEAL_WRITE); err != nil {
		return fmt.Errorf("sealing: %w", err)
	}
	socket, err := net.FileConn(os.NewFile(3, "socket"))
	if err != nil {
		return fmt.Errorf("socket: %w", err)
	}
	c := socket.(*net.UnixConn)
	defer c.Close()
	if _, _, err := c.WriteMsgUnix([]byte("x"), unix.UnixRights(fd), nil); err != nil {
		return fmt.Errorf("sendmsg: %w", err)
	}
	buf, oob := make([]byte, 16), make([]byte, 64)
	_, n, _, _, err := c.ReadMsgUnix(buf, oob)
	if err != nil {
		return fmt.Errorf("recvmsg: %w", err)
	}
	back, err := descriptor(oob[:n])
	if err != nil {
		return err
	}
	defer unix.Close(back)
	b, err := unix.Mmap(back, 0, 9, unix.PROT_READ, unix.MAP_SHARED)
	if err != nil {
		return fmt.Errorf("mmap of a message: %w", err)
	}
	if !bytes.Equal(b, []byte("a message")) {
		return fmt.Errorf("it came back as %q", b)
	}
	return unix.Munmap(b)
}

func descriptor(oob []byte) (int, error) {
	messages, err := unix.ParseSocketControlMessage(oob)
	if err != nil || len(messages) != 1 {
		return 0, fmt.Errorf("%d messages: %w", len(messages), err)
	}
	fds, err := unix.ParseUnixRights(&messages[0])
	if err != nil || len(fds) != 1 {
		return 0, fmt.Errorf("%d descriptors: %w", len(fds), err)
	}
	return fds[0], nil
}
