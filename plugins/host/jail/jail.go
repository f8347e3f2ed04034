package jail

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"

	"golang.org/x/sys/unix"
)

// Limits is how much the process may use. A number that is 0 leaves the limit
// as it is; one above what the process was started with is lowered to that.
type Limits struct {
	// Data is private writable memory in octets on top of what the process has
	// when it enters (RLIMIT_DATA), whether it is used or not: the heap of Go
	// and what guests have. Mapping more of it, or making more of a mapping
	// writable, fails with ENOMEM. The heap of Go, which grows over mappings of
	// its own, passes the limit once; the next time the runtime wants memory it
	// ends the process, with status 2.
	Data int64
	// Space is address space in octets on top of what the process has when it
	// enters (RLIMIT_AS), what is reserved for guests included: no single
	// allocation is larger. Over it Go ends the process with status 2. The heap
	// takes it by 64 MB at a time, and it should be at least twice Data: close
	// to it the kernel lets any mapping become writable.
	Space int64
	// Files is the number of descriptors (RLIMIT_NOFILE). A message that comes
	// as a descriptor over the limit does not come at all.
	Files int64
	// FileSize is the size in octets of any file that is written
	// (RLIMIT_FSIZE), files in memory too. Over it a write fails with EFBIG.
	FileSize int64
	// Cache is the folder of compiled modules, which can be read and written
	// between Enter and Seal; "" is none. It must be there.
	Cache string
}

// Walls is what stands around the process, in plain words for people.
type Walls struct {
	// Standing names the walls that stand, Missing those that this kernel does
	// not have, with the reason.
	Standing, Missing []string
}

// state is what Seal needs to know of Enter.
var state struct {
	sync.Mutex
	entered, sealed   bool
	landlock, seccomp bool
}

// Enter locks the process in, all but for the cache and for what compiling
// needs. It can be called once, when everything that the process shall have is
// open. The working directory becomes "/", new files are for their owner alone.
//
// Kernels that lack a wall are no error, see Walls. Errors are: a second call, a
// cache folder that is not there, and a kernel that has a wall and refuses to
// put it up. After an error the process should end.
func Enter(l Limits) (Walls, error) {
	state.Lock()
	defer state.Unlock()
	var w Walls
	if state.entered {
		return w, errors.New("entering the jail: the process is in it already")
	}
	if l.Cache != "" {
		dir, err := filepath.Abs(l.Cache)
		if err != nil {
			return w, fmt.Errorf("entering the jail: %w", err)
		}
		if fi, err := os.Stat(dir); err != nil {
			return w, fmt.Errorf("entering the jail: the cache folder: %w", err)
		} else if !fi.IsDir() {
			return w, fmt.Errorf("entering the jail: the cache folder: %s is not a folder", dir)
		}
		l.Cache = dir
	}
	state.entered = true
	unix.Umask(0o077)
	if err := unix.Chdir("/"); err != nil {
		return w, fmt.Errorf("entering the jail: changing to /: %w", err)
	}
	for _, step := range []func(*Walls, Limits) error{limit, unprivilege, uncap, enterLandlock, enterSeccomp} {
		if err := step(&w, l); err != nil {
			return w, fmt.Errorf("entering the jail: %w", err)
		}
	}
	return w, nil
}

// Seal takes away the cache and everything else that guests must not have: it
// comes before the first of them runs. Walls that Enter did not find are left
// out. After an error, and that includes a call before Enter, no guest may run.
func Seal() error {
	state.Lock()
	defer state.Unlock()
	switch {
	case !state.entered:
		return errors.New("sealing the jail: the process is not in it")
	case state.sealed:
		return nil
	}
	// In a program that is linked with C the library reaches all threads in a
	// way that seccomp has closed already, and would wait for ever; there
	// seccomp alone closes the cache.
	if state.landlock && !(withC && state.seccomp) {
		if err := sealLandlock(); err != nil {
			return fmt.Errorf("sealing the jail: %w", err)
		}
	}
	if state.seccomp {
		if err := sealSeccomp(); err != nil {
			return fmt.Errorf("sealing the jail: %w", err)
		}
	}
	state.sealed = true
	return nil
}

// stands and lacks add a line.
func (w *Walls) stands(format string, args ...any) {
	w.Standing = append(w.Standing, fmt.Sprintf(format, args...))
}

func (w *Walls) lacks(format string, args ...any) {
	w.Missing = append(w.Missing, fmt.Sprintf(format, args...))
}
