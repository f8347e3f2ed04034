package sdk

import (
	"unicode/utf8"

	"hauspost/plugins/abi"
)

// Proposer takes effects, for all recipients or for one. The host decides
// which of them it follows; they reach it when the plugin's function has
// returned without an error, at most abi.MaxEffects of them. Needs the grant for
// each kind of effect.
type Proposer struct {
	list      *[]abi.Effect
	recipient string
}

// For gives a Proposer whose tags, mailboxes, copies, redirects, discards and
// quarantines are for one recipient of the event only. The other effects are
// for the whole message in any case.
func (p Proposer) For(recipient string) Proposer {
	p.recipient = recipient
	return p
}

// Propose takes any effect. Texts longer than abi.MaxText octets are cut.
func (p Proposer) Propose(e abi.Effect) {
	if e.Recipient == "" {
		e.Recipient = p.recipient
	}
	e.Symbol, e.Detail = cut(e.Symbol), cut(e.Detail)
	e.Argument, e.Name = cut(e.Argument), cut(e.Name)
	*p.list = append(*p.list, e)
}

func cut(s string) string {
	if len(s) <= abi.MaxText {
		return s
	}
	n := abi.MaxText
	for n > abi.MaxText-utf8.UTFMax && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}

// Score adds points to the message's score, less than zero for a good sign.
// The symbol names the finding for programs ("DATE_IN_FUTURE"), the detail
// says it in words for people.
func (p Proposer) Score(symbol string, points float64, detail string) {
	p.Propose(abi.Effect{Kind: abi.Score, Symbol: symbol, Points: points, Detail: detail})
}

// Stop keeps the message from its normal way.
func (p Proposer) Stop(how abi.Action, symbol, detail string) {
	p.Propose(abi.Effect{Kind: abi.Stop, Stop: how, Symbol: symbol, Detail: detail})
}

// Malware is a Stop that no exemption takes back.
func (p Proposer) Malware(how abi.Action, symbol, detail string) {
	p.Propose(abi.Effect{Kind: abi.Stop, Stop: how, Symbol: symbol, Detail: detail, Malware: true})
}

// Reject refuses the message in the session. The detail is for the owner; the
// sender is told that a filter refused it.
func (p Proposer) Reject(symbol, detail string) { p.Stop(abi.Reject, symbol, detail) }

// Tempfail asks the peer to come again later.
func (p Proposer) Tempfail(symbol, detail string) { p.Stop(abi.Tempfail, symbol, detail) }

// Quarantine keeps the message away until its owner releases it.
func (p Proposer) Quarantine(symbol, detail string) { p.Stop(abi.Quarantine, symbol, detail) }

// Discard takes the message and throws it away.
func (p Proposer) Discard(symbol, detail string) { p.Stop(abi.Discard, symbol, detail) }

// Tag sets an IMAP keyword (RFC 9051 section 2.3.2).
func (p Proposer) Tag(keyword string) { p.Propose(abi.Effect{Kind: abi.Tag, Argument: keyword}) }

// AddHeader adds a header field to the message.
func (p Proposer) AddHeader(name, value string) {
	p.Propose(abi.Effect{Kind: abi.AddHeader, Name: name, Argument: value})
}

// FileInto files the message into a mailbox, with "/" between its levels.
func (p Proposer) FileInto(mailbox string) {
	p.Propose(abi.Effect{Kind: abi.FileInto, Argument: mailbox})
}

// Copy sends a copy of the message to an address.
func (p Proposer) Copy(address string) { p.Propose(abi.Effect{Kind: abi.Copy, Argument: address}) }

// Redirect sends the message to an address, and not into the mailbox.
func (p Proposer) Redirect(address string) {
	p.Propose(abi.Effect{Kind: abi.Redirect, Argument: address})
}

// RequireTLS has the message sent encrypted or not at all (abi.OnSubmit).
func (p Proposer) RequireTLS() { p.Propose(abi.Effect{Kind: abi.RequireTLS}) }

// Exempt takes the message out of scores and stops, but not of those for
// malware. The detail says why.
func (p Proposer) Exempt(detail string) {
	p.Propose(abi.Effect{Kind: abi.Exempt, Detail: detail})
}
