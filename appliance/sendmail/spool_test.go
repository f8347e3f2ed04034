package sendmail

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// faultyFS notes what is done, in order, and fails at step fail (counted from
// 1); with crash nothing is done from then on, as if the machine had stopped.
type faultyFS struct {
	osFS
	mu    sync.Mutex
	steps []string
	fail  int
	crash bool
	err   error
}

func (f *faultyFS) step(name string, do func() error) error {
	f.mu.Lock()
	f.steps = append(f.steps, name)
	n := len(f.steps)
	f.mu.Unlock()
	if n == f.fail || f.crash && f.fail > 0 && n > f.fail {
		return f.err
	}
	return do()
}

func (f *faultyFS) Create(name string, mode fs.FileMode) (made file, err error) {
	err = f.step("create", func() error {
		made, err = f.osFS.Create(name, mode)
		return err
	})
	if err != nil {
		return nil, err
	}
	return faultyFile{made, f}, nil
}

func (f *faultyFS) Rename(from, to string) error {
	return f.step("rename", func() error { return f.osFS.Rename(from, to) })
}

func (f *faultyFS) Remove(name string) error {
	return f.step("remove", func() error { return f.osFS.Remove(name) })
}

func (f *faultyFS) SyncDir(name string, at file) error {
	return f.step("sync folder", func() error { return f.osFS.SyncDir(name, at) })
}

type faultyFile struct {
	file
	fs *faultyFS
}

func (f faultyFile) Write(p []byte) (n int, err error) {
	err = f.fs.step("write", func() error {
		n, err = f.file.Write(p)
		return err
	})
	return n, err
}

func (f faultyFile) WriteAt(p []byte, off int64) (n int, err error) {
	err = f.fs.step("write head", func() error {
		n, err = f.file.WriteAt(p, off)
		return err
	})
	return n, err
}

func (f faultyFile) Chmod(mode fs.FileMode) error {
	return f.fs.step("chmod", func() error { return f.file.Chmod(mode) })
}

func (f faultyFile) Sync() error { return f.fs.step("sync file", f.file.Sync) }

// command is one call of the command in a folder.
type command struct {
	*Options
	out, err strings.Builder
}

func newCommand(folder string, in string, args ...string) *command {
	c := &command{Options: &Options{
		Args: args, In: strings.NewReader(in), Private: folder,
		Caller: Caller{UID: os.Getuid(), Name: "www-data", Full: "Web Server"},
		List:   func() int { return ExitUnavailable },
	}}
	c.Out, c.Err = &c.out, &c.err
	return c
}

func (c *command) run(t *testing.T, want int) *command {
	t.Helper()
	if got := Run(t.Context(), *c.Options); got != want {
		t.Fatalf("sendmail %q: exit code %d, want %d; it says %s", c.Args, got, want, c.err.String())
	}
	return c
}

// files gives the names in a folder with a suffix.
func files(t *testing.T, folder, suffix string) []string {
	t.Helper()
	list, err := filepath.Glob(filepath.Join(folder, "*"+suffix))
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// newSpool gives the path of a private folder that is not there yet.
func newSpool(t *testing.T) string { return filepath.Join(t.TempDir(), "spool") }

const letter = "Subject: x\r\n\r\nbody\r\n"

func TestSpoolOrder(t *testing.T) {
	t.Parallel()
	faults := &faultyFS{}
	c := newCommand(newSpool(t), letter, "root")
	c.fs = faults
	c.run(t, ExitOK)
	want := []string{"create", "chmod", "write", "write head", "sync file", "rename", "sync folder"}
	if !slices.Equal(faults.steps, want) {
		t.Errorf("a message is written by %q, want %q", faults.steps, want)
	}
}

// At whatever step the system fails or the machine stops: the command only says
// that all is well when the message is there, and nobody ever sees a part of one.
func TestSpoolFaults(t *testing.T) {
	t.Parallel()
	for _, crash := range []bool{false, true} {
		for step := 1; step <= 7; step++ {
			folder := newSpool(t)
			faults := &faultyFS{fail: step, crash: crash, err: syscall.EIO}
			c := newCommand(folder, letter, "root")
			c.fs = faults
			code := Run(t.Context(), *c.Options)
			if code == ExitOK {
				t.Errorf("crash %v, step %d (%s): all is well", crash, step, faults.steps[step-1])
			}
			for _, name := range files(t, folder, endingReady) {
				o, err := openSpooled(name, true, maxSize, os.Geteuid())
				if err != nil {
					t.Errorf("crash %v, step %d: a part of a message: %v", crash, step, err)
					continue
				}
				if got := content(t, o); got != letter {
					t.Errorf("crash %v, step %d: it holds %q", crash, step, got)
				}
				o.Close()
				if !crash {
					t.Errorf("step %d failed, and the message is there", step)
				}
			}
			if left := files(t, folder, endingNew); !crash && len(left) > 0 {
				t.Errorf("step %d failed and left %q", step, left)
			}
		}
	}
}

func content(t *testing.T, o *opened) string {
	t.Helper()
	rest, err := io.ReadAll(o.rest)
	if err != nil {
		t.Fatal(err)
	}
	return string(o.top) + string(rest)
}

// When the box takes a message while the command cannot flush the folder, the
// message is the box's, and the command must not say that it failed.
func TestBoxIsFaster(t *testing.T) {
	t.Parallel()
	folder := newSpool(t)
	c := newCommand(folder, letter, "root")
	c.fs = &swiftBox{t: t, folder: folder}
	c.run(t, ExitOK)
}

type swiftBox struct {
	osFS
	t      *testing.T
	folder string
}

func (s *swiftBox) SyncDir(string, file) error {
	for _, name := range files(s.t, s.folder, endingReady) {
		if err := os.Remove(name); err != nil {
			s.t.Error(err)
		}
	}
	return syscall.EIO
}

func TestSpoolFailureCodes(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		err  error
		step int
		want int
	}{
		{syscall.ENOSPC, 3, ExitTempFail},
		{syscall.ENOSPC, 1, ExitTempFail},
		{syscall.EDQUOT, 5, ExitTempFail},
		{syscall.EROFS, 1, ExitCantCreate},
		{fs.ErrPermission, 1, ExitCantCreate},
		{syscall.EMFILE, 1, ExitOSError},
		{syscall.EIO, 5, ExitIO},
		{errors.New("odd"), 6, ExitIO},
	} {
		cmd := newCommand(newSpool(t), letter, "root")
		cmd.fs = &faultyFS{fail: c.step, err: c.err}
		if got := Run(t.Context(), *cmd.Options); got != c.want {
			t.Errorf("%v at step %d: %d, want %d", c.err, c.step, got, c.want)
		}
	}
}

// spooledBy runs the command and opens what it made.
func spooledBy(t *testing.T, in string, args ...string) *opened {
	t.Helper()
	folder := newSpool(t)
	newCommand(folder, in, args...).run(t, ExitOK)
	list := files(t, folder, endingReady)
	if len(list) != 1 {
		t.Fatalf("sendmail %q made %d files", args, len(list))
	}
	o, err := openSpooled(list[0], true, maxSize, os.Geteuid())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { o.Close() })
	return o
}

func to(o *opened) string {
	var s []string
	for _, r := range o.head.To {
		a := r.Address
		if r.Notify != "" {
			a += " " + r.Notify
		}
		s = append(s, a)
	}
	return strings.Join(s, ", ")
}

func TestCron(t *testing.T) {
	t.Parallel()
	o := spooledBy(t, "From: root (Cron Daemon)\nTo: root\nSubject: Cron <root@pi> df\n\n/dev/sda1  99%\n.\nend\n",
		"-FCronDaemon", "-i", "-B8BITMIME", "-oem", "root")
	if got := to(o); got != "root" || o.head.Sender != nil || o.head.User != "www-data" || o.head.Body != "8BITMIME" || o.head.Full != "CronDaemon" {
		t.Errorf("the envelope is %+v", o.head)
	}
	if got := content(t, o); !strings.HasSuffix(got, "99%\r\n.\r\nend\r\n") {
		t.Errorf("the content is %q", got)
	}
}

func TestPHP(t *testing.T) {
	t.Parallel()
	o := spooledBy(t, "To: ben@example.net\r\nSubject: Grüße\r\nX-PHP-Originating-Script: 33:mail.php\r\nFrom: shop@example.org\r\nBcc: cleo@example.net\r\n\r\nHello\r\n",
		"-t", "-i", "-fshop@example.org")
	if got := to(o); got != "ben@example.net, cleo@example.net" {
		t.Errorf("recipients are %s", got)
	}
	if o.head.Sender == nil || *o.head.Sender != "shop@example.org" || o.head.Body != "8BITMIME" || o.head.SMTPUTF8 {
		t.Errorf("the envelope is %+v", o.head)
	}
}

func TestRecipientsOfMessage(t *testing.T) {
	t.Parallel()
	o := spooledBy(t, "To: A <a@b.test>, root\nCc: team: c@b.test, d@b.test;\nBcc: a@b.test\n\n", "-t", "-N", "never", "e@b.test", "root")
	if got := to(o); got != "e@b.test NEVER, root NEVER, a@b.test NEVER, c@b.test NEVER, d@b.test NEVER" {
		t.Errorf("recipients are %s", got)
	}
	o = spooledBy(t, "To: a@b.test\nResent-To: r@b.test\n\n", "-t")
	if got := to(o); got != "r@b.test" {
		t.Errorf("recipients of a message that is sent again are %s", got)
	}
	o = spooledBy(t, "To: a@b.test\n\n", "c@b.test")
	if got := to(o); got != "c@b.test" {
		t.Errorf("without -t the recipients are %s", got)
	}
	if o := spooledBy(t, "\n", "jürgen@b.test"); !o.head.SMTPUTF8 {
		t.Error("an address with other letters is not SMTPUTF8")
	}
}

func TestExitCodes(t *testing.T) {
	t.Parallel()
	folder := newSpool(t)
	if err := makePrivate(folder, -1, -1); err != nil {
		t.Fatal(err)
	}
	if err := writeFacts(folder, Facts{Hostname: "mail.example.org", Domains: []string{"example.org"}, MaxSize: 100_000}); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		in, args string
		want     int
		says     string
	}{
		{"Subject: x\n\n", "", ExitUsage, "Usage: sendmail"},
		{"Subject: x\n\n", "-t", ExitData, "no recipients"},
		{"To: a@b@c.test\n\n", "-t", ExitData, "not a mail address"},
		{"A: \x00\n\n", "root", ExitData, "NUL"},
		{strings.Repeat("x\n", 50_000), "root", ExitData, "larger"},
		{"\n", "-f x@example.com root", ExitNoPerm, "x@example.com"},
		{"\n", "-f x@example.org root", ExitOK, ""},
		{"\n", "-f x@mail.example.org root", ExitOK, ""},
		{"\n", "-f x@localhost root", ExitOK, ""},
		{"\n", "-f <> root", ExitOK, ""},
		{"", "-bp", ExitUnavailable, ""},
		{"", "-bi", ExitOK, ""},
		{"", "--help", ExitOK, ""},
	} {
		cmd := newCommand(folder, c.in, strings.Fields(c.args)...).run(t, c.want)
		if !strings.Contains(cmd.err.String(), c.says) || c.says == "" && cmd.err.Len() > 0 {
			t.Errorf("sendmail %s says %q, want %q", c.args, cmd.err.String(), c.says)
		}
	}
	nowhere := newCommand("", "\n", "root")
	nowhere.Drop = filepath.Join(t.TempDir(), "none")
	nowhere.run(t, ExitConfig)
	if s := nowhere.err.String(); !strings.Contains(s, "install -d -m 3733") {
		t.Errorf("without a folder it says %q", s)
	}
	newCommand(filepath.Join(t.TempDir(), "no", "box", "spool"), "\n", "root").run(t, ExitCantCreate)
}

func TestInterrupted(t *testing.T) {
	t.Parallel()
	folder := newSpool(t)
	r, w := io.Pipe()
	defer w.Close()
	ctx, cancel := contextWithCancel(t)
	c := newCommand(folder, "", "root")
	c.In = r
	done := make(chan int)
	go func() { done <- Run(ctx, *c.Options) }()
	io.WriteString(w, "Subject: x\n\nhalf a mess")
	cancel()
	if code := <-done; code != ExitTempFail {
		t.Errorf("an interrupted command: %d", code)
	}
	w.CloseWithError(io.EOF)
	until(t, "the rest of an interrupted message is gone", func() bool { return len(files(t, folder, "")) == 0 })
}

// until waits until ok, within a generous time.
func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain: %s", what)
		}
	}
}

func contextWithCancel(t *testing.T) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(cancel)
	return ctx, cancel
}
