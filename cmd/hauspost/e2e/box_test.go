package e2e

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// patience bounds every wait of these tests. It is far above what anything
// takes, so that a busy machine fails none of them.
const patience = 60 * time.Second

const domain = "example.test"

// box is one box with its data folder, at rest or running.
type box struct {
	t   testing.TB
	dir string
	// smtp, imap and so on are where its services listen.
	smtp, submission, submissions, imap, imaps string
	offset                                     int
	passwords                                  map[string]string
	// under is a command line that the server runs under, such as strace's.
	under []string

	cmd    *exec.Cmd
	exited chan struct{} // closed once the process has ended
	stderr *journal
}

// journal collects what a server writes to standard error over all its runs.
type journal struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (j *journal) Write(p []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.buf.Write(p)
}

func (j *journal) String() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.buf.String()
}

// newBox makes a box with its people (local parts) and settings ("smtp.exempt"
// → TOML value) in a folder of its own.
func newBox(t testing.TB, settings map[string]string, people ...string) *box {
	t.Helper()
	return newBoxIn(t, filepath.Join(folder(t), "box"), settings, people...)
}

func newBoxIn(t testing.TB, dir string, settings map[string]string, people ...string) *box {
	t.Helper()
	offset := freeOffset(t)
	at := func(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port+offset)) }
	b := &box{
		t: t, dir: dir, offset: offset, smtp: at(25), submission: at(587), submissions: at(465), imap: at(143), imaps: at(993),
		passwords: map[string]string{}, stderr: &journal{},
	}
	t.Cleanup(b.cleanup)
	b.must("init", "--hostname", "mail."+domain, "--domain", domain,
		"--port-offset", strconv.Itoa(offset), "--listen", "127.0.0.1")
	b.set("checks.dns", "false") // example.test is in no DNS
	b.set("submission.check_domains", "false")
	b.set("smtp.exempt", `["127.0.0.0/8"]`)
	b.set("imap.plaintext", `"loopback"`)
	for key, value := range settings {
		b.set(key, value)
	}
	for _, p := range people {
		b.passwords[p] = "correct horse " + p
		b.mustIn(b.passwords[p]+"\n", "account", "add", p+"@"+domain, "--password-stdin")
	}
	return b
}

// folder is a temporary folder with a short name: the path of a Unix socket
// below it must fit into 108 octets.
func folder(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "hp")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Errorf("removing %s: %v", dir, err)
		}
	})
	return dir
}

// ports are those that boxes of this run have, also while they rest.
var ports struct {
	sync.Mutex
	taken map[int]bool
}

// freeOffset gives a port offset at which all ports are free. They stay below
// those that the system gives to outgoing connections.
func freeOffset(t testing.TB) int {
	t.Helper()
	ports.Lock()
	defer ports.Unlock()
	if ports.taken == nil {
		ports.taken = map[int]bool{}
	}
	for range 1000 {
		offset := 10000 + int(time.Now().UnixNano()/1000%20000)
		if allFree(offset) {
			return offset
		}
	}
	t.Fatal("there is no range of free ports")
	return 0
}

// allFree takes the ports of an offset if nobody has one of them.
func allFree(offset int) bool {
	all := []int{25, 143, 465, 587, 993}
	for _, port := range all {
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port+offset))
		if err != nil {
			return false
		}
		l.Close()
		if ports.taken[port+offset] {
			return false
		}
	}
	for _, port := range all {
		ports.taken[port+offset] = true
	}
	return true
}

// result is how a command ended.
type result struct {
	out, err string
	code     int
}

// run runs a command of the command line on the box.
func (b *box) run(stdin string, args ...string) result {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, binary, append(args, "--data", b.dir)...)
	cmd.Stdin = strings.NewReader(stdin)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		b.t.Fatalf("running hauspost %v: %v", args, err)
	}
	return result{out.String(), errs.String(), cmd.ProcessState.ExitCode()}
}

// must runs a command that has to succeed, and returns its output.
func (b *box) must(args ...string) string {
	b.t.Helper()
	return b.mustIn("", args...)
}

func (b *box) mustIn(stdin string, args ...string) string {
	b.t.Helper()
	r := b.run(stdin, args...)
	if r.code != 0 {
		b.t.Fatalf("hauspost %s: exit code %d\n%s%s", strings.Join(args, " "), r.code, r.out, r.err)
	}
	return r.out
}

// set puts a setting into the file: its line is there as a comment.
func (b *box) set(key, value string) {
	b.t.Helper()
	file := filepath.Join(b.dir, "hauspost.toml")
	data, err := os.ReadFile(file)
	if err != nil {
		b.t.Fatal(err)
	}
	section, name, found := strings.Cut(key, ".")
	if !found {
		section, name = "", key
	}
	line := regexp.MustCompile(`^#?` + regexp.QuoteMeta(name) + ` = `)
	lines, in, done := strings.Split(string(data), "\n"), "", false
	for i, l := range lines {
		if strings.HasPrefix(l, "[") {
			in = strings.Trim(l, "[]")
		}
		if in == section && !done && line.MatchString(l) {
			lines[i], done = name+" = "+value, true
		}
	}
	if !done {
		b.t.Fatalf("the file has no setting %s", key)
	}
	if err := os.WriteFile(file, []byte(strings.Join(lines, "\n")), 0o600); err != nil {
		b.t.Fatal(err)
	}
}

// write makes a file with the folders that it needs.
func write(t testing.TB, file, content string) string {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// appendSettings puts lines at the end of the file.
func (b *box) appendSettings(lines string) {
	b.t.Helper()
	f, err := os.OpenFile(filepath.Join(b.dir, "hauspost.toml"), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		b.t.Fatal(err)
	}
	if _, err := f.WriteString(lines); err != nil {
		b.t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		b.t.Fatal(err)
	}
}

// launch starts the server and returns a channel that gives nil once it is
// ready, or an error if it ended before.
func (b *box) launch() <-chan error {
	b.t.Helper()
	line := append(append([]string{}, b.under...), binary, "serve", "--data", b.dir)
	cmd := exec.Command(line[0], line[1:]...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Stderr = b.stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		b.t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		b.t.Fatalf("starting the box: %v", err)
	}
	exited := make(chan struct{})
	b.cmd, b.exited = cmd, exited
	ready := make(chan error, 1)
	go func() {
		lines := bufio.NewScanner(out)
		for lines.Scan() {
			if strings.HasPrefix(lines.Text(), "hauspost ready: ") {
				ready <- nil
				break
			}
		}
		io.Copy(io.Discard, out)
		err := cmd.Wait()
		close(exited)
		select {
		case ready <- fmt.Errorf("the box ended before it was ready: %v\n%s", err, tail(b.stderr.String())):
		default:
		}
	}()
	return ready
}

// start starts the server and waits until it is ready.
func (b *box) start() {
	b.t.Helper()
	select {
	case err := <-b.launch():
		if err != nil {
			b.t.Fatal(err)
		}
	case <-time.After(patience):
		b.signal(syscall.SIGQUIT)
		<-b.exited
		b.t.Fatalf("the box is not ready\n%s", b.stderr.String())
	}
}

// signal reaches the server and what it runs under.
func (b *box) signal(s syscall.Signal) {
	syscall.Kill(-b.cmd.Process.Pid, s)
}

// kill ends the server as a crash does.
func (b *box) kill() {
	b.t.Helper()
	b.signal(syscall.SIGKILL)
	<-b.exited
	b.cmd = nil
}

// stop ends the server as an owner does, and holds that it ends well.
func (b *box) stop() {
	b.t.Helper()
	b.signal(syscall.SIGTERM)
	select {
	case <-b.exited:
	case <-time.After(patience):
		b.signal(syscall.SIGQUIT)
		<-b.exited
		b.t.Fatalf("the box does not stop at SIGTERM\n%s", b.stderr.String())
	}
	if code := b.cmd.ProcessState.ExitCode(); code != 0 {
		b.t.Errorf("stopped by SIGTERM, the box ends with exit code %d\n%s", code, tail(b.stderr.String()))
	}
	b.cmd = nil
}

func (b *box) cleanup() {
	if b.cmd != nil {
		b.kill()
	}
	text := b.stderr.String()
	for _, bad := range []string{"panic: ", "fatal error: ", "WARNING: DATA RACE"} {
		if i := strings.Index(text, bad); i >= 0 {
			b.t.Errorf("the server crashed:\n%s", text[i:min(len(text), i+4000)])
		}
	}
	if b.t.Failed() && text != "" {
		b.t.Logf("the end of the server's log:\n%s", tail(text))
	}
}

func tail(s string) string { return s[max(0, len(s)-3000):] }

// verifyReport is what `store verify --json` prints.
type verifyReport struct {
	Messages int `json:"messages"`
	Problems []struct {
		Kind, File, Message, Text, Remedy string
	} `json:"problems"`
}

// verify runs `store verify`.
func (b *box) verify() (verifyReport, result) {
	b.t.Helper()
	r := b.run("", "store", "verify", "--json")
	var v verifyReport
	if err := json.Unmarshal([]byte(r.out), &v); err != nil {
		b.t.Fatalf("store verify: exit code %d, %v\n%s%s", r.code, err, r.out, r.err)
	}
	return v, r
}

// mustVerify holds that the store is in order.
func (b *box) mustVerify() {
	b.t.Helper()
	if v, r := b.verify(); r.code != 0 || len(v.Problems) > 0 {
		b.t.Errorf("store verify: exit code %d\n%s", r.code, tail(r.out))
	}
}
