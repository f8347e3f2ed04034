package report

import (
	"strings"
	"testing"

	"hauspost/appliance/transfer"
)

// answers are what servers are known to say, with what it means.
var answersOfServers = []struct {
	means, host    string
	code           int
	enhanced, verb string
	answer         string
}{
	// Gmail.
	{"unknown-recipient", "gmail-smtp-in.l.google.com", 550, "5.1.1", "RCPT", "550-5.1.1 The email account that you tried to reach does not exist. Please try / 550-5.1.1 double-checking the recipient's email address / 550 5.1.1 https://support.google.com/mail/?p=NoSuchUser x - gsmtp"},
	{"mailbox-full", "aspmx.l.google.com", 452, "4.2.2", "RCPT", "452-4.2.2 The recipient's inbox is out of storage space. / 452 4.2.2 ?p=OverQuotaTemp - gsmtp"},
	{"disabled-recipient", "aspmx.l.google.com", 550, "5.2.1", "RCPT", "550-5.2.1 The email account that you tried to reach is / 550 5.2.1 disabled. ?p=DisabledUser"},
	{"recipient-busy", "aspmx.l.google.com", 450, "4.2.1", "RCPT", "450-4.2.1 The user you are trying to contact is receiving mail at a rate / 450 4.2.1 that prevents additional messages"},
	{"reputation-limited", "aspmx.l.google.com", 421, "4.7.28", "content", "421-4.7.28 Our system has detected an unusual rate of unsolicited mail originating / 421 4.7.28 from your IP address"},
	{"reputation-limited", "aspmx.l.google.com", 421, "4.7.0", "content", "421 4.7.0 Try again later, closing connection. gsmtp"},
	{"blocked", "aspmx.l.google.com", 550, "5.7.28", "content", "550-5.7.28 There is an unusual rate of unsolicited mail originating from your IP / 550 5.7.28 address"},
	{"unauthenticated", "aspmx.l.google.com", 550, "5.7.26", "content", "550-5.7.26 Your email has been blocked because the sender is unauthenticated. / 550-5.7.26 Gmail requires all senders to authenticate with either SPF or DKIM."},
	{"dmarc", "aspmx.l.google.com", 550, "5.7.26", "content", "550-5.7.26 Unauthenticated email from haus.example is not accepted due to domain's / 550 5.7.26 DMARC policy."},
	{"no-ptr", "aspmx.l.google.com", 550, "5.7.25", "content", "550-5.7.25 The IP address sending this message does not have a PTR record setup"},
	{"spam", "aspmx.l.google.com", 550, "5.7.1", "content", "550-5.7.1 [192.0.2.7] Our system has detected that this message is / 550-5.7.1 likely unsolicited mail."},
	{"attachment", "aspmx.l.google.com", 552, "5.7.0", "content", "552-5.7.0 This message was blocked because its content presents a potential / 552-5.7.0 security issue."},
	{"too-large", "aspmx.l.google.com", 552, "5.3.4", "MAIL", "552-5.3.4 Your message exceeded Google's message size limits."},
	{"tls-wanted", "smtp.gmail.com", 530, "5.7.0", "MAIL", "530 5.7.0 Must issue a STARTTLS command first"},
	{"auth-failed", "smtp.gmail.com", 535, "5.7.8", "AUTH", "535-5.7.8 Username and Password not accepted."},
	{"daily-limit", "smtp.gmail.com", 550, "5.4.5", "content", "550-5.4.5 Daily user sending limit exceeded."},

	// Microsoft.
	{"microsoft-blocklist", "haus-example.mail.protection.outlook.com", 550, "5.7.606", "RCPT", "550 5.7.606 Access denied, banned sending IP [192.0.2.7]. To request removal from this list please visit https://sender.office.com/"},
	{"microsoft-blocklist", "x.mail.protection.outlook.com", 550, "5.7.511", "RCPT", "550 5.7.511 Access denied, banned sender[192.0.2.7]. To request removal from this list please forward this message to delist@microsoft.com."},
	{"outlook-blocklist", "hotmail-com.olc.protection.outlook.com", 550, "5.7.1", "MAIL", "550 5.7.1 Unfortunately, messages from [192.0.2.7] weren't sent. Please contact your Internet service provider since part of their network is on our block list (S3140)."},
	{"outlook-blocklist", "hotmail-com.olc.protection.outlook.com", 550, "", "connect", "550 SC-001 (COL004-MC1F1) Unfortunately, messages from 192.0.2.7 weren't sent."},
	{"warming", "x.mail.protection.outlook.com", 451, "4.7.500", "RCPT", "451 4.7.500 Server busy. Please try again later from [192.0.2.7]. (S77719)"},
	{"reputation-limited", "x.olc.protection.outlook.com", 451, "4.7.650", "MAIL", "451 4.7.650 The mail server [192.0.2.7] has been temporarily rate limited due to IP reputation."},
	{"unknown-or-closed", "x.mail.protection.outlook.com", 550, "5.4.1", "RCPT", "550 5.4.1 Recipient address rejected: Access denied. AS(201806281)"},
	{"unknown-recipient", "x.mail.protection.outlook.com", 550, "5.1.10", "content", "550 5.1.10 RESOLVER.ADR.RecipientNotFound; Recipient not found by SMTP address lookup"},
	{"unknown-recipient", "hotmail-com.olc.protection.outlook.com", 550, "5.5.0", "RCPT", "550 5.5.0 Requested action not taken: mailbox unavailable (S2017062302)."},
	{"mailbox-full", "hotmail-com.olc.protection.outlook.com", 554, "5.2.2", "content", "554 5.2.2 mailbox full; STOREDRV.Deliver.Exception:QuotaExceededException.MapiExceptionShutoffQuotaExceeded"},
	{"dmarc", "x.mail.protection.outlook.com", 550, "5.7.509", "content", "550 5.7.509 Access denied, sending domain haus.example does not pass DMARC verification and has a DMARC policy of reject."},
	{"unauthenticated", "hotmail-com.olc.protection.outlook.com", 550, "5.7.515", "content", "550 5.7.515 Access denied, sending domain haus.example doesn't meet the required authentication level."},
	{"sender-blocked", "x.mail.protection.outlook.com", 550, "5.1.8", "RCPT", "550 5.1.8 Access denied, bad outbound sender."},
	{"sender-blocked", "x.mail.protection.outlook.com", 550, "5.7.708", "RCPT", "550 5.7.708 Service unavailable. Access denied, traffic not accepted from this IP."},
	{"members-only", "x.mail.protection.outlook.com", 550, "5.7.133", "content", "550 5.7.133 RESOLVER.RST.SenderNotAuthenticatedForGroup; authentication required"},
	{"spam", "x.mail.protection.outlook.com", 550, "5.7.520", "content", "550 5.7.520 Message blocked because it contains content identified as spam. AS(4810)"},
	{"relay-denied", "x.mail.protection.outlook.com", 550, "5.7.64", "RCPT", "550 5.7.64 TenantAttribution; Relay Access Denied"},

	// Yahoo.
	{"reputation-limited", "mta5.am0.yahoodns.net", 421, "4.7.0", "MAIL", "421 4.7.0 [TSS04] Messages from 192.0.2.7 temporarily deferred due to unexpected volume or user complaints - 4.16.55.1"},
	{"unknown-recipient", "mta5.am0.yahoodns.net", 554, "", "content", "554 delivery error: dd This user doesn't have a yahoo.com account (bob@yahoo.com) [0]"},
	{"disabled-recipient", "mta5.am0.yahoodns.net", 554, "", "content", "554 30 Sorry, your message to bob@yahoo.com cannot be delivered. This mailbox is disabled (554.30)."},
	{"spamhaus", "mta5.am0.yahoodns.net", 553, "5.7.1", "connect", "553 5.7.1 [BL21] Connections will not be accepted from 192.0.2.7, because the ip is in a list"},
	{"refused-content", "mta5.am0.yahoodns.net", 554, "5.7.9", "content", "554 5.7.9 Message not accepted for policy reasons."},
	{"warming", "mta5.am0.yahoodns.net", 451, "", "content", "451 Message temporarily deferred - [160]"},

	// Blocklists.
	{"spamhaus", "", 554, "5.7.1", "RCPT", "554 5.7.1 Service unavailable; Client host [192.0.2.7] blocked using zen.spamhaus.org; https://www.spamhaus.org/query/ip/192.0.2.7"},
	{"spamhaus-refused", "", 554, "5.7.1", "RCPT", "554 5.7.1 Service unavailable; Client host [192.0.2.7] blocked using zen.spamhaus.org; Error: open resolver; https://check.spamhaus.org/returnc/pub/198.51.100.1/"},
	{"spamcop", "", 554, "5.7.1", "RCPT", "554 5.7.1 Client host [192.0.2.7] blocked using bl.spamcop.net; Blocked - see https://www.spamcop.net/bl.shtml?192.0.2.7"},
	{"barracuda", "", 554, "", "connect", "554 Service unavailable; Client host [192.0.2.7] blocked using Barracuda Reputation; http://www.barracudanetworks.com/reputation/?r=1&ip=192.0.2.7"},
	{"proofpoint", "mx0a.pphosted.com", 554, "", "connect", "554 Blocked - see https://ipcheck.proofpoint.com/?ip=192.0.2.7"},
	{"talos", "mx1.iphmx.com", 554, "", "connect", "554 Your access to this mail system has been rejected due to the sending MTA's poor reputation."},
	{"blocklist", "", 550, "5.7.1", "RCPT", "550 5.7.1 Client host [192.0.2.7] is listed in dnsbl-1.uceprotect.net"},
	{"blocklist", "", 553, "5.3.0", "MAIL", "553 5.3.0 flpd DNSBL:ATTRBL 521< 192.0.2.7 >_is_blocked."},
	{"t-online-blocklist", "mx00.t-online.de", 554, "", "connect", "554 IP=192.0.2.7 - A problem occurred. (Ask your postmaster for help or to contact tosa@rx.t-online.de to clarify.) (BL)"},
	{"dynamic", "", 550, "5.7.1", "RCPT", "550 5.7.1 Mail from dynamic IP addresses is not accepted"},

	// Greylisting and other waits.
	{"greylisted", "", 450, "4.2.0", "RCPT", "450 4.2.0 <bob@far.example>: Recipient address rejected: Greylisted, see http://postgrey.schweikert.ch/help/far.example.html"},
	{"greylisted", "", 451, "4.7.1", "RCPT", "451 4.7.1 Greylisting in action, please come back in 00:05:00"},
	{"greylisted", "", 451, "4.7.1", "content", "451 4.7.1 Try again later (greylisting)"},
	{"greylisted", "", 450, "4.7.1", "RCPT", "450 4.7.1 Graylisted, please try again in 300 seconds"},
	{"greylisted", "eu-smtp-inbound-1.mimecast.com", 451, "", "RCPT", "451 Internal resource temporarily unavailable - https://community.mimecast.com/docs/DOC-1369#451"},
	{"postscreen", "", 450, "4.3.2", "RCPT", "450 4.3.2 Service currently unavailable"},
	{"unverified-recipient", "", 450, "4.1.1", "RCPT", "450 4.1.1 <bob@far.example>: Recipient address rejected: unverified address: Address verification in progress"},
	{"rate-limited", "", 421, "4.7.0", "connect", "421 4.7.0 mx.far.example Error: too many connections from 192.0.2.7"},
	{"rate-limited", "", 450, "4.7.1", "MAIL", "450 4.7.1 Error: too much mail from 192.0.2.7"},
	{"rate-limited", "", 451, "4.7.1", "RCPT", "451 4.7.1 Ratelimit \"to_ip\" exceeded"},
	{"later", "", 450, "", "RCPT", "450 Requested mail action not taken: mailbox unavailable"},

	// Names and DNS.
	{"no-ptr", "", 450, "4.7.1", "RCPT", "450 4.7.1 Client host rejected: cannot find your reverse hostname, [192.0.2.7]"},
	{"no-ptr", "", 450, "4.7.25", "RCPT", "450 4.7.25 Client host rejected: cannot find your hostname, [192.0.2.7]"},
	{"no-ptr", "mx01.emig.gmx.net", 554, "", "connect", "554-gmx.net (mxgmx117) Nemesis ESMTP Service not available / 554-No SMTP service / 554-Bad DNS PTR resource record. / 554 For explanation visit https://postmaster.gmx.net/"},
	{"no-ptr", "", 550, "", "RCPT", "550-Inconsistent/Missing DNS PTR record (RFC 1912 2.1)"},
	{"helo", "", 504, "5.5.2", "RCPT", "504 5.5.2 <localhost>: Helo command rejected: need fully-qualified hostname"},
	{"sender-domain", "", 450, "4.1.8", "RCPT", "450 4.1.8 <anna@haus.example>: Sender address rejected: Domain not found"},
	{"sender-domain", "", 553, "5.1.8", "MAIL", "553 5.1.8 <anna@haus.example>... Domain of sender address anna@haus.example does not exist"},
	{"sender-unverified", "", 550, "", "RCPT", "550 Sender verify failed"},
	{"sender-unverified", "", 451, "", "RCPT", "451 Could not complete sender verify callout"},
	{"spf", "", 550, "5.7.23", "RCPT", "550 5.7.23 <bob@far.example>: Recipient address rejected: Message rejected due to: SPF fail - not authorized."},
	{"dkim", "", 550, "5.7.20", "content", "550 5.7.20 No passing DKIM signature found"},
	{"dmarc", "", 550, "5.7.1", "content", "550 5.7.1 rejected by DMARC policy for haus.example"},

	// Recipients.
	{"unknown-recipient", "", 550, "5.1.1", "RCPT", "550 5.1.1 <bob@far.example>: Recipient address rejected: User unknown in local recipient table"},
	{"unknown-recipient", "", 550, "", "RCPT", "550 Unrouteable address"},
	{"unknown-recipient", "", 550, "", "RCPT", "550 sorry, no mailbox here by that name (#5.1.1)"},
	{"unknown-recipient", "mx01.emig.gmx.net", 550, "", "RCPT", "550 Requested action not taken: mailbox unavailable"},
	{"unknown-recipient", "mx01.mail.icloud.com", 550, "5.1.1", "RCPT", "550 5.1.1 <bob@icloud.com>: user does not exist"},
	{"mailbox-full", "", 552, "5.2.2", "content", "552 5.2.2 <bob@far.example> Quota exceeded (mailbox for user is full)"},
	{"mailbox-full", "mx01.emig.gmx.net", 552, "", "content", "552 Requested mail action aborted: exceeded storage allocation"},
	{"mailbox-full", "", 452, "4.2.2", "RCPT", "452 4.2.2 <bob@far.example>: user is over quota"},
	{"relay-denied", "", 554, "5.7.1", "RCPT", "554 5.7.1 <bob@far.example>: Relay access denied"},
	{"relay-denied", "", 550, "", "RCPT", "550 relay not permitted"},
	{"relay-denied", "", 553, "", "RCPT", "553 sorry, that domain isn't in my list of allowed rcpthosts (#5.7.1)"},

	// Content.
	{"spam", "", 554, "5.7.1", "content", "554 5.7.1 Spam message rejected"},
	{"spam", "", 550, "", "content", "550 This message was classified as SPAM and may not be delivered"},
	{"spam", "mx00.t-online.de", 550, "5.7.0", "content", "550-5.7.0 Message considered as spam or virus, rejected"},
	{"spam", "mx01.mail.icloud.com", 554, "5.7.1", "content", "554 5.7.1 [CS01] Message rejected due to local policy."},
	{"virus", "", 550, "5.7.1", "content", "550 5.7.1 This message contains a virus (Eicar-Signature)"},
	{"attachment", "", 552, "5.7.1", "content", "552 5.7.1 Attachments of type .exe are not accepted"},
	{"too-large", "", 552, "5.3.4", "MAIL", "552 5.3.4 Message size exceeds fixed limit"},
	{"bad-message", "", 550, "5.6.0", "content", "550 5.6.0 Bare LF is not allowed"},
	{"refused-content", "", 554, "", "content", "554 Transaction failed"},

	// Their side.
	{"their-disk", "", 452, "4.3.1", "MAIL", "452 4.3.1 Insufficient system storage"},
	{"their-fault", "", 451, "4.3.0", "RCPT", "451 4.3.0 <bob@far.example>: Temporary lookup failure"},
	{"their-fault", "", 451, "", "RCPT", "451 Temporary local problem - please try later"},
	{"server-down", "", 421, "4.3.2", "connect", "421 4.3.2 mx.far.example is shutting down"},
	{"loop", "", 554, "5.4.6", "content", "554 5.4.6 Too many hops"},
	{"tls-wanted", "", 451, "5.7.10", "MAIL", "451 5.7.10 Encryption is required here"},
	{"auth-wanted", "", 530, "5.7.1", "MAIL", "530 5.7.1 Authentication required"},
	{"null-mx", "", 556, "5.1.10", "RCPT", "556 5.1.10 Recipient address has null MX"},
	{"requiretls", "", 550, "5.7.30", "MAIL", "550 5.7.30 no"},
	{"blocked", "", 554, "5.7.1", "RCPT", "554 5.7.1 <unknown[192.0.2.7]>: Client host rejected: Access denied"},
	{"blocked", "", 554, "", "connect", "554 mx.far.example no"},
	{"later", "", 451, "", "RCPT", "451 no"},
	{"refused", "", 550, "", "RCPT", "550 no"},
}

func TestReadingOfAnswers(t *testing.T) {
	t.Parallel()
	for _, c := range answersOfServers {
		o := transfer.Outcome{Status: transfer.Failed, Code: c.code, Enhanced: c.enhanced, Verb: c.verb, Answer: transfer.Sanitize(c.answer)}
		if c.code < 500 {
			o.Status = transfer.Deferred
		}
		want := meanings[c.means]
		if want.says == "" {
			t.Fatalf("no meaning %q", c.means)
		}
		if got := meaningOf(o, c.host); got != want {
			t.Errorf("%s\n\t%q, want %s", c.answer, got.says, c.means)
		}
	}
}

// TestReadingOfNames: every name that relay gives is understood without any
// answer.
func TestReadingOfNames(t *testing.T) {
	t.Parallel()
	seen := map[string]string{}
	for _, name := range strings.Fields("greylisted unknown-recipient mailbox-full refused-content blocked rate-limited no-server " +
		"dns-trouble dns-missing null-mx timeout lost tls-required requiretls auth-failed too-large loop garbage " +
		"too-many-recipients smtputf8 local") {
		got := Reading(transfer.Outcome{Status: transfer.Deferred, Name: name, Answer: "virus spam dmarc"}, "")
		if other, twice := seen[got]; twice || got == meanings["trouble"].says {
			t.Errorf("%s: %q, as %s", name, got, other)
		}
		seen[got] = name
		if statusOf[name] == "" {
			t.Errorf("%s has no status of RFC 3463", name)
		}
	}
}

func TestReadingSamples(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		o          transfer.Outcome
		host       string
		says, hint string // hint is a part of the advice
	}{
		{transfer.Outcome{Status: transfer.Deferred, Name: "greylisted", Code: 450}, "mx.far.example", "their server asks new senders to wait: this is normal", ""},
		{transfer.Outcome{Status: transfer.Deferred, Name: "greylisted", Code: 450}, "MX01.gmx.net.", "GMX asks new senders to wait: this is normal", ""},
		{transfer.Outcome{Status: transfer.Failed, Name: "unknown-recipient", Code: 550}, "", "nobody has this address there: check the spelling", "letter by letter"},
		{transfer.Outcome{Status: transfer.Failed, Code: 552, Enhanced: "5.3.4"}, "aspmx.l.google.com", "the message is larger than Gmail takes", "link"},
		{transfer.Outcome{Status: transfer.Deferred, Name: "no-server", Answer: "dial tcp 192.0.2.1:25: connect: connection refused"}, "", "their server is there but does not take mail just now", ""},
		{transfer.Outcome{Status: transfer.Deferred, Name: "timeout"}, "notgoogle.com", "their server was too slow to answer", ""},
		{transfer.Outcome{Status: transfer.Deferred, Scope: transfer.ScopeLocal}, "mx.gmx.net", "this box could not try: the fault is on its own side", "network"},
		{transfer.Outcome{Status: transfer.Delivered, Code: 250, Answer: "250 spam"}, "aspmx.l.google.com", "Gmail took the message", ""},
		{transfer.Outcome{Status: transfer.Deferred, Scope: transfer.ScopeLocal, Name: "unreadable", Enhanced: "4.3.0"}, "", "this box could not try: the fault is on its own side", "disk"},
		{transfer.Outcome{Status: transfer.Deferred, Scope: transfer.ScopeLocal, Name: "internal-error", Enhanced: "4.3.0"}, "", "this box could not try: the fault is on its own side", "disk"},
		{transfer.Outcome{Status: transfer.Deferred, Scope: transfer.ScopeLocal, Name: "shutting-down", Enhanced: "4.3.2"}, "", "this box was stopped before it was done", ""},
		{transfer.Outcome{Status: transfer.Deferred, Name: "no-smarthost", Enhanced: "4.3.5"}, "", "the server that this box is to send through cannot be found", "settings"},
		{transfer.Outcome{Status: transfer.Deferred, Name: "dns-missing", Enhanced: "4.4.4"}, "smtp.typo.example", "the server that this box is to send through cannot be found", "settings"},
		{transfer.Outcome{Status: transfer.Failed, Name: "dns-missing", Enhanced: "5.4.4"}, "", "there is no mail server for this domain: check the part of the address after the @", "after the @"},
		{transfer.Outcome{Status: transfer.Failed, Name: "bad-address", Enhanced: "5.4.4"}, "", "the DNS leads mail for this domain to where no mail server can be", "after the @"},
		{transfer.Outcome{Status: transfer.Failed, Name: "address-literal", Enhanced: "5.1.2"}, "", "mail goes to a domain, not to the number of a machine", "letter"},
		{transfer.Outcome{Status: transfer.Failed, Name: "malformed-content", Enhanced: "5.6.0", Verb: "content"}, "", "the message has line ends that mail cannot carry", "another"},
		{transfer.Outcome{Status: transfer.Deferred, Name: "tls-required", Enhanced: "4.7.11", Verb: "AUTH"}, "", "the message may only go out encrypted, and their server does not offer that", "settings"},
		{transfer.Outcome{Status: transfer.Deferred, Name: "lost", Enhanced: "4.4.2", Verb: "AUTH"}, "", "the connection to their server broke off", ""},
		{transfer.Outcome{}, "", "the message could not be handed over", ""},
	} {
		says, advice := Reading(c.o, c.host), Advice(c.o, c.host)
		if says != c.says || !strings.Contains(advice, c.hint) || c.hint == "" && advice != "" && c.o.Name != "no-server" {
			t.Errorf("%+v: %q, %q", c.o, says, advice)
		}
	}
}

// TestTable: the table has no row that means nothing or can never be reached
// for want of a condition, and all texts have their form.
func TestTable(t *testing.T) {
	t.Parallel()
	used := map[string]bool{"trouble": true, "later": true, "refused": true}
	known := map[string]bool{}
	for _, p := range providers {
		known[p.name] = true
	}
	for i, s := range signs {
		if _, ok := meanings[s.means]; !ok {
			t.Errorf("row %d means %q", i, s.means)
		}
		if len(s.codes)+len(s.enhanced)+len(s.names)+len(s.verbs)+len(s.words) == 0 {
			t.Errorf("row %d (%s) fits everything", i, s.means)
		}
		for _, at := range s.at {
			if !known[at] {
				t.Errorf("row %d is for %q", i, at)
			}
		}
		for _, w := range s.words {
			if w != strings.ToLower(w) || w == "" {
				t.Errorf("row %d has the words %q, which no answer in lower-case has", i, w)
			}
		}
		used[s.means] = true
	}
	for name, m := range meanings {
		if !used[name] {
			t.Errorf("nothing means %s", name)
		}
		if m.says == "" || strings.HasSuffix(m.says, ".") || strings.ContainsAny(m.says, "\r\n") || !isASCII(m.says+m.advice) {
			t.Errorf("%s: %q", name, m.says)
		}
		if m.advice != "" && (!strings.HasSuffix(m.advice, ".") || strings.Contains(m.advice, "{")) {
			t.Errorf("%s: %q", name, m.advice)
		}
	}
}

func TestIsStatus(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		status, pattern string
		want            bool
	}{
		{"5.7.1", "5.7.1", true}, {"5.7.1", ".7.1", true}, {"4.7.1", ".7.1", true}, {"5.7.10", ".7.1", false}, {"", ".7.1", false},
		{"5.7.606", "5.7.606-649", true}, {"5.7.649", "5.7.606-649", true}, {"5.7.650", "5.7.606-649", false}, {"4.7.606", "5.7.606-649", false},
		{"5.7.x", "5.7.606-649", false}, {"", "5.7.606-649", false},
		{"4.7.322", ".7.320-329", true},
	} {
		if got := isStatus(c.status, c.pattern); got != c.want {
			t.Errorf("%q, %q: %t", c.status, c.pattern, got)
		}
	}
}
