package esmtp

import "fmt"

// Withdrawn is an event of a message's life (see maillog.Event): the peer ended
// the transaction before any content, by RSET, EHLO, STARTTLS or QUIT.
type Withdrawn struct {
	After string `json:"after"`
}

// Step names the event.
func (Withdrawn) Step() string { return "withdrawn" }

// Say puts it into a sentence.
func (e Withdrawn) Say() string {
	return fmt.Sprintf("the peer took it back after %s; nothing was kept", e.After)
}

// AnswerLost is an event of a message's life (see maillog.Event): the message
// is kept, but the 250 could not be written. The peer will send it again.
type AnswerLost struct {
	Error string `json:"error"`
}

// Step names the event.
func (AnswerLost) Step() string { return "answer-lost" }

// Say puts it into a sentence.
func (e AnswerLost) Say() string {
	return "the message is kept, but the peer went away before it heard the 250 and may send it again: " + e.Error
}
