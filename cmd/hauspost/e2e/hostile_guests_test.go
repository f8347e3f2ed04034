package e2e

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestHostileGuest sends mail that has a plugin do evil. Each message is there
// once, its trace says what happened, the other plugins of the chain look at it
// all the same, and the next message is filtered well by an instance that
// remembers nothing.
func TestHostileGuest(t *testing.T) {
	t.Parallel()
	b := newBox(t, nil, "anna")
	b.start()
	// What hangs takes all of its time, what else is evil has plenty; each has a
	// breaker of its own, which opens at ten failures of twenty.
	b.install(guest{id: "hangs", field: "X-Hang", time: "500ms"})
	b.install(guest{id: "evil", field: "X-Do"})
	b.install(guest{id: "strict", field: "X-Strict", onFailure: "tempfail"})
	b.install(guest{id: "good", field: "X-Good"})
	all := []string{"hangs", "evil", "strict", "good"}
	var taken []string
	good := func(id string) {
		t.Helper()
		tr := b.take(id)
		taken = append(taken, id)
		for _, p := range all {
			tr.did(p, "SEEN")
		}
	}
	good("first")

	for _, c := range []struct{ plugin, field, what, kind, words string }{
		{"hangs", "X-Hang", "loop", "timeout", "it took longer than 500ms"},
		{"hangs", "X-Hang", "doze", "timeout", "it took longer than 500ms"},
		{"evil", "X-Do", "recurse", "memory", "it wanted more memory than its 32768 KB"},
		{"evil", "X-Do", "bomb", "memory", "it wanted more memory than its 32768 KB"},
		{"evil", "X-Do", "panic", "trap", "unreachable"},
		{"evil", "X-Do", "exit", "exit", "it ended itself with code 3"},
		{"evil", "X-Do", "storm", "trap", "it returned 1"},
	} {
		tr := b.take(c.what, c.field+": "+c.what)
		taken = append(taken, c.what)
		tr.failed(c.plugin, c.kind, c.words)
		for _, p := range all {
			if p != c.plugin {
				tr.did(p, "SEEN")
			}
		}
		good("after-" + c.what)
		good("long-after-" + c.what)
	}

	tr := b.take("garbage", "X-Do: garbage")
	dropped := strings.Join(tr.did("evil", "HUGE SEEN").Dropped, "\n")
	for _, words := range []string{"a kind that there is not", "NAN: its points are no number", "no such stop", "not granted", "no recipient nobody@example.org", "1e+300 points were made 1"} {
		if !strings.Contains(dropped, words) {
			t.Errorf("what was dropped does not tell of %q:\n%s", words, dropped)
		}
	}
	tr.did("good", "SEEN")
	taken = append(taken, "garbage")
	good("after-garbage")

	tr = b.take("many", "X-Do: many")
	r := tr.run("evil")
	if n := len(r.Effects); r.Failure != "" || n != 100 || r.symbols() != strings.TrimSpace(strings.Repeat("MANY ", 100)) {
		t.Errorf("of ten thousand effects %d were taken (%s %s)", n, r.Failure, r.Problem)
	}
	if log := strings.Join(r.Log, "\n"); !strings.Contains(log, "only the first 100 effects were taken") {
		t.Errorf("the trace does not tell that effects were left out: %q", log)
	}
	taken = append(taken, "many")
	good("after-many")

	b.take("range", "X-Do: range").did("evil", "SEEN")
	tr = b.take("chatter", "X-Do: chatter")
	r = tr.did("evil", "SEEN")
	log, told := strings.Join(r.Log, "\n"), strings.Join(append(r.Log, r.Dropped...), "\n")
	if len(log) > 10<<10 || strings.Count(log, "look at me") < 50 || strings.Contains(log, "\x1b") ||
		!strings.Contains(told, "the log was cut here") && !strings.Contains(told, "it wrote more into the log than is kept") {
		t.Errorf("the trace has %d octets of log and drops %q: %.300q", len(log), r.Dropped, log)
	}
	if strings.Contains(b.stderr.String(), "look at me") {
		t.Error("what a plugin says of a message stands in the log of the box")
	}
	taken = append(taken, "range", "chatter")

	// Without this one mail must not pass: it is put off, and comes again.
	for _, what := range []string{"panic", "bomb"} {
		tr := b.putOff("strict-"+what, "X-Strict: "+what)
		if tr.run("strict").Failure == "" || !strings.Contains(tr.text, "filter strict cannot work just now") {
			t.Errorf("the trace does not say why the message was put off\n%s", tail(tr.text))
		}
		tr.did("good", "SEEN")
		good("strict-" + what)
	}

	if s := b.filters(); len(s.Problems) > 0 || len(s.Workers) == 0 {
		t.Errorf("at the end: %+v", s)
	}
	for id, kinds := range map[string][]string{"hangs": {"timeout"}, "evil": {"exit", "memory", "trap"}, "strict": {"memory", "trap"}, "good": nil} {
		p := b.plugin(t, id)
		var got []string
		for kind := range p.Run.Failures {
			got = append(got, kind)
		}
		slices.Sort(got)
		if !slices.Equal(got, kinds) {
			t.Errorf("the figures of %s count the failures %v", id, p.Run.Failures)
		}
	}
	b.once(taken...)
	b.stop()
}

// TestHostileModules has plugins in a chain that no compiler made: each fails for
// every message, in its own way, and the good one behind them is asked.
func TestHostileModules(t *testing.T) {
	t.Parallel()
	b := newBox(t, nil, "anna")
	b.start()
	const effects = "effects = [\"score\"]\npoints = 1"
	list := []struct {
		id          string
		code        []byte
		imports     [][2]string
		kind, words string
	}{
		{"deep", codeRecurse, nil, "trap", "stack overflow"},
		{"grows", codeGrow, nil, "memory", "it wanted more memory than its 1024 KB"},
		{"far", codeFar, nil, "trap", "out of bounds memory access"},
		{"divides", codeDivide, nil, "trap", "integer divide by zero"},
		{"traps", codeUnreachable, nil, "trap", "unreachable"},
		{"seven", codeReturn7, nil, "trap", "it returned 7"},
		{"endless", codeLoop, nil, "timeout", "it took longer than 300ms"},
		{"asks", codeStorm, [][2]string{{"hauspost_v1", "event"}}, "timeout", "it took longer than 300ms"},
	}
	for _, m := range list {
		g := guest{id: m.id, wasm: assembly{code: m.code, imports: m.imports}.bytes(), needs: effects, memory: "1MiB"}
		if m.kind == "timeout" {
			g.time = "300ms"
		}
		b.install(g)
	}
	b.install(guest{id: "good"})
	var taken []string
	for i := range 3 { // five would open the breakers
		id := fmt.Sprint("m", i)
		tr := b.take(id)
		taken = append(taken, id)
		for _, m := range list {
			tr.failed(m.id, m.kind, m.words)
		}
		tr.did("good", "SEEN")
	}
	b.once(taken...)
	b.stop()
}

// TestForgedModules installs what is no plugin for this box, and plugins whose
// owner denied what they import: they are told of and not run.
func TestForgedModules(t *testing.T) {
	t.Parallel()
	b := newBox(t, nil, "anna")
	b.start()
	const effects = "effects = [\"score\"]\npoints = 1"
	for _, m := range []struct {
		id    string
		wasm  []byte
		words string
	}{
		{"future", assembly{code: codeOK, imports: [][2]string{{"hauspost_v9", "event"}}}.bytes(), "imports event of hauspost_v9: this box has version 1"},
		{"teleport", assembly{code: codeOK, imports: [][2]string{{"hauspost_v1", "teleport"}}}.bytes(), "teleport"},
		{"wrong-type", assembly{code: codeOK, imports: [][2]string{{"hauspost_v1", "clock"}}}.bytes(), "it is () -> i64"},
		{"other-world", assembly{code: codeOK, imports: [][2]string{{"env", "system"}}}.bytes(), "there is only hauspost_v1 and wasi_snapshot_preview1"},
		{"takes", assembly{code: codeOK, takes: true}.bytes(), "it must be () -> i32"},
		{"hidden", assembly{code: codeOK, noMemory: true}.bytes(), "does not export its memory"},
		{"no-code", assembly{code: []byte{0x6a}}.bytes(), "cannot be compiled"},
		{"cut", assembly{code: codeOK}.bytes()[:40], "damaged"},
		{"denied", assembly{code: codeOK, imports: [][2]string{{"hauspost_v1", "header"}}}.bytes(), "for which there is no grant: it needs \"header\""},
	} {
		b.install(guest{id: m.id, wasm: m.wasm, needs: effects})
		if p := b.filters().problem(m.id); !strings.Contains(p, m.words) {
			t.Errorf("status says of %s: %q, want %q", m.id, p, m.words)
		}
		tr := b.take(m.id)
		tr.failed(m.id, "load", m.words)
	}
	for _, m := range []struct {
		guest
		words string
	}{
		{guest{id: "elf", wasm: []byte("\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\x3e\x00")}, "WebAssembly"},
		{guest{id: "nothing", wasm: []byte{}}, "WebAssembly"},
		{guest{id: "abi9", wasm: assembly{code: codeOK}.bytes(), abi: "9"}, "abi"},
	} {
		r := b.run("", "plugin", "install", m.folder(t), "--yes")
		if r.code == 0 || !strings.Contains(r.err, m.words) {
			t.Errorf("installing %s: exit code %d\n%s%s", m.id, r.code, r.out, r.err)
		}
	}

	// The owner's no is a reason not to load; it is the owner's to take back.
	b.install(guest{id: "lookups"}, "--deny", "dns")
	const noDNS = `imports dns of hauspost_v1, for which there is no grant: it needs "dns"`
	if p := b.filters().problem("lookups"); !strings.Contains(p, noDNS) {
		t.Errorf("status says of lookups: %q", p)
	}
	if out := b.must("status"); !strings.Contains(out, "PROBLEM with lookups: ") || !strings.Contains(out, noDNS) {
		t.Errorf("status does not tell:\n%s", out)
	}
	b.take("no-dns").failed("lookups", "load", noDNS)
	b.install(guest{id: "must", onFailure: "tempfail"}, "--deny", "body")
	b.putOff("no-body").failed("must", "load", `it needs "body"`)
	b.must("plugin", "grant", "must", "--all")
	b.must("plugin", "grant", "lookups", "--all")
	tr := b.take("granted")
	tr.did("lookups", "SEEN")
	tr.did("must", "SEEN")
	b.once("future", "teleport", "wrong-type", "other-world", "takes", "hidden", "no-code", "cut", "denied", "no-dns", "granted")
	b.stop()
}

// TestKeysOfPlugins keeps something from one message to the next, in the only
// way that there is, and has another plugin look for it.
func TestKeysOfPlugins(t *testing.T) {
	t.Parallel()
	b := newBox(t, nil, "anna")
	b.start()
	b.install(guest{id: "mine", field: "X-Mine"})
	b.install(guest{id: "theirs", field: "X-Theirs"})
	b.install(guest{id: "must", field: "X-Must", onFailure: "tempfail"})
	b.take("kept", "X-Mine: keep secret").did("mine", "SEEN")
	tr := b.take("sought", "X-Mine: find secret", "X-Theirs: find secret")
	tr.did("mine", "FOUND SEEN")
	tr.did("theirs", "SEEN")
	// What a message that was not taken would have changed is not changed.
	b.putOff("refused", "X-Mine: keep other", "X-Must: panic")
	b.take("unchanged", "X-Mine: find other").did("mine", "SEEN")
	// It lasts as long as its plugin is there.
	b.stop()
	b.start()
	tr = b.take("again", "X-Mine: find secret", "X-Theirs: find secret")
	tr.did("mine", "FOUND SEEN")
	tr.did("theirs", "SEEN")
	b.once("kept", "sought", "unchanged", "again")
	b.stop()
}

// TestBreaker has a plugin fail so often that it is not asked any more, until it
// is well again.
func TestBreaker(t *testing.T) {
	t.Parallel()
	b := newBox(t, nil, "anna")
	b.start()
	b.install(guest{id: "evil"})
	b.install(guest{id: "good", field: "X-Good"})
	var taken []string
	take := func(fields ...string) *tracing {
		t.Helper()
		id := fmt.Sprint("m", len(taken))
		taken = append(taken, id)
		tr := b.take(id, fields...)
		tr.did("good", "SEEN")
		return tr
	}
	for range 5 {
		take("X-Do: exit").failed("evil", "exit", "code 3")
	}
	take().failed("evil", "breaker", "it has failed too often")
	if p := b.filters().problem("evil"); !strings.Contains(p, "it failed too often and is not asked for now; next try at ") {
		t.Errorf("status says %q", p)
	}
	if log := b.stderr.String(); !strings.Contains(log, "a plugin failed too often and is not asked for a while") {
		t.Errorf("the log does not tell the owner:\n%s", tail(log))
	}
	// The first try comes after ten seconds.
	for deadline := time.Now().Add(patience); ; time.Sleep(500 * time.Millisecond) {
		tr := take()
		if tr.run("evil").Failure == "" {
			tr.did("evil", "SEEN")
			break
		}
		tr.failed("evil", "breaker", "it has failed too often")
		if time.Now().After(deadline) {
			t.Fatal("the plugin is never asked again")
		}
	}
	take().did("evil", "SEEN")
	if p := b.filters().problem("evil"); p != "" {
		t.Errorf("status says %q when all is well again", p)
	}
	// Beside the mail there is a letter that tells the owner.
	told := 0
	for _, m := range b.show("anna", "INBOX") {
		switch i := slices.Index(taken, m.subject); {
		case i >= 0:
			taken = slices.Delete(taken, i, i+1)
		case m.subject == "The plugin evil fails" && strings.Contains(m.raw, "it ended itself with code 3"):
			told++
		default:
			t.Errorf("there is a message %q", m.subject)
		}
	}
	if told != 1 || len(taken) > 0 {
		t.Errorf("the owner was told %d times, and the messages %v are not there", told, taken)
	}
	b.stop()
	b.mustVerify()
}
