package smtpd

import "fmt"

// Withdrawn is an event: the peer ended the transaction before any content, by
// RSET, EHLO, STARTTLS or QUIT.
type Withdrawn struct {
	After string `json:"after"`
}

// Step implements maillog.Event.
func (Withdrawn) Step() string { return "withdrawn" }

// Say implements maillog.Event.
func (e Withdrawn) Say() string {
	return fmt.Sprintf("the peer took it back after %s; nothing was kept", e.After)
}

// AnswerLost is an event: the message is kept, but the 250 could not be
// written. The peer will send it again.
type AnswerLost struct {
	Error string `json:"error"`
}

// Step implements maillog.Event.
func (AnswerLost) Step() string { return "answer-lost" }

// Say implements maillog.Event.
func (e AnswerLost) Say() string {
	return "the message is kept, but the peer went away before it heard the 250 and may send it again: " + e.Error
}
