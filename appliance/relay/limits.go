package relay

import "time"

// Limits bound what an attempt may take. Zero fields take their defaults; a
// negative duration or number means none at all, unless its comment says
// otherwise. The time-outs are those of RFC 5321, section 4.5.3.2, or shorter
// where that loses nothing.
type Limits struct {
	// DNS is for all questions about one destination. Default 45 s.
	DNS time.Duration
	// Connect is for one address. Default 30 s.
	Connect time.Duration
	// Greeting is for the first reply. Default 3 minutes.
	Greeting time.Duration
	// Handshake is for a TLS handshake. Default 1 minute.
	Handshake time.Duration
	// Command is for the answer to one command. Default 5 minutes.
	Command time.Duration
	// DataStart is for the answer to DATA. Default 2 minutes.
	DataStart time.Duration
	// Block is for content that stands still. Default 3 minutes.
	Block time.Duration
	// Final is for the answer to the whole message; shorter times make
	// duplicates. Default 10 minutes.
	Final time.Duration
	// Farewell is for the answer to QUIT, for which nobody waits. Default 2 s.
	Farewell time.Duration
	// Total is for one attempt over all servers, plus Size/Rate; neither the
	// wait for a free connection nor that for the last answer is cut by it.
	// Default 20 minutes.
	Total time.Duration
	// Rate is the least rate of content in octets per second that Total is
	// made for. Default 4096; there is always one.
	Rate int64
	// Grace is for the answer to a message that is all sent when the attempt
	// is called off: without it, it would go out twice. Default 5 s.
	Grace time.Duration
	// Stagger is after how long the next address is tried beside the one that
	// does not answer (RFC 8305, section 5). Default 250 ms.
	Stagger time.Duration

	// Idle is how long a connection is kept for the next message; none are
	// kept if negative. Default 5 s.
	Idle time.Duration
	// Messages over one connection. Default 100.
	Messages int
	// PerHost is how many connections one server gets at a time. Default 5.
	PerHost int
	// Connections at a time, in all. Default 100.
	Connections int
	// Hosts and Addresses are how many servers of a domain, and addresses of a
	// server, are tried in one attempt. Defaults 5 and 4; there is always a
	// limit.
	Hosts, Addresses int
}

const never = 365 * 24 * time.Hour

// WithDefaults gives l with its defaults filled in and "none" spelled out.
func (l Limits) WithDefaults() Limits {
	for _, d := range []struct {
		field *time.Duration
		value time.Duration
	}{
		{&l.DNS, 45 * time.Second}, {&l.Connect, 30 * time.Second}, {&l.Greeting, 3 * time.Minute},
		{&l.Handshake, time.Minute}, {&l.Command, 5 * time.Minute}, {&l.DataStart, 2 * time.Minute},
		{&l.Block, 3 * time.Minute}, {&l.Final, 10 * time.Minute}, {&l.Farewell, 2 * time.Second},
		{&l.Total, 20 * time.Minute}, {&l.Grace, 5 * time.Second}, {&l.Stagger, 250 * time.Millisecond},
	} {
		if *d.field == 0 {
			*d.field = d.value
		} else if *d.field < 0 {
			*d.field = never
		}
	}
	if l.Idle == 0 {
		l.Idle = 5 * time.Second
	}
	for _, n := range []struct {
		field     *int
		value     int
		unlimited int
	}{
		{&l.Messages, 100, 1 << 30}, {&l.PerHost, 5, 1 << 30}, {&l.Connections, 100, 1 << 30},
		{&l.Hosts, 5, 5}, {&l.Addresses, 4, 4},
	} {
		if *n.field == 0 {
			*n.field = n.value
		} else if *n.field < 0 {
			*n.field = n.unlimited
		}
	}
	if l.Rate <= 0 {
		l.Rate = 4096
	}
	return l
}
