package sendmail

import (
	"bytes"
	"context"
	"errors"
	"mime"
	"slices"
	"strings"

	"hauspost/appliance/envelope"
	"hauspost/appliance/reply"
)

// Directory says who lives in the box.
type Directory interface {
	// Resolve gives the people behind addr; its errors are *reply.Reply.
	Resolve(ctx context.Context, addr envelope.Address) ([]envelope.Target, error)
}

// completer makes addresses of the Internet out of names of the machine.
type completer struct {
	dir   Directory
	facts Facts
	// host is the name of the machine.
	host string
	// isUser tells whether the machine has a user of that name.
	isUser func(name string) bool
}

// errNoDomain: without a domain of its own the box cannot complete anything.
var errNoDomain = reply.New(450, "4.3.5", "no-domain", "The box has no domain yet")

// address completes an address of the envelope: root becomes root@ the first
// domain of the box. System mail must not get lost: where the box has nobody of
// that name and the machine has such a user (root, cron, www-data), postmaster
// gets it.
func (c *completer) address(ctx context.Context, s string) (envelope.Address, error) {
	addr, bare, err := splitAddress(s)
	if err != nil {
		return addr, errMalformed("an address is malformed")
	}
	if !bare && (slices.Contains(c.facts.Domains, addr.Domain) || !isHere(addr, c.facts.Hostname, c.host)) {
		return addr, nil
	}
	if len(c.facts.Domains) == 0 {
		return addr, errNoDomain
	}
	addr.Domain = c.facts.Domains[0]
	_, err = c.dir.Resolve(ctx, addr)
	switch {
	case err == nil:
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded), reply.Of(err).Temporary():
		return addr, err
	case c.isUser(addr.Local):
		addr.Local = "postmaster"
	}
	return addr, nil
}

// sender sets the reverse-path. A user who named none is always told of errors,
// by postmaster where the box does not know him.
func (c *completer) sender(ctx context.Context, s *Spooled, head *header) (err error) {
	if head.Sender == nil {
		own := *c
		own.isUser = func(string) bool { return true }
		s.Sender, err = own.address(ctx, userLocal(head.User))
	} else if *head.Sender != "" {
		s.Sender, err = c.address(ctx, *head.Sender)
	}
	return err
}

// userLocal gives a user name as a local part: not every name of a user can be
// one.
func userLocal(name string) string {
	if _, bare, err := splitAddress(name); err != nil || !bare {
		return "postmaster"
	}
	return name
}

// author gives the From field of a message that has none: of its sender, or of
// the user if the sender is nobody.
func (c *completer) author(head *header) []byte {
	from := userLocal(head.User)
	if head.Sender != nil && *head.Sender != "" {
		from = *head.Sender
	}
	addr, bare, err := splitAddress(from)
	if err == nil && bare && len(c.facts.Domains) > 0 {
		addr.Domain = c.facts.Domains[0]
	}
	return []byte("From: " + phrase(head.Full) + "<" + addr.String() + ">\r\n")
}

// phrase makes a name fit to stand before an address (RFC 5322, section 3.2.5;
// RFC 2047). What cannot be a name is left out.
func phrase(name string) string {
	name = strings.Join(strings.Fields(strings.ToValidUTF8(name, "?")), " ")
	name = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return -1
		}
		return r
	}, name)
	if len(name) > 100 || name == "" {
		return ""
	}
	if encoded := mime.QEncoding.Encode("utf-8", name); encoded != name {
		return strings.ReplaceAll(encoded, "?= =?", "?=\r\n =?") + " "
	}
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(name) + `" `
}

// header completes the header of a message: bare names in its address fields,
// and a From where there is none. The header ends in an empty line.
func (c *completer) header(h []byte, head *header) []byte {
	var out []byte
	hasFrom := false
	for len(h) > 0 {
		field := fieldOf(h)
		if !isField(trimEnd(field)) {
			break
		}
		h = h[len(field):]
		name, value, _ := bytes.Cut(field, []byte(":"))
		switch strings.ToLower(string(bytes.TrimRight(name, " \t"))) {
		case "from":
			hasFrom = true
			fallthrough
		case "sender", "reply-to", "to", "cc", "bcc", "resent-from", "resent-sender", "resent-to", "resent-cc", "resent-bcc":
			out = append(append(out, name...), ':')
			out = c.value(out, value)
		default:
			out = append(out, field...)
		}
	}
	if !hasFrom {
		out = append(out, c.author(head)...)
	}
	if !bytes.HasPrefix(h, []byte("\r\n")) {
		out = append(out, "\r\n"...)
	}
	return append(out, h...)
}

// fieldOf gives the first field of h with its folded lines.
func fieldOf(h []byte) []byte {
	end := 0
	for {
		i := bytes.IndexByte(h[end:], '\n')
		if i < 0 {
			return h
		}
		if end += i + 1; end == len(h) || h[end] != ' ' && h[end] != '\t' {
			return h[:end]
		}
	}
}

// value appends the value of an address field with its bare names completed.
func (c *completer) value(out, value []byte) []byte {
	if len(c.facts.Domains) == 0 {
		return append(out, value...)
	}
	at := 0
	for _, end := range bareNames(value) {
		out = append(append(append(out, value[at:end]...), '@'), c.facts.Domains[0]...)
		at = end
	}
	return append(out, value[at:]...)
}

// bareNames finds the addresses without a domain in an address field (RFC 5322,
// section 3.4) and gives the offset behind each. What is no address is passed
// over.
func bareNames(v []byte) (ends []int) {
	var s bareScan
	for s.i < len(v) {
		switch c := v[s.i]; c {
		case '(':
			s.i = skipComment(v, s.i)
			s.gap = true
		case '<':
			if end, bare := angle(v, s.i); bare {
				ends = append(ends, end)
			}
			for s.i < len(v) && v[s.i] != '>' {
				s.i = next(v, s.i)
			}
			s.i, s.angle = min(s.i+1, len(v)), true
		case ',', ';':
			if s.bare() {
				ends = append(ends, s.end)
			}
			s = bareScan{i: s.i + 1}
		case ':': // the name of a group stood before it
			s = bareScan{i: s.i + 1}
		case ' ', '\t', '\r', '\n':
			s.i, s.gap = s.i+1, true
		case '@', '.':
			s.at = s.at || c == '@'
			s.i, s.gap, s.joins = s.i+1, false, true
			s.end = s.i
		default:
			if s.words == 0 || s.gap && !s.joins {
				s.words++
			}
			s.i = next(v, s.i)
			s.end, s.gap, s.joins = s.i, false, false
			s.at = s.at || isSpace(v[s.end-1]) // a quote that is not closed
		}
	}
	if s.bare() {
		ends = append(ends, s.end)
	}
	return ends
}

// bareScan is the state of bareNames within one address.
type bareScan struct {
	i, end, words int
	at, angle     bool
	gap, joins    bool // white space, or a dot or "@", stands before
}

// bare tells that the address that ended has a name and no domain.
func (s *bareScan) bare() bool { return s.words == 1 && !s.at && !s.angle && !s.joins }

// next gives the offset behind the octet or quoted string at i: the end of v if
// the quote is not closed.
func next(v []byte, i int) int {
	if v[i] != '"' {
		return i + 1
	}
	for i++; i < len(v) && v[i] != '"'; i++ {
		if v[i] == '\\' {
			i++
		}
	}
	return min(i+1, len(v))
}

func isSpace(c byte) bool { return c == ' ' || c == '\t' || c == '\r' || c == '\n' }

func skipComment(v []byte, i int) int {
	depth := 0
	for ; i < len(v); i++ {
		switch v[i] {
		case '\\':
			i++
		case '(':
			depth++
		case ')':
			if depth--; depth == 0 {
				return i + 1
			}
		}
	}
	return len(v)
}

// angle looks at what stands between the angle brackets that open at i.
func angle(v []byte, i int) (end int, bare bool) {
	words, gap := 0, true
	for i++; i < len(v) && v[i] != '>'; {
		switch v[i] {
		case '@', ':', '<', ',', '(':
			return 0, false
		case ' ', '\t', '\r', '\n':
			i, gap = i+1, true
		default:
			if gap {
				words++
			}
			i, gap = next(v, i), false
			end = i
			if isSpace(v[end-1]) {
				return 0, false
			}
		}
	}
	return end, i < len(v) && words == 1
}
