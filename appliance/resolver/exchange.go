package resolver

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/miekg/dns"
)

// udpSize is what we take in one datagram: it passes every network without
// being fragmented (DNS flag day 2020).
const udpSize = 1232

// ask puts one question to the servers in turn, beginning with the one that
// answered last, until one gives NOERROR or NXDOMAIN.
func (r *Resolver) ask(ctx context.Context, fqdn string, qtype uint16) (*dns.Msg, server, error) {
	if r.resting() {
		return nil, server{}, ErrSilent
	}
	doubt := time.AfterFunc(suspicion, r.suspect)
	defer doubt.Stop()
	servers := r.servers()
	first := int(r.last.Load()) % len(servers)
	var last error
	tries := r.o.Rounds * len(servers)
	for try := range tries {
		i := (first + try) % len(servers)
		reply, err := r.askOne(ctx, servers[i], fqdn, qtype, r.share(ctx, tries-try))
		if err == nil {
			r.heard()
			r.last.Store(int32(i))
			return reply, servers[i], nil
		}
		last = fmt.Errorf("name server %s: %w", servers[i].addr, err)
		if ctx.Err() != nil {
			return nil, server{}, fmt.Errorf("%w, last error: %w", ctx.Err(), last)
		}
	}
	if r.lost(ctx) {
		last = fmt.Errorf("%w: %w", ErrSilent, last)
	}
	return nil, server{}, last
}

// askOne asks one server: over UDP, over TCP where the answer was cut off, and
// without EDNS where the server is too old for it (RFC 6891, section 7).
func (r *Resolver) askOne(ctx context.Context, srv server, fqdn string, qtype uint16, patience time.Duration) (*dns.Msg, error) {
	q := new(dns.Msg)
	q.SetQuestion(fqdn, qtype)
	q.AuthenticatedData = true // says that we understand it (RFC 6840, section 5.7)
	q.SetEdns0(udpSize, true)
	reply, err := r.exchange(ctx, "udp", srv, q, patience)
	if err == nil && (reply.Rcode == dns.RcodeFormatError || reply.Rcode == dns.RcodeNotImplemented) {
		q.Extra = nil
		reply, err = r.exchange(ctx, "udp", srv, q, patience)
	}
	if err == nil && reply.Truncated {
		reply, err = r.exchange(ctx, "tcp", srv, q, patience)
	}
	if err != nil {
		return nil, err
	}
	if reply.Truncated {
		return nil, errors.New("cut off over TCP too")
	}
	if reply.Rcode != dns.RcodeSuccess && reply.Rcode != dns.RcodeNameError {
		return nil, errors.New(rcodeText(reply.Rcode))
	}
	return reply, nil
}

func rcodeText(rcode int) string {
	if s, ok := dns.RcodeToString[rcode]; ok {
		return s
	}
	return fmt.Sprintf("response code %d", rcode)
}

// exchange sends q on a socket of its own, whose random port is half of what
// keeps strangers from answering in the server's place.
func (r *Resolver) exchange(ctx context.Context, network string, srv server, q *dns.Msg, patience time.Duration) (*dns.Msg, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	q.Id = dns.Id()
	var d net.Dialer
	nc, err := d.DialContext(ctx, network, srv.addr)
	if err != nil {
		return nil, err
	}
	defer nc.Close()
	stop := context.AfterFunc(ctx, func() { nc.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	c := &dns.Client{Net: network, Timeout: patience}
	reply, _, err := c.ExchangeWithConnContext(ctx, q, &dns.Conn{Conn: nc, UDPSize: udpSize})
	if err != nil {
		return nil, err
	}
	if !reply.Response || len(reply.Question) > 1 ||
		len(reply.Question) == 1 && (reply.Question[0].Qtype != q.Question[0].Qtype ||
			!strings.EqualFold(reply.Question[0].Name, q.Question[0].Name)) {
		return nil, errors.New("the reply belongs to another question")
	}
	return reply, nil
}
