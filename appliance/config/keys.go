package config

import (
	"strconv"
	"time"
)

const (
	second = Duration(time.Second)
	minute = Duration(time.Minute)
	hour   = Duration(time.Hour)
)

// sections gives the explanation of each section, in the order of the file.
var sections = []struct{ name, doc string }{
	{"", ""},
	{"listeners", "Which services the box offers."},
	{"tls", "Encryption. Every service offers TLS 1.2 and 1.3 and nothing older."},
	{"resolver", "The name server (DNS) that the box asks."},
	{"mail", "Messages, however they come in."},
	{"smtp", "Limits of the port at which other servers hand over mail."},
	{"checks", "Checks of the servers that hand over mail. \"off\" does not look, \"note\" writes the finding into the message's trace, \"refuse\" also turns the mail away."},
	{"imap", "Limits of the ports at which mail programs read mail."},
	{"logins", "Limits on guessing passwords."},
	{"log", "The log of what happens. It never holds passwords or the text of mail."},
	{"traces", "The traces of messages (hauspost trace ID)."},
}

// keys is the table of all keys, in the order of the file.
var keys = []key{
	// Which versions are known is checked by migrate, before the keys are; ok
	// lets all through that migrate did.
	{name: "version", doc: "The version of this file's form. Leave it as it is.",
		field:   func(c *Config) any { return &c.Version },
		allowed: strconv.Itoa(Version), example: strconv.Itoa(Version), always: true,
		ok: func(p any) bool { return *p.(*int) >= 1 }},
	withAlways(text("hostname", "The true name of the box: the one that its address resolves to and back. Other servers see it in the greeting.",
		func(c *Config) *string { return &c.Hostname },
		"a lower-case domain name with at least one dot", "mail.example.org", ValidHostname)),
	{name: "listen", doc: "The IP addresses at which the box listens; \"*\" means all that it has.",
		field:   func(c *Config) any { return &c.Listen },
		allowed: "a list of IP addresses, or \"*\" for all", example: `["*"]`, ok: validListen},
	count("port_offset", "Added to every port, so that a box can run without root: 10000 turns 25, 143, 993 into 10025, 10143, 10993.",
		func(c *Config) *int { return &c.PortOffset }, 0, 60000),
	duration("shutdown", "How long open sessions may take to end when the box stops.",
		func(c *Config) *Duration { return &c.Shutdown }, second, 5*minute),
	size("memory_limit", "How much memory the program tries to stay below; 0 lets it choose by the size of the machine.",
		func(c *Config) *Size { return &c.MemoryLimit }, 0, 1<<40),

	toggle("listeners.smtp", "Receive mail from other servers (port 25).", func(c *Config) *bool { return &c.Listeners.SMTP }),
	toggle("listeners.imap", "Mail programs with STARTTLS (port 143).", func(c *Config) *bool { return &c.Listeners.IMAP }),
	toggle("listeners.imaps", "Mail programs with TLS from the start (port 993).", func(c *Config) *bool { return &c.Listeners.IMAPS }),

	choice("tls.mode", "Where the certificate comes from: \"self-signed\" makes one (mail programs will warn), \"files\" reads cert and key, \"acme\" gets one from Let's Encrypt.",
		func(c *Config) *string { return &c.TLS.Mode }, ModeSelfSigned, ModeFiles, ModeACME),
	text("tls.cert", "Certificate with its chain (PEM) for mode \"files\"; read again when it changes. Relative to the data folder.",
		func(c *Config) *string { return &c.TLS.Cert }, "the path of a file", "/etc/ssl/mail.pem", validFile),
	text("tls.key", "Private key (PEM) for mode \"files\".",
		func(c *Config) *string { return &c.TLS.Key }, "the path of a file", "/etc/ssl/mail.key", validFile),
	text("tls.acme_email", "Where the certificate authority may write to, for mode \"acme\"; may be empty.",
		func(c *Config) *string { return &c.TLS.ACMEEmail }, "a mail address, or empty", "you@example.org", validEmail),
	text("tls.acme_directory", "The certificate authority's directory, for mode \"acme\"; empty means Let's Encrypt.",
		func(c *Config) *string { return &c.TLS.ACMEDirectory }, "a URL that begins with https://, or empty", "https://acme-v02.api.letsencrypt.org/directory", validDirectory),
	text("tls.extra_root", "A PEM file with root certificates to trust beside the system's, for a closed network.",
		func(c *Config) *string { return &c.TLS.ExtraRoot }, "the path of a file", "root.pem", validFile),

	text("resolver.address", "IP address of the name server, with a port if it is not 53; empty means the system's (/etc/resolv.conf).",
		func(c *Config) *string { return &c.Resolver.Address },
		"an IP address, with or without a port, or empty", "127.0.0.1:53", validServer),
	duration("resolver.timeout", "How long to wait for an answer.",
		func(c *Config) *Duration { return &c.Resolver.Timeout }, second/10, minute),

	size("mail.max_size", "The largest message that is taken.",
		func(c *Config) *Size { return &c.Mail.MaxSize }, 64<<10, 1<<30),
	text("mail.plus_separator", "Mail for anna+shop@ goes to anna@; empty switches this off.",
		func(c *Config) *string { return &c.Mail.PlusSeparator }, "one character of +-_=!#%&, or empty", "+", validSeparator),

	count("smtp.max_connections", "Connections at the same time, in all.",
		func(c *Config) *int { return &c.SMTP.MaxConnections }, 1, 100000),
	count("smtp.max_connections_per_address", "Connections at the same time from one address (IPv6: from one /64).",
		func(c *Config) *int { return &c.SMTP.MaxConnectionsPerAddress }, 1, 100000),
	count("smtp.connection_rate", "New connections a minute from one address (IPv6: from one /64).",
		func(c *Config) *int { return &c.SMTP.ConnectionRate }, 1, 1000000),
	{name: "smtp.exempt", doc: "Networks without limits per address, such as that of a server in front of this one.",
		field:   func(c *Config) any { return &c.SMTP.Exempt },
		allowed: "a list of networks such as \"192.0.2.0/24\"", example: `["192.0.2.0/24"]`, ok: validNetworks},
	count("smtp.max_recipients", "Recipients of one message.",
		func(c *Config) *int { return &c.SMTP.MaxRecipients }, 100, 10000),
	count("smtp.max_messages", "Messages in one connection.",
		func(c *Config) *int { return &c.SMTP.MaxMessages }, 1, 100000),
	count("smtp.max_hops", "Received headers in a message; more mean that it goes round in circles.",
		func(c *Config) *int { return &c.SMTP.MaxHops }, 10, 1000),
	size("smtp.max_line", "The longest line in a message. The standard says 1,000 octets, real mail has more.",
		func(c *Config) *Size { return &c.SMTP.MaxLine }, 1000, 1<<20),
	size("smtp.drop_size", "How much of a refused message is read to reach its end, before the connection is closed instead.",
		func(c *Config) *Size { return &c.SMTP.DropSize }, 1<<20, 1<<40),
	count("smtp.max_errors", "Refused commands before the connection is closed.",
		func(c *Config) *int { return &c.SMTP.MaxErrors }, 1, 1000),
	count("smtp.max_bad_recipients", "Refused recipients before the connection is closed.",
		func(c *Config) *int { return &c.SMTP.MaxBadRecipients }, 1, 1000),
	count("smtp.max_empty_commands", "Commands that do nothing (NOOP, RSET) before the connection is closed.",
		func(c *Config) *int { return &c.SMTP.MaxEmptyCommands }, 10, 100000),
	count("smtp.tarpit_after", "After so many refusals the answers become slower, so that guessing addresses takes long.",
		func(c *Config) *int { return &c.SMTP.TarpitAfter }, 1, 1000),
	duration("smtp.tarpit_step", "By how much each further answer becomes slower; \"0s\" switches this off.",
		func(c *Config) *Duration { return &c.SMTP.TarpitStep }, 0, minute),
	duration("smtp.tarpit_max", "The slowest answer.",
		func(c *Config) *Duration { return &c.SMTP.TarpitMax }, 0, 2*minute),
	duration("smtp.greet_pause", "How long the greeting is held back, to catch spammers that talk before it.",
		func(c *Config) *Duration { return &c.SMTP.GreetPause }, 0, minute),
	duration("smtp.command_timeout", "How long a peer may take for one command. The standard asks for 5 minutes.",
		func(c *Config) *Duration { return &c.SMTP.CommandTimeout }, second, hour),
	duration("smtp.content_timeout", "How long a message may stand still while it comes in.",
		func(c *Config) *Duration { return &c.SMTP.ContentTimeout }, second, hour),
	size("smtp.content_rate", "Octets a second that a message must come in with on the average; \"0\" switches this off.",
		func(c *Config) *Size { return &c.SMTP.ContentRate }, 0, 1<<20),
	duration("smtp.content_grace", "How long a message may be slower than that.",
		func(c *Config) *Duration { return &c.SMTP.ContentGrace }, second, hour),
	duration("smtp.write_timeout", "How long a peer may take to receive an answer.",
		func(c *Config) *Duration { return &c.SMTP.WriteTimeout }, second, hour),
	duration("smtp.handshake_timeout", "How long a peer may take to agree on encryption.",
		func(c *Config) *Duration { return &c.SMTP.HandshakeTimeout }, second, 10*minute),

	choice("checks.helo", "The name by which the other server introduces itself: a full name, and not the box's own.",
		func(c *Config) *string { return &c.Checks.HELO }, CheckOff, CheckNote, CheckRefuse),
	choice("checks.sender_domain", "Whether the domain of the sender exists and takes mail.",
		func(c *Config) *string { return &c.Checks.SenderDomain }, CheckOff, CheckNote, CheckRefuse),
	choice("checks.reverse_name", "Whether the other server's address has a name that leads back to it (FCrDNS).",
		func(c *Config) *string { return &c.Checks.ReverseName }, CheckOff, CheckNote, CheckRefuse),

	choice("imap.plaintext", "Who may sign in without encryption: nobody, programs on this machine (\"loopback\"), or everybody.",
		func(c *Config) *string { return &c.IMAP.Plaintext }, PlaintextNever, PlaintextLoopback, PlaintextAlways),
	count("imap.max_connections", "Connections at the same time, in all.",
		func(c *Config) *int { return &c.IMAP.MaxConnections }, 1, 100000),
	count("imap.max_connections_per_address", "Connections at the same time from one address (IPv6: from one /64).",
		func(c *Config) *int { return &c.IMAP.MaxConnectionsPerAddress }, 1, 100000),
	count("imap.max_connections_per_account", "Connections at the same time of one person. When there are that many, silent ones make room.",
		func(c *Config) *int { return &c.IMAP.MaxConnectionsPerAccount }, 1, 100000),
	duration("imap.stale_after", "The silence after which a connection makes room for a new one of the same person.",
		func(c *Config) *Duration { return &c.IMAP.StaleAfter }, 30*minute, 24*hour),
	count("imap.max_errors", "Malformed commands before the connection is closed.",
		func(c *Config) *int { return &c.IMAP.MaxErrors }, 1, 1000),
	count("imap.max_login_failures", "Wrong passwords before the connection is closed.",
		func(c *Config) *int { return &c.IMAP.MaxLoginFailures }, 1, 100),
	duration("imap.login_delay", "By how much each wrong password is answered later than the one before; \"0s\" switches this off.",
		func(c *Config) *Duration { return &c.IMAP.LoginDelay }, 0, minute),
	duration("imap.handshake_timeout", "How long a mail program may take to agree on encryption.",
		func(c *Config) *Duration { return &c.IMAP.HandshakeTimeout }, second, 10*minute),
	duration("imap.login_timeout", "How long a mail program may take to sign in.",
		func(c *Config) *Duration { return &c.IMAP.LoginTimeout }, 5*second, hour),
	duration("imap.idle", "How long a mail program may be silent after signing in. Less than 30 minutes would break push on phones.",
		func(c *Config) *Duration { return &c.IMAP.Idle }, 30*minute, 24*hour),
	duration("imap.command_timeout", "How long one command may take to come in, messages in it apart.",
		func(c *Config) *Duration { return &c.IMAP.CommandTimeout }, second, hour),
	size("imap.min_rate", "Octets a second that a message must come in with on the average.",
		func(c *Config) *Size { return &c.IMAP.MinRate }, 1, 1<<20),
	duration("imap.write_timeout", "How long 64 KiB may take on their way to a mail program.",
		func(c *Config) *Duration { return &c.IMAP.WriteTimeout }, second, hour),
	duration("imap.push_timeout", "How long the news of a message may take on its way to a mail program.",
		func(c *Config) *Duration { return &c.IMAP.PushTimeout }, second, 10*minute),
	duration("imap.keep_alive", "The silence after which the network is asked whether a mail program is still there. Short ones drain batteries.",
		func(c *Config) *Duration { return &c.IMAP.KeepAlive }, minute, 2*hour),
	size("imap.max_line", "The longest command, messages in it apart.",
		func(c *Config) *Size { return &c.IMAP.MaxLine }, 8<<10, 1<<20),
	count("imap.max_mailboxes", "Mailboxes of one person.",
		func(c *Config) *int { return &c.IMAP.MaxMailboxes }, 10, 1000000),
	count("imap.pushers", "How many mail programs are told of news at the same moment.",
		func(c *Config) *int { return &c.IMAP.Pushers }, 1, 1000),

	count("logins.max_per_address", "Wrong passwords from one address (IPv6: from one /64) within the window before it must wait.",
		func(c *Config) *int { return &c.Logins.MaxPerAddress }, 1, 10000),
	count("logins.max_per_account", "Wrong passwords for one person, from addresses at which this person never signed in, before these must wait.",
		func(c *Config) *int { return &c.Logins.MaxPerAccount }, 1, 10000),
	duration("logins.window", "The time over which wrong passwords are counted.",
		func(c *Config) *Duration { return &c.Logins.Window }, minute, 24*hour),
	duration("logins.backoff", "The first wait; each further wrong password doubles it.",
		func(c *Config) *Duration { return &c.Logins.Backoff }, second, 24*hour),
	duration("logins.max_backoff", "The longest wait.",
		func(c *Config) *Duration { return &c.Logins.MaxBackoff }, second, 7*24*hour),
	duration("logins.slow", "An address at which the person signed in before is never locked out; beyond the limit it waits so long for each answer.",
		func(c *Config) *Duration { return &c.Logins.Slow }, second/10, minute),
	duration("logins.good_for", "How long such an address stays known.",
		func(c *Config) *Duration { return &c.Logins.GoodFor }, hour, 365*24*hour),
	count("logins.tracked", "How many addresses and people with wrong passwords are remembered.",
		func(c *Config) *int { return &c.Logins.Tracked }, 100, 1000000),
	count("logins.hashing", "Passwords that are checked at the same time; each takes 19 MiB of memory. 0 chooses by the size of the machine.",
		func(c *Config) *int { return &c.Logins.Hashing }, 0, 64),
	duration("logins.remember", "How long a right password is known again without the costly check; \"0s\" switches this off.",
		func(c *Config) *Duration { return &c.Logins.Remember }, 0, 24*hour),
	count("logins.min_password", "The least number of characters of a new password.",
		func(c *Config) *int { return &c.Logins.MinPassword }, 8, 64),

	choice("log.level", "What is kept in memory for `hauspost log`.",
		func(c *Config) *string { return &c.Log.Level }, "debug", "info", "warn", "error"),
	choice("log.stderr", "What also goes to standard error, where systemd writes it to the disk. \"warn\" spares memory cards.",
		func(c *Config) *string { return &c.Log.Stderr }, "debug", "info", "warn", "error", "off"),
	choice("log.format", "How it is written to standard error.",
		func(c *Config) *string { return &c.Log.Format }, "text", "json"),
	count("log.memory_lines", "How many entries are kept in memory.",
		func(c *Config) *int { return &c.Log.MemoryLines }, 100, 100000),

	count("traces.keep_days", "Days for which the traces of refused messages are kept. Those of stored messages stay with the message.",
		func(c *Config) *int { return &c.Traces.KeepDays }, 1, 3650),
}

func withAlways(k key) key {
	k.always = true
	return k
}

func lookup(name string) (key, bool) {
	for _, k := range keys {
		if k.name == name {
			return k, true
		}
	}
	return key{}, false
}
