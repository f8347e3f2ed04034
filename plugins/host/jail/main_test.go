//go:build !cgo

// Hauspost is built without cgo. With it every thread has a stack of 8 MB that
// counts as data, more than the tests allow.

package jail

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

// task is what the test hands to a copy of itself that goes to jail.
type task struct {
	Mode     mode
	Without  []string // walls that the kernel shall seem not to have
	Attempts []string
	Place    place
	Stay     bool // until the input ends
}

// place is where the attempts of a task aim at.
type place struct {
	Outside, Cache      string
	TCP, Unix, Abstract string
	Victim              int
}

// told is what the copy says.
type told struct {
	Walls   Walls
	Results map[string]string // "" is success
}

// mode is how far the copy goes before it tries things.
type mode int

const (
	free mode = iota
	entered
	sealed
	// A victim waits to be looked into and killed.
	victim
)

func (m mode) String() string { return []string{"free", "entered", "sealed", "victim"}[m] }

// limits of the copies.
var limits = Limits{Data: 64 << 20, Space: 384 << 20, Files: 40, FileSize: 8 << 20}

// taskVariable is the environment variable of a task. runnerVariable names the
// program that runs copies, such as an emulator:
//
//	GOARCH=arm GOARM=7 CGO_ENABLED=0 go test -c -o jail.test ./plugins/host/jail
//	HAUSPOST_TEST_RUNNER=qemu-arm-static qemu-arm-static ./jail.test
const (
	taskVariable   = "HAUSPOST_TEST_JAIL"
	runnerVariable = "HAUSPOST_TEST_RUNNER"
)

// copied is this program at a place where other users find it.
var copied string

func TestMain(m *testing.M) {
	if text := os.Getenv(taskVariable); text != "" {
		if err := inmate(text); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(guarded(m))
}

// guarded runs the tests with a copy of this program.
func guarded(m *testing.M) int {
	dir, err := os.MkdirTemp("", "jail")
	if err == nil {
		defer os.RemoveAll(dir)
		err = os.Chmod(dir, 0o755)
	}
	if err == nil {
		copied = filepath.Join(dir, "inmate")
		err = copyProgram(copied)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return m.Run()
}

func copyProgram(to string) error {
	name, err := os.Executable()
	if err != nil {
		return err
	}
	if emulated() {
		name = os.Args[0]
	}
	in, err := os.Open(name)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE, 0o755)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Chmod(0o755), out.Close())
}

// inmate is main of a copy.
func inmate(text string) error {
	var k task
	if err := json.Unmarshal([]byte(text), &k); err != nil {
		return err
	}
	if k.Mode == victim {
		// Where a security module keeps users from looking into their own.
		_ = unix.Prctl(unix.PR_SET_PTRACER, ^uintptr(0), 0, 0, 0)
		fmt.Println("ready")
		_, err := io.Copy(io.Discard, os.Stdin)
		return err
	}
	// Threads that are there before shall be behind the walls as well.
	old := make(chan func())
	for range 4 {
		go func() {
			runtime.LockOSThread()
			for f := range old {
				f()
			}
		}()
	}
	say := told{Results: map[string]string{}}
	if err := pretend(k.Without); err != nil {
		return err
	}
	if k.Mode >= entered {
		l := limits
		l.Cache = k.Place.Cache
		var err error
		if say.Walls, err = Enter(l); err != nil {
			return err
		}
	}
	if k.Mode == sealed {
		if err := Seal(); err != nil {
			return err
		}
	}
	for _, name := range k.Attempts {
		if try, ok := orders[name]; ok {
			if err := try(k.Place); err != nil {
				say.Results[name] = err.Error()
			}
			continue
		}
		a := attempts[slices.IndexFunc(attempts, func(a attempt) bool { return a.name == name })]
		done := make(chan error)
		old <- func() { done <- a.try(k.Place) }
		say.Results[name] = ""
		if err := <-done; err != nil {
			say.Results[name] = err.Error()
		}
	}
	if err := json.NewEncoder(os.Stdout).Encode(say); err != nil || !k.Stay {
		return err
	}
	_, err := io.Copy(io.Discard, os.Stdin)
	return err
}

// pretend makes the kernel look like one without the walls.
func pretend(without []string) error {
	p := []bpf.Instruction{bpf.LoadAbsolute{Off: offsetCall, Size: 4}}
	for _, wall := range without {
		nr := map[string]uint32{"landlock": unix.SYS_LANDLOCK_CREATE_RULESET, "seccomp": unix.SYS_SECCOMP}[wall]
		p = append(p, bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: nr, SkipTrue: 1}, bpf.RetConstant{Val: unknown})
	}
	if len(without) == 0 {
		return nil
	}
	program, err := bpf.Assemble(append(p, bpf.RetConstant{Val: unix.SECCOMP_RET_ALLOW}))
	if err != nil {
		return err
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return err
	}
	if err := install(program); err != nil && (!emulated() || !errors.Is(err, unix.ENOSYS)) {
		return err // an emulator has none of the walls anyway
	}
	return nil
}

// emulated tells whether the tests run in an emulator, which has no seccomp and
// no Landlock, does not start every program, and has a thread of its own.
func emulated() bool { return os.Getenv(runnerVariable) != "" }

// command starts a copy as a user; 0 is who runs the test.
func command(t *testing.T, uid int, k task) *exec.Cmd {
	t.Helper()
	text, err := json.Marshal(k)
	if err != nil {
		t.Fatal(err)
	}
	argv := append(strings.Fields(os.Getenv(runnerVariable)), copied)
	c := exec.CommandContext(t.Context(), argv[0], argv[1:]...)
	c.Env = append(os.Environ(), taskVariable+"="+string(text), "GOTRACEBACK=none")
	if uid != 0 {
		c.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(uid)}}
	}
	return c
}

// start lets a copy do its task and returns what it said, and how it ended.
func start(t *testing.T, uid int, k task) (told, *os.ProcessState, string) {
	t.Helper()
	c := command(t, uid, k)
	var out, errs strings.Builder
	c.Stdout, c.Stderr = &out, &errs
	ours, theirs := echo(t)
	c.ExtraFiles = []*os.File{theirs}
	err := c.Run()
	_ = theirs.Close()
	_ = ours.Close()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	var say told
	if err == nil {
		if err := json.Unmarshal([]byte(out.String()), &say); err != nil {
			t.Fatalf("%v: %q %.300q", err, out.String(), errs.String())
		}
	}
	return say, c.ProcessState, errs.String()
}

// startVictim starts a process of the same user.
func startVictim(t *testing.T, uid int) int {
	t.Helper()
	c := command(t, uid, task{Mode: victim})
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
	t.Cleanup(func() {
		_ = in.Close()
		_ = c.Wait()
	})
	if line, err := bufio.NewReader(out).ReadString('\n'); err != nil {
		t.Fatal(line, err)
	}
	return c.Process.Pid
}
