package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestPluginGo goes the way of the guide (plugins/README.md) with a new plugin in
// Go: from nothing to one that has an effect on mail in a running box.
func TestPluginGo(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(folder(t), "shouting")
	b := newBox(t, nil, "anna")
	b.must("plugin", "new", "shouting", "--lang", "go", "--dir", dir)
	test := exec.Command("go", "test", ".")
	test.Dir, test.Env = dir, append(os.Environ(), "GOPROXY=off", "GOFLAGS=-mod=mod")
	if out, err := test.CombinedOutput(); err != nil {
		t.Fatalf("go test: %v\n%s", err, out)
	}
	b.tryShouting(dir)
}

// tryShouting builds, tests and installs a plugin that was made from a template,
// holds that mail with a subject in capitals goes to junk by its points and other
// mail does not, and rules over it as an owner does.
func (b *box) tryShouting(dir string) {
	t := b.t
	t.Helper()
	b.appendSettings("\n[[plugin]]\nid = \"shouting\"\n\n[plugin.settings]\npoints = 5\n")
	b.must("plugin", "build", dir)
	if out := b.must("plugin", "test", dir); !strings.Contains(out, "2 tests passed") {
		t.Fatalf("plugin test says %s", out)
	}
	b.start()
	archive := filepath.Join(dir, "shouting-0.1.0.hauspost")
	// Without a terminal nobody can agree.
	if r := b.run("y\n", "plugin", "install", archive); r.code == 0 || !strings.Contains(r.out, "It can read the header of mail") {
		t.Errorf("installing without a terminal: exit code %d\n%s%s", r.code, r.out, r.err)
	}
	b.must("plugin", "install", archive, "--yes")
	b.write(t, "loud", "BUY NOW AND SAVE MORE", "anna")
	b.write(t, "calm", "Shall we meet?", "anna")
	b.in(t, "anna", map[string]string{"loud": "Junk", "calm": "INBOX"})
	if p := b.plugin(t, "shouting"); p.Run.Calls != 2 || len(p.Run.Failures) != 0 {
		t.Errorf("the plugin was asked %d times, with the failures %v", p.Run.Calls, p.Run.Failures)
	}

	b.must("plugin", "grant", "shouting", "--deny", "points:1")
	b.write(t, "less", "BUY NOW AND SAVE MORE", "anna")
	b.must("plugin", "grant", "shouting", "--all")
	b.must("plugin", "disable", "shouting")
	b.write(t, "off", "BUY NOW AND SAVE MORE", "anna")
	b.must("plugin", "enable", "shouting")
	b.write(t, "on", "BUY NOW AND SAVE MORE", "anna")
	b.in(t, "anna", map[string]string{"less": "INBOX", "off": "INBOX", "on": "Junk"})

	before := b.must("store", "verify")
	settings := write(t, filepath.Join(folder(t), "stricter.toml"), "letters = 5\npoints = 20\n")
	var replay struct {
		Totals struct{ Messages, Changed, Failed int }
	}
	out := b.must("plugin", "replay", "shouting", "--settings", settings, "--json")
	if err := json.Unmarshal([]byte(out), &replay); err != nil || replay.Totals.Messages != 5 || replay.Totals.Changed != 2 || replay.Totals.Failed != 0 {
		t.Errorf("replay says (%v) %s", err, out)
	}
	if after := b.must("store", "verify"); after != before {
		t.Errorf("replay changed the store: %s, before %s", after, before)
	}
	b.must("plugin", "remove", "shouting")
	b.write(t, "gone", "BUY NOW AND SAVE MORE", "anna")
	b.in(t, "anna", map[string]string{"gone": "INBOX"})
	b.stop()
	b.mustVerify()
}

// TestPluginsOfTheHouse builds the plugins of this repository, runs their tests,
// and has them work together on mail.
func TestPluginsOfTheHouse(t *testing.T) {
	t.Parallel()
	b := newBox(t, nil, "anna", "ben")
	b.appendSettings(`
[[plugin]]
id = "headers"

[plugin.settings]
rules = '''
"shop": if Subject contains "invoice" and From address ends with "@sender.test" then file into "Shops"
if recipient is "ben@` + domain + `" and Subject contains "choir" then tag "$choir"
if Subject is "go away" then reject
'''
`)
	for _, id := range []string{"hello", "headers"} {
		out := filepath.Join(folder(t), id+".hauspost")
		source := filepath.Join("..", "..", "..", "plugins", id)
		b.must("plugin", "build", source, "--out", out)
		os.Remove(filepath.Join(source, "plugin.wasm")) // it is in out
		b.must("plugin", "test", out)
		b.must("plugin", "install", out, "--yes")
	}
	b.start()
	b.write(t, "1", "=?utf-8?q?Your_In?= =?utf-8?q?voice?=", "anna")
	b.write(t, "2", "The choir", "anna", "ben")
	b.in(t, "anna", map[string]string{"1": "Shops", "2": "INBOX"})
	b.in(t, "ben", map[string]string{"2": "INBOX"})
	for _, flag := range []struct {
		person, id, name string
		want             bool
	}{
		{"anna", "1", "$hello", true}, {"anna", "2", "$hello", false}, {"ben", "2", "$hello", false},
		{"anna", "2", "$choir", false}, {"ben", "2", "$choir", true},
	} {
		mail, err := b.read(flag.person)
		if err != nil {
			t.Fatal(err)
		}
		if got := slices.ContainsFunc(mail[flag.id][0].flags, func(f string) bool { return strings.EqualFold(f, flag.name) }); got != flag.want {
			t.Errorf("message %s of %s has the flags %q", flag.id, flag.person, mail[flag.id][0].flags)
		}
	}
	s, err := dialData(b.smtp)
	if err != nil {
		t.Fatal(err)
	}
	defer s.close()
	if err, ok := s.send(withSubject("3", "Go  Away"), []string{"anna"}).(*refusal); !ok || err.code != 550 {
		t.Errorf("a message that a rule refuses gets %v", err)
	}
	for _, id := range []string{"hello", "headers"} {
		if p := b.plugin(t, id); p.Run.Calls != 3 || len(p.Run.Failures) != 0 {
			t.Errorf("%s was asked %d times, with the failures %v", id, p.Run.Calls, p.Run.Failures)
		}
	}
	b.stop()
	b.mustVerify()
}

// withSubject is a letter of a stranger.
func withSubject(id, subject string) []byte {
	return fmt.Appendf(nil, "%s%s\r\nFrom: Somebody <%s>\r\nSubject: %s\r\nMessage-ID: <%s@sender.test>\r\n\r\nHello.\r\n", marker, id, stranger, subject, id)
}

// write sends a letter to people of the box by SMTP, as a stranger does.
func (b *box) write(t testing.TB, id, subject string, people ...string) {
	t.Helper()
	s, err := dialData(b.smtp)
	if err != nil {
		t.Fatal(err)
	}
	defer s.close()
	if err := s.send(withSubject(id, subject), people); err != nil {
		t.Fatalf("sending %q: %v", subject, err)
	}
}

// in holds in which mailboxes letters are.
func (b *box) in(t testing.TB, person string, want map[string]string) {
	t.Helper()
	mail, err := b.read(person)
	if err != nil {
		t.Fatal(err)
	}
	for id, mailbox := range want {
		if got := mail[id]; len(got) != 1 || got[0].mailbox != mailbox {
			t.Errorf("letter %s of %s is in %+v, want %s", id, person, got, mailbox)
		}
	}
}

// pluginState is what `plugin show --json` prints, in part.
type pluginState struct {
	Enabled bool
	Problem string
	Run     struct {
		Calls    int
		Failures map[string]int
	}
}

func (b *box) plugin(t testing.TB, id string) pluginState {
	t.Helper()
	var p pluginState
	if err := json.Unmarshal([]byte(b.must("plugin", "show", id, "--json")), &p); err != nil {
		t.Fatal(err)
	}
	if p.Problem != "" {
		t.Errorf("%s has a problem: %s", id, p.Problem)
	}
	return p
}
