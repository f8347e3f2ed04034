package e2e

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// row is one line of `queue list --json`.
type row struct {
	Number      int64
	Message     string
	Sender      string
	Recipient   string
	Destination string
	Via         string
	Kind        string
	State       string
	Attempts    int
	Host        string
	Answer      string
	Reading     string
}

func (r row) ref() string { return strconv.FormatInt(r.Number, 10) }

// queue lists the queue.
func (b *box) queue(filters ...string) []row {
	b.t.Helper()
	var list struct {
		Rows  []row
		Total int
	}
	out := b.must(append([]string{"queue", "list", "--json", "--limit", "0"}, filters...)...)
	if err := json.Unmarshal([]byte(out), &list); err != nil {
		b.t.Fatalf("queue list %v: %v\n%s", filters, err, out)
	}
	if list.Total != len(list.Rows) {
		b.t.Errorf("queue list %v: %d rows and a total of %d", filters, len(list.Rows), list.Total)
	}
	return list.Rows
}

// rowFor gives the row of a recipient.
func (b *box) rowFor(recipient string) row {
	b.t.Helper()
	list := b.queue("--to", recipient)
	if len(list) != 1 {
		b.t.Fatalf("the queue has %d rows for %s", len(list), recipient)
	}
	return list[0]
}

// drain has the box try everything again until its queue is empty.
func (b *box) drain() {
	b.t.Helper()
	deadline := time.Now().Add(3 * patience)
	for again := time.Now(); ; {
		left := b.queue()
		switch {
		case len(left) == 0:
			return
		case time.Now().After(deadline):
			b.t.Fatalf("%d rows stay in the queue, the first is %+v", len(left), left[0])
		case time.Now().After(again):
			b.must("queue", "retry", "--all")
			again = time.Now().Add(time.Second)
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// essence is what has to survive of the queue, whatever happens.
func essence(rows []row) string {
	var list []string
	for _, r := range rows {
		list = append(list, fmt.Sprintf("%s: %s to %s (%s, %s)", r.Message, r.Sender, r.Recipient, r.Kind, r.State))
	}
	slices.Sort(list)
	return strings.Join(list, "\n")
}

// newHouse makes a box that runs, with anna and bert, whose mail for strangers
// goes to a far end that keeps what it gets.
func newHouse(t testing.TB, settings map[string]string) (*box, *sink) {
	t.Helper()
	all := unlimited()
	for k, v := range settings {
		all[k] = v
	}
	b := newBox(t, all, "anna", "bert")
	far := newSink(t, nil)
	b.route(far, nil, "*")
	return b, far
}

// arrives waits until the far end has exactly the letters, "id to recipient",
// and holds that it has no more.
func arrives(t testing.TB, far *sink, want ...string) {
	t.Helper()
	var have []string
	until(t, fmt.Sprintf("%v to arrive", want), func() bool {
		have = have[:0]
		for _, a := range far.got("") {
			have = append(have, a.id+" to "+a.to)
		}
		return len(have) >= len(want)
	})
	slices.Sort(have)
	slices.Sort(want)
	if !slices.Equal(have, want) {
		t.Errorf("the far end has %q, want %q", have, want)
	}
}

// TestQueueSurvives holds that what waits survives an orderly restart, a crash
// and the loss of the index, and goes out once when the far end is back.
func TestQueueSurvives(t *testing.T) {
	t.Parallel()
	b, far := newHouse(t, nil)
	far.down()
	b.start()
	b.mustSubmit("anna", note("anna", "q1", "one@far.test"), "one@far.test")
	b.mustSubmit("anna", note("anna", "q2", "two@far.test", "three@remote.test"), "two@far.test", "three@remote.test")
	b.mustSubmit("bert", note("bert", "q3", "anna", "one@far.test"), "anna", "one@far.test")
	before := essence(b.queue())
	if n := strings.Count(before, "\n") + 1; n != 4 {
		t.Fatalf("the queue has %d rows, want 4:\n%s", n, before)
	}
	same := func(when string) {
		t.Helper()
		if now := essence(b.queue()); now != before {
			t.Fatalf("%s the queue is\n%s\nit was\n%s", when, now, before)
		}
	}
	b.stop()
	same("at rest")
	b.start()
	same("after a restart")
	b.kill()
	same("after a crash")
	b.mustVerify()
	removeIndex(b)
	b.must("store", "rebuild")
	same("after the index was made anew")
	b.mustVerify()
	b.start()
	same("after another start")
	far.up()
	b.must("queue", "retry", "--all")
	arrives(t, far, "q1 to one@far.test", "q2 to two@far.test", "q2 to three@remote.test", "q3 to one@far.test")
	b.drain()
	b.stop()
	b.mustVerify()
	b.start()
	if list := b.show("anna", "INBOX"); len(list) != 1 || list[0].subject != "q3" {
		t.Errorf("anna has %d messages, want q3 alone", len(list))
	}
	if n := far.count(); n != 4 {
		t.Errorf("the far end has %d copies, want 4", n)
	}
	b.stop()
}

// TestQueueDeeds does with the queue what an owner may, while the box runs and
// while it does not.
func TestQueueDeeds(t *testing.T) {
	t.Parallel()
	b, far := newHouse(t, nil)
	other := newSink(t, nil)
	far.down()
	b.start()
	for i := 1; i <= 4; i++ {
		to := fmt.Sprintf("r%d@far.test", i)
		b.mustSubmit("anna", note("anna", fmt.Sprintf("d%d", i), to), to)
	}
	deed := func(args ...string) {
		t.Helper()
		var done struct{ Changed int }
		out := b.must(append([]string{"queue", "--json"}, args...)...)
		if err := json.Unmarshal([]byte(out), &done); err != nil || done.Changed != 1 {
			t.Errorf("queue %v: %v, %s", args, err, out)
		}
	}
	state := func(recipient, want string) {
		t.Helper()
		if r := b.rowFor(recipient); r.State != want && (want != "waiting" || r.State != "active") {
			t.Errorf("the row for %s is %s, want %s", recipient, r.State, want)
		}
	}
	gone := func(recipient string) {
		t.Helper()
		if list := b.queue("--to", recipient); len(list) != 0 {
			t.Errorf("the queue shows what was dropped: %+v", list)
		}
		if list := b.queue("--to", recipient, "--state", "dropped"); len(list) != 1 {
			t.Errorf("what was dropped cannot be found: %+v", list)
		}
	}
	deed("hold", b.rowFor("r1@far.test").ref())
	state("r1@far.test", "held")
	deed("drop", "--to", "r2@far.test")
	gone("r2@far.test")
	deed("undo")
	state("r2@far.test", "waiting")
	deed("drop", b.rowFor("r2@far.test").Message)
	gone("r2@far.test")
	deed("reroute", "--via", other.addr, b.rowFor("r3@far.test").ref())
	arrives(t, other, "d3 to r3@far.test")
	b.stop()

	deed("release", b.rowFor("r1@far.test").ref())
	state("r1@far.test", "waiting")
	deed("hold", "--to", "r4@far.test")
	far.up()
	b.start()
	b.must("queue", "retry", "--all")
	arrives(t, far, "d1 to r1@far.test")
	state("r4@far.test", "held")
	gone("r2@far.test")
	b.stop()

	deed("undo", b.queue("--state", "dropped")[0].ref())
	deed("reroute", "--via", other.addr, "--to", "r4@far.test")
	deed("release", "--to", "r4@far.test")
	b.start()
	b.must("queue", "retry", "--to", "r2@far.test")
	arrives(t, far, "d1 to r1@far.test", "d2 to r2@far.test")
	arrives(t, other, "d3 to r3@far.test", "d4 to r4@far.test")
	b.drain()
	b.stop()
	b.mustVerify()
	if r := b.run("", "queue", "drop"); r.code != 2 || !strings.Contains(r.err, "--all") {
		t.Errorf("drop of nothing in particular: exit code %d, %s", r.code, r.err)
	}
}

// TestQueueTells holds that the owner can read what is wrong, and that the
// trace has every attempt.
func TestQueueTells(t *testing.T) {
	t.Parallel()
	b, far := newHouse(t, nil)
	far.behave(func(st step) string {
		if st.verb == "RCPT" {
			return "450 4.2.0 Greylisted, come back later"
		}
		return ""
	})
	b.start()
	b.mustSubmit("anna", note("anna", "g1", "one@far.test"), "one@far.test")
	until(t, "an attempt", func() bool { return b.rowFor("one@far.test").Attempts > 0 })
	r := b.rowFor("one@far.test")
	if !strings.Contains(r.Answer, "450 4.2.0 Greylisted, come back later") || !strings.Contains(r.Reading, "asks new senders to wait") {
		t.Errorf("the row says %q and %q", r.Answer, r.Reading)
	}
	out := b.must("queue", "show", r.ref())
	for _, want := range []string{"one@far.test", "Greylisted, come back later", "asks new senders to wait", "attempt 1"} {
		if !strings.Contains(out, want) {
			t.Errorf("queue show does not say %q:\n%s", want, out)
		}
	}
	if list := b.queue("--error", "greylisted"); len(list) != 1 {
		t.Errorf("by its error it cannot be found: %+v", b.queue())
	}
	if list := b.queue("--error", "no such error"); len(list) != 0 {
		t.Errorf("by another error it is found: %+v", list)
	}
	far.behave(nil)
	b.must("queue", "retry", "--all")
	arrives(t, far, "g1 to one@far.test")
	b.drain()
	for _, want := range []string{"attempt 1", "delivered", "250"} {
		if out := b.must("trace", r.Message); !strings.Contains(out, want) {
			t.Errorf("the trace does not say %q:\n%s", want, out)
		}
	}
	b.stop()
}

// TestSmarthost sends everything through a server that wants a password, and
// gets it wrong first.
func TestSmarthost(t *testing.T) {
	t.Parallel()
	b := newBox(t, unlimited(), "anna")
	far := newSink(t, selfSigned(t, "127.0.0.1", time.Now().AddDate(1, 0, 0)))
	far.user, far.password = "house", "of cards"
	password := filepath.Join(b.dir, "smarthost.txt")
	write(t, password, "wrong guess\n")
	b.route(far, []string{`security = "required"`, `user = "house"`, `password_file = "smarthost.txt"`}, "*")
	b.start()
	b.mustSubmit("anna", note("anna", "s1", "one@far.test"), "one@far.test")
	until(t, "an attempt", func() bool { return b.rowFor("one@far.test").Attempts > 0 })
	if r := b.rowFor("one@far.test"); !strings.Contains(r.Answer, "535") || !strings.Contains(r.Reading, "password") {
		t.Errorf("a refused password: %+v\n%s", r, b.must("queue", "show", r.ref()))
	}
	b.stop()
	write(t, password, "of cards\n")
	b.start()
	b.must("queue", "retry", "--all")
	arrives(t, far, "s1 to one@far.test")
	b.drain()
	b.stop()
	for _, secret := range []string{"of cards", "wrong guess"} {
		if strings.Contains(b.stderr.String(), secret) || strings.Contains(b.must("config", "show"), secret) {
			t.Errorf("%q is shown", secret)
		}
	}
	if far.plain > 0 {
		t.Error("it was sent without TLS")
	}
}

// TestNeverInPlain holds that nothing goes out where the way is not as safe as
// the owner wants it: no STARTTLS, an expired certificate, one of a stranger.
// With one of an authority that the owner trusts it does.
func TestNeverInPlain(t *testing.T) {
	t.Parallel()
	settings := unlimited()
	settings["tls.extra_root"] = `"root.pem"`
	b := newBox(t, settings, "anna")
	trusted := newSink(t, selfSigned(t, "127.0.0.1", time.Now().AddDate(1, 0, 0)))
	write(t, filepath.Join(b.dir, "root.pem"), string(pemOf(trusted.cert)))
	b.route(trusted, []string{`security = "verified"`}, "trusted.test")
	none := newSink(t, nil)
	expired := newSink(t, selfSigned(t, "127.0.0.1", time.Now().Add(-time.Hour)))
	unknown := newSink(t, selfSigned(t, "127.0.0.1", time.Now().AddDate(1, 0, 0)))
	b.route(none, []string{`security = "required"`}, "none.test")
	b.route(expired, []string{`security = "verified"`}, "expired.test")
	b.route(unknown, []string{`security = "verified"`}, "unknown.test")
	b.start()
	b.mustSubmit("anna", note("anna", "t1", "one@trusted.test"), "one@trusted.test")
	arrives(t, trusted, "t1 to one@trusted.test")
	for _, d := range []string{"none", "expired", "unknown"} {
		to := "one@" + d + ".test"
		b.mustSubmit("anna", note("anna", d, to), to)
		until(t, "an attempt", func() bool { return b.rowFor(to).Attempts > 0 })
		if r := b.rowFor(to); r.Reading == "" || r.State == "held" {
			t.Errorf("%s: %+v", d, r)
		}
	}
	for _, far := range []*sink{none, expired, unknown} {
		if n := far.count(); n != 0 {
			t.Errorf("%d letters went out", n)
		}
	}
	b.stop()
}
