package smtpd

import (
	"context"
	"crypto/tls"
	"net"
	"net/netip"
	"strings"
	"time"

	"hauspost/appliance/envelope"
	"hauspost/appliance/esmtp"
	"hauspost/appliance/maillog"
	"hauspost/appliance/reply"
)

// Directory knows who lives here.
type Directory interface {
	// Resolve says where mail for addr ends. Its error is a *reply.Reply:
	// reply.RelayDenied for a domain that is not ours, reply.UnknownRecipient
	// for nobody. "Postmaster" without a domain comes with an empty Domain.
	Resolve(ctx context.Context, addr envelope.Address) ([]envelope.Target, error)
}

// Intake takes messages.
type Intake interface {
	// Stage opens a place for the content of a message. The envelope belongs
	// to the Intake from then on and does not change any more; trace goes on
	// to get events until Commit returns.
	Stage(ctx context.Context, env *envelope.Envelope, trace *maillog.Trace) Staging
}

// Staging is the content of one message on its way in.
type Staging = esmtp.Staging

// Checks are the switches of the checks. The zero value is what a household
// wants.
type Checks struct {
	// AllowForgedHelo takes peers that call themselves by our name or address.
	AllowForgedHelo bool
	// AllowMalformedHelo takes names that are neither a domain nor an address
	// literal.
	AllowMalformedHelo bool
	// RequireHeloFQDN refuses names without a dot.
	RequireHeloFQDN bool
	// RequireReverseDNS refuses senders from addresses whose reverse name does
	// not lead back to them.
	RequireReverseDNS bool
	// AllowShortSender takes sender domains without a dot.
	AllowShortSender bool
	// AllowUnknownSender takes sender domains that do not exist or have a null
	// MX (RFC 7505).
	AllowUnknownSender bool
	// DeferOnDNSTrouble answers 4yz where the DNS gives no answer; otherwise
	// the mail is taken.
	DeferOnDNSTrouble bool
}

// Limits are those of the engine, and the policy's own. 0 means the default and
// a negative value means no limit.
type Limits struct {
	esmtp.Limits
	// SenderRate is how many messages per minute one sender address may send,
	// in bursts of the same number; the null sender counts by the peer's
	// network. Default 60.
	SenderRate int
	// DomainRate is the same for all senders of one domain. Default 300.
	DomainRate int
	// DNSTimeout is the time for the questions of one command. Default 5 s.
	DNSTimeout time.Duration
}

// Options make a Server.
type Options struct {
	// Hostname is the box's true name.
	Hostname string
	// Addresses are the box's public addresses where they are not those of
	// its sockets (behind NAT); used to spot forged HELO names.
	Addresses []netip.Addr
	Directory Directory
	Intake    Intake
	// Filters are asked at the beginning, at MAIL and at RCPT; nil means none.
	Filters Filters
	// Names is the DNS; nil turns off the checks that need it.
	Names Names
	// TLS nil means no STARTTLS.
	TLS    *tls.Config
	Log    maillog.Log
	Limits Limits
	Checks Checks
	// AllowPipelining is that of esmtp.Options.
	AllowPipelining bool
	// Keep, if set, is called with the trace of each transaction that ended
	// without being stored.
	Keep func(id envelope.ID, entries []maillog.Entry)
	// Late, if set, is called with each event of a stored message that comes
	// after Commit: maillog.Accepted or AnswerLost.
	Late func(id envelope.ID, entry maillog.Entry)
	// Now nil means time.Now, Pause nil a timer (see esmtp.Options).
	Now   func() time.Time
	Pause func(ctx context.Context, d time.Duration)
}

// Server is the listener on port 25.
type Server struct {
	opt     Options
	engine  *esmtp.Server
	senders *esmtp.Buckets[string]
	domains *esmtp.Buckets[string]

	record *esmtp.Recorder
}

// Stats counts since the start.
type Stats struct {
	// Connections are the engine's counts.
	Connections esmtp.Stats
	esmtp.Counts
}

// New makes a Server.
func New(o Options) *Server {
	if o.Now == nil {
		o.Now = time.Now
	}
	o.Limits.Limits = o.Limits.Limits.WithDefaults()
	rate := func(n *int, def int) {
		if *n == 0 {
			*n = def
		}
	}
	rate(&o.Limits.SenderRate, 60)
	rate(&o.Limits.DomainRate, 300)
	if o.Limits.DNSTimeout <= 0 {
		o.Limits.DNSTimeout = 5 * time.Second
	}
	o.Hostname = strings.ToLower(o.Hostname)
	s := &Server{opt: o, record: esmtp.NewRecorder(esmtp.RecorderOptions{Log: o.Log, Keep: o.Keep, Late: o.Late, Now: o.Now})}
	const most = 10000
	if o.Limits.SenderRate > 0 {
		s.senders = esmtp.NewBuckets[string](o.Limits.SenderRate, time.Minute, most)
	}
	if o.Limits.DomainRate > 0 {
		s.domains = esmtp.NewBuckets[string](o.Limits.DomainRate, time.Minute, most)
	}
	s.engine = esmtp.New(esmtp.Options{
		Name: o.Hostname, Backend: backend{s}, TLS: o.TLS, Limits: o.Limits.Limits,
		AllowPipelining: o.AllowPipelining, Logger: o.Log.Logger, Now: o.Now, Pause: o.Pause,
	})
	return s
}

// Serve is that of esmtp.Server.
func (s *Server) Serve(ctx context.Context, ln net.Listener, implicitTLS bool) error {
	return s.engine.Serve(ctx, ln, implicitTLS)
}

// Shutdown is that of esmtp.Server.
func (s *Server) Shutdown(ctx context.Context) error { return s.engine.Shutdown(ctx) }

// Stats gives the counts of the moment.
func (s *Server) Stats() Stats {
	return Stats{Connections: s.engine.Stats(), Counts: s.record.Counts()}
}

type backend struct{ *Server }

// NewSession implements esmtp.Backend.
func (b backend) NewSession(ctx context.Context, c *esmtp.Conn) (esmtp.Session, *reply.Reply) {
	s := &session{srv: b.Server, conn: c}
	if r := s.filterPeer(ctx); r != nil {
		return nil, r
	}
	return s, nil
}
