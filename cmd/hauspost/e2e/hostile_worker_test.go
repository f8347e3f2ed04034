package e2e

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// nameServer is a name server that says nothing until it is told to.
type nameServer struct {
	address string
	// asked gets the name of each question.
	asked chan string
	mu    sync.Mutex
	talks bool
}

func newNameServer(t *testing.T) *nameServer {
	t.Helper()
	pc, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &nameServer{address: pc.LocalAddr().String(), asked: make(chan string, 1000)}
	server := &dns.Server{PacketConn: pc, Handler: s}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = server.ActivateAndServe()
	}()
	t.Cleanup(func() {
		_ = pc.Close()
		<-done
	})
	return s
}

func (s *nameServer) ServeDNS(w dns.ResponseWriter, q *dns.Msg) {
	s.asked <- q.Question[0].Name
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.talks {
		return
	}
	m := new(dns.Msg).SetReply(q)
	m.Answer = []dns.RR{&dns.A{Hdr: dns.RR_Header{Name: q.Question[0].Name, Rrtype: dns.TypeA, Class: dns.ClassINET, Ttl: 60}, A: net.IPv4(192, 0, 2, 7)}}
	_ = w.WriteMsg(m)
}

func (s *nameServer) talk() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.talks = true
}

// wait waits for a question about a name.
func (s *nameServer) wait(t *testing.T, name string) {
	t.Helper()
	for limit := time.After(patience); ; {
		select {
		case got := <-s.asked:
			if strings.EqualFold(got, name+".") {
				return
			}
		case <-limit:
			t.Fatalf("nobody asks for %s", name)
		}
	}
}

// TestSlowDNS has a plugin wait for a name server that does not answer: the time
// is not the plugin's, and nobody else waits.
func TestSlowDNS(t *testing.T) {
	t.Parallel()
	s := newNameServer(t)
	b := newBox(t, map[string]string{"resolver.address": `"` + s.address + `"`, "resolver.timeout": `"1s"`}, "anna")
	b.start()
	b.install(guest{id: "asks", time: "800ms"})
	b.install(guest{id: "good", field: "X-Good"})
	waits := make(chan answer, 1)
	go func() {
		a, err := b.post("waits", "X-Do: dns slow.lookup.test")
		if err != nil {
			t.Error(err)
		}
		waits <- a
	}()
	s.wait(t, "slow.lookup.test")
	for _, id := range []string{"m1", "m2", "m3"} {
		b.take(id).did("asks", "SEEN")
	}
	a := <-waits
	if a.code != 250 {
		t.Fatalf("the message that waits gets %d %s", a.code, a.text)
	}
	tr := b.trace(a.id)
	tr.did("asks", "NO_ANSWER SEEN")
	tr.did("good", "SEEN")
	// A name that was not granted is not asked for at all.
	b.take("denied", "X-Do: dns elsewhere.test").failed("asks", "trap", "it returned 1")
	s.talk()
	// The box asks a name server that was silent again after a while.
	taken := []string{"waits", "m1", "m2", "m3", "denied"}
	for deadline := time.Now().Add(patience); ; time.Sleep(200 * time.Millisecond) {
		id := fmt.Sprint("later", len(taken))
		taken = append(taken, id)
		r := b.take(id, "X-Do: dns "+id+".lookup.test").run("asks")
		if r.symbols() == "ANSWER SEEN" {
			break
		}
		if r.symbols() != "NO_ANSWER SEEN" || time.Now().After(deadline) {
			t.Fatalf("%+v", r)
		}
	}
	for len(s.asked) > 0 {
		if name := <-s.asked; strings.Contains(name, "elsewhere") {
			t.Errorf("the name server was asked for %s", name)
		}
	}
	b.once(taken...)
	b.stop()
}

// TestWorkerKilled kills the workers while a message is inside: it is looked at
// again, and nobody notices but the owner.
func TestWorkerKilled(t *testing.T) {
	t.Parallel()
	s := newNameServer(t)
	b := newBox(t, map[string]string{"resolver.address": `"` + s.address + `"`, "resolver.timeout": `"20s"`}, "anna")
	b.start()
	b.install(guest{id: "first", field: "X-First"})
	b.install(guest{id: "asks", onFailure: "tempfail"})
	b.install(guest{id: "good", field: "X-Good"})
	before := b.filters()
	if len(before.Workers) != 1 {
		t.Fatalf("there are the workers %+v", before.Workers)
	}
	inside := make(chan answer, 1)
	go func() {
		a, err := b.post("inside", "X-First: keep once", "X-Do: dns inside.lookup.test")
		if err != nil {
			t.Error(err)
		}
		inside <- a
	}()
	s.wait(t, "inside.lookup.test")
	s.talk()
	if err := syscall.Kill(before.Workers[0].PID, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	a := <-inside
	if a.code != 250 {
		t.Fatalf("the message inside gets %d %s", a.code, a.text)
	}
	tr := b.trace(a.id)
	tr.did("first", "SEEN")
	tr.did("asks", "ANSWER SEEN")
	tr.did("good", "SEEN")
	b.take("next", "X-First: find once").did("first", "FOUND SEEN")
	after := b.filters()
	if after.Restarts <= before.Restarts || len(after.Workers) == 0 || after.Workers[0].PID == before.Workers[0].PID || len(after.Problems) > 0 {
		t.Errorf("before %+v, after %+v", before, after)
	}

	// An idle one that is killed again and again is replaced each time.
	taken := []string{"inside", "next"}
	for _, id := range []string{"again1", "again2", "again3"} {
		// One that dies with the message inside twice is taken for its fault: so
		// they are to be dead before it comes.
		workers := b.filters().Workers
		for _, w := range workers {
			_ = syscall.Kill(w.PID, syscall.SIGKILL)
		}
		for _, w := range workers {
			until(t, "the worker is dead", func() bool { return dead(w.PID) })
		}
		b.take(id).did("asks", "SEEN")
		taken = append(taken, id)
	}
	b.once(taken...)
	b.stop()
}

// dead tells whether a process has ended, though its parent may not know yet.
func dead(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return true
	}
	_, state, _ := strings.Cut(string(stat), ") ")
	return strings.HasPrefix(state, "Z") || strings.HasPrefix(state, "X")
}

// TestCacheDamaged spoils the machine code in the cache, while the box is down
// and while it is up: it is made anew, and never run.
func TestCacheDamaged(t *testing.T) {
	t.Parallel()
	b := newBox(t, nil, "anna")
	b.start()
	b.install(guest{id: "evil", onFailure: "tempfail"})
	b.take("m0").did("evil", "SEEN")
	sound := b.cached()
	var taken []string
	spoil := map[string]func(code []byte) []byte{
		"zeroed":  func(code []byte) []byte { return make([]byte, len(code)) },
		"flipped": func(code []byte) []byte { return invert(code) },
		"cut":     func(code []byte) []byte { return code[:len(code)/2] },
		"emptied": func([]byte) []byte { return nil },
	}
	for name, change := range spoil {
		for _, down := range []bool{true, false} {
			id := name
			if down {
				id += "-down"
				b.stop()
			}
			for file, code := range sound {
				if err := os.WriteFile(file, change(code), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			if down {
				b.start()
			} else {
				for _, w := range b.filters().Workers {
					_ = syscall.Kill(w.PID, syscall.SIGKILL)
				}
			}
			b.take(id).did("evil", "SEEN")
			taken = append(taken, id)
			for file, code := range b.cached() {
				if !bytes.Equal(code, sound[file]) {
					t.Errorf("%s: %s was not made anew", id, filepath.Base(file))
				}
			}
		}
	}

	// Without the folder, and with a file in its place.
	folder := filepath.Join(b.dir, "cache", "plugins")
	b.stop()
	if err := os.RemoveAll(folder); err != nil {
		t.Fatal(err)
	}
	b.start()
	b.take("removed").did("evil", "SEEN")
	b.once(append(taken, "m0", "removed")...)
	b.stop()
}

// invert inverts an octet in each hundred.
func invert(code []byte) []byte {
	out := bytes.Clone(code)
	for i := 0; i < len(out); i += 100 {
		out[i] ^= 0xff
	}
	return out
}

// cached gives the files with machine code.
func (b *box) cached() map[string][]byte {
	b.t.Helper()
	files, err := filepath.Glob(filepath.Join(b.dir, "cache", "plugins", "*", "wazero-*", "*"))
	if err != nil || len(files) == 0 {
		b.t.Fatalf("the cache has the files %v (%v)", files, err)
	}
	all := map[string][]byte{}
	for _, f := range files {
		if all[f], err = os.ReadFile(f); err != nil {
			b.t.Fatal(err)
		}
	}
	return all
}

// TestPackageChanged changes the file of a plugin on the disk: it is not used,
// and what then becomes of mail is what its failure policy says.
func TestPackageChanged(t *testing.T) {
	t.Parallel()
	b := newBox(t, nil, "anna")
	b.install(guest{id: "skips"})
	b.install(guest{id: "must", onFailure: "tempfail"})
	b.install(guest{id: "good"})
	b.start()
	b.take("before").did("must", "SEEN")
	b.stop()
	spoilPackage(t, b, "skips")
	b.start()
	const words = "were changed since it was installed"
	tr := b.take("skipped")
	tr.failed("skips", "load", words)
	tr.did("must", "SEEN")
	tr.did("good", "SEEN")
	if p := b.filters().problem("skips"); !strings.Contains(p, words) {
		t.Errorf("status says %q", p)
	}
	if out := b.must("status"); !strings.Contains(out, "PROBLEM with skips: ") || !strings.Contains(out, words) {
		t.Errorf("status does not tell:\n%s", out)
	}

	// Changed while the box runs, it goes on with what it has read until it
	// reads it again.
	spoilPackage(t, b, "must")
	b.must("plugin", "disable", "good")
	tr = b.putOff("put-off")
	tr.failed("must", "load", words)
	b.must("plugin", "remove", "must")
	b.take("without").failed("skips", "load", words)
	b.must("plugin", "remove", "skips")
	b.install(guest{id: "skips"})
	b.take("anew").did("skips", "SEEN")
	b.once("before", "skipped", "without", "anew")
	b.stop()
}

// spoilPackage changes an octet in the middle of a module.
func spoilPackage(t *testing.T, b *box, id string) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(b.dir, "plugins", id+"-1.0.0-*", "plugin.wasm"))
	if err != nil || len(files) != 1 {
		t.Fatalf("the module of %s is in %v (%v)", id, files, err)
	}
	wasm, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	wasm[len(wasm)/2] ^= 1
	if err := os.WriteFile(files[0], wasm, 0o600); err != nil {
		t.Fatal(err)
	}
}

// TestLockGarbled spoils the file that says which plugins there are. Nobody knows
// then what mail must not pass without: all of it is put off, until the file is
// as it was.
func TestLockGarbled(t *testing.T) {
	t.Parallel()
	b := newBox(t, nil, "anna")
	b.install(guest{id: "must", onFailure: "tempfail"})
	b.start()
	b.take("before").did("must", "SEEN")
	lock := filepath.Join(b.dir, "plugins", "lock.toml")
	sound, err := os.ReadFile(lock)
	if err != nil {
		t.Fatal(err)
	}
	for name, bad := range map[string]string{
		"noise":   "\x7fELF\x00\x01\x02",
		"half":    string(sound[:len(sound)/2]),
		"version": strings.Replace(string(sound), "version = 1\n", "version = 9\n", 1),
		"twice":   string(sound) + string(sound[bytes.Index(sound, []byte("[[plugin]]")):]),
	} {
		write(t, lock, bad)
		if r := b.run("", "plugin", "disable", "must"); r.code == 0 || !strings.Contains(r.err, "lock.toml") {
			t.Errorf("%s: a command ends with %d: %s%s", name, r.code, r.out, r.err)
		}
		if now, err := os.ReadFile(lock); err != nil || string(now) != bad {
			t.Errorf("%s: the command has changed the file (%v)", name, err)
		}
		// What runs, runs on.
		b.take(name+"-up").did("must", "SEEN")
		b.stop()
		b.start()
		a, err := b.post(name + "-down")
		if err != nil || a.code != 451 {
			t.Errorf("%s: mail gets %d %s (%v)", name, a.code, a.text, err)
		}
		if out := b.run("", "status"); !strings.Contains(out.out+out.err, "lock.toml") {
			t.Errorf("%s: status does not tell:\n%s%s", name, out.out, out.err)
		}
		b.stop()
		write(t, lock, string(sound))
		b.start()
	}
	b.take("after").did("must", "SEEN")
	b.once("before", "noise-up", "half-up", "version-up", "twice-up", "after")
	b.stop()
}
