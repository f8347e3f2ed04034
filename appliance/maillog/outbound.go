package maillog

import (
	"fmt"
	"strings"
	"time"
)

// Authenticated: a person signed in to submit, or was known otherwise.
type Authenticated struct {
	Account string `json:"account"`
	// Mechanism is that of SASL, "network" for a trusted network, "command"
	// for the sendmail command.
	Mechanism string `json:"mechanism"`
}

// Step implements Event.
func (Authenticated) Step() string { return "authenticated" }

// Say implements Event.
func (e Authenticated) Say() string {
	switch e.Mechanism {
	case "network":
		return "the network of the client may submit without a password"
	case "command":
		return fmt.Sprintf("submitted by the sendmail command as %s", e.Account)
	}
	return fmt.Sprintf("%s signed in (%s)", e.Account, e.Mechanism)
}

// Amended: what was missing in a submitted message was added, what must not
// leave was taken out.
type Amended struct {
	Added   []string `json:"added,omitempty"`
	Removed []string `json:"removed,omitempty"`
}

// Step implements Event.
func (Amended) Step() string { return "amended" }

// Say implements Event.
func (e Amended) Say() string {
	var parts []string
	if len(e.Added) > 0 {
		parts = append(parts, "added "+strings.Join(e.Added, ", "))
	}
	if len(e.Removed) > 0 {
		parts = append(parts, "removed "+strings.Join(e.Removed, ", "))
	}
	return "header: " + strings.Join(parts, "; ")
}

// Signed: the message was signed by DKIM, or could not be.
type Signed struct {
	Domain    string   `json:"domain"`
	Selectors []string `json:"selectors,omitempty"`
	// Problem says why it was not signed.
	Problem string `json:"problem,omitempty"`
}

// Step implements Event.
func (Signed) Step() string { return "signed" }

// Say implements Event.
func (e Signed) Say() string {
	if e.Problem != "" {
		return fmt.Sprintf("not signed for %s: %s", e.Domain, e.Problem)
	}
	return fmt.Sprintf("signed for %s (DKIM, %s)", e.Domain, strings.Join(e.Selectors, ", "))
}

// Queued: the message is durable in the queue for one recipient.
type Queued struct {
	Recipient   string `json:"recipient"`
	Destination string `json:"destination"`
	// Number is that of the queue's row.
	Number int64 `json:"number"`
	// Via names the alias that leads out of the house, or is empty.
	Via string `json:"via,omitempty"`
}

// Step implements Event.
func (Queued) Step() string { return "queued" }

// Say implements Event.
func (e Queued) Say() string {
	s := fmt.Sprintf("queued for %s", e.Recipient)
	if e.Via != "" {
		s += " (" + e.Via + ")"
	}
	return s
}

// Attempted: one attempt to hand the message over for one recipient.
type Attempted struct {
	Recipient string `json:"recipient"`
	Number    int64  `json:"number"`
	// Attempt counts from 1.
	Attempt int `json:"attempt"`
	// Status is "delivered", "deferred" or "failed"; Name, Code, Enhanced,
	// Verb and Answer say why (see package transfer).
	Status   string `json:"status"`
	Name     string `json:"name,omitempty"`
	Code     int    `json:"code,omitempty"`
	Enhanced string `json:"enhanced,omitempty"`
	Verb     string `json:"verb,omitempty"`
	Answer   string `json:"answer,omitempty"`
	// Host, Address and TLS are those of the other server, where there was one.
	Host    string `json:"host,omitempty"`
	Address string `json:"address,omitempty"`
	TLS     string `json:"tls,omitempty"`
	Note    string `json:"note,omitempty"`
	// Reading says in plain words what it means and what happens next.
	Reading string `json:"reading"`
	// Next is the time of the next attempt, where there will be one.
	Next         time.Time `json:"next,omitzero"`
	Milliseconds float64   `json:"ms"`
}

// Step implements Event.
func (Attempted) Step() string { return "attempted" }

// Say implements Event.
func (e Attempted) Say() string {
	var b strings.Builder
	fmt.Fprintf(&b, "attempt %d for %s: %s", e.Attempt, e.Recipient, e.Status)
	if e.Host != "" {
		fmt.Fprintf(&b, " at %s", e.Host)
		if e.Address != "" {
			fmt.Fprintf(&b, " [%s]", e.Address)
		}
		if e.TLS != "" {
			fmt.Fprintf(&b, " (%s)", e.TLS)
		} else {
			b.WriteString(" (not encrypted)")
		}
	}
	if e.Answer != "" {
		fmt.Fprintf(&b, ", answer: %s", e.Answer)
	}
	if e.Note != "" {
		fmt.Fprintf(&b, " (%s)", e.Note)
	}
	if e.Reading != "" {
		fmt.Fprintf(&b, ". %s", e.Reading)
	}
	return b.String()
}

// Reported: somebody was told what became of the message (a delivery status
// notification, RFC 3464).
type Reported struct {
	// Action is "failed", "delayed", "relayed" or "delivered".
	Action string `json:"action"`
	// To is who was told; empty where nobody can be.
	To         string   `json:"to,omitempty"`
	Recipients []string `json:"recipients"`
	// Report is the ID of the report, Problem why there is none.
	Report  string `json:"report,omitempty"`
	Problem string `json:"problem,omitempty"`
}

// Step implements Event.
func (Reported) Step() string { return "reported" }

// Say implements Event.
func (e Reported) Say() string {
	what := fmt.Sprintf("%s for %s", e.Action, strings.Join(e.Recipients, ", "))
	if e.Problem != "" {
		return "nobody is told of " + what + ": " + e.Problem
	}
	return fmt.Sprintf("%s was told: %s (message %s)", e.To, what, e.Report)
}

// Filed: a copy of a submitted message went to its author's Sent mailbox, or
// was found there already.
type Filed struct {
	Account string `json:"account"`
	Mailbox string `json:"mailbox"`
	UID     uint32 `json:"uid,omitempty"`
	// Found tells that the mail program had saved one itself.
	Found bool `json:"found,omitempty"`
}

// Step implements Event.
func (Filed) Step() string { return "filed" }

// Say implements Event.
func (e Filed) Say() string {
	if e.Found {
		return fmt.Sprintf("the mail program of %s had saved its own copy in %s", e.Account, e.Mailbox)
	}
	return fmt.Sprintf("a copy for %s was filed in %s as UID %d", e.Account, e.Mailbox, e.UID)
}

// Handled: the owner did something with the message in the queue.
type Handled struct {
	// Deed is "retry", "hold", "release", "reroute", "drop" or "undo".
	Deed      string `json:"deed"`
	Recipient string `json:"recipient"`
	Number    int64  `json:"number"`
	// Via is the new way, for "reroute".
	Via string `json:"via,omitempty"`
}

// Step implements Event.
func (Handled) Step() string { return "handled" }

// Say implements Event.
func (e Handled) Say() string {
	s := map[string]string{
		"retry": "to be tried again now", "hold": "held until it is released", "release": "released",
		"reroute": "sent another way", "drop": "taken out of the queue; `hauspost queue undo` brings it back",
		"undo": "put back as it was", "purge": "removed for good",
	}[e.Deed]
	if e.Deed == "reroute" && e.Via != "" {
		s += " (" + e.Via + ")"
	}
	return fmt.Sprintf("%s: %s", e.Recipient, s)
}

// Composed: the box wrote the message itself.
type Composed struct {
	To string `json:"to"`
}

// Step implements Event.
func (Composed) Step() string { return "composed" }

// Say implements Event.
func (e Composed) Say() string { return "written by this box for " + e.To }
