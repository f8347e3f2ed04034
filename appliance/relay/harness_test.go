package relay

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"hauspost/appliance/envelope"
	"hauspost/appliance/relay/testnet"
	"hauspost/appliance/resolver"
	"hauspost/appliance/transfer"
)

// rig is a client in a test network.
type rig struct {
	*testing.T
	net *testnet.Net
	o   Options
	c   *Client
}

func newRig(t *testing.T) *rig {
	t.Helper()
	n := testnet.New(t)
	dns, err := resolver.New(resolver.Options{Server: n.DNS().Addr(), Timeout: time.Second, Cached: -1})
	if err != nil {
		t.Fatal(err)
	}
	r := &rig{T: t, net: n, o: Options{
		Hostname: "box.example", Resolver: dns, Port: n.Port(), AllowLoopback: true,
		Limits:  Limits{Stagger: time.Hour, Idle: time.Hour, Farewell: 5 * time.Second},
		Shuffle: func(int, func(int, int)) {},
	}}
	r.o.TLS = rootsOf(n)
	return r
}

// host adds a host; the last argument chooses its addresses.
func (r *rig) host(name string, b testnet.Behaviour) *testnet.Host {
	r.Helper()
	h, err := r.net.Host(name, b)
	r.must(err)
	return h
}

func (r *rig) must(err error) {
	r.Helper()
	if err != nil {
		r.Fatal(err)
	}
}

func (r *rig) domain(name string, hosts ...*testnet.Host) {
	r.Helper()
	r.must(r.net.Domain(name, hosts...))
}

// client makes the client at its first use.
func (r *rig) client() *Client {
	if r.c == nil {
		r.c = New(r.o)
		r.Cleanup(func() {
			ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
			defer cancel()
			r.must(r.c.Close(ctx))
		})
	}
	return r.c
}

const text = "From: a@box.example\r\nSubject: hello\r\n\r\n.dot\r\n..\r\nbye\r\n"

// message is one to recipients of far.example.
func message(content string, to ...string) *transfer.Message {
	m := &transfer.Message{
		ID: "0123456789abcdefghjkmnpqrs", Domain: "far.example", Sender: envelope.MustAddress("a@box.example"),
		Size: int64(len(content)), Body: "7BIT",
		Open: func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(content)), nil },
	}
	if len(to) == 0 {
		to = []string{"one@far.example"}
	}
	for _, s := range to {
		m.Recipients = append(m.Recipients, envelope.Recipient{Address: envelope.MustAddress(s)})
	}
	return m
}

// delivered runs an attempt that must deliver.
func (r *rig) delivered(m *transfer.Message) transfer.Result {
	r.Helper()
	res := r.client().Attempt(r.Context(), m)
	for i, o := range res.Outcomes {
		if o.Status != transfer.Delivered {
			r.Fatalf("%s: %s (note: %s)", m.Recipients[i].Address, show(o), res.Note)
		}
	}
	return res
}

// outcome runs an attempt for one recipient.
func (r *rig) outcome(m *transfer.Message) (transfer.Outcome, transfer.Result) {
	r.Helper()
	res := r.client().Attempt(r.Context(), m)
	if len(res.Outcomes) != len(m.Recipients) {
		r.Fatalf("%d outcomes for %d recipients", len(res.Outcomes), len(m.Recipients))
	}
	return res.Outcomes[0], res
}

// expect compares status, scope, name and enhanced code: "deferred destination
// timeout 4.4.2".
func (r *rig) expect(o transfer.Outcome, want string) {
	r.Helper()
	if got := brief(o); got != want {
		r.Errorf("got %q, want %q (%s)", got, want, show(o))
	}
}

func brief(o transfer.Outcome) string {
	return strings.Join(strings.Fields(fmt.Sprintf("%s %s %s %s", o.Status, o.Scope, o.Name, o.Enhanced)), " ")
}

func show(o transfer.Outcome) string {
	return fmt.Sprintf("%s code=%d verb=%q answer=%q", brief(o), o.Code, o.Verb, o.Answer)
}

func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("did not happen: %s", what)
		}
	}
}

// watch makes the time of the first connection run out when it is told to, so
// that time-outs need no waiting.
type watch struct{ dialled chan *watched }

type watched struct {
	net.Conn
	mu      sync.Mutex
	expired bool
}

func newWatch(o *Options) *watch {
	w := &watch{make(chan *watched, 100)}
	dial := New(*o).o.Dial
	o.Dial = func(ctx context.Context, ap netip.AddrPort) (net.Conn, error) {
		nc, err := dial(ctx, ap)
		if err != nil {
			return nil, err
		}
		c := &watched{Conn: nc}
		w.dialled <- c
		return c, nil
	}
	return w
}

func (w *watch) expire() {
	c := <-w.dialled
	c.mu.Lock()
	defer c.mu.Unlock()
	c.expired = true
	c.Conn.SetDeadline(time.Unix(1, 0))
}

func (c *watched) SetDeadline(t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.expired {
		return nil
	}
	return c.Conn.SetDeadline(t)
}

// failing gives an error after some content.
type failing struct{ r io.Reader }

var errDisk = errors.New("the disk is on fire")

func (f failing) Read(p []byte) (int, error) {
	n, err := f.r.Read(p)
	if errors.Is(err, io.EOF) {
		err = errDisk
	}
	return n, err
}
