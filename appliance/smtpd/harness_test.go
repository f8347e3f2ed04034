package smtpd

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"hauspost/appliance/envelope"
	"hauspost/appliance/esmtp"
	"hauspost/appliance/esmtp/dialogue"
	"hauspost/appliance/maillog"
	"hauspost/appliance/reply"
)

// people is a Directory: anna and ben of example.test, a catch-all for
// catch.test, and postmaster. It also takes address literals, which must not
// reach it.
type people struct{}

func (people) Resolve(_ context.Context, a envelope.Address) ([]envelope.Target, error) {
	target := []envelope.Target{{Account: "1"}}
	switch {
	case a.Domain == "" && strings.EqualFold(a.Local, "postmaster"), a.Domain == "catch.test", a.IsLiteral():
		return target, nil
	case a.Domain != "example.test":
		return nil, reply.RelayDenied
	case slices.Contains([]string{"anna@example.test", "ben@example.test", "bärbel@example.test"}, a.Key()):
		return target, nil
	case a.Local == "panic":
		panic("somebody looked behind the curtain")
	case a.Local == "broken":
		return nil, errors.New("the database is on fire at /var/lib/secret")
	}
	return nil, reply.UnknownRecipient
}

// delivered is one committed message.
type delivered struct {
	env     *envelope.Envelope
	content string
	trace   *maillog.Trace
}

// depot is an Intake that keeps messages in memory.
type depot struct {
	mu        sync.Mutex
	messages  []delivered
	open      int // stagings neither committed nor discarded
	discarded int
	writeErr  error
	commitErr error
	onCommit  func()
}

type box struct {
	d *depot
	delivered
	buf strings.Builder
}

func (d *depot) Stage(_ context.Context, env *envelope.Envelope, trace *maillog.Trace) Staging {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.open++
	return &box{d: d, delivered: delivered{env: env, trace: trace}}
}

func (b *box) Write(p []byte) (int, error) {
	if b.d.writeErr != nil {
		return 0, b.d.writeErr
	}
	return b.buf.Write(p)
}

func (b *box) Commit(context.Context) error {
	if b.d.onCommit != nil {
		b.d.onCommit()
	}
	b.d.mu.Lock()
	defer b.d.mu.Unlock()
	b.d.open--
	if b.d.commitErr != nil {
		return b.d.commitErr
	}
	b.content = b.buf.String()
	b.d.messages = append(b.d.messages, b.delivered)
	return nil
}

func (b *box) Discard() {
	b.d.mu.Lock()
	defer b.d.mu.Unlock()
	b.d.open--
	b.d.discarded++
}

func (d *depot) stored() []delivered {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.messages)
}

func (d *depot) unsettled() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.open
}

// zone is a Names.
type zone struct {
	ptr map[string][]string
	mx  map[string][]string
	ip  map[string][]string
	// down names give trouble.
	down []string
}

func (z *zone) ask(m map[string][]string, name string) ([]string, error) {
	if slices.Contains(z.down, name) {
		return nil, errors.New("server failure")
	}
	if v, ok := m[name]; ok {
		return v, nil
	}
	return nil, ErrNoRecord
}

func (z *zone) LookupPTR(_ context.Context, a netip.Addr) ([]string, error) {
	return z.ask(z.ptr, a.String())
}

func (z *zone) LookupMX(_ context.Context, d string) ([]string, error) { return z.ask(z.mx, d) }

func (z *zone) LookupIP(_ context.Context, h string) (addrs []netip.Addr, err error) {
	texts, err := z.ask(z.ip, h)
	for _, t := range texts {
		addrs = append(addrs, netip.MustParseAddr(t))
	}
	return addrs, err
}

// sieve is a Filters for some stages. It gives its answer to peers that are
// called good.test or come from 127.0.0.66, and to senders and recipients ben.
// The Problem of its runs says what it was asked.
type sieve struct {
	stages string
	answer *reply.Reply
}

func (f *sieve) Asks(stage string) bool { return strings.Contains(f.stages, stage) }

func (f *sieve) run(stage, about string, bad bool) ([]envelope.Run, *reply.Reply) {
	runs := []envelope.Run{{Filter: "sieve", Stage: stage, Problem: about}}
	if bad {
		return runs, f.answer
	}
	return runs, nil
}

func (f *sieve) Connect(_ context.Context, peer envelope.Client) ([]envelope.Run, *reply.Reply) {
	addr := peer.Addr.Addr().String()
	return f.run("on_connect", addr+"/"+peer.Hostname, addr == "127.0.0.66" || peer.Hostname == "good.test")
}

func (f *sieve) Mail(_ context.Context, env *envelope.Envelope) ([]envelope.Run, *reply.Reply) {
	about := fmt.Sprintf("%s/%d/%d", env.From, len(env.Facts), len(env.Runs))
	return f.run("on_mail", about, env.From.Local == "ben")
}

func (f *sieve) Rcpt(_ context.Context, env *envelope.Envelope, r envelope.Recipient) ([]envelope.Run, *reply.Reply) {
	about := fmt.Sprintf("%s/%d", r.Address, len(env.To))
	return f.run("on_rcpt", about, r.Address.Local == "ben")
}

// noPause makes tarpits quick.
func noPause(context.Context, time.Duration) {}

type harness struct {
	*Server
	depot *depot
	addr  string
}

// start runs a server with test options on a loopback socket.
func start(t testing.TB, change func(*Options)) *harness {
	t.Helper()
	h := &harness{depot: &depot{}}
	o := Options{
		Hostname: "mail.example.test", Directory: people{}, Intake: h.depot, Pause: noPause,
		Limits: Limits{Limits: esmtp.Limits{ConnectionRate: -1, ConnectionsPerAddress: -1}, SenderRate: -1, DomainRate: -1},
	}
	if change != nil {
		change(&o)
	}
	h.Server = New(o)
	h.addr = dialogue.Serve(t, h, false, func() {
		if n := h.depot.unsettled(); n != 0 {
			t.Errorf("%d stagings were neither committed nor discarded", n)
		}
		if st := h.Stats(); st.Connections.Active != 0 {
			t.Errorf("%d connections are counted after the end", st.Connections.Active)
		}
	})
	return h
}
