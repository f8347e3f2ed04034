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

// own reads an address and tells whether it is one of the machine, which is to
// be completed: root, root@localhost, root@ the machine's own name.
func (c *completer) own(s string) (addr envelope.Address, own bool, err error) {
	addr, bare, err := splitAddress(s)
	if err != nil {
		return addr, false, errMalformed("an address is malformed")
	}
	own = bare || !slices.Contains(c.facts.Domains, addr.Domain) && isHere(addr, c.facts.Hostname, c.host)
	return addr, own, nil
}

// address completes an address, where it has to be.
func (c *completer) address(ctx context.Context, s string) (envelope.Address, error) {
	addr, own, err := c.own(s)
	if err != nil || !own {
		return addr, err
	}
	return c.complete(ctx, addr.Local, c.isUser)
}

// complete makes root@ the first domain of the box out of root. System mail must
// not get lost: where the box has nobody of that name and the machine has such a
// user (root, cron, www-data), it is postmaster's.
func (c *completer) complete(ctx context.Context, local string, isUser func(string) bool) (envelope.Address, error) {
	if len(c.facts.Domains) == 0 {
		return envelope.Address{}, errNoDomain
	}
	addr := envelope.Address{Local: local, Domain: c.facts.Domains[0]}
	_, err := c.dir.Resolve(ctx, addr)
	switch {
	case err == nil:
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded), reply.Of(err).Temporary():
		return addr, err
	case isUser(local):
		addr.Local = "postmaster"
	}
	return addr, nil
}

// sender gives the reverse-path. A user who named none is always told of errors,
// by postmaster where the box does not know him.
func (c *completer) sender(ctx context.Context, head *header) (envelope.Address, error) {
	switch {
	case head.Sender == nil:
		return c.user(ctx, head)
	case *head.Sender == "":
		return envelope.Address{}, nil
	}
	return c.address(ctx, *head.Sender)
}

// user gives the address of the user who sends. Not every name of a user can be
// one.
func (c *completer) user(ctx context.Context, head *header) (envelope.Address, error) {
	local := head.User
	if _, bare, err := splitAddress(local); err != nil || !bare {
		local = "postmaster"
	}
	return c.complete(ctx, local, func(string) bool { return true })
}

// author gives the From field of a message that has none: of its sender, or of
// the user if the sender is nobody.
func (c *completer) author(ctx context.Context, head *header) ([]byte, error) {
	addr, err := c.sender(ctx, head)
	if err == nil && addr.IsNull() {
		addr, err = c.user(ctx, head)
	}
	if err != nil {
		return nil, err
	}
	name := head.Full
	if name == "" && addr.Local != head.User && head.Sender == nil {
		name = head.User
	}
	return []byte("From: " + phrase(name) + "<" + addr.String() + ">\r\n"), nil
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

// header completes the header of a message: the addresses of the machine in its
// fields, as in the envelope, and a From where there is none. The header ends in
// an empty line.
func (c *completer) header(ctx context.Context, h []byte, head *header) (out []byte, err error) {
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
			if out, err = c.value(ctx, out, value); err != nil {
				return nil, err
			}
		default:
			out = append(out, field...)
		}
	}
	if !hasFrom {
		from, err := c.author(ctx, head)
		if err != nil {
			return nil, err
		}
		out = append(out, from...)
	}
	if !bytes.HasPrefix(h, []byte("\r\n")) {
		out = append(out, "\r\n"...)
	}
	return append(out, h...), nil
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

// value appends the value of an address field with the machine's addresses
// completed.
func (c *completer) value(ctx context.Context, out, value []byte) ([]byte, error) {
	at := 0
	for _, s := range spans(value) {
		addr, own, err := c.own(string(value[s.start:s.end]))
		if err != nil || !own {
			continue // somebody else's, or none
		}
		if addr, err = c.complete(ctx, addr.Local, c.isUser); err != nil {
			return nil, err
		}
		out = append(append(out, value[at:s.start]...), addr.String()...)
		at = s.end
	}
	return append(out, value[at:]...), nil
}

// span is where an address stands.
type span struct{ start, end int }

// spans finds what may be addresses in an address field (RFC 5322, section 3.4),
// without names, comments and groups. Of obsolete forms with white space within
// an address nothing is said.
func spans(v []byte) (found []span) {
	var s scan
	for s.i < len(v) {
		switch c := v[s.i]; {
		case c == '(':
			s.i, s.gap = skipComment(v, s.i), true
		case c == '<':
			if inner, ok := angle(v, s.i); ok {
				found = append(found, inner)
			}
			for s.i < len(v) && v[s.i] != '>' {
				s.i = next(v, s.i)
			}
			s.i, s.angle = min(s.i+1, len(v)), true
		case c == ',', c == ';':
			if s.whole() {
				found = append(found, s.span)
			}
			s = scan{i: s.i + 1}
		case c == ':': // the name of a group stood before it
			s = scan{i: s.i + 1}
		case isSpace(c):
			s.i, s.gap = s.i+1, true
		default:
			if s.words == 0 || s.gap {
				s.start, s.words = s.i, s.words+1
			}
			s.i = next(v, s.i)
			s.end, s.gap = s.i, false
		}
	}
	if s.whole() {
		found = append(found, s.span)
	}
	return found
}

// scan is the state of spans within one address.
type scan struct {
	span
	i, words   int
	angle, gap bool
}

// whole tells that what ended is one word without angle brackets.
func (s *scan) whole() bool { return s.words == 1 && !s.angle }

// angle gives the address between the angle brackets that open at i.
func angle(v []byte, i int) (inner span, ok bool) {
	words, gap := 0, true
	for i++; i < len(v) && v[i] != '>'; {
		switch c := v[i]; {
		case c == ':', c == '<', c == ',', c == '(':
			return inner, false
		case isSpace(c):
			i, gap = i+1, true
		default:
			if gap {
				inner.start, words = i, words+1
			}
			i, gap = next(v, i), false
			inner.end = i
		}
	}
	return inner, i < len(v) && words == 1
}

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
