package relay

import (
	"context"
	"maps"
	"sync"
	"testing"
	"time"

	"hauspost/appliance/relay/testnet"
	"hauspost/appliance/transfer"
)

// TestReuseAsksNoDNS: the next message to the same domain goes at once, one to
// another domain of the same server after its look-up.
func TestReuseAsksNoDNS(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	h := r.host("mx1.example", good)
	r.domain("far.example", h)
	r.domain("near.example", h)
	r.delivered(message(text))
	asked := r.net.DNS().Queries("", "MX") + r.net.DNS().Queries("", "A")
	if res := r.delivered(message(text)); !res.Reused {
		t.Error("not reused")
	}
	if n := r.net.DNS().Queries("", "MX") + r.net.DNS().Queries("", "A"); n != asked {
		t.Errorf("%d questions for the second message", n-asked)
	}
	m := message(text, "one@near.example")
	m.Domain = "near.example"
	if res := r.delivered(m); !res.Reused || h.Connections() != 1 {
		t.Errorf("another domain: reused %v, %d connections", res.Reused, h.Connections())
	}
	s := r.c.Stats()
	if s.Messages != 3 || s.Reused != 2 || s.Connections != 1 || s.Encrypted != 3 || s.Verified != 3 || s.Plain != 0 || s.Attempts != 3 || s.Open != 1 || s.Idle != 1 {
		t.Errorf("%+v", s)
	}
}

// TestDeadIdle: a connection that the server closed meanwhile, or turns away,
// is replaced without a word.
func TestDeadIdle(t *testing.T) {
	t.Parallel()
	for name, b := range map[string]testnet.Behaviour{"closed": good, "says 421": says("MAIL", "421 4.4.2 idle too long"), "RSET 421": says("RCPT", "421 4.4.2 idle too long")} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			h := r.host("mx1.example", good)
			r.domain("far.example", h)
			r.delivered(message(text))
			b.Steps = maps.Clone(b.Steps)
			for verb, st := range b.Steps {
				st.Times = 1
				b.Steps[verb] = st
			}
			h.Set(b)
			if name == "closed" {
				h.DropIdle()
			}
			res := r.delivered(message(text))
			if res.Reused || res.Note != "" || h.Connections() != 2 || h.Count() != 2 {
				t.Errorf("%+v, %d connections, %d messages", res, h.Connections(), h.Count())
			}
		})
	}
}

// TestIdleEnds: a connection is kept for its time and as many messages, and
// given up politely.
func TestIdleEnds(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	h := r.host("mx1.example", good)
	r.domain("far.example", h)
	var mu sync.Mutex
	var fire func()
	r.o.After = func(_ time.Duration, f func()) func() bool {
		mu.Lock()
		defer mu.Unlock()
		fire = f
		return func() bool { return true }
	}
	r.o.Limits.Messages = 2
	r.delivered(message(text))
	mu.Lock()
	expire := fire
	mu.Unlock()
	expire()
	eventually(t, "the connection is over", func() bool { return h.Open() == 0 && r.c.Stats().Open == 0 })
	for range 3 {
		r.delivered(message(text))
	}
	if n := h.Connections(); n != 3 {
		t.Errorf("%d connections for one and three messages, two on each", n)
	}
}

// TestConnectionsPerHost: more attempts than connections wait for their turn,
// in their order, and go over those that there are.
func TestConnectionsPerHost(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	h := r.host("mx1.example", good)
	r.domain("far.example", h)
	r.o.Limits.PerHost = 2
	const many = 20
	var all sync.WaitGroup
	c := r.client()
	for range many {
		all.Go(func() {
			if o := c.Attempt(t.Context(), message(text)).Outcomes[0]; o.Status != transfer.Delivered {
				t.Error(show(o))
			}
		})
	}
	all.Wait()
	if h.Count() != many || h.Connections() > 2 {
		t.Errorf("%d messages over %d connections", h.Count(), h.Connections())
	}
}

// TestConnectionsInAll: idle connections make room for others.
func TestConnectionsInAll(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.o.Limits.Connections = 1
	a, b := r.host("mx1.example", good), r.host("mx2.example", good)
	r.domain("far.example", a)
	r.domain("near.example", b)
	near := message(text, "one@near.example")
	near.Domain = "near.example"
	r.delivered(message(text))
	r.delivered(near)
	eventually(t, "the idle connection is over", func() bool { return a.Open() == 0 })
	var all sync.WaitGroup
	for i := range 20 {
		all.Go(func() {
			m := message(text)
			if i%2 == 0 {
				m = near
			}
			if o := r.c.Attempt(t.Context(), m).Outcomes[0]; o.Status != transfer.Delivered {
				t.Error(show(o))
			}
		})
	}
	all.Wait()
	if n := a.Count() + b.Count(); n != 22 {
		t.Errorf("%d messages", n)
	}
	eventually(t, "one connection is open", func() bool { return r.c.Stats().Open <= 1 })
}

// TestWaitingEnds: an attempt that waits for a connection ends with its
// context, and leaves nothing behind.
func TestWaitingEnds(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	held := make(chan struct{})
	h := r.host("mx1.example", at("MAIL", testnet.Step{Times: 1, Before: func(ctx context.Context) {
		select {
		case <-held:
		case <-ctx.Done():
		}
	}}))
	r.domain("far.example", h)
	r.o.Limits.PerHost = 1
	c := r.client()
	first := make(chan transfer.Result, 1)
	go func() { first <- c.Attempt(t.Context(), message(text)) }()
	eventually(t, "the first is connected", func() bool { return h.Connections() == 1 })
	ctx, cancel := context.WithCancel(t.Context())
	second := make(chan transfer.Result, 1)
	go func() { second <- c.Attempt(ctx, message(text)) }()
	eventually(t, "the second waits", func() bool { return c.Stats().Waiting == 1 })
	cancel()
	res := <-second
	r.expect(res.Outcomes[0], "deferred local shutting-down 4.3.2")
	close(held)
	res = <-first
	r.expect(res.Outcomes[0], "delivered 2.0.0")
	if s := c.Stats(); s.Waiting != 0 || s.Open != 1 {
		t.Errorf("%+v", s)
	}
}

// TestSecurityOfKeptConnections: a connection that is good enough for one
// message is not taken for one that asks for more.
func TestSecurityOfKeptConnections(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	h := r.host("mx1.example", testnet.Behaviour{Certificate: testnet.SelfSigned})
	r.domain("far.example", h)
	r.domain("strict.example", h)
	r.o.Routes = []Route{{To: []string{"strict.example"}, Security: Verified}}
	r.o.Limits.PerHost = 1
	r.delivered(message(text))
	strict := message(text, "one@strict.example")
	strict.Domain = "strict.example"
	o, _ := r.outcome(strict)
	r.expect(o, "deferred destination tls-required 4.7.5")
	if n := h.Connections(); n != 2 {
		t.Errorf("%d connections", n)
	}
}

// TestUnasked: what a server says between two messages is not taken for the
// answer to the second.
func TestUnasked(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	h := r.host("mx1.example", testnet.Behaviour{Without: []string{"STARTTLS"}, Steps: steps{"content": {Times: 1, Reply: "250 2.0.0 taken\r\n250 and more\r\n250 of it\r\n"}}})
	r.domain("far.example", h)
	r.delivered(message(text))
	if res := r.delivered(message(text)); res.Reused || h.Count() != 2 || h.Connections() != 2 {
		t.Errorf("%+v: %d messages over %d connections", res, h.Count(), h.Connections())
	}
}
