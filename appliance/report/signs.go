package report

// signs are tried in their order; the first that fits decides. Wordings of
// single providers come first, then those that many share, then the names that
// relay gives, then bare numbers. Each wording is one that servers are known to
// give, cut to the part that does not change.
var signs = []sign{
	// What this side found needs no guess.
	{means: "local", names: []string{"local"}},
	{means: "requiretls", names: []string{"requiretls"}},
	{means: "auth-failed", names: []string{"auth-failed"}},
	{means: "auth-failed", verbs: []string{"AUTH"}},

	// Gmail and Google Workspace.
	{means: "no-ptr", at: []string{"Gmail"}, enhanced: []string{".7.25"}},
	{means: "unauthenticated", at: []string{"Gmail"}, words: []string{"sender is unauthenticated"}},
	{means: "dmarc", at: []string{"Gmail"}, enhanced: []string{".7.26"}, words: []string{"dmarc"}},
	{means: "unauthenticated", at: []string{"Gmail"}, enhanced: []string{".7.26", ".7.27", ".7.30"}},
	{means: "spf", at: []string{"Gmail"}, enhanced: []string{".7.24"}},
	{means: "tls-wanted", at: []string{"Gmail"}, enhanced: []string{".7.29"}},
	{means: "dmarc", at: []string{"Gmail"}, enhanced: []string{".7.32"}},
	{means: "reputation-limited", at: []string{"Gmail"}, class: '4', enhanced: []string{".7.28", "4.7.0"}},
	{means: "blocked", at: []string{"Gmail"}, enhanced: []string{"5.7.28"}},
	{means: "recipient-busy", at: []string{"Gmail"}, words: []string{"receiving mail too quickly", "receiving mail at a rate"}},
	{means: "disabled-recipient", at: []string{"Gmail"}, words: []string{"is disabled", "is inactive"}},
	{means: "attachment", at: []string{"Gmail"}, words: []string{"potential security issue"}},
	{means: "spam", at: []string{"Gmail"}, words: []string{"likely unsolicited", "likely suspicious"}},
	{means: "daily-limit", words: []string{"daily user sending limit", "daily smtp relay limit", "daily user sending quota"}},

	// Microsoft: Exchange Online and Outlook.com.
	{means: "microsoft-blocklist", enhanced: []string{"5.7.606-649"}, words: []string{"banned"}},
	{means: "microsoft-blocklist", words: []string{"sender.office.com", "delist@microsoft.com", "delist@messaging.microsoft.com"}},
	{means: "outlook-blocklist", words: []string{"part of their network is on our block list", "(s3140)", "(s3150)", "(ou-001)", "(ou-002)"}},
	{means: "outlook-blocklist", at: []string{"Microsoft"}, words: []string{"sc-001", "sc-002", "sc-003", "sc-004", "dy-001", "dy-002", "ou-001", "ou-002"}},
	{means: "reputation-limited", at: []string{"Microsoft"}, words: []string{"temporarily rate limited due to ip reputation", "rp-001", "rp-002", "rp-003"}},
	{means: "warming", at: []string{"Microsoft"}, enhanced: []string{"4.7.500-699"}},
	{means: "warming", at: []string{"Microsoft"}, words: []string{"server busy"}},
	{means: "unauthenticated", at: []string{"Microsoft"}, enhanced: []string{"5.7.515"}},
	{means: "dmarc", at: []string{"Microsoft"}, enhanced: []string{"5.7.509"}},
	{means: "spf", at: []string{"Microsoft"}, enhanced: []string{"5.7.23"}},
	{means: "spam", at: []string{"Microsoft"}, enhanced: []string{"5.7.501-503", "5.7.520"}},
	{means: "sender-blocked", at: []string{"Microsoft"}, enhanced: []string{"5.1.8", "5.7.511", "5.7.705", "5.7.708", "5.7.750"}},
	{means: "members-only", at: []string{"Microsoft"}, enhanced: []string{"5.7.12", "5.7.124", "5.7.133-136", "5.7.193"}},
	{means: "relay-denied", at: []string{"Microsoft"}, enhanced: []string{"5.7.64", "5.4.310"}},
	{means: "unknown-or-closed", at: []string{"Microsoft"}, enhanced: []string{"5.4.1"}},
	{means: "unknown-recipient", at: []string{"Microsoft"}, words: []string{"recipientnotfound", "recipient not found", "mailbox unavailable"}},
	{means: "mailbox-full", words: []string{"quotaexceeded"}},
	{means: "tls-wanted", at: []string{"Microsoft"}, enhanced: []string{".7.320-329"}},

	// Yahoo and AOL.
	{means: "reputation-limited", at: []string{"Yahoo"}, words: []string{"[ts", "[tss", "unexpected volume or user complaints"}},
	{means: "spamhaus", at: []string{"Yahoo"}, words: []string{"[bl21]", "[bl23]"}},
	{means: "unauthenticated", at: []string{"Yahoo"}, words: []string{"sender is unauthenticated"}},
	{means: "dmarc", at: []string{"Yahoo"}, words: []string{"dmarc"}},
	{means: "unknown-recipient", at: []string{"Yahoo"}, words: []string{"doesn't have a", "mailbox not found"}},
	{means: "disabled-recipient", at: []string{"Yahoo"}, words: []string{"mailbox is disabled", "(554.30)"}},
	{means: "refused-content", at: []string{"Yahoo"}, class: '5', words: []string{"policy reasons"}},
	{means: "warming", at: []string{"Yahoo"}, class: '4', words: []string{"temporarily deferred"}},

	// Others with words of their own.
	{means: "t-online-blocklist", words: []string{"tosa@rx.t-online.de"}},
	{means: "no-ptr", words: []string{"bad dns ptr"}},
	{means: "greylisted", at: []string{"Mimecast"}, class: '4', words: []string{"internal resource temporarily unavailable", "ip temporarily blacklisted"}},
	{means: "spam", at: []string{"iCloud"}, words: []string{"[cs01]", "[hm08]", "[hm07]"}},

	// Blocklists, each with its way out.
	{means: "spamhaus-refused", words: []string{"check.spamhaus.org/returnc/", "spamhaus.org/returnc/", "error: open resolver"}},
	{means: "spamhaus", words: []string{"spamhaus"}},
	{means: "spamcop", words: []string{"spamcop"}},
	{means: "barracuda", words: []string{"barracudanetworks.com/reputation", "barracudacentral", "barracuda reputation"}},
	{means: "proofpoint", words: []string{"ipcheck.proofpoint.com"}},
	{means: "talos", words: []string{"poor reputation", "talosintelligence", "senderbase"}},
	{means: "dynamic", words: []string{"dynamic ip", "dynamic address", "dynamically assigned", "dialup", "dial-up", "residential ip", "generic ptr", "generic rdns", "generic reverse"}},

	// Who may send: DNS, names, authentication.
	{means: "no-ptr", words: []string{"cannot find your reverse", "cannot find your hostname", "does not have a ptr", "no ptr", "missing ptr", "missing dns ptr", "ptr record", "reverse dns", "reverse lookup", "rdns", "fcrdns"}},
	{means: "helo", words: []string{"helo command rejected", "ehlo command rejected", "helo should be", "invalid helo", "bad helo", "helo/ehlo"}},
	{means: "dmarc", words: []string{"dmarc"}},
	{means: "spf", words: []string{"spf fail", "spf check", "spf validation", "sender policy framework", "openspf", "not authorized to send", "failed spf", "spf record", "spf:", "(spf"}},
	{means: "dkim", words: []string{"dkim"}},
	{means: "unauthenticated", words: []string{"sender is unauthenticated", "unauthenticated email", "message is not authenticated"}},
	{means: "sender-domain", words: []string{"sender address rejected: domain not found", "domain of sender address", "sender domain must exist", "sender domain not found", "domain does not resolve", "unresolvable sender domain"}},
	{means: "sender-domain", verbs: []string{"MAIL"}, words: []string{"does not exist", "not found", "no mx", "null mx"}},
	{means: "sender-unverified", words: []string{"sender verify failed", "sender verify callout", "could not complete sender verify", "verification failed for <", "callback setup failed", "sender address rejected: undeliverable", "sender address rejected: unverified"}},
	{means: "sender-not-owned", words: []string{"not owned by user", "sendasdenied", "not allowed to send as", "sender address is not allowed", "sender address not allowed"}},
	{means: "sender-blocked", words: []string{"sender address rejected", "sender rejected", "sender denied", "sender is blocked", "sender blocked"}},

	// Come again.
	{means: "greylisted", class: '4', words: []string{"greylist", "graylist", "grey-list", "grey list", "gray-list", "postgrey", "please come back in", "first time sender", "new sender", "unknown sender triplet", "temporarily deferred due to first"}},
	{means: "unverified-recipient", class: '4', words: []string{"unverified address", "address verification in progress"}},
	{means: "postscreen", codes: []int{450}, enhanced: []string{"4.3.2"}, words: []string{"service currently unavailable"}},
	{means: "rate-limited", words: []string{"rate limit", "ratelimit", "rate-limit", "too many messages", "too much mail", "too many connections", "too many concurrent", "too many sessions", "maximum number of connections", "connection limit", "concurrent connections", "throttl", "sending too fast", "too quickly", "exceeded the maximum number of messages", "quota of messages"}},

	// The recipient.
	{means: "mailbox-full", words: []string{"mailbox full", "mailbox is full", "inbox is full", "out of storage", "over quota", "overquota", "over-quota", "quota exceeded", "exceeded storage allocation", "exceeded its quota", "quota full", "insufficient space in mailbox", "mailbox for user is full", "mailbox size limit", "mailbox has exceeded"}},
	{means: "disabled-recipient", words: []string{"account is disabled", "account disabled", "account has been disabled", "mailbox disabled", "mailbox is disabled", "mailbox is inactive", "account is suspended", "account suspended", "account is not active", "account inactive", "user suspended", "account is locked"}},
	{means: "unknown-recipient", class: '5', words: []string{"user unknown", "unknown user", "unknown recipient", "recipient unknown", "no such user", "no such recipient", "no such mailbox", "no such address", "no mailbox here", "no such person", "does not exist", "doesn't exist", "unrouteable address", "unroutable address", "user not found", "recipient not found", "mailbox not found", "invalid recipient", "invalid mailbox", "unknown address", "unknown local", "undeliverable address", "account not found", "mailbox unavailable", "not a valid mailbox", "addressunknown", "no account by that name", "user doesn't have"}},
	{means: "moved-recipient", codes: []int{551}, words: []string{"please try", "moved", "forward"}},
	{means: "members-only", words: []string{"not allowed to post", "only members", "only subscribers", "restricted to", "moderat"}},
	{means: "relay-denied", words: []string{"relay access denied", "relaying denied", "relay not permitted", "relay denied", "relaying not allowed", "relaying is not allowed", "not permitted to relay", "unable to relay", "we do not relay", "allowed rcpthosts", "not our customer"}},

	// The content.
	{means: "spam", words: []string{"spam or virus"}},
	{means: "too-large", words: []string{"size exceeds", "message too large", "message too big", "message is too large", "message size", "exceeds size limit", "exceeded message size", "maximum size", "max message size", "size limit"}},
	{means: "virus", words: []string{"virus", "malware", "infected", "phish", "trojan"}},
	{means: "attachment", words: []string{"attachment", "file type", "banned file", "executable", "file name extension", "blocked extension"}},
	{means: "spam", words: []string{"spam message rejected", "spam detected", "as spam", "is spam", "reject - spam", "looks like spam", "spamassassin", "spam score", "spam content", "likely spam", "suspected spam", "unsolicited", "high spam", "gtube", "bulk mail"}},
	{means: "bad-message", words: []string{"rfc 5322", "rfc5322", "rfc 2822", "rfc2822", "rfc 822", "malformed", "missing header", "header is missing", "missing from", "missing date", "missing message-id", "multiple from", "headers are invalid", "invalid header", "duplicate header", "bare lf", "bare cr", "bare newline", "line too long", "lines longer"}},

	// Blocked, in words that name no list.
	{means: "blocklist", words: []string{"blacklist", "black list", "black-list", "blocklist", "block list", "block-list", "blackhole", "dnsbl", " rbl", "(rbl", "listed at", "listed by", "is listed", "currently listed", "is_blocked", "blocked using", "blocked by bl", "ubl_", "hostkarma", "uceprotect", "abusix", "invaluement", "nixspam", "psbl", "mailspike", "truncate.gbudb"}},
	{means: "reputation-limited", class: '4', words: []string{"reputation"}},
	{means: "blocked", words: []string{"reputation", "client host rejected", "client host blocked", "ip address rejected", "ip blocked", "ip is blocked", "your ip", "your host", "your network", "banned"}},

	// Their side.
	{means: "loop", words: []string{"too many hops", "hop count", "mail loop", "mail loops", "routing loop", "loops back", "too many received"}},
	{means: "tls-wanted", words: []string{"must issue a starttls", "starttls first", "starttls is required", "encryption required", "tls required", "requires tls", "encryption is required", "session encryption", "must use tls"}},
	{means: "auth-wanted", words: []string{"authentication required", "authentication is required", "auth required", "must authenticate", "client was not authenticated", "not authenticated"}},
	{means: "their-disk", class: '4', words: []string{"insufficient system storage", "insufficient system resources", "insufficient disk", "disk full", "out of disk", "no space left"}},
	{means: "their-fault", class: '4', words: []string{"local problem", "local error", "internal error", "configuration error", "configuration problem", "lookup failure", "lookup error", "temporary failure", "local configuration", "queue file write error", "database", "temporary system problem", "software error"}},
	{means: "later", class: '4', words: []string{"mailbox unavailable", "mailbox temporarily unavailable"}},
	{means: "server-down", class: '4', words: []string{"not available", "unavailable", "shutting down", "maintenance", "overload", "load too high", "too busy", "server busy", "system busy"}},

	// The names that relay gives.
	{means: "refused-connection", names: []string{"no-server"}, words: []string{"connection refused"}},
	{means: "greylisted", names: []string{"greylisted"}},
	{means: "unknown-recipient", names: []string{"unknown-recipient"}},
	{means: "mailbox-full", names: []string{"mailbox-full"}},
	{means: "refused-content", names: []string{"refused-content"}},
	{means: "blocked", names: []string{"blocked"}},
	{means: "rate-limited", names: []string{"rate-limited"}},
	{means: "no-server", names: []string{"no-server"}},
	{means: "dns-trouble", names: []string{"dns-trouble"}},
	{means: "dns-missing", names: []string{"dns-missing"}},
	{means: "null-mx", names: []string{"null-mx"}},
	{means: "timeout", names: []string{"timeout"}},
	{means: "lost", names: []string{"lost"}},
	{means: "tls-required", names: []string{"tls-required"}},
	{means: "too-large", names: []string{"too-large"}},
	{means: "loop", names: []string{"loop"}},
	{means: "garbage", names: []string{"garbage"}},
	{means: "too-many-recipients", names: []string{"too-many-recipients"}},
	{means: "smtputf8", names: []string{"smtputf8"}},

	// Numbers: RFC 3463 and the registry of enhanced status codes.
	{means: "unknown-recipient", class: '5', enhanced: []string{"5.1.1"}},
	{means: "bad-address", enhanced: []string{".1.3"}},
	{means: "moved-recipient", enhanced: []string{".1.6"}},
	{means: "dns-missing", enhanced: []string{"5.1.2"}},
	{means: "null-mx", enhanced: []string{".1.10"}},
	{means: "sender-domain", enhanced: []string{".1.8", ".7.27"}},
	{means: "sender-blocked", enhanced: []string{".1.7"}},
	{means: "disabled-recipient", enhanced: []string{"5.2.1"}},
	{means: "mailbox-full", enhanced: []string{".2.2"}},
	{means: "too-large", enhanced: []string{".2.3", ".3.4"}},
	{means: "their-disk", enhanced: []string{".3.1"}},
	{means: "server-down", enhanced: []string{"4.3.2"}},
	{means: "their-fault", enhanced: []string{"4.3.0", "4.3.5"}},
	{means: "loop", enhanced: []string{".4.6"}},
	{means: "expired", enhanced: []string{".4.7"}},
	{means: "too-many-recipients", enhanced: []string{".5.3"}},
	{means: "smtputf8", enhanced: []string{".6.7", ".6.9"}},
	{means: "auth-failed", enhanced: []string{".7.8", ".7.9"}},
	{means: "tls-wanted", enhanced: []string{".7.10", ".7.11"}},
	{means: "dkim", enhanced: []string{".7.20", ".7.21", ".7.22"}},
	{means: "spf", enhanced: []string{".7.23", ".7.24"}},
	{means: "no-ptr", enhanced: []string{".7.25"}},
	{means: "unauthenticated", enhanced: []string{".7.26"}},
	{means: "requiretls", enhanced: []string{".7.30"}},
	{means: "bad-message", enhanced: []string{".6.0"}},
	{means: "too-large", codes: []int{523}},
	{means: "auth-wanted", codes: []int{530}},
	{means: "null-mx", codes: []int{521, 556}},
	{means: "refused-content", class: '5', verbs: []string{"DATA", "BDAT", "content"}},
	{means: "blocked", class: '5', verbs: []string{"connect", "EHLO", "HELO"}},
	{means: "server-down", codes: []int{421}},
}
