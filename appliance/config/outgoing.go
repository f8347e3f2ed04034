package config

// Submission holds what concerns the ports at which people hand over mail that
// goes out (465 and 587).
type Submission struct {
	// MessagesPerHour and RecipientsPerHour are for one person; 0 means no
	// limit.
	MessagesPerHour, RecipientsPerHour int
	// MaxRecipients are those of one message.
	MaxRecipients int
	// Trusted are networks in CIDR notation that may submit without a password.
	Trusted []string
	// ClientCA is a PEM file, relative to the data folder; empty means none.
	ClientCA string
	// HideClient leaves the client's address out of Received.
	HideClient bool
	// CheckDomains refuses recipients whose domain does not exist.
	CheckDomains bool
	// SentCopy files a copy where the mail program saved none within
	// SentAfter.
	SentCopy  bool
	SentAfter Duration

	// The limits of the connection. Those that are not here are as in SMTP.
	MaxConnections           int
	MaxConnectionsPerAddress int
	ConnectionRate           int
	MaxMessages              int
	MaxErrors                int
	MaxLoginFailures         int
	MaxBadRecipients         int
	CommandTimeout           Duration
	StressTimeout            Duration
	ContentTimeout           Duration
	WriteTimeout             Duration
	HandshakeTimeout         Duration
}

// Queue says how mail on its way out is tried again.
type Queue struct {
	// Expiry is how long a message is tried; DelayNotice when its sender is
	// told that it waits, 0 means never.
	Expiry, DelayNotice Duration
	// Attempts and PerDestination are how many go on at the same time.
	Attempts, PerDestination int
	// Pace is the least time between two attempts at one destination.
	Pace Duration
	// Bin is how long what was dropped can be brought back.
	Bin Duration
}

// Relay says how mail is handed to other servers.
type Relay struct {
	// Port is that of other servers. It is not moved by PortOffset.
	Port int
	// PerHost is how many connections one server gets at the same time.
	PerHost int
	// ConnectTimeout is for one address, CommandTimeout for the answer to one
	// command, DataTimeout for that to a whole message.
	ConnectTimeout, CommandTimeout, DataTimeout Duration
	// Idle is how long a connection is kept for the next message.
	Idle                  Duration
	MessagesPerConnection int
	// IPv6 and IPv4 say which addresses are used at all.
	IPv6, IPv4 bool
	// Loopback allows addresses of this machine itself.
	Loopback bool
	// Hello is the name in EHLO; empty means Hostname.
	Hello string
}

// DKIM says whether mail that goes out is signed.
type DKIM struct {
	Sign bool
}

// Sendmail is about the sendmail command.
type Sendmail struct {
	// Folder is where users of the machine who may not write the data folder
	// drop their mail; empty means that they cannot.
	Folder string
	// MessagesPerHour is for one user of the machine; 0 means no limit.
	MessagesPerHour int
}

var submissionDefaults = Submission{
	MessagesPerHour:          300,
	RecipientsPerHour:        1000,
	MaxRecipients:            100,
	Trusted:                  []string{},
	CheckDomains:             true,
	SentCopy:                 true,
	SentAfter:                5 * minute,
	MaxConnections:           200,
	MaxConnectionsPerAddress: 50,
	ConnectionRate:           120,
	MaxMessages:              1000,
	MaxErrors:                20,
	MaxLoginFailures:         5,
	MaxBadRecipients:         20,
	CommandTimeout:           5 * minute,
	StressTimeout:            10 * second,
	ContentTimeout:           3 * minute,
	WriteTimeout:             minute,
	HandshakeTimeout:         30 * second,
}

var queueDefaults = Queue{
	Expiry:         2 * 24 * hour,
	DelayNotice:    4 * hour,
	Attempts:       50,
	PerDestination: 5,
	Bin:            24 * hour,
}

var relayDefaults = Relay{
	Port:                  25,
	PerHost:               5,
	ConnectTimeout:        30 * second,
	CommandTimeout:        5 * minute,
	DataTimeout:           10 * minute,
	Idle:                  5 * second,
	MessagesPerConnection: 100,
	IPv6:                  true,
	IPv4:                  true,
}
