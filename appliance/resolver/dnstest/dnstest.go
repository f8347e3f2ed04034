// Package dnstest is a real name server for tests: on 127.0.0.1 over UDP and
// TCP, answering from the text of a zone file, and misbehaving where it is
// told to.
//
// It answers like a recursive server: it follows CNAMEs, denies with the SOA
// record where the text has one, and knows nothing but its text.
//
// The package must not import anything of ours.
package dnstest

import (
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"

	"github.com/miekg/dns"
)

// Behaviour is how a name is answered. The zero Behaviour is a good one.
type Behaviour struct {
	// Rcode other than 0 is given in place of an answer, such as
	// dns.RcodeServerFailure.
	Rcode int
	// Drop is how many queries get no answer; negative means all.
	Drop int
	// Truncate cuts every answer over UDP off.
	Truncate bool
	// AD sets the bit that says that the answer was validated.
	AD bool
	// NoEDNS answers queries with EDNS by FORMERR, as very old servers do.
	NoEDNS bool
	// Stranger answers as if another name had been asked for.
	Stranger bool
}

// Server is a running name server. Its methods are safe for many goroutines.
type Server struct {
	addr     string
	udp, tcp *dns.Server
	done     sync.WaitGroup

	mu        sync.Mutex
	zone      map[string][]dns.RR // by lower-case name
	behaviour map[string]Behaviour
	queries   map[string]int
}

// New starts a server with the given zone text and stops it when the test
// ends. Names without a final dot are below the root; the TTL is 300 seconds
// where the text says nothing.
func New(tb testing.TB, zone string) *Server {
	tb.Helper()
	s, err := Start(zone)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(s.Close)
	return s
}

// Start starts a server; Close stops it.
func Start(zone string) (*Server, error) {
	s := &Server{behaviour: make(map[string]Behaviour), queries: make(map[string]int)}
	if err := s.SetZone(zone); err != nil {
		return nil, err
	}
	ln, pc, err := listen()
	if err != nil {
		return nil, fmt.Errorf("starting a name server: %w", err)
	}
	s.addr = ln.Addr().String()
	handler := dns.HandlerFunc(s.serve)
	var started sync.WaitGroup
	started.Add(2)
	s.udp = &dns.Server{PacketConn: pc, Handler: handler, NotifyStartedFunc: started.Done}
	s.tcp = &dns.Server{Listener: ln, Handler: handler, NotifyStartedFunc: started.Done}
	for _, srv := range []*dns.Server{s.udp, s.tcp} {
		s.done.Go(func() { _ = srv.ActivateAndServe() }) // ends with the listener
	}
	started.Wait()
	return s, nil
}

// listen finds a port that is free for both.
func listen() (net.Listener, net.PacketConn, error) {
	var last error
	for range 20 {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, nil, err
		}
		pc, err := net.ListenPacket("udp", ln.Addr().String())
		if err == nil {
			return ln, pc, nil
		}
		last = err
		ln.Close()
	}
	return nil, nil, last
}

// Close stops the server.
func (s *Server) Close() {
	_ = s.udp.Shutdown() // fails only where it is stopped already
	_ = s.tcp.Shutdown()
	s.done.Wait()
}

// Addr is the address as host:port, for UDP and TCP.
func (s *Server) Addr() string { return s.addr }

// SetZone replaces the zone text.
func (s *Server) SetZone(zone string) error {
	parser := dns.NewZoneParser(strings.NewReader(zone), ".", "zone")
	parser.SetDefaultTTL(300)
	rrs := make(map[string][]dns.RR)
	for rr, ok := parser.Next(); ok; rr, ok = parser.Next() {
		name := strings.ToLower(rr.Header().Name)
		rrs[name] = append(rrs[name], rr)
	}
	if err := parser.Err(); err != nil {
		return fmt.Errorf("reading the zone: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.zone = rrs
	return nil
}

// Behave sets how queries for a name (or, for ".", all others) are answered.
func (s *Server) Behave(name string, b Behaviour) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.behaviour[key(name)] = b
}

// Queries is how many queries came for a name and type such as "MX", dropped
// ones and both transports included; an empty name counts all of the type.
func (s *Server) Queries(name, typ string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	if name != "" {
		return s.queries[key(name)+" "+typ]
	}
	n := 0
	for k, v := range s.queries {
		if strings.HasSuffix(k, " "+typ) {
			n += v
		}
	}
	return n
}

func key(name string) string { return strings.ToLower(dns.Fqdn(name)) }

// serve answers one query.
func (s *Server) serve(w dns.ResponseWriter, q *dns.Msg) {
	if len(q.Question) != 1 {
		return
	}
	question := q.Question[0]
	name := strings.ToLower(question.Name)
	b, drop := s.note(name, dns.TypeToString[question.Qtype])
	if drop {
		return
	}
	r := new(dns.Msg)
	r.SetReply(q)
	r.RecursionAvailable = true
	udp := w.LocalAddr().Network() == "udp"
	switch {
	case b.NoEDNS && q.IsEdns0() != nil:
		r.Rcode = dns.RcodeFormatError
	case b.Rcode != dns.RcodeSuccess:
		r.Rcode = b.Rcode
	case b.Truncate && udp:
		r.Truncated = true
	default:
		s.answer(r, name, question.Qtype)
	}
	r.AuthenticatedData = b.AD
	if b.Stranger {
		r.Question[0].Name = "stranger." + strings.TrimSuffix(name, ".") + "."
	}
	size := dns.MaxMsgSize
	if udp {
		size = dns.MinMsgSize
	}
	if o := q.IsEdns0(); o != nil && !b.NoEDNS {
		if udp {
			size = int(o.UDPSize())
		}
		r.SetEdns0(udpSize, o.Do())
	}
	r.Truncate(size)
	_ = w.WriteMsg(r) // a client that is gone needs no answer
}

const udpSize = 1232

// note counts a query and tells how to answer it.
func (s *Server) note(name, typ string) (b Behaviour, drop bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.queries[name+" "+typ]++
	at := name
	b, ok := s.behaviour[at]
	if !ok {
		at = "."
		b, ok = s.behaviour[at]
	}
	drop = b.Drop != 0
	if ok && b.Drop > 0 {
		left := b
		left.Drop--
		s.behaviour[at] = left
	}
	return b, drop
}

// answer fills in the records, following CNAMEs.
func (s *Server) answer(r *dns.Msg, name string, qtype uint16) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for range 8 {
		var target string
		for _, rr := range s.zone[name] {
			if rr.Header().Rrtype == qtype {
				r.Answer = append(r.Answer, rr)
				target = ""
			} else if c, ok := rr.(*dns.CNAME); ok {
				r.Answer = append(r.Answer, rr)
				target = strings.ToLower(c.Target)
			}
		}
		if target == "" {
			break
		}
		name = target
	}
	if n := len(r.Answer); n > 0 && r.Answer[n-1].Header().Rrtype == qtype {
		return
	}
	if !s.exists(name) {
		r.Rcode = dns.RcodeNameError
	}
	for at, end := name, false; !end; {
		for _, rr := range s.zone[at] {
			if rr.Header().Rrtype == dns.TypeSOA {
				r.Ns = append(r.Ns, rr)
				return
			}
		}
		var i int
		i, end = dns.NextLabel(at, 0)
		at = at[i:]
	}
}

// exists tells whether a name or one below it has records.
func (s *Server) exists(name string) bool {
	for n := range s.zone {
		if n == name || strings.HasSuffix(n, "."+name) {
			return true
		}
	}
	return false
}
