//go:build !cgo

package jail

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

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
		case names != nil && !slices.Contains(names, a.name), a.native && os.Getenv(runnerVariable) != "":
		case a.lethal():
			lethal = append(lethal, []string{a.name})
		default:
			gentle = append(gentle, a.name)
		}
	}
	say, state, errs := start(t, uid, task{Mode: m, Without: without, Attempts: gentle, Place: p})
	if !state.Success() {
		t.Fatalf("%v %s", state, errs)
	}
	for _, a := range attempts {
		if text, ok := say.Results[a.name]; ok && (text != "") != (a.expected(m, say.Walls) == denied) {
			t.Errorf("%s: %q %+v", a.name, text, say.Walls)
		}
	}
	for _, one := range lethal {
		a := attempts[slices.IndexFunc(attempts, func(a attempt) bool { return a.name == one[0] })]
		got, state, errs := start(t, uid, task{Mode: m, Without: without, Attempts: one, Place: p})
		if end, want := ended(got, a.name, state, errs), a.expected(m, say.Walls); end != want {
			t.Errorf("%s: %d, want %d: %v %q %.200s", a.name, end, want, state, got.Results[a.name], errs)
		}
	}
	return say.Walls
}

// ended is how a lethal attempt went.
func ended(say told, name string, state *os.ProcessState, errs string) outcome {
	status := state.Sys().(syscall.WaitStatus)
	switch {
	case status.Signaled() && status.Signal() == syscall.SIGSYS:
		return killed
	case status.ExitStatus() == 2 && strings.Contains(errs, "out of memory"):
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
