//go:build !cgo

package jail

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

// users are who the tests run as: root tries an ordinary user too.
func users() map[string]int {
	if os.Getuid() != 0 {
		return map[string]int{"user": 0}
	}
	return map[string]int{"root": 0, "user": 65534}
}

// stands tells whether words are in a line about a wall that stands.
func stands(w Walls, words string) bool {
	return slices.ContainsFunc(w.Standing, func(line string) bool { return strings.Contains(line, words) })
}

// lacks tells the same of those that are missing.
func lacks(w Walls, words string) bool {
	return slices.ContainsFunc(w.Missing, func(line string) bool { return strings.Contains(line, words) })
}

// setUp makes a place for a user.
func setUp(t *testing.T, uid int) place {
	t.Helper()
	dir, err := os.MkdirTemp("", "jail")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	p := place{Outside: filepath.Join(dir, "outside"), Cache: filepath.Join(dir, "cache"), Unix: filepath.Join(dir, "socket"),
		Abstract: "@" + filepath.Base(dir), Victim: startVictim(t, uid)}
	if err := os.Mkdir(p.Cache, 0o700); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{p.Outside, filepath.Join(p.Cache, "there")} {
		if err := os.WriteFile(name, []byte("text"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for network, address := range map[string]*string{"unix": &p.Unix, "unix ": &p.Abstract, "tcp": &p.TCP} {
		if network == "tcp" {
			*address = "127.0.0.1:0"
		}
		l, err := net.Listen(strings.TrimSpace(network), *address)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = l.Close() })
		*address = l.Addr().String()
	}
	if uid != 0 {
		for _, name := range []string{dir, p.Cache, p.Outside, filepath.Join(p.Cache, "there"), p.Unix} {
			if err := os.Chown(name, uid, uid); err != nil {
				t.Fatal(err)
			}
		}
	}
	return p
}

// echo is a socket pair of which one end sends descriptors back.
func echo(t *testing.T) (ours, theirs *os.File) {
	t.Helper()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	ours, theirs = os.NewFile(uintptr(fds[0]), "ours"), os.NewFile(uintptr(fds[1]), "theirs")
	c, err := net.FileConn(ours)
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		defer c.Close()
		u := c.(*net.UnixConn)
		b, oob := make([]byte, 16), make([]byte, 64)
		for {
			n, oobn, _, _, err := u.ReadMsgUnix(b, oob)
			if err != nil || n == 0 {
				return
			}
			_, _, _ = u.WriteMsgUnix(b[:n], oob[:oobn], nil)
			if fd, err := descriptor(oob[:oobn]); err == nil {
				_ = unix.Close(fd)
			}
		}
	}()
	return ours, theirs
}

// run lets copies try everything in one mode and checks how it ends, and
// returns the walls that were there.
func run(t *testing.T, uid int, m mode, names []string, without ...string) Walls {
	t.Helper()
	p := setUp(t, uid)
	var gentle []string
	var lethal [][]string
	for _, a := range attempts {
		switch {
		case names != nil && !slices.Contains(names, a.name), a.native && emulated():
		case a.lethal():
			lethal = append(lethal, []string{a.name})
		default:
			gentle = append(gentle, a.name)
		}
	}
	say, state, errs := start(t, uid, task{Mode: m, Without: without, Attempts: gentle, Place: p})
	if !state.Success() {
		t.Fatalf("%v %.300s", state, errs)
	}
	for _, a := range attempts {
		if text, ok := say.Results[a.name]; ok && (text != "") != (a.expected(m, say.Walls) == denied) {
			t.Errorf("%s: %q %+v", a.name, text, say.Walls)
		}
	}
	for _, one := range lethal {
		a := attempts[slices.IndexFunc(attempts, func(a attempt) bool { return a.name == one[0] })]
		got, state, errs := start(t, uid, task{Mode: m, Without: without, Attempts: one, Place: p})
		if end, want := ended(got, a.name, state), a.expected(m, say.Walls); end != want {
			t.Errorf("%s: %d, want %d: %v %q %.200s", a.name, end, want, state, got.Results[a.name], errs)
		}
	}
	return say.Walls
}

// ended is how a lethal attempt went.
func ended(say told, name string, state *os.ProcessState) outcome {
	status := state.Sys().(syscall.WaitStatus)
	switch {
	case status.Signaled() && status.Signal() == syscall.SIGSYS:
		return killed
	case status.ExitStatus() == 2:
		return dies
	case state.Success() && say.Results[name] == "":
		return works
	case state.Success():
		return denied
	}
	return -1
}

// TestAttempts: all that works freely, and shall not, does not work in jail;
// honest work goes on.
func TestAttempts(t *testing.T) {
	t.Parallel()
	for who, uid := range users() {
		for _, m := range []mode{free, entered, sealed} {
			t.Run(fmt.Sprint(who, " ", m), func(t *testing.T) {
				t.Parallel()
				w := run(t, uid, m, nil)
				if m == free {
					return
				}
				for _, words := range []string{"limits: ", "no new privileges", "not to be looked into", "no capabilities"} {
					if !stands(w, words) {
						t.Errorf("%q is missing: %+v", words, w)
					}
				}
			})
		}
	}
}

// TestMissing: on a kernel without Landlock, seccomp or both the rest stands,
// work goes on, and it is said what is missing.
func TestMissing(t *testing.T) {
	t.Parallel()
	some := []string{"work", "open outside", "write outside", "read cache", "change cache", "TCP", "abstract socket",
		"socket pair", "signal to itself", "more files", "start a program", "become another program", "unshare"}
	for who, uid := range users() {
		for _, without := range [][]string{{"landlock"}, {"seccomp"}, {"landlock", "seccomp"}} {
			for _, m := range []mode{entered, sealed} {
				t.Run(fmt.Sprint(who, " without ", without, " ", m), func(t *testing.T) {
					t.Parallel()
					w := run(t, uid, m, some, without...)
					for wall, words := range map[string]string{"landlock": "Landlock", "seccomp": "seccomp"} {
						if slices.Contains(without, wall) && (stands(w, words) || !lacks(w, words)) {
							t.Errorf("%s: %+v", wall, w)
						}
					}
				})
			}
		}
	}
}

// TestThreads: what the kernel says of every thread of a process in jail, those
// from before too.
func TestThreads(t *testing.T) {
	t.Parallel()
	for who, uid := range users() {
		t.Run(who, func(t *testing.T) {
			t.Parallel()
			say, all := threads(t, uid)
			if len(all) < 5 {
				t.Fatalf("%d threads", len(all))
			}
			if emulated() {
				all = slices.DeleteFunc(all, func(status map[string]string) bool { return status["NoNewPrivs"] == "0" })
				if len(all) < 4 {
					t.Fatalf("%d threads", len(all))
				}
			}
			for _, status := range all {
				want := map[string]string{"NoNewPrivs": "1", "CapEff": none, "CapPrm": none, "CapInh": none, "CapAmb": none}
				if os.Getuid() == 0 && uid == 0 {
					want["CapBnd"] = none
				}
				if stands(say.Walls, "seccomp: ") {
					want["Seccomp"], want["Seccomp_filters"] = "2", "2"
				}
				for key, value := range want {
					if got, ok := status[key]; ok && got != value {
						t.Errorf("%s: %q, want %q", key, got, value)
					}
				}
			}
		})
	}
}

// none are no capabilities, as the kernel writes it.
const none = "0000000000000000"

// threads is the state of the threads of a process in jail, as in
// proc_pid_status(5).
func threads(t *testing.T, uid int) (told, []map[string]string) {
	t.Helper()
	c := command(t, uid, task{Mode: sealed, Place: setUp(t, uid), Stay: true})
	in, err := c.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	var say told
	if err := json.NewDecoder(out).Decode(&say); err != nil {
		t.Fatal(err)
	}
	names, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/status", c.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	var all []map[string]string
	for _, name := range names {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		status := map[string]string{}
		for line := range strings.Lines(string(b)) {
			key, value, _ := strings.Cut(line, ":")
			status[key] = strings.TrimSpace(value)
		}
		all = append(all, status)
	}
	if err := errors.Join(in.Close(), c.Wait()); err != nil {
		t.Error(err)
	}
	return say, all
}

// TestWallsOfThisKernel: what the kernel has stands.
func TestWallsOfThisKernel(t *testing.T) {
	t.Parallel()
	say, state, errs := start(t, 0, task{Mode: sealed, Place: setUp(t, 0)})
	if !state.Success() {
		t.Fatalf("%v %.300s", state, errs)
	}
	_, _, e := unix.Syscall(unix.SYS_LANDLOCK_CREATE_RULESET, 0, 0, unix.LANDLOCK_CREATE_RULESET_VERSION)
	if has := e == 0; has != stands(say.Walls, "Landlock (version ") || has == lacks(say.Walls, "Landlock: ") {
		t.Errorf("%v %+v", e, say.Walls)
	}
	action := uint32(unix.SECCOMP_RET_ERRNO)
	err := seccomp(unix.SECCOMP_GET_ACTION_AVAIL, 0, unsafe.Pointer(&action))
	if has := err == nil && auditArch != 0; has != stands(say.Walls, "seccomp: ") || has == lacks(say.Walls, "seccomp: ") {
		t.Errorf("%v %+v", err, say.Walls)
	}
	for _, line := range slices.Concat(say.Walls.Standing, say.Walls.Missing) {
		t.Log(line)
	}
}

// TestOrder: a jail is sealed after it is entered, and entered once, with a
// cache that is there.
func TestOrder(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{
		"seal first":  "the process is not in it",
		"enter twice": "the process is in it already",
		"no cache":    "the cache folder: stat /nowhere",
		"seal twice":  "",
	} {
		k := task{Mode: free, Place: setUp(t, 0), Attempts: []string{name}}
		say, state, errs := start(t, 0, k)
		if got := say.Results[name]; !state.Success() || !strings.Contains(got, want) || (want == "") != (got == "") {
			t.Errorf("%s: %q %v %.300s", name, got, state, errs)
		}
	}
}
