package imapd

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"hauspost/appliance/imapd/wire"
)

// Limits on mailbox names, in octets of UTF-8.
const (
	maxName      = 1000
	maxNameLevel = 255
)

// mailbox reads a mailbox name and gives it as the store has it.
func (s *session) mailbox(c *call) (string, error) {
	raw, err := c.AString()
	if err != nil {
		return "", err
	}
	return s.storeName(raw), nil
}

// storeName turns a name as the client spells it into the store's: UTF-8, NFC,
// INBOX in upper case. What is no name at all gives one that no mailbox has.
func (s *session) storeName(raw string) string {
	name := raw
	if !s.utf8Names() {
		var err error
		if name, err = wire.DecodeUTF7(raw); err != nil {
			return noName
		}
	}
	if !utf8.ValidString(name) {
		return noName
	}
	name = norm.NFC.String(name)
	if first, rest, _ := strings.Cut(name, "/"); strings.EqualFold(first, "INBOX") {
		name = "INBOX"
		if rest != "" {
			name += "/" + rest
		}
	}
	return name
}

// noName is what malformed names become: checkName refuses it, and no mailbox
// has it.
const noName = "\x00"

// checkName says why a mailbox cannot have that name, or nil.
func checkName(name string) error {
	cannot := func(why string) error { return no("CANNOT", "A mailbox cannot have this name: "+why) }
	switch {
	case name == noName:
		return cannot("it is malformed")
	case name == "":
		return cannot("it is empty")
	case len(name) > maxName:
		return cannot("it is too long")
	case strings.ContainsAny(name, "*%"):
		return cannot("it has a wildcard")
	case name[0] == '#':
		return cannot("names with # at the beginning are reserved")
	}
	for _, r := range name {
		if unicode.IsControl(r) || r == utf8.RuneError || r == '\u2028' || r == '\u2029' {
			return cannot("it has control characters")
		}
	}
	for level := range strings.SplitSeq(name, "/") {
		if strings.TrimSpace(level) == "" {
			return cannot("one of its levels is empty")
		}
		if len(level) > maxNameLevel {
			return cannot("it is too long")
		}
	}
	return nil
}
