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
	count("smtp.max_recipients", "Recipients of one message.",
		func(c *Config) *int { return &c.SMTP.MaxRecipients }, 100, 10000),
	count("smtp.max_errors", "Refused commands before the connection is closed.",
		func(c *Config) *int { return &c.SMTP.MaxErrors }, 1, 1000),
	count("smtp.max_unknown_recipients", "Unknown recipients before the connection is closed.",
		func(c *Config) *int { return &c.SMTP.MaxUnknownRecipients }, 1, 1000),
	count("smtp.max_messages", "Messages in one connection.",
		func(c *Config) *int { return &c.SMTP.MaxMessages }, 1, 100000),
	count("smtp.max_commands", "Commands in one connection.",
		func(c *Config) *int { return &c.SMTP.MaxCommands }, 10, 1000000),
	count("smtp.max_hops", "Received headers in a message; more mean that it goes round in circles.",
		func(c *Config) *int { return &c.SMTP.MaxHops }, 10, 1000),
	duration("smtp.tarpit", "Delay before the answer to a refused command, so that guessing addresses is slow.",
		func(c *Config) *Duration { return &c.SMTP.Tarpit }, 0, minute),
	duration("smtp.idle", "How long a peer may be silent.",
		func(c *Config) *Duration { return &c.SMTP.Idle }, 10*second, hour),
	duration("smtp.session", "How long one connection may last.",
		func(c *Config) *Duration { return &c.SMTP.Session }, minute, 24*hour),
	size("smtp.min_rate", "Octets per second that a peer must send while it sends a message.",
		func(c *Config) *Size { return &c.SMTP.MinRate }, 0, 1<<20),

	choice("checks.helo", "The name by which the other server introduces itself: a full name, and not the box's own.",
		func(c *Config) *string { return &c.Checks.HELO }, CheckOff, CheckNote, CheckRefuse),
	choice("checks.sender_domain", "Whether the domain of the sender exists and takes mail.",
		func(c *Config) *string { return &c.Checks.SenderDomain }, CheckOff, CheckNote, CheckRefuse),
	choice("checks.reverse_name", "Whether the other server's address has a name that leads back to it (FCrDNS).",
		func(c *Config) *string { return &c.Checks.ReverseName }, CheckOff, CheckNote, CheckRefuse),

	count("imap.max_connections", "Connections at the same time, in all.",
		func(c *Config) *int { return &c.IMAP.MaxConnections }, 1, 100000),
	count("imap.max_connections_per_address", "Connections at the same time from one address (IPv6: from one /64).",
		func(c *Config) *int { return &c.IMAP.MaxConnectionsPerAddress }, 1, 100000),
	count("imap.max_connections_per_account", "Connections at the same time of one person.",
		func(c *Config) *int { return &c.IMAP.MaxConnectionsPerAccount }, 1, 100000),
	count("imap.max_errors", "Malformed or refused commands before the connection is closed.",
		func(c *Config) *int { return &c.IMAP.MaxErrors }, 1, 1000),
	duration("imap.login_timeout", "How long a connection may take to sign in.",
		func(c *Config) *Duration { return &c.IMAP.LoginTimeout }, 5*second, hour),
	duration("imap.idle", "How long a mail program may be silent after signing in. Below 30 minutes phones lose their connection.",
		func(c *Config) *Duration { return &c.IMAP.Idle }, 30*minute, 24*hour),
	size("imap.max_line", "The longest command, without the messages in it.",
		func(c *Config) *Size { return &c.IMAP.MaxLine }, 8<<10, 1<<20),

	count("logins.max_per_address", "Wrong passwords from one address within the window before it must wait.",
		func(c *Config) *int { return &c.Logins.MaxPerAddress }, 1, 10000),
	count("logins.max_per_account", "Wrong passwords for one person within the window before sign-ins from new addresses must wait.",
		func(c *Config) *int { return &c.Logins.MaxPerAccount }, 1, 10000),
	duration("logins.window", "The time over which wrong passwords are counted.",
		func(c *Config) *Duration { return &c.Logins.Window }, minute, 24*hour),

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
