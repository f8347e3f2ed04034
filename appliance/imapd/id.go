package imapd

import (
	"log/slog"
	"strings"
	"unicode"
)

// maxClientName is how much is kept of what a client calls itself, in octets.
const maxClientName = 100

// runID is ID (RFC 2971). Name and version of the client go into the log, the
// status and the traces of messages of which it was told.
func runID(s *session, c *call) error {
	if err := c.Space(); err != nil {
		return err
	}
	fields := map[string]string{}
	if c.Peek() != '(' {
		if w, err := c.Word(); err != nil || w != "NIL" {
			return bad("Syntax: expected a list or NIL")
		}
	} else if err := c.List(func() error {
		key, err := c.String()
		if err != nil {
			return err
		}
		if err := c.Space(); err != nil {
			return err
		}
		value, _, err := c.NString()
		if err != nil {
			return err
		}
		if len(fields) >= 30 || len(key) > 30 || len(value) > 1024 {
			return bad("Syntax: too many or too long fields")
		}
		fields[strings.ToLower(key)] = value
		return nil
	}); err != nil {
		return err
	}
	if err := c.End(); err != nil {
		return err
	}
	if name := clientName(fields); name != "" {
		s.client = name
		s.show()
		s.log(slog.LevelDebug, "imap client", "client", name)
	}
	s.w.B = append(s.w.B, `* ID ("name" "Hauspost")`...)
	s.w.End()
	return nil
}

// clientName makes one printable line of name and version.
func clientName(fields map[string]string) string {
	name := strings.TrimSpace(fields["name"] + " " + fields["version"])
	name = strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return -1
		}
		return r
	}, name)
	for len(name) > maxClientName {
		r := []rune(name)
		name = string(r[:len(r)-1])
	}
	return name
}
