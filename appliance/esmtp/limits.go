package esmtp

import (
	"net/netip"
	"time"
)

// Limits bound what one peer, and all of them together, can take from the box.
// For every number and duration 0 means the default and a negative value means
// no limit (or none of it, for a pause), unless its comment says otherwise.
type Limits struct {
	// Connections at a time in all. Default 200.
	Connections int
	// ConnectionsPerAddress at a time from one IPv4 address or IPv6 /64.
	// Default 20.
	ConnectionsPerAddress int
	// ConnectionRate is how many new connections one IPv4 address or IPv6 /64
	// may open per minute, in bursts of the same number. Default 120.
	ConnectionRate int
	// Exempt networks have no limits per address.
	Exempt []netip.Prefix

	// MessageSize in octets as RFC 1870 counts them; a message of exactly this
	// size passes. Default 50 MiB. There is always a limit.
	MessageSize int64
	// DropSize is how many octets of a refused message are read to reach its
	// end before the connection is closed instead. Default 256 MiB.
	DropSize int64
	// Recipients per message; announced as RCPTMAX. Default 100.
	Recipients int
	// Messages (accepted MAIL commands) per connection; announced as MAILMAX.
	// Default 1,000.
	Messages int
	// TextLine is the longest line of content in octets, with its CRLF.
	// RFC 5322 says 1,000, real mail has more. Default 65,536.
	TextLine int

	// Errors per connection: refused commands other than recipients, before
	// the peer is sent away with 421. Default 20.
	Errors int
	// BadRecipients per connection: recipients refused for good, before the
	// peer is sent away with 421. Default 20.
	BadRecipients int
	// AuthFailures per connection: refused AUTH commands, before the peer is
	// sent away with 421. Default 5.
	AuthFailures int
	// EmptyCommands per connection: NOOP, RSET, VRFY, HELP, repeated EHLO.
	// Default 100 and one more for each message.
	EmptyCommands int
	// TarpitAfter so many of the three above together every further one is
	// answered later, by TarpitStep more each time, up to TarpitMax.
	// Defaults 5, 1 s, 8 s.
	TarpitAfter           int
	TarpitStep, TarpitMax time.Duration

	// GreetPause is how long the greeting is held back to catch a peer that
	// talks before it. Default none.
	GreetPause time.Duration
	// CommandTimeout is the time for one whole command line (RFC 5321,
	// section 4.5.3.2.7, asks for 5 minutes). Default 5 minutes.
	CommandTimeout time.Duration
	// StressTimeout takes the place of CommandTimeout outside a transaction
	// while more than three quarters of all Connections are taken: so silent
	// peers from many addresses cannot keep others out. Default 10 s.
	StressTimeout time.Duration
	// ContentTimeout is the time that content may stand still. Default 3 minutes.
	ContentTimeout time.Duration
	// ContentRate is the least mean rate of content in octets per second,
	// after ContentGrace of waiting. Defaults 256 and 1 minute.
	ContentRate  int
	ContentGrace time.Duration
	// WriteTimeout is the time for an answer to go out. Default 1 minute.
	WriteTimeout time.Duration
	// HandshakeTimeout is the time for a TLS handshake. Default 30 s.
	HandshakeTimeout time.Duration
}

const (
	never     = 365 * 24 * time.Hour
	unlimited = 1 << 30
)

// WithDefaults gives l with its defaults filled in and "no limit" spelled out.
func (l Limits) WithDefaults() Limits {
	count := func(p *int, def int) {
		if *p == 0 {
			*p = def
		} else if *p < 0 {
			*p = unlimited
		}
	}
	count(&l.Connections, 200)
	count(&l.ConnectionsPerAddress, 20)
	count(&l.ConnectionRate, 120)
	count(&l.Recipients, 100)
	count(&l.Messages, 1000)
	count(&l.TextLine, 65536)
	count(&l.Errors, 20)
	count(&l.BadRecipients, 20)
	count(&l.AuthFailures, 5)
	count(&l.EmptyCommands, 100)
	count(&l.TarpitAfter, 5)
	if l.ContentRate == 0 {
		l.ContentRate = 256
	}
	octets := func(p *int64, def, none int64) {
		if *p == 0 {
			*p = def
		} else if *p < 0 {
			*p = none
		}
	}
	octets(&l.MessageSize, 50<<20, 50<<20)
	octets(&l.DropSize, 256<<20, 1<<62)
	span := func(p *time.Duration, def, none time.Duration) {
		if *p == 0 {
			*p = def
		} else if *p < 0 {
			*p = none
		}
	}
	span(&l.TarpitStep, time.Second, 0)
	span(&l.TarpitMax, 8*time.Second, 0)
	span(&l.GreetPause, 0, 0)
	span(&l.CommandTimeout, 5*time.Minute, never)
	span(&l.StressTimeout, 10*time.Second, never)
	span(&l.ContentTimeout, 3*time.Minute, never)
	span(&l.ContentGrace, time.Minute, 0)
	span(&l.WriteTimeout, time.Minute, never)
	span(&l.HandshakeTimeout, 30*time.Second, never)
	return l
}

// IsExempt tells whether a has no limits per address.
func (l *Limits) IsExempt(a netip.Addr) bool {
	for _, p := range l.Exempt {
		if p.Contains(a.Unmap()) {
			return true
		}
	}
	return false
}
