package submit

import (
	"context"
	"crypto/tls"
	"net"
	"net/netip"
	"strings"
	"sync/atomic"
	"time"

	"hauspost/appliance/envelope"
	"hauspost/appliance/esmtp"
	"hauspost/appliance/maillog"
	"hauspost/appliance/reply"
	"hauspost/appliance/resolver"
)

// Author is who hands a message in.
type Author struct {
	// Person is who signed in; the zero Person for a trusted network.
	Person Person
	// Mechanism is that of SASL, or "network".
	Mechanism string
	// Trusted tells that nobody signed in: the client's address is in one of
	// Options.Trusted.
	Trusted bool
}

// Intake takes messages.
type Intake interface {
	// Stage opens a place for the content of a message. The envelope belongs
	// to the Intake from then on and does not change any more; trace goes on
	// to get events until Commit returns.
	Stage(ctx context.Context, env *envelope.Envelope, trace *maillog.Trace, author Author) Staging
}

// Staging is the content of one message on its way in.
type Staging = esmtp.Staging

// Domains is the DNS as far as recipients are looked up; *resolver.Resolver is
// one. Errors are resolver.ErrNotFound, ErrNoData and ErrNullMX; any other is
// trouble that may pass.
type Domains interface {
	LookupMX(ctx context.Context, domain string) (resolver.Answer[resolver.MX], error)
	LookupIP(ctx context.Context, host string) (resolver.Answer[netip.Addr], error)
}

// Limits are those of the engine, and the policy's own. 0 means the default and
// a negative value means no limit.
type Limits struct {
	esmtp.Limits
	// MessagesPerHour is how many messages one person, or one address of a
	// trusted network (of IPv6, one /64), may send per hour: so many at once, and then as many
	// as come back with time. Default 300.
	MessagesPerHour int
	// RecipientsPerHour is the same for the recipients of all messages
	// together. Default 1,000.
	RecipientsPerHour int
	// DNSTimeout is the time for looking up the domain of one recipient.
	// Default 3 s; there is always a limit.
	DNSTimeout time.Duration
}

// Options make a Server.
type Options struct {
	// Hostname is the box's true name.
	Hostname string
	People   People
	Intake   Intake
	// Domains is asked for recipients elsewhere; nil means that none is
	// looked up before its message is sent.
	Domains Domains
	// Routed, if set, tells that mail for a domain goes a way that the owner
	// chose, so that its DNS does not matter.
	Routed func(domain string) bool
	// TLS is needed for STARTTLS and implicit TLS, and so for signing in.
	// With ClientCAs, and a ClientAuth that verifies what is given, clients
	// with a certificate may use EXTERNAL.
	TLS *tls.Config
	// Trusted networks may submit without TLS and without a password (see the
	// comment of the package).
	Trusted []netip.Prefix
	Log     maillog.Log
	Limits  Limits
	// AllowPipelining is that of esmtp.Options.
	AllowPipelining bool
	// Keep, if set, is called with the trace of each transaction that ended
	// without being stored.
	Keep func(id envelope.ID, entries []maillog.Entry)
	// Late, if set, is called with each event of a stored message that comes
	// after Commit: maillog.Accepted or esmtp.AnswerLost.
	Late func(id envelope.ID, entry maillog.Entry)
	// Now nil means time.Now, Pause nil a timer (see esmtp.Options).
	Now   func() time.Time
	Pause func(ctx context.Context, d time.Duration)
}

// Server is the listener on ports 465 and 587.
type Server struct {
	opt        Options
	engine     *esmtp.Server
	messages   *meter
	recipients *meter

	record *esmtp.Recorder

	// signIns went well, failedSignIns did not.
	signIns, failedSignIns atomic.Uint64
}

// Stats counts since the start.
type Stats struct {
	// Connections are the engine's counts.
	Connections esmtp.Stats
	// SignIns went well, FailedSignIns did not, for whatever reason.
	SignIns, FailedSignIns uint64
	esmtp.Counts
}

// New makes a Server. It panics without a Hostname, People or Intake.
func New(o Options) *Server {
	if o.People == nil || o.Intake == nil {
		panic("submit: a server needs people and an intake")
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	o.Hostname = strings.ToLower(o.Hostname)
	l := &o.Limits
	l.Limits = l.Limits.WithDefaults()
	if l.DNSTimeout <= 0 {
		l.DNSTimeout = 3 * time.Second
	}
	s := &Server{
		opt: o, record: esmtp.NewRecorder(esmtp.RecorderOptions{Log: o.Log, Keep: o.Keep, Late: o.Late, Now: o.Now}),
		messages:   newMeter(l.MessagesPerHour, 300, "message-rate", "messages"),
		recipients: newMeter(l.RecipientsPerHour, 1000, "recipient-rate", "recipients"),
	}
	s.engine = esmtp.New(esmtp.Options{
		Name: o.Hostname, Backend: backend{s}, TLS: o.TLS, Limits: l.Limits, DSN: true,
		AllowPipelining: o.AllowPipelining, Logger: o.Log.Logger, Now: o.Now, Pause: o.Pause,
	})
	return s
}

// Serve is that of esmtp.Server: implicitTLS for 465, not for 587.
func (s *Server) Serve(ctx context.Context, ln net.Listener, implicitTLS bool) error {
	return s.engine.Serve(ctx, ln, implicitTLS)
}

// Shutdown is that of esmtp.Server.
func (s *Server) Shutdown(ctx context.Context) error { return s.engine.Shutdown(ctx) }

// Stats gives the counts of the moment.
func (s *Server) Stats() Stats {
	return Stats{
		Connections: s.engine.Stats(), Counts: s.record.Counts(),
		SignIns: s.signIns.Load(), FailedSignIns: s.failedSignIns.Load(),
	}
}

type backend struct{ *Server }

// NewSession implements esmtp.Backend.
func (b backend) NewSession(_ context.Context, c *esmtp.Conn) (esmtp.Session, *reply.Reply) {
	s := &session{srv: b.Server, conn: c}
	for _, network := range b.opt.Trusted {
		s.trusted = s.trusted || network.Contains(c.Remote().Addr())
	}
	return s, nil
}
