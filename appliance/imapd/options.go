package imapd

import (
	"context"
	"crypto/tls"
	"log/slog"
	"net/netip"
	"time"

	"hauspost/appliance/accounts"
	"hauspost/appliance/maillog"
	"hauspost/store"
)

// Accounts is what imapd asks of accounts.Accounts. The errors are those of that
// package.
type Accounts interface {
	Password(ctx context.Context, user, password string, from netip.Addr) (accounts.Account, error)
	SASL(mech string, from netip.Addr) (accounts.Exchange, error)
}

// Options say how to make a Server.
type Options struct {
	// Store and Accounts are needed.
	Store    *store.Store
	Accounts Accounts
	// TLS is used for implicit TLS and STARTTLS. Without it there is neither.
	TLS *tls.Config
	// AllowPlaintext lets clients log in without TLS; PlaintextOnLoopback lets
	// those do so that come from a loopback address.
	AllowPlaintext, PlaintextOnLoopback bool
	// Log takes the events of messages and of sessions.
	Log maillog.Log
	// Feedback, if set, is told when a person moves or copies messages to the
	// mailbox for junk, or out of it to one that is not the trash, and when a
	// mail program sets $Junk or $NotJunk on them. Some do both, so that a
	// message may come twice. APPEND is no feedback. The client waits for it:
	// it must return at once.
	Feedback func(ctx context.Context, account accounts.Account, moved Moved)
	// Limits bound what clients can take; each zero field takes its default.
	Limits Limits
	// Now is the clock; nil means time.Now. Time-outs of connections always go
	// by the machine's clock.
	Now func() time.Time
}

// Limits bound what clients can take of the box.
type Limits struct {
	// MaxConnections is how many there may be in all, default 1,000; when there
	// are that many, the oldest that did not log in makes room;
	// MaxPerAddress how many from one address (IPv6: one /64), default 100;
	// MaxPerAccount how many of one person, default 50. When a person has that
	// many, those of them that did not send anything for StaleAfter make room.
	MaxConnections, MaxPerAddress, MaxPerAccount int
	// StaleAfter is the age from which a silent connection counts as dead when
	// room is needed; default 30 minutes, and never less than that.
	StaleAfter time.Duration
	// MaxErrors is how many malformed commands (BAD) a connection may send;
	// default 20.
	MaxErrors int
	// MaxLoginFailures is how often a login may fail on one connection, default
	// 5. Each failure is answered later by LoginDelay than the one before;
	// default one second, negative for none.
	MaxLoginFailures int
	LoginDelay       time.Duration
	// HandshakeTimeout bounds the TLS handshake, default 10 seconds;
	// LoginTimeout the time from the greeting to the login, default 60 seconds.
	HandshakeTimeout, LoginTimeout time.Duration
	// StressTimeout takes the place of both, where it is shorter, while more
	// than three quarters of all connections are taken; default 10 seconds.
	StressTimeout time.Duration
	// Idle is how long a client may be silent after the login, on IDLE too;
	// default 35 minutes, and never less than 30.
	Idle time.Duration
	// CommandTimeout bounds the time from the first octet of a command to its
	// end, messages apart; default 60 seconds. MinRate is the rate in octets a
	// second that a client must keep up while it sends a message; default 512.
	CommandTimeout time.Duration
	MinRate        int
	// WriteTimeout is how long 64 KB may take on their way to a client,
	// default 60 seconds; PushTimeout how long a notification may take, default
	// 10 seconds. Then the connection is closed.
	WriteTimeout, PushTimeout time.Duration
	// KeepAlive is the silence after which TCP asks whether the client is
	// still there; default 10 minutes. Without an answer for 3 minutes more the
	// connection is closed.
	KeepAlive time.Duration
	// MaxLine bounds a command with its literals, messages apart, in octets;
	// default 64 KB. Before the login it is 8 KB, and 4 KB for a literal.
	MaxLine int
	// AppendLimit is the largest message in octets; default 50 MB.
	AppendLimit int64
	// MaxMailboxes is how many mailboxes one person may have; default 5,000.
	MaxMailboxes int
	// Pushers is how many notifications may be on their way at the same time;
	// default 32.
	Pushers int
}

// Limits before the login, which are not for the owner to widen.
const (
	anonymousLine    = 8 << 10
	anonymousLiteral = 4 << 10
)

func (l Limits) withDefaults() Limits {
	fill(&l.MaxConnections, 1000)
	fill(&l.MaxPerAddress, 100)
	fill(&l.MaxPerAccount, 50)
	fill(&l.StaleAfter, 30*time.Minute)
	fill(&l.MaxErrors, 20)
	fill(&l.MaxLoginFailures, 5)
	fill(&l.LoginDelay, time.Second)
	fill(&l.HandshakeTimeout, 10*time.Second)
	fill(&l.LoginTimeout, time.Minute)
	fill(&l.StressTimeout, 10*time.Second)
	fill(&l.Idle, 35*time.Minute)
	fill(&l.CommandTimeout, time.Minute)
	fill(&l.MinRate, 512)
	fill(&l.WriteTimeout, time.Minute)
	fill(&l.PushTimeout, 10*time.Second)
	fill(&l.KeepAlive, 10*time.Minute)
	fill(&l.MaxLine, 64<<10)
	fill(&l.AppendLimit, 50<<20)
	fill(&l.MaxMailboxes, 5000)
	fill(&l.Pushers, 32)
	l.Idle = max(l.Idle, 30*time.Minute)
	l.StaleAfter = max(l.StaleAfter, 30*time.Minute)
	return l
}

func fill[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

func (o Options) logger() *slog.Logger {
	if o.Log.Logger == nil {
		return slog.New(slog.DiscardHandler)
	}
	return o.Log.Logger
}
