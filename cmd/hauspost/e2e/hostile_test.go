package e2e

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/textproto"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// guest is a hostile plugin.
type guest struct {
	id string
	// wasm is its module; nil is the Go guest in testdata/hostile, which does
	// what the header field says.
	wasm  []byte
	field string
	// needs are lines for [needs]; empty is all that the Go guest imports.
	needs string
	// time and memory are its limits, onFailure what it would do with mail. The
	// defaults are far above what an innocent message needs.
	time, memory, onFailure string
	// version and abi are 1.0.0 and 1 where they are not set.
	version, abi string
}

// goNeeds is all that the Go guest imports, and the effects that it has.
const goNeeds = `header = true
body = true
keys = true
dns = ["lookup.test"]
effects = ["score"]
points = 1`

func or(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}

func (g guest) manifest() string {
	return fmt.Sprintf(`id = %q
name = "Evil"
version = %q
description = "Does evil."
abi = %s
stages = ["on_message"]
on_failure = %q

[needs]
%s

[limits]
memory = %q
time = %q

[[setting]]
name = "field"
type = "text"
default = %q
doc = "The header field that says which evil."
`, g.id, or(g.version, "1.0.0"), or(g.abi, "1"), or(g.onFailure, "skip"), or(g.needs, goNeeds), or(g.memory, "32MiB"), or(g.time, "20s"), or(g.field, "X-Do"))
}

// goGuest is the Go guest of testdata, built once.
var goGuest = sync.OnceValues(func() ([]byte, error) {
	dir, err := os.MkdirTemp("", "guest")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	out := filepath.Join(dir, "plugin.wasm")
	cmd := exec.Command("go", "build", "-buildmode=c-shared", "-trimpath", "-ldflags=-s -w", "-o", out, "./testdata/hostile/guest")
	cmd.Env = append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm", "CGO_ENABLED=0")
	if text, err := cmd.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("building the hostile guest: %w\n%s", err, text)
	}
	return os.ReadFile(out)
})

// folder writes the folder of a plugin.
func (g guest) folder(t testing.TB) string {
	t.Helper()
	if g.wasm == nil {
		wasm, err := goGuest()
		if err != nil {
			t.Fatal(err)
		}
		g.wasm = wasm
	}
	dir := filepath.Join(folder(t), g.id)
	write(t, filepath.Join(dir, "plugin.toml"), g.manifest())
	write(t, filepath.Join(dir, "plugin.wasm"), string(g.wasm))
	return dir
}

// install packs plugins and installs them; args are for the last command.
func (b *box) install(g guest, args ...string) {
	b.t.Helper()
	archive := filepath.Join(folder(b.t), g.id+".hauspost")
	b.must("plugin", "build", g.folder(b.t), "--out", archive)
	b.must(append([]string{"plugin", "install", archive, "--yes"}, args...)...)
}

// reply is the answer to the content of a letter, with the ID of the trace.
type answer struct {
	code     int
	text, id string
}

// post sends a letter with header fields to anna, over a connection of its own.
// It may be called from several goroutines.
func (b *box) post(id string, fields ...string) (answer, error) {
	c, err := b.connect()
	if err != nil {
		return answer{}, err
	}
	defer c.Close()
	return b.postBy(c, id, fields...)
}

// connect opens an SMTP connection that is past EHLO.
func (b *box) connect() (*textproto.Conn, error) {
	conn, err := net.DialTimeout("tcp", b.smtp, patience)
	if err != nil {
		return nil, err
	}
	if err := conn.SetDeadline(time.Now().Add(2 * patience)); err != nil {
		return nil, err
	}
	c := textproto.NewConn(conn)
	if _, _, err = c.ReadResponse(220); err == nil {
		_, err = asks(c, 250, "EHLO client.sender.test")
	}
	if err != nil {
		c.Close()
		return nil, err
	}
	return c, nil
}

func asks(c *textproto.Conn, want int, format string, args ...any) (string, error) {
	if err := c.PrintfLine(format, args...); err != nil {
		return "", err
	}
	_, text, err := c.ReadResponse(want)
	return text, err
}

func (b *box) postBy(c *textproto.Conn, id string, fields ...string) (answer, error) {
	for _, step := range []struct {
		want int
		line string
	}{{250, "MAIL FROM:<" + stranger + ">"}, {250, "RCPT TO:<anna@" + domain + ">"}, {354, "DATA"}} {
		if _, err := asks(c, step.want, "%s", step.line); err != nil {
			return answer{}, err
		}
	}
	var more strings.Builder
	for _, f := range fields {
		more.WriteString(f + "\r\n")
	}
	text, err := asks(c, 250, "%s%s\r\n%sFrom: Somebody <%s>\r\nSubject: %s\r\nMessage-ID: <%s@sender.test>\r\n\r\nHello.\r\n.",
		marker, id, more.String(), stranger, id, id)
	var refused *textproto.Error
	switch {
	case errors.As(err, &refused):
		return answer{code: refused.Code, text: refused.Msg}, nil
	case err != nil:
		return answer{}, err
	}
	_, trace, found := strings.Cut(text, "Accepted as ")
	if !found {
		return answer{}, fmt.Errorf("the answer %q names no trace", text)
	}
	return answer{250, text, trace}, nil
}

// take sends a letter that has to be taken, and gives its trace.
func (b *box) take(id string, fields ...string) *tracing {
	b.t.Helper()
	a, err := b.post(id, fields...)
	if err != nil || a.code != 250 {
		b.t.Fatalf("sending %s: %d %s (%v)", id, a.code, a.text, err)
	}
	return b.trace(a.id)
}

// putOff sends a letter that has to be put off, and gives its trace. No other
// one may be sent at the same time.
func (b *box) putOff(id string, fields ...string) *tracing {
	b.t.Helper()
	a, err := b.post(id, fields...)
	if err != nil || a.code != 451 || !strings.Contains(a.text, "4.7.1") {
		b.t.Fatalf("sending %s: %d %s (%v), want 451 4.7.1", id, a.code, a.text, err)
	}
	lines := strings.Split(strings.TrimSpace(b.must("log", "--json")), "\n")
	for i := len(lines) - 1; i >= 0; i-- {
		var line struct {
			ID     string
			Fields struct{ Step string }
		}
		if err := json.Unmarshal([]byte(lines[i]), &line); err != nil {
			b.t.Fatal(err)
		}
		if line.Fields.Step == "filtered" {
			return b.trace(line.ID)
		}
	}
	b.t.Fatalf("nothing in the log tells of %s", id)
	return nil
}

// filterRun is what the trace says of a plugin.
type filterRun struct {
	Filter, Failure, Problem string
	Effects                  []struct {
		Symbol string
		Points float64
	}
	Dropped, Log []string
}

// symbols are those of its scores.
func (r *filterRun) symbols() string {
	var list []string
	for _, e := range r.Effects {
		list = append(list, e.Symbol)
	}
	return strings.Join(list, " ")
}

// tracing is the trace of one message.
type tracing struct {
	t    testing.TB
	id   string
	text string
	runs map[string]*filterRun
}

func (b *box) trace(id string) *tracing {
	b.t.Helper()
	out := b.must("trace", id, "--json")
	tr, err := readTrace(b.t, id, out)
	if err != nil {
		b.t.Fatalf("the trace of %s: %v\n%s", id, err, out)
	}
	return tr
}

func readTrace(t testing.TB, id, out string) (*tracing, error) {
	var raw struct {
		Entries []struct {
			Step, Say string
			Event     struct{ Run *filterRun }
		}
	}
	if err := json.Unmarshal([]byte(out), &raw); err != nil {
		return nil, err
	}
	tr := &tracing{t: t, id: id, text: out, runs: map[string]*filterRun{}}
	for _, e := range raw.Entries {
		if e.Step != "filtered" {
			continue
		}
		if tr.runs[e.Event.Run.Filter] != nil {
			return nil, fmt.Errorf("%s is in it twice", e.Event.Run.Filter)
		}
		if !strings.HasPrefix(e.Say, "filter "+e.Event.Run.Filter+" ") {
			return nil, fmt.Errorf("it says %q", e.Say)
		}
		tr.runs[e.Event.Run.Filter] = e.Event.Run
	}
	return tr, nil
}

// run gives the part of a plugin.
func (tr *tracing) run(plugin string) *filterRun {
	tr.t.Helper()
	r := tr.runs[plugin]
	if r == nil {
		tr.t.Fatalf("the trace of %s does not tell of %s\n%s", tr.id, plugin, tr.text)
	}
	return r
}

// did holds that a plugin worked, with these scores.
func (tr *tracing) did(plugin, symbols string) *filterRun {
	tr.t.Helper()
	r := tr.run(plugin)
	if r.Failure != "" || r.symbols() != symbols {
		tr.t.Errorf("the plugin %s has %q %q and the scores %q, want %q\n%s", plugin, r.Failure, r.Problem, r.symbols(), symbols, tail(tr.text))
	}
	return r
}

// failed holds that a plugin failed, in what way and with which words.
func (tr *tracing) failed(plugin, kind, words string) {
	tr.t.Helper()
	r := tr.run(plugin)
	if r.Failure != kind || !strings.Contains(r.Problem, words) || r.Problem == "" || len(r.Effects) > 0 {
		tr.t.Errorf("the plugin %s has the failure %q: %q, want %q: %q\n%s", plugin, r.Failure, r.Problem, kind, words, tail(tr.text))
	}
}

// filterState is what `status --json` says of plugins.
type filterState struct {
	Problems []struct{ ID, Text string }
	Workers  []struct {
		PID         int
		Interpreter bool
	}
	Restarts int
}

func (b *box) filters() filterState {
	b.t.Helper()
	var s struct{ Filters filterState }
	if err := json.Unmarshal([]byte(b.must("status", "--json")), &s); err != nil {
		b.t.Fatal(err)
	}
	return s.Filters
}

// problem gives what status says is wrong with a plugin.
func (s filterState) problem(id string) string {
	for _, p := range s.Problems {
		if p.ID == id {
			return p.Text
		}
	}
	return ""
}

// once holds that each of the letters is in anna's INBOX once, and no other one
// is anywhere, and that the store is in order.
func (b *box) once(ids ...string) {
	b.t.Helper()
	mail, err := b.read("anna")
	if err != nil {
		b.t.Fatal(err)
	}
	for _, id := range ids {
		if got := mail[id]; len(got) != 1 || got[0].mailbox != "INBOX" {
			b.t.Errorf("the letter %s is in %+v", id, got)
		}
	}
	if len(mail) != len(ids) {
		b.t.Errorf("%d letters are there, want %d", len(mail), len(ids))
	}
	b.mustVerify()
}
