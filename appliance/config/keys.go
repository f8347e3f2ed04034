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

// section is one section of the file; a list is written [[name]] and may be
// there several times.
type section struct {
	name, doc string
	list      bool
}

// sections gives the explanation of each section, in the order of the file.
var sections = []section{
	{name: ""},
	{name: "listeners", doc: "Which services the box offers."},
	{name: "tls", doc: "Encryption. Every service offers TLS 1.2 and 1.3 and nothing older."},
	{name: "resolver", doc: "The name server (DNS) that the box asks."},
	{name: "mail", doc: "Messages, however they come in."},
	{name: "smtp", doc: "Limits of the port at which other servers hand over mail."},
	{name: "checks", doc: "Checks of the servers that hand over mail. True refuses what fails, false only notes it in the message's trace."},
	{name: "filters", doc: "What becomes of a message by what plugins find. Plugins are installed by `hauspost plugin install`; without any, this section does nothing."},
	{name: "plugin", list: true, doc: "What you set for one plugin: how much it counts, and its own settings. There may be one such section for each plugin. The commented lines are an example."},
	{name: "service", list: true, doc: "A program beside the box that plugins may ask, such as a virus scanner. Only those do to which you granted it by its name."},
	{name: "submission", doc: "The ports at which people hand over mail that goes out. Limits that are not here are as in [smtp]."},
	{name: "queue", doc: "Mail on its way out that could not be handed over yet."},
	{name: "relay", doc: "How mail is handed to other servers."},
	{name: "route", list: true, doc: "Another way than the usual one, for some destinations or for all. There may be none, one or several; the most specific one counts. The commented lines are an example."},
	{name: "dkim", doc: "The signature by which others know that mail is from this box. `hauspost dkim dns` prints what must stand in the DNS."},
	{name: "sendmail", doc: "The sendmail command, with which programs of this machine send mail."},
	{name: "imap", doc: "Limits of the ports at which mail programs read mail."},
	{name: "logins", doc: "Limits on guessing passwords."},
	{name: "log", doc: "The log of what happens. It never holds passwords or the text of mail."},
	{name: "traces", doc: "The traces of messages: what `hauspost trace ID` tells."},
}

// keys is the table of all keys; those of a section are in the order of the file.
var keys = append(boxKeys, filterKeys...)

var boxKeys = []key{
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
	{name: "public_addresses", doc: "The IP addresses under which others see the box, where it has others itself (behind a router); for checks.helo_own.",
		field:   func(c *Config) any { return &c.PublicAddresses },
		allowed: "a list of IP addresses", example: `["192.0.2.1"]`, ok: validAddresses},
	count("port_offset", "Added to every port, so that a box can run without root: 10000 turns 25, 143, 993 into 10025, 10143, 10993.",
		func(c *Config) *int { return &c.PortOffset }, 0, 60000),
	duration("shutdown", "How long open sessions may take to end when the box stops.",
		func(c *Config) *Duration { return &c.Shutdown }, second, 5*minute),
	size("memory_limit", "How much memory the program tries to stay below; 0 lets it choose by the size of the machine.",
		func(c *Config) *Size { return &c.MemoryLimit }, 0, 1<<40),

	toggle("listeners.smtp", "Receive mail from other servers (port 25).", func(c *Config) *bool { return &c.Listeners.SMTP }),
	toggle("listeners.submission", "Mail programs send with STARTTLS (port 587).", func(c *Config) *bool { return &c.Listeners.Submission }),
	toggle("listeners.submissions", "Mail programs send with TLS from the start (port 465).", func(c *Config) *bool { return &c.Listeners.Submissions }),
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
	toggle("tls.acme_http", "Answer the certificate authority at port 80, for mode \"acme\".",
		func(c *Config) *bool { return &c.TLS.ACMEHTTP }),
	toggle("tls.acme_tls", "Answer the certificate authority at port 443, for mode \"acme\". One of the two is needed.",
		func(c *Config) *bool { return &c.TLS.ACMETLS }),
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
	count("smtp.sender_rate", "Messages a minute from one sender, who is asked to come back later; 0 switches this off.",
		func(c *Config) *int { return &c.SMTP.SenderRate }, 0, 1000000),
	count("smtp.domain_rate", "Messages a minute from all senders of one domain; 0 switches this off.",
		func(c *Config) *int { return &c.SMTP.DomainRate }, 0, 1000000),
	{name: "smtp.exempt", doc: "Networks without limits per address and sender, such as that of a server in front of this one.",
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
	duration("smtp.stress_timeout", "The same outside a transaction, while more than three quarters of all connections are taken.",
		func(c *Config) *Duration { return &c.SMTP.StressTimeout }, second, hour),
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

	toggle("checks.helo_syntax", "The name by which the other server introduces itself is well-formed.",
		func(c *Config) *bool { return &c.Checks.HELOSyntax }),
	toggle("checks.helo_own", "It does not introduce itself by the name or address of this box.",
		func(c *Config) *bool { return &c.Checks.HELOOwn }),
	toggle("checks.helo_full", "The name has a domain. Old devices at home often have none.",
		func(c *Config) *bool { return &c.Checks.HELOFull }),
	toggle("checks.pipelining", "It waits for an answer where it must; many spammers do not.",
		func(c *Config) *bool { return &c.Checks.Pipelining }),
	toggle("checks.dns", "Ask the DNS about the other server and the sender. Without it the next checks are not made at all.",
		func(c *Config) *bool { return &c.Checks.DNS }),
	toggle("checks.reverse_name", "The other server's address has a name that leads back to it (FCrDNS).",
		func(c *Config) *bool { return &c.Checks.ReverseName }),
	toggle("checks.sender_full", "The sender's domain is a full one, with a dot.",
		func(c *Config) *bool { return &c.Checks.SenderFull }),
	toggle("checks.sender_domain", "The sender's domain exists and takes mail.",
		func(c *Config) *bool { return &c.Checks.SenderDomain }),
	toggle("checks.defer_on_trouble", "Mail has to wait while the DNS does not answer; otherwise it is taken unchecked.",
		func(c *Config) *bool { return &c.Checks.DeferOnTrouble }),
	duration("checks.timeout", "How long the DNS may take for one command.",
		func(c *Config) *Duration { return &c.Checks.Timeout }, second/10, minute),

	count("submission.messages_per_hour", "Messages an hour of one person; 0 switches this off.",
		func(c *Config) *int { return &c.Submission.MessagesPerHour }, 0, 1000000),
	count("submission.recipients_per_hour", "Recipients an hour of one person, over all messages; 0 switches this off.",
		func(c *Config) *int { return &c.Submission.RecipientsPerHour }, 0, 1000000),
	count("submission.max_recipients", "Recipients of one message.",
		func(c *Config) *int { return &c.Submission.MaxRecipients }, 1, 10000),
	{name: "submission.trusted", doc: "Networks that may send without a password and without encryption, for printers and the like. Whoever is in one can send in the name of everybody here.",
		field:   func(c *Config) any { return &c.Submission.Trusted },
		allowed: "a list of networks such as \"192.0.2.0/24\", none larger than a /8, or /7 of IPv6", example: `["192.0.2.0/24"]`, ok: validTrusted},
	text("submission.client_ca", "A PEM file with a certificate authority of your own: people whose certificate it signed can sign in by it, without a password (EXTERNAL). Relative to the data folder.",
		func(c *Config) *string { return &c.Submission.ClientCA }, "the path of a file, or empty", "people.pem", validFile),
	toggle("submission.hide_client", "Leave the address of the mail program out of the message's Received header.",
		func(c *Config) *bool { return &c.Submission.HideClient }),
	toggle("submission.check_domains", "Ask the DNS whether a recipient's domain exists while the mail program waits, so that a mistyped one is refused at once.",
		func(c *Config) *bool { return &c.Submission.CheckDomains }),
	toggle("submission.sent_copy", "File a copy in the Sent mailbox where the mail program saves none itself. `hauspost account sent` switches it off for one person.",
		func(c *Config) *bool { return &c.Submission.SentCopy }),
	duration("submission.sent_after", "How long to wait for the mail program to save one itself.",
		func(c *Config) *Duration { return &c.Submission.SentAfter }, second, hour),
	count("submission.max_connections", "Connections at the same time, in all.",
		func(c *Config) *int { return &c.Submission.MaxConnections }, 1, 100000),
	count("submission.max_connections_per_address", "Connections at the same time from one address (IPv6: from one /64).",
		func(c *Config) *int { return &c.Submission.MaxConnectionsPerAddress }, 1, 100000),
	count("submission.connection_rate", "New connections a minute from one address (IPv6: from one /64).",
		func(c *Config) *int { return &c.Submission.ConnectionRate }, 1, 1000000),
	count("submission.max_messages", "Messages in one connection.",
		func(c *Config) *int { return &c.Submission.MaxMessages }, 1, 100000),
	count("submission.max_errors", "Refused commands before the connection is closed.",
		func(c *Config) *int { return &c.Submission.MaxErrors }, 1, 1000),
	count("submission.max_login_failures", "Wrong passwords before the connection is closed.",
		func(c *Config) *int { return &c.Submission.MaxLoginFailures }, 1, 100),
	count("submission.max_bad_recipients", "Refused recipients before the connection is closed.",
		func(c *Config) *int { return &c.Submission.MaxBadRecipients }, 1, 10000),
	duration("submission.command_timeout", "How long a mail program may take for one command.",
		func(c *Config) *Duration { return &c.Submission.CommandTimeout }, second, hour),
	duration("submission.stress_timeout", "The same outside a transaction, while more than three quarters of all connections are taken.",
		func(c *Config) *Duration { return &c.Submission.StressTimeout }, second, hour),
	duration("submission.content_timeout", "How long a message may stand still while it comes in.",
		func(c *Config) *Duration { return &c.Submission.ContentTimeout }, second, hour),
	duration("submission.write_timeout", "How long a mail program may take to receive an answer.",
		func(c *Config) *Duration { return &c.Submission.WriteTimeout }, second, hour),
	duration("submission.handshake_timeout", "How long a mail program may take to agree on encryption.",
		func(c *Config) *Duration { return &c.Submission.HandshakeTimeout }, second, 10*minute),

	duration("queue.expiry", "How long a message is tried before it is given up and its sender is told.",
		func(c *Config) *Duration { return &c.Queue.Expiry }, minute, 30*24*hour),
	duration("queue.delay_notice", "After which time a sender is told that a message still waits; \"0s\" never tells.",
		func(c *Config) *Duration { return &c.Queue.DelayNotice }, 0, 30*24*hour),
	count("queue.attempts", "Attempts at the same time, in all.",
		func(c *Config) *int { return &c.Queue.Attempts }, 1, 1000),
	count("queue.per_destination", "Attempts at the same time at one destination.",
		func(c *Config) *int { return &c.Queue.PerDestination }, 1, 1000),
	duration("queue.pace", "The least time between two attempts at one destination; \"0s\" switches this off.",
		func(c *Config) *Duration { return &c.Queue.Pace }, 0, hour),
	duration("queue.bin", "How long what was dropped from the queue can be brought back by `hauspost queue undo`.",
		func(c *Config) *Duration { return &c.Queue.Bin }, minute, 30*24*hour),

	count("relay.port", "The port of other servers. It is 25 everywhere, but for a test network.",
		func(c *Config) *int { return &c.Relay.Port }, 1, 65535),
	count("relay.per_host", "Connections at the same time to one server.",
		func(c *Config) *int { return &c.Relay.PerHost }, 1, 1000),
	duration("relay.connect_timeout", "How long one address of a server may take to answer.",
		func(c *Config) *Duration { return &c.Relay.ConnectTimeout }, second, 10*minute),
	duration("relay.command_timeout", "How long a server may take for one command. The standard asks for 5 minutes.",
		func(c *Config) *Duration { return &c.Relay.CommandTimeout }, second, hour),
	duration("relay.data_timeout", "How long a server may take to accept a whole message. The standard asks for 10 minutes: shorter times cause duplicates.",
		func(c *Config) *Duration { return &c.Relay.DataTimeout }, second, hour),
	duration("relay.idle", "How long a connection is kept for the next message; \"0s\" keeps none.",
		func(c *Config) *Duration { return &c.Relay.Idle }, 0, 5*minute),
	count("relay.messages_per_connection", "Messages over one connection.",
		func(c *Config) *int { return &c.Relay.MessagesPerConnection }, 1, 10000),
	toggle("relay.ipv6", "Use servers' IPv6 addresses. Many refuse mail over IPv6 where the box's address has no name.",
		func(c *Config) *bool { return &c.Relay.IPv6 }),
	toggle("relay.ipv4", "Use servers' IPv4 addresses.",
		func(c *Config) *bool { return &c.Relay.IPv4 }),
	toggle("relay.loopback", "Deliver to addresses of this machine itself, for a test network.",
		func(c *Config) *bool { return &c.Relay.Loopback }),
	text("relay.hello", "The name by which the box introduces itself to other servers; empty means hostname.",
		func(c *Config) *string { return &c.Relay.Hello }, "a lower-case domain name with at least one dot, or empty", "mail.example.org", validHello),

	{name: "route.to", doc: "Destinations: a domain, \".example.org\" for all domains below it, or \"*\" for everything.",
		field:   func(c *Config) any { return ofRoute(func(r *Route) *[]string { return &r.To })(c) },
		allowed: "a list of different domains, or \"*\" for all", example: `["example.org", ".example.org"]`, ok: validTo},
	text("route.host", "The server through which this mail goes, such as your provider's; without it, the destination's own servers.",
		ofRoute(func(r *Route) *string { return &r.Host }), "a lower-case name or an IP address", "smtp.example.net", validServerName),
	numbered(count("route.port", "The server's port; 587 where it is not given, 465 with implicit_tls.",
		ofRoute(func(r *Route) *int { return &r.Port }), 25, 65535), submissionPort),
	worded(choice("route.security", "\"opportunistic\" encrypts where it can, \"required\" encrypts or does not send, \"verified\" also wants a valid certificate, \"none\" does not encrypt. Without it: \"verified\" with a user, otherwise \"opportunistic\".",
		ofRoute(func(r *Route) *string { return &r.Security }),
		SecurityOpportunistic, SecurityRequired, SecurityVerified, SecurityNone), SecurityVerified),
	toggle("route.implicit_tls", "TLS from the start instead of STARTTLS; without it, true for port 465 alone.",
		ofRoute(func(r *Route) *bool { return &r.ImplicitTLS })),
	text("route.user", "The name to sign in with at the server.",
		ofRoute(func(r *Route) *string { return &r.User }), "a name", "anna@example.net", validWord),
	{name: "route.password", doc: "The password. Only this file has it: no command and no log shows it.",
		field:   func(c *Config) any { return ofRoute(func(r *Route) *Secret { return &r.Password })(c) },
		allowed: "a text in quotes, of one line", example: `"the password"`,
		ok: func(p any) bool { return validWord(p.(*Secret).Reveal()) }},
	text("route.password_file", "A file with the password in its first line, instead of password. Relative to the data folder.",
		ofRoute(func(r *Route) *string { return &r.PasswordFile }), "the path of a file", "/etc/hauspost-password", validFile),
	count("route.connections", "Connections at the same time; 0 means as in relay.per_host.",
		ofRoute(func(r *Route) *int { return &r.Connections }), 0, 1000),
	duration("route.pace", "The least time between two attempts; \"0s\" means as in queue.pace.",
		ofRoute(func(r *Route) *Duration { return &r.Pace }), 0, hour),

	toggle("dkim.sign", "Sign mail that goes out, for the domain of its sender.",
		func(c *Config) *bool { return &c.DKIM.Sign }),

	text("sendmail.folder", "Where users of this machine who may not write the data folder drop their mail for the box; empty means that they cannot send.",
		func(c *Config) *string { return &c.Sendmail.Folder }, "the absolute path of a folder, or empty", "/var/spool/hauspost", validFolder),
	count("sendmail.messages_per_hour", "Messages an hour of one user of the machine; 0 switches this off.",
		func(c *Config) *int { return &c.Sendmail.MessagesPerHour }, 0, 1000000),

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
	duration("imap.stress_timeout", "The same, and for encryption, while more than three quarters of all connections are taken.",
		func(c *Config) *Duration { return &c.IMAP.StressTimeout }, second, hour),
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

	count("traces.keep_days", "Days for which the trace of a message is kept.",
		func(c *Config) *int { return &c.Traces.KeepDays }, 1, 3650),
}

func withAlways(k key) key {
	k.always = true
	return k
}

// numbered gives k another example than its default.
func numbered(k key, n int) key {
	k.example = strconv.Itoa(n)
	return k
}

func worded(k key, word string) key {
	k.example = strconv.Quote(word)
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

// keysOf gives the keys of one section.
func keysOf(section string) []key {
	var list []key
	for _, k := range keys {
		if s, _ := split(k.name); s == section {
			list = append(list, k)
		}
	}
	return list
}
