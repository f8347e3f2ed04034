package relay

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"strings"
	"testing"
	"time"

	"hauspost/appliance/envelope"
	"hauspost/appliance/relay/testnet"
	"hauspost/appliance/transfer"
)

// large makes content beyond what is read at once, with dots in bad places.
func large(size int) string {
	var b strings.Builder
	b.WriteString("Subject: large\r\n\r\n")
	for i := 0; b.Len() < size; i++ {
		b.WriteString([]string{".\r\n", "..two dots\r\n", "plain\r\n", "\r\n", "." + strings.Repeat("x", 70) + "\r\n"}[i%5])
	}
	return b.String()
}

// TestLargeContent arrives as it was sent, by DATA and by BDAT.
func TestLargeContent(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		content string
		bdat    bool
	}{
		"small": {large(1000), true}, "just small": {large(smallSize - 100), true}, "large": {large(3 << 20), false},
		"no end of line": {strings.TrimSuffix(large(200<<10), "\r\n") + "x", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			h := r.host("mx1.example", testnet.Behaviour{With: []string{"CHUNKING"}})
			r.domain("far.example", h)
			r.delivered(message(c.content))
			want := c.content
			if !strings.HasSuffix(want, "\r\n") {
				want += "\r\n"
			}
			if m := h.Messages()[0]; m.Content != want || m.BDAT != c.bdat {
				t.Errorf("%d octets arrived of %d, BDAT %v", len(m.Content), len(want), m.BDAT)
			}
		})
	}
}

// TestLostInContent: what breaks off before its end is offered to the next
// server, and a refusal that comes early is heard.
func TestLostInContent(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	a, b := r.host("mx1.example", testnet.Behaviour{DropAfter: 100 << 10}), r.host("mx2.example", good)
	r.domain("far.example", a, b)
	m := message(large(16<<20), three...)
	a.Set(testnet.Behaviour{DropAfter: 100 << 10, Recipients: map[string]string{"two@far.example": "550 5.1.1 nobody"}})
	res := r.client().Attempt(t.Context(), m)
	for i, want := range []string{"delivered 2.0.0", "failed recipient unknown-recipient 5.1.1", "delivered 2.0.0"} {
		r.expect(res.Outcomes[i], want)
	}
	if a.Count() != 0 || b.Count() != 1 || len(b.Messages()[0].To) != 2 {
		t.Errorf("%d and %d messages: %+v", a.Count(), b.Count(), res)
	}
}

// TestLostByOneMessage: what breaks off in the midst of a message concerns that
// message alone, as others may get through.
func TestLostByOneMessage(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	h := r.host("mx1.example", testnet.Behaviour{DropAfter: 100 << 10})
	r.domain("far.example", h)
	o, _ := r.outcome(message(large(16<<20), "one@far.example"))
	r.expect(o, "deferred recipient lost 4.4.2")
	r.delivered(message(text, "one@far.example"))
	for _, verb := range []string{"MAIL", "RCPT", "DATA"} {
		h.Set(at(verb, testnet.Step{Drop: true}))
		o, _ := r.outcome(message(text, "one@far.example"))
		r.expect(o, "deferred recipient lost 4.4.2")
	}
	for _, verb := range []string{"connect", "EHLO"} {
		r = newRig(t)
		r.domain("far.example", r.host("mx1.example", at(verb, testnet.Step{Drop: true})))
		o, _ := r.outcome(message(text, "one@far.example"))
		r.expect(o, "deferred destination lost 4.4.2")
	}
}

// TestUnreadable: a file that cannot be read never goes out in part, and is
// nobody else's fault.
func TestUnreadable(t *testing.T) {
	t.Parallel()
	broken := func(content string) func() (io.ReadCloser, error) {
		return func() (io.ReadCloser, error) {
			return io.NopCloser(failing{strings.NewReader(content)}), nil
		}
	}
	big := large(1 << 20)
	for name, c := range map[string]struct {
		edit func(m *transfer.Message)
		want string
	}{
		"small":           {func(m *transfer.Message) { m.Open = broken(text) }, "deferred local unreadable 4.3.0"},
		"cannot be found": {func(m *transfer.Message) { m.Open = func() (io.ReadCloser, error) { return nil, errDisk } }, "deferred local unreadable 4.3.0"},
		"too short":       {func(m *transfer.Message) { m.Size++ }, "deferred local unreadable 4.3.0"},
		"too long":        {func(m *transfer.Message) { m.Size-- }, "deferred local unreadable 4.3.0"},
		"large":           {func(m *transfer.Message) { m.Size, m.Open = int64(len(big)), broken(big) }, "deferred local unreadable 4.3.0"},
		"large, lost": {func(m *transfer.Message) {
			m.Size, m.Open = int64(len(big)), func() (io.ReadCloser, error) { return nil, errDisk }
		}, "deferred local unreadable 4.3.0"},
		"large, short":   {func(m *transfer.Message) { *m = *message(big); m.Size++ }, "deferred local unreadable 4.3.0"},
		"bare LF":        {func(m *transfer.Message) { *m = *message("a: b\r\n\r\nx\ny\r\n") }, "failed recipient malformed-content 5.6.0"},
		"bare CR":        {func(m *transfer.Message) { *m = *message("a: b\r\n\r\nx\ry\r\n") }, "failed recipient malformed-content 5.6.0"},
		"CR at the end":  {func(m *transfer.Message) { *m = *message("a: b\r\n\r\nx\r") }, "failed recipient malformed-content 5.6.0"},
		"large, bare LF": {func(m *transfer.Message) { *m = *message(big + "x\n.\nMAIL FROM:<x@y.example>\r\n") }, "failed recipient malformed-content 5.6.0"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			var log bytes.Buffer
			r.o.Logger = slog.New(slog.NewTextHandler(&log, nil))
			h := r.host("mx1.example", good)
			r.domain("far.example", h)
			m := message(text)
			c.edit(m)
			o, _ := r.outcome(m)
			r.expect(o, c.want)
			if strings.Contains(o.Answer, "fire") {
				t.Errorf("strangers hear of %q", o.Answer)
			}
			if o.Name == "unreadable" && log.Len() == 0 {
				t.Error("nothing in the log")
			}
			eventually(t, "the connection is over", func() bool { return h.Open() == 0 })
			if h.Count() != 0 {
				t.Errorf("it went out: %+v", h.Messages())
			}
		})
	}
}

// TestCalledOff: an attempt ends with its context, wherever it is; one whose
// message is all sent still hears the answer.
func TestCalledOff(t *testing.T) {
	t.Parallel()
	for _, verb := range breakable {
		t.Run(verb, func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			r.o.Limits.Grace = 30 * time.Millisecond
			reached := make(chan struct{})
			h := r.host("mx1.example", at(verb, testnet.Step{Silent: true, Before: func(context.Context) { close(reached) }}))
			r.domain("far.example", h)
			ctx, cancel := context.WithCancel(t.Context())
			go func() {
				<-reached
				cancel()
			}()
			o := r.client().Attempt(ctx, message(text)).Outcomes[0]
			want := "deferred local shutting-down 4.3.2"
			if verb == "content" {
				want = "deferred recipient timeout 4.4.2"
			}
			r.expect(o, want)
			eventually(t, "nothing is open", func() bool { return r.c.Stats().Open == 0 })
		})
	}
}

func TestLastAnswerIsHeard(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	ctx, cancel := context.WithCancel(t.Context())
	h := r.host("mx1.example", at("content", testnet.Step{Before: func(context.Context) { cancel() }}))
	r.domain("far.example", h)
	r.o.Limits.Grace = time.Minute
	r.expect(r.client().Attempt(ctx, message(text)).Outcomes[0], "delivered 2.0.0")
}

// TestTotal: the sum of many slow answers is bounded too.
func TestTotal(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.o.Limits.Total = 50 * time.Millisecond
	a := r.host("mx1.example", at("EHLO", testnet.Step{Silent: true}))
	b := r.host("mx2.example", good)
	r.domain("far.example", a, b)
	o, _ := r.outcome(message(text))
	r.expect(o, "deferred destination timeout 4.4.2")
	if b.Connections() != 0 {
		t.Error("the next server was tried after the time was over")
	}
}

// TestTarpit: a server that answers late each time costs its own messages time,
// up to that of an attempt, and nobody else's.
func TestTarpit(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.o.Limits.Total = time.Second
	held := make(chan struct{})
	tarpit := r.host("mx1.example", testnet.Behaviour{Steps: steps{
		"EHLO": {Before: linger}, "MAIL": {Before: linger},
		"RCPT": {Before: func(ctx context.Context) { close(held); <-ctx.Done() }, Times: 1},
	}})
	r.domain("far.example", tarpit)
	r.domain("near.example", r.host("mx2.example", good))
	c := r.client()
	slow := make(chan transfer.Outcome, 1)
	go func() { slow <- c.Attempt(t.Context(), message(text)).Outcomes[0] }()
	<-held
	m := message(text)
	m.Domain, m.Recipients = "near.example", []envelope.Recipient{{Address: envelope.MustAddress("one@near.example")}}
	r.expect(c.Attempt(t.Context(), m).Outcomes[0], "delivered 2.0.0")
	r.expect(<-slow, "deferred destination timeout 4.4.2")
}

// TestKeptThenLost: the server took it and could not say so. SMTP cannot tell;
// what must not happen is that another server gets it in the same attempt.
func TestKeptThenLost(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	a, b := r.host("mx1.example", at("content", testnet.Step{Drop: true, Keep: true})), r.host("mx2.example", good)
	r.domain("far.example", a, b)
	o, _ := r.outcome(message(text))
	r.expect(o, "deferred recipient lost 4.4.2")
	if a.Count() != 1 || b.Count() != 0 {
		t.Errorf("%d and %d messages", a.Count(), b.Count())
	}
}

// TestPasswordStaysHere: a server that repeats what it was told gives nothing
// away.
func TestPasswordStaysHere(t *testing.T) {
	t.Parallel()
	const password = "correct horse"
	for _, reply := range []string{
		"535 5.7.8 not AGFubmEAY29ycmVjdCBob3JzZQ==", "535 bad password " + password, "535-bad\r\n535 Y29ycmVjdCBob3JzZQ==", password,
	} {
		r := newRig(t)
		var log bytes.Buffer
		r.o.Logger = slog.New(slog.NewTextHandler(&log, nil))
		h := r.host("mx1.example", testnet.Behaviour{Steps: steps{"AUTH": {Reply: reply}}, Users: map[string]string{"anna": password}})
		r.o.Smarthost = &Route{Host: h.Name(), Port: r.net.Port(), User: "anna", Password: password, Security: Verified}
		o, res := r.outcome(message(text))
		if o.Status != transfer.Deferred || o.Scope != transfer.ScopeDestination {
			t.Error(show(o))
		}
		all := o.Answer + res.Note + log.String() + show(o)
		for _, secret := range []string{password, "AGFubmEAY29ycmVjdCBob3JzZQ==", "Y29ycmVjdCBob3JzZQ=="} {
			if strings.Contains(all, secret) {
				t.Errorf("%q gives the password away: %s", reply, all)
			}
		}
	}
}

// TestClosed: after Close attempts still work, and keep nothing.
func TestClosed(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	h := r.host("mx1.example", good)
	r.domain("far.example", h)
	r.delivered(message(text))
	r.must(r.c.Close(t.Context()))
	if h.Open() != 0 && r.c.Stats().Open != 0 {
		t.Error("connections are open")
	}
	r.delivered(message(text))
	if s := r.c.Stats(); s.Open != 0 || s.Idle != 0 {
		t.Errorf("%+v", s)
	}
	slow := newRig(t)
	s := slow.host("mx1.example", at("QUIT", testnet.Step{Silent: true}))
	slow.domain("far.example", s)
	slow.delivered(message(text))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := slow.c.Close(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("a server that does not say goodbye: %v", err)
	}
	s.Stop()
}

// TestNobody: a message without recipients has no outcomes.
func TestNobody(t *testing.T) {
	t.Parallel()
	m := message(text)
	m.Recipients = nil
	if res := New(Options{Hostname: "box.example"}).Attempt(t.Context(), m); len(res.Outcomes) != 0 {
		t.Errorf("%+v", res)
	}
}
