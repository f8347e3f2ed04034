package relay

import (
	"slices"
	"strings"

	"hauspost/appliance/transfer"
)

// The names of outcomes, which are stable:
//
//	name                 status             meaning
//	address-literal      failed             mail for [192.0.2.1]: never sent
//	auth-failed          deferred           the server refuses user and password, or cannot ask for them
//	bad-address          failed             the server's name leads to an address that cannot be one
//	blocked              deferred, failed   the server does not trust this box
//	dns-missing          failed, deferred   no such domain, no server, or (deferred) no such host in a route
//	dns-trouble          deferred           the DNS did not answer; scope local where it answers nothing at all
//	garbage              deferred           what the server says is no SMTP
//	greylisted           deferred           the server asks newcomers to wait
//	local                deferred           this machine has no network
//	loop                 failed, deferred   the server is this box, or (theirs) too many hops
//	lost                 deferred           the connection broke off
//	mailbox-full         deferred, failed
//	malformed-content    failed             the message has line ends that SMTP cannot carry
//	no-server            deferred           no server could be reached
//	no-smarthost         deferred           the owner chose a way that is not set or not there
//	null-mx              failed             the domain takes no mail (RFC 7505, RFC 7504)
//	rate-limited         deferred, failed   the server asks for less
//	refused              failed             any other 5yz
//	refused-connection   deferred, failed   a greeting or EHLO with 4yz or 5yz
//	refused-content      failed, deferred   5yz or 4yz after the content, for what is in it
//	requiretls           failed, deferred   REQUIRETLS cannot be kept
//	sender-refused       failed, deferred   the server does not like the reverse-path
//	shutting-down        deferred           the attempt was called off
//	smtputf8             failed             the server lacks SMTPUTF8
//	timeout              deferred           no answer in time
//	tls-required         deferred           the encryption that the owner asks for does not hold
//	too-large            failed, deferred
//	too-many-recipients  deferred, failed   the server takes fewer in one transaction
//	try-later            deferred           any other 4yz
//	unknown-recipient    failed, deferred
//	unreadable           deferred           the message cannot be read here

// ours is an outcome that this side found.
func ours(status transfer.Status, scope transfer.Scope, name, enhanced, verb, text string) *transfer.Outcome {
	return &transfer.Outcome{Status: status, Scope: scope, Name: name, Enhanced: enhanced, Verb: verb, Answer: transfer.Sanitize(text)}
}

func interrupted(verb string) *transfer.Outcome {
	return ours(transfer.Deferred, transfer.ScopeLocal, "shutting-down", "4.3.2", verb, "the attempt was called off")
}

// theirs is the outcome of a reply with 4yz or 5yz.
func theirs(verb string, rep *reply) transfer.Outcome {
	o := transfer.Outcome{
		Status: transfer.Deferred, Scope: transfer.ScopeRecipient,
		Code: rep.code, Enhanced: rep.enhanced(), Verb: verb, Answer: rep.text(),
	}
	if rep.code/100 == 5 {
		o.Status = transfer.Failed
	}
	o.Name = nameOf(&o)
	if o.Status == transfer.Deferred && wide(&o) {
		o.Scope = transfer.ScopeDestination
	}
	return o
}

// wide tells of a temporary refusal that it concerns more than this recipient.
func wide(o *transfer.Outcome) bool {
	switch {
	case o.Code == 421, atDoor(o.Verb):
		return true
	case o.Name == "greylisted", o.Name == "mailbox-full", o.Name == "too-many-recipients", o.Name == "refused-content":
		return false
	case o.Name == "rate-limited", o.Name == "blocked":
		// 4.2.x is about one mailbox.
		return !strings.HasPrefix(o.Enhanced, "4.2.")
	case o.Verb == "content":
		// Whatever fails there may fail at this message: others are not to
		// wait behind it.
		return false
	}
	return strings.HasPrefix(o.Enhanced, "4.3.")
}

// atDoor tells of a verb that it comes before any message.
func atDoor(verb string) bool {
	return slices.Contains([]string{"connect", "EHLO", "HELO", "STARTTLS", "AUTH"}, verb)
}

// sign is by what a name is known. All conditions that are there must hold; of
// their values one is enough.
type sign struct {
	name     string
	class    int
	verbs    []string
	codes    []int
	enhanced []string // without their class
	words    []string
}

var afterContent = []string{"DATA", "BDAT", "content"}

// signs are tried in their order.
var signs = []sign{
	{name: "too-many-recipients", verbs: []string{"RCPT"}, enhanced: []string{".5.3"}},
	{name: "too-many-recipients", verbs: []string{"RCPT"}, codes: []int{452, 552}, words: []string{"too many recipient", "recipient limit", "recipients limit"}},
	{name: "greylisted", class: 4, words: []string{"greylist", "graylist", "grey-list", "gray-list", "grey list", "gray list", "postgrey"}},
	{name: "greylisted", class: 4, verbs: []string{"RCPT"}, enhanced: []string{".2.0", ".7.1"}, words: []string{"try again", "try later", "come back", "retry"}},
	{name: "smtputf8", class: 5, enhanced: []string{".6.7"}},
	{name: "requiretls", class: 5, enhanced: []string{".7.30"}},
	{name: "null-mx", class: 5, enhanced: []string{".1.10"}},
	{name: "null-mx", codes: []int{521, 556}},
	{name: "loop", enhanced: []string{".4.6"}},
	{name: "loop", words: []string{"too many hops", "mail loop", "hop count", "loops back"}},
	{name: "mailbox-full", enhanced: []string{".2.2"}},
	{name: "mailbox-full", words: []string{"mailbox full", "mailbox is full", "over quota", "overquota", "quota exceeded", "out of storage"}},
	{name: "too-large", enhanced: []string{".3.4", ".2.3"}},
	{name: "too-large", codes: []int{552}, words: []string{"size", "too large", "too big"}},
	{name: "rate-limited", class: 4, enhanced: []string{".7.28"}},
	{name: "rate-limited", words: []string{"rate limit", "ratelimit", "rate-limit", "throttl", "too many messages", "too many connections", "too many concurrent", "too fast", "too quickly"}},
	{name: "blocked", words: []string{"blacklist", "blocklist", "block list", "black list", "blocked using", "spamhaus", "spamcop", "reputation", "rbl", "dnsbl"}},
	{name: "refused-content", class: 5, verbs: afterContent},
	{name: "blocked", enhanced: []string{".7.0", ".7.1"}, words: []string{"spam", "blocked", "banned", "your ip", "your host"}},
	{name: "rate-limited", codes: []int{421}, enhanced: []string{".7.0", ".7.1"}},
	{name: "unknown-recipient", enhanced: []string{".1.1"}},
	{name: "unknown-recipient", class: 5, verbs: []string{"RCPT"}, words: []string{"user unknown", "unknown user", "no such user", "no such person", "no such recipient", "no such mailbox", "recipient unknown", "unknown recipient", "does not exist", "user not found", "recipient not found", "no mailbox", "mailbox not found", "invalid recipient"}},
	{name: "refused", codes: []int{530}},
	{name: "sender-refused", class: 5, verbs: []string{"MAIL"}},
	{name: "sender-refused", enhanced: []string{".1.7", ".1.8"}},
	{name: "refused-content", class: 4, verbs: afterContent, enhanced: []string{".6.0", ".7.1"}},
	{name: "refused-connection", verbs: []string{"connect", "EHLO", "HELO", "STARTTLS"}},
	{name: "auth-failed", verbs: []string{"AUTH"}},
	{name: "refused", class: 5},
}

func nameOf(o *transfer.Outcome) string {
	text := strings.ToLower(o.Answer)
	for i := range signs {
		if signs[i].fits(o, text) {
			return signs[i].name
		}
	}
	return "try-later"
}

func (s *sign) fits(o *transfer.Outcome, text string) bool {
	return (s.class == 0 || s.class == o.Code/100) &&
		(s.verbs == nil || slices.Contains(s.verbs, o.Verb)) &&
		(s.codes == nil || slices.Contains(s.codes, o.Code)) &&
		(s.enhanced == nil || o.Enhanced != "" && slices.Contains(s.enhanced, o.Enhanced[1:])) &&
		(s.words == nil || slices.ContainsFunc(s.words, func(w string) bool { return strings.Contains(text, w) }))
}
