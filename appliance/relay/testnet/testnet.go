// Package testnet is a network of mail hosts for tests: each on a loopback
// address of its own, all on one port, with a real name server that knows them.
// The hosts misbehave as they are told, at every step.
//
// It may import resolver/dnstest. It must not import relay or queue: it is what
// strangers do, and knows nothing of a box.
package testnet

import (
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"sync"
	"testing"

	"hauspost/appliance/resolver/dnstest"
)

// Net is a running test network. Its methods are safe for many goroutines.
type Net struct {
	dns  *dnstest.Server
	port int
	ca   *authority
	// reserved holds the port on the first address for the life of the net, so
	// that no other net gets the same.
	reserved net.Listener

	mu    sync.Mutex
	zone  []string
	hosts []*Host
	last  int // of 127.0.0.x
	six   bool
}

// New starts a network and stops it when the test ends. What the hosts noticed
// that a client must never do fails the test.
func New(tb testing.TB) *Net {
	tb.Helper()
	n, err := Start()
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		n.Close()
		for _, h := range n.Hosts() {
			for _, v := range h.Violations() {
				tb.Errorf("%s: the client broke the protocol: %s", h.name, v)
			}
		}
	})
	return n
}

// Start starts a network without hosts and domains; Close stops it.
func Start() (*Net, error) {
	dns, err := dnstest.Start("")
	if err != nil {
		return nil, err
	}
	ca, err := newAuthority()
	if err != nil {
		dns.Close()
		return nil, err
	}
	reserved, err := net.Listen("tcp", "127.0.0.2:0")
	if err != nil {
		dns.Close()
		return nil, fmt.Errorf("choosing a port for the test network: %w", err)
	}
	return &Net{dns: dns, ca: ca, reserved: reserved, port: reserved.Addr().(*net.TCPAddr).Port, last: 2}, nil
}

// Close stops all hosts and the name server.
func (n *Net) Close() {
	for _, h := range n.Hosts() {
		h.Stop()
	}
	n.reserved.Close()
	n.dns.Close()
}

// Port is that of all hosts.
func (n *Net) Port() int { return n.port }

// DNS is the name server; its Addr is for resolver.Options or resolver.address
// of a box's settings.
func (n *Net) DNS() *dnstest.Server { return n.dns }

// Roots are those that vouch for the certificates of hosts which are valid.
func (n *Net) Roots() *x509.CertPool { return n.ca.pool() }

// RootsPEM is the same as a file for SSL_CERT_FILE.
func (n *Net) RootsPEM() []byte { return n.ca.pem() }

// Hosts are all hosts in the order in which they came.
func (n *Net) Hosts() []*Host {
	n.mu.Lock()
	defer n.mu.Unlock()
	return append([]*Host(nil), n.hosts...)
}

// Host adds a mail host with an IPv4 address, and its A record.
func (n *Net) Host(name string, b Behaviour) (*Host, error) { return n.add(name, b, true, false) }

// Host6 adds a mail host with an IPv6 address only. There is one IPv6 loopback
// address, so only one host of a network can have it.
func (n *Net) Host6(name string, b Behaviour) (*Host, error) { return n.add(name, b, false, true) }

// Host46 adds a mail host with both kinds of address.
func (n *Net) Host46(name string, b Behaviour) (*Host, error) { return n.add(name, b, true, true) }

func (n *Net) add(name string, b Behaviour, four, six bool) (*Host, error) {
	h := newHost(n, name, b)
	n.mu.Lock()
	defer n.mu.Unlock()
	if four {
		ip, err := n.nextAddress()
		if err != nil {
			return nil, err
		}
		h.four = ip
		n.zone = append(n.zone, name+". A "+ip)
	}
	if six {
		if n.six {
			return nil, errors.New("another host has the one IPv6 loopback address")
		}
		n.six, h.six = true, "::1"
		n.zone = append(n.zone, name+". AAAA ::1")
	}
	if err := h.listen(); err != nil {
		return nil, err
	}
	n.hosts = append(n.hosts, h)
	return h, n.dns.SetZone(strings.Join(n.zone, "\n"))
}

// nextAddress needs the lock.
func (n *Net) nextAddress() (string, error) {
	if n.last++; n.last > 250 {
		return "", errors.New("no more addresses for hosts")
	}
	return "127.0.0." + strconv.Itoa(n.last), nil
}

// Nowhere gives an address at which nothing listens: connections are refused.
func (n *Net) Nowhere() (string, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.nextAddress()
}

// Domain adds MX records for a domain, one for each host, preferred in their
// order: preferences 10, 20 and so on.
func (n *Net) Domain(domain string, hosts ...*Host) error {
	var lines []string
	for i, h := range hosts {
		lines = append(lines, fmt.Sprintf("%s. MX %d %s.", domain, 10*(i+1), h.name))
	}
	return n.Records(lines...)
}

// NullMX makes a domain one that takes no mail (RFC 7505).
func (n *Net) NullMX(domain string) error { return n.Records(domain + ". MX 0 .") }

// Records adds lines to the zone, such as "a.example. MX 10 mx.example.".
func (n *Net) Records(lines ...string) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.zone = append(n.zone, lines...)
	return n.dns.SetZone(strings.Join(n.zone, "\n"))
}
