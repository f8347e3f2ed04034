package submit

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"sync/atomic"
	"testing"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"

	"hauspost/appliance/envelope"
)

// closing is a household whose accounts can be closed.
type closing struct {
	*household
	closed atomic.Bool
}

func (c *closing) Owns(ctx context.Context, p Person, addr envelope.Address) (bool, error) {
	if c.closed.Load() {
		return false, nil
	}
	return c.household.Owns(ctx, p, addr)
}

// TestClosedAccount: whose account is closed sends nothing more over a
// connection that is open, not even with the null sender.
func TestClosedAccount(t *testing.T) {
	t.Parallel()
	people := &closing{household: theHousehold()}
	h := start(t, true, func(o *Options) { o.People = people })
	c := dial(t, h.addr, nil)
	if err := c.Auth(sasl.NewPlainClient("", "anna@example.test", password)); err != nil {
		t.Fatal(err)
	}
	for _, from := range []string{"anna@example.test", ""} {
		if _, err := send(c, from, "ben@example.test"); err != nil {
			t.Errorf("<%s> of an open account: %v", from, err)
		}
	}
	people.closed.Store(true)
	for _, from := range []string{"anna@example.test", ""} {
		var no *smtp.SMTPError
		if _, err := send(c, from, "ben@example.test"); !errors.As(err, &no) || no.Code != 553 {
			t.Errorf("<%s> of a closed account: %v", from, err)
		}
	}
}

// from is a listener whose peers have the addresses of a list, one after the
// other.
type from struct {
	net.Listener
	next  atomic.Int32
	addrs []string
}

func (l *from) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return claimed{c, l.addrs[int(l.next.Add(1)-1)%len(l.addrs)]}, nil
}

type claimed struct {
	net.Conn
	addr string
}

func (c claimed) RemoteAddr() net.Addr {
	return net.TCPAddrFromAddrPort(netip.AddrPortFrom(netip.MustParseAddr(c.addr), 5000))
}

// TestTrustedNetworkOfIPv6: a device that changes its address within its /64
// has the rate of one.
func TestTrustedNetworkOfIPv6(t *testing.T) {
	t.Parallel()
	h := start(t, false, func(o *Options) {
		o.Trusted = []netip.Prefix{netip.MustParsePrefix("2001:db8::/32")}
		o.Limits.MessagesPerHour = 1
	})
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	peers := &from{Listener: ln, addrs: []string{"2001:db8::1", "2001:db8::2", "2001:db8:0:1::1"}}
	done := make(chan error, 1)
	go func() { done <- h.Serve(t.Context(), peers, false) }()
	for i, ok := range []bool{true, false, true} {
		nc, err := net.Dial("tcp", ln.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		c := smtp.NewClient(nc)
		if _, err := send(c, "anna@example.test", "friend@friend.test"); (err == nil) != ok {
			t.Errorf("message %d from %s: %v", i, peers.addrs[i], err)
		}
		c.Close()
	}
	ln.Close()
	<-done
}
