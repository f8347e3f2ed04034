package maillog

import (
	"fmt"
	"strings"

	"hauspost/appliance/envelope"
)

// Connected: a peer opened an SMTP session and started a mail transaction.
type Connected struct {
	Client   string `json:"client"`
	Hostname string `json:"hostname,omitempty"`
	HELO     string `json:"helo"`
	Protocol string `json:"protocol"`
	TLS      string `json:"tls,omitempty"`
}

// Step implements Event.
func (Connected) Step() string { return "connected" }

// Say implements Event.
func (e Connected) Say() string {
	s := fmt.Sprintf("%s connected and calls itself %s (%s", e.Client, e.HELO, e.Protocol)
	if e.TLS != "" {
		s += ", " + e.TLS
	}
	return s + ")"
}

// Sender: the reverse-path was accepted.
type Sender struct {
	From string `json:"from"`
	Size int64  `json:"size,omitempty"`
}

// Step implements Event.
func (Sender) Step() string { return "sender" }

// Say implements Event.
func (e Sender) Say() string { return fmt.Sprintf("reverse-path <%s>", e.From) }

// RecipientAccepted: a forward-path was accepted.
type RecipientAccepted struct {
	To string `json:"to"`
}

// Step implements Event.
func (RecipientAccepted) Step() string { return "recipient" }

// Say implements Event.
func (e RecipientAccepted) Say() string { return fmt.Sprintf("recipient <%s> accepted", e.To) }

// Refused: the box answered with a 4yz or 5yz.
type Refused struct {
	// Verb is the command that was refused; Argument its address, if any.
	Verb     string `json:"verb"`
	Argument string `json:"argument,omitempty"`
	Code     int    `json:"code"`
	Enhanced string `json:"enhanced"`
	Reason   string `json:"reason"`
	Text     string `json:"text"`
	// Cause is what went wrong inside.
	Cause string `json:"cause,omitempty"`
}

// Step implements Event.
func (Refused) Step() string { return "refused" }

// Say implements Event.
func (e Refused) Say() string {
	s := fmt.Sprintf("%s refused with %d %s: %s", strings.TrimSpace(e.Verb+" "+e.Argument), e.Code, e.Enhanced, e.Text)
	if e.Cause != "" {
		s += " (" + e.Cause + ")"
	}
	return s
}

// Received: the content came in whole and passed the rules for its form.
type Received struct {
	Size int64  `json:"size"`
	Via  string `json:"via"`
}

// Step implements Event.
func (Received) Step() string { return "received" }

// Say implements Event.
func (e Received) Say() string { return fmt.Sprintf("%d octets received by %s", e.Size, e.Via) }

// Checked: facts about the sender and the message were found.
type Checked struct {
	Facts []envelope.Fact `json:"facts"`
}

// Step implements Event.
func (Checked) Step() string { return "checked" }

// Say implements Event.
func (e Checked) Say() string {
	words := make([]string, len(e.Facts))
	for i, f := range e.Facts {
		words[i] = f.Name + "=" + f.Value
	}
	if len(words) == 0 {
		return "checked, nothing to note"
	}
	return "checked: " + strings.Join(words, ", ")
}

// Stored: the message is durable in one mailbox of one person.
type Stored struct {
	Recipient string `json:"recipient"`
	Account   string `json:"account"`
	Mailbox   string `json:"mailbox"`
	UID       uint32 `json:"uid"`
	Via       string `json:"via,omitempty"`
}

// Step implements Event.
func (Stored) Step() string { return "stored" }

// Say implements Event.
func (e Stored) Say() string {
	s := fmt.Sprintf("stored for %s in %s as UID %d", e.Account, e.Mailbox, e.UID)
	if e.Via != "" {
		s += " (" + e.Via + ")"
	}
	return s
}

// Accepted: the peer was told 250.
type Accepted struct {
	Recipients int `json:"recipients"`
	// Milliseconds from the end of the content to the 250.
	Milliseconds float64 `json:"ms"`
}

// Step implements Event.
func (Accepted) Step() string { return "accepted" }

// Say implements Event.
func (e Accepted) Say() string {
	return fmt.Sprintf("accepted with 250 after %.1f ms", e.Milliseconds)
}

// Pushed: connected IMAP clients of a mailbox were told (EXISTS on IDLE).
type Pushed struct {
	Account string `json:"account"`
	Mailbox string `json:"mailbox"`
	UID     uint32 `json:"uid"`
	// Client is what the client calls itself by ID, and its address.
	Client string `json:"client"`
}

// Step implements Event.
func (Pushed) Step() string { return "pushed" }

// Say implements Event.
func (e Pushed) Say() string {
	return fmt.Sprintf("%s was told of UID %d in %s", e.Client, e.UID, e.Mailbox)
}

// Vanished: the peer went away before it had an answer; nothing was kept.
type Vanished struct {
	After string `json:"after"`
}

// Step implements Event.
func (Vanished) Step() string { return "vanished" }

// Say implements Event.
func (e Vanished) Say() string {
	return fmt.Sprintf("the peer went away after %s; nothing was kept", e.After)
}
