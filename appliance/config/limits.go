package config

import "slices"

// SMTP holds the limits of port 25.
type SMTP struct {
	MaxConnections           int
	MaxConnectionsPerAddress int
	ConnectionRate           int
	// SenderRate and DomainRate are messages a minute; 0 means no limit.
	SenderRate, DomainRate int
	// Exempt are networks in CIDR notation without limits per address.
	Exempt           []string
	MaxRecipients    int
	MaxMessages      int
	MaxHops          int
	MaxLine          Size
	DropSize         Size
	MaxErrors        int
	MaxBadRecipients int
	MaxEmptyCommands int
	TarpitAfter      int
	TarpitStep       Duration
	TarpitMax        Duration
	GreetPause       Duration
	CommandTimeout   Duration
	StressTimeout    Duration
	ContentTimeout   Duration
	ContentRate      Size
	ContentGrace     Duration
	WriteTimeout     Duration
	HandshakeTimeout Duration
}

// IMAP holds the limits of ports 143 and 993.
type IMAP struct {
	// Plaintext says who may sign in without TLS: one of the Plaintext words.
	Plaintext                string
	MaxConnections           int
	MaxConnectionsPerAddress int
	MaxConnectionsPerAccount int
	StaleAfter               Duration
	MaxErrors                int
	MaxLoginFailures         int
	LoginDelay               Duration
	HandshakeTimeout         Duration
	LoginTimeout             Duration
	StressTimeout            Duration
	Idle                     Duration
	CommandTimeout           Duration
	MinRate                  Size
	WriteTimeout             Duration
	PushTimeout              Duration
	KeepAlive                Duration
	MaxLine                  Size
	MaxMailboxes             int
	Pushers                  int
}

// The words for IMAP.Plaintext.
const (
	PlaintextNever    = "never"
	PlaintextLoopback = "loopback"
	PlaintextAlways   = "always"
)

// Logins limits the guessing of passwords.
type Logins struct {
	MaxPerAddress int
	MaxPerAccount int
	Window        Duration
	Backoff       Duration
	MaxBackoff    Duration
	Slow          Duration
	GoodFor       Duration
	Tracked       int
	// Hashing is how many passwords are checked at once; 0 is automatic.
	Hashing     int
	Remember    Duration
	MinPassword int
}

var defaults = &Config{
	Version: Version,
	Listen:  []string{"*"},

	PublicAddresses: []string{},
	Shutdown:        20 * second,
	MemoryLimit:     0,
	Listeners:       Listeners{SMTP: true, IMAP: true, IMAPS: true, Submission: true, Submissions: true},
	TLS:             TLS{Mode: ModeSelfSigned, ACMEHTTP: true, ACMETLS: true},
	Resolver:        Resolver{Timeout: 5 * second},
	Mail:            Mail{MaxSize: 50 << 20, PlusSeparator: "+"},
	SMTP: SMTP{
		MaxConnections:           200,
		MaxConnectionsPerAddress: 20,
		ConnectionRate:           120,
		SenderRate:               60,
		DomainRate:               300,
		Exempt:                   []string{},
		MaxRecipients:            100,
		MaxMessages:              1000,
		MaxHops:                  50,
		MaxLine:                  64 << 10,
		DropSize:                 256 << 20,
		MaxErrors:                20,
		MaxBadRecipients:         20,
		MaxEmptyCommands:         100,
		TarpitAfter:              5,
		TarpitStep:               second,
		TarpitMax:                8 * second,
		CommandTimeout:           5 * minute,
		StressTimeout:            10 * second,
		ContentTimeout:           3 * minute,
		ContentRate:              256,
		ContentGrace:             minute,
		WriteTimeout:             minute,
		HandshakeTimeout:         30 * second,
	},
	Checks: Checks{HELOSyntax: true, HELOOwn: true, Pipelining: true, DNS: true,
		SenderFull: true, SenderDomain: true, Timeout: 5 * second},
	Filters:    filterDefaults,
	Submission: submissionDefaults,
	Queue:      queueDefaults,
	Relay:      relayDefaults,
	DKIM:       DKIM{Sign: true},
	Sendmail:   Sendmail{MessagesPerHour: 100},
	IMAP: IMAP{
		Plaintext:                PlaintextNever,
		MaxConnections:           1000,
		MaxConnectionsPerAddress: 100,
		MaxConnectionsPerAccount: 50,
		StaleAfter:               30 * minute,
		MaxErrors:                20,
		MaxLoginFailures:         5,
		LoginDelay:               second,
		HandshakeTimeout:         10 * second,
		LoginTimeout:             minute,
		StressTimeout:            10 * second,
		Idle:                     35 * minute,
		CommandTimeout:           minute,
		MinRate:                  512,
		WriteTimeout:             minute,
		PushTimeout:              10 * second,
		KeepAlive:                10 * minute,
		MaxLine:                  64 << 10,
		MaxMailboxes:             5000,
		Pushers:                  32,
	},
	Logins: Logins{
		MaxPerAddress: 10,
		MaxPerAccount: 30,
		Window:        15 * minute,
		Backoff:       minute,
		MaxBackoff:    hour,
		Slow:          2 * second,
		GoodFor:       30 * 24 * hour,
		Tracked:       8192,
		Remember:      5 * minute,
		MinPassword:   10,
	},
	Log:    Log{Level: "info", Stderr: "warn", Format: "text", MemoryLines: 2000},
	Traces: Traces{KeepDays: 90},
}

// Default gives the defaults for a box with that host name.
func Default(hostname string) *Config {
	c := *defaults
	c.Hostname = hostname
	c.Listen = slices.Clone(defaults.Listen)
	c.PublicAddresses = slices.Clone(defaults.PublicAddresses)
	c.SMTP.Exempt = slices.Clone(defaults.SMTP.Exempt)
	c.Submission.Trusted = slices.Clone(defaults.Submission.Trusted)
	return &c
}
