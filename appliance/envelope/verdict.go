package envelope

import (
	"slices"
	"strings"
)

// Action is what the box does with a message.
type Action string

// The actions of a Verdict, from the weakest to the strongest.
const (
	Keep       Action = "keep"
	Discard    Action = "discard"
	Quarantine Action = "quarantine"
	Tempfail   Action = "tempfail"
	Reject     Action = "reject"
)

var strength = []Action{Keep, Discard, Quarantine, Tempfail, Reject}

// Stronger tells whether a wins over b. An unknown action is as weak as Keep.
func (a Action) Stronger(b Action) bool {
	return max(0, slices.Index(strength, a)) > max(0, slices.Index(strength, b))
}

// Reason names why something was decided.
type Reason struct {
	// Name is stable and made for programs, such as "no-objection".
	Name string `json:"name"`
	// Text is for people.
	Text string `json:"text"`
}

// Field is one field that is added to the header of a message.
type Field struct {
	Name string `json:"name"`
	// Value is one line of ASCII without surrounding white space; it is folded
	// where it is written.
	Value string `json:"value"`
}

// Verdict is the decision on a message, with its reason.
type Verdict struct {
	Action Action  `json:"action"`
	Reason Reason  `json:"reason"`
	Score  float64 `json:"score"`
	// Junk: it is filed into the junk mailbox of whoever gets it.
	Junk bool `json:"junk,omitempty"`
	// Mailbox is where it is filed otherwise; empty means INBOX.
	Mailbox string `json:"mailbox,omitempty"`
	// Tags are IMAP keywords.
	Tags []string `json:"tags,omitempty"`
	// Copies are addresses that get it as well, Redirects those that get it
	// instead of each recipient. Both are for messages that nothing stops.
	Copies    []string `json:"copies,omitempty"`
	Redirects []string `json:"redirects,omitempty"`
	// Headers are added to it.
	Headers []Field `json:"headers,omitempty"`
	// RequireTLS: it leaves encrypted or not at all.
	RequireTLS bool `json:"requiretls,omitempty"`
	// Exempt names the filter that took it out of scores and stops.
	Exempt string `json:"exempt,omitempty"`
	// Recipients holds what is different for one recipient; see For.
	Recipients []Disposition `json:"recipients,omitempty"`
	// Ignored says in words which proposals were left out, and why.
	Ignored []string `json:"ignored,omitempty"`
}

// Disposition is what becomes of a message for one recipient.
type Disposition struct {
	// Recipient is the Key of the recipient's address.
	Recipient string `json:"recipient"`
	// Action is Keep, Quarantine or Discard. In Verdict.Recipients it is empty
	// where it is that of the message.
	Action Action `json:"action,omitempty"`
	Reason Reason `json:"reason,omitzero"`
	// The rest is as in Verdict. In Verdict.Recipients lists are added to those
	// of the message, and Mailbox replaces its own.
	Junk      bool     `json:"junk,omitempty"`
	Mailbox   string   `json:"mailbox,omitempty"`
	Tags      []string `json:"tags,omitempty"`
	Copies    []string `json:"copies,omitempty"`
	Redirects []string `json:"redirects,omitempty"`
}

// For gives what becomes of the message for one recipient: what is for all
// joined with what is for that one alone. Copies are those that are made for
// this recipient: Verdict.Copies are made once for all and are not among them.
// What is stopped goes nowhere else.
func (v *Verdict) For(rcpt Address) Disposition {
	d := Disposition{
		Recipient: rcpt.Key(), Action: v.Action, Reason: v.Reason, Junk: v.Junk, Mailbox: v.Mailbox,
		Tags: v.Tags, Redirects: v.Redirects,
	}
	i := slices.IndexFunc(v.Recipients, func(o Disposition) bool { return strings.EqualFold(o.Recipient, d.Recipient) })
	if i >= 0 {
		own := &v.Recipients[i]
		if own.Action.Stronger(d.Action) {
			d.Action, d.Reason = own.Action, own.Reason
		}
		if own.Mailbox != "" {
			d.Mailbox = own.Mailbox
		}
		d.Tags = join(d.Tags, own.Tags)
		d.Copies = own.Copies
		d.Redirects = join(d.Redirects, own.Redirects)
	}
	if d.Action.Stronger(Keep) {
		d.Copies, d.Redirects = nil, nil
	}
	return d
}

// join appends what is not there yet, in any case.
func join(all, more []string) []string {
	all = slices.Clip(all)
	for _, s := range more {
		if !slices.ContainsFunc(all, func(have string) bool { return strings.EqualFold(have, s) }) {
			all = append(all, s)
		}
	}
	return all
}
