// Package wire reads and writes the grammar of IMAP (RFC 9051, section 9, and
// RFC 3501, section 9) within hard limits: lines, literals, numbers, sets,
// flags, dates, mailbox names in UTF-8 and modified UTF-7, LIST patterns.
//
// It knows nothing of commands, mailboxes or sessions and must not import
// anything of ours.
package wire

import "fmt"

// SyntaxError says what is wrong with a command, in words fit for a BAD reply.
type SyntaxError struct{ Text string }

// Error gives the text.
func (e *SyntaxError) Error() string { return e.Text }

func syntax(format string, args ...any) error {
	return &SyntaxError{Text: fmt.Sprintf(format, args...)}
}
