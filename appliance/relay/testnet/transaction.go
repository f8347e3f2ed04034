package testnet

import (
	"bytes"
	"errors"
	"io"
	"strconv"
	"strings"
)

// alone notes where commands come together that must not: without PIPELINING,
// or behind one that must be the last of its group (RFC 2920, section 3.1).
func (s *session) alone(verb string, last bool) {
	if s.r.Buffered() > 0 && (last || !s.offered["PIPELINING"]) {
		s.h.violate("something was sent together with %s", verb)
	}
}

// path splits "FROM:<a@b> X=Y" into address and parameters.
func path(arg, prefix string) (address, params string, ok bool) {
	if len(arg) < len(prefix) || !strings.EqualFold(arg[:len(prefix)], prefix) {
		return "", "", false
	}
	rest, ok := strings.CutPrefix(arg[len(prefix):], "<")
	if !ok {
		return "", "", false
	}
	i := strings.LastIndexByte(rest, '>')
	if i < 0 {
		return "", "", false
	}
	return rest[:i], strings.TrimPrefix(rest[i+1:], " "), true
}

// checkParams notes parameters that were not offered.
func (s *session) checkParams(verb, address, params string) {
	needs := map[string]string{
		"SIZE": "SIZE", "BODY": "8BITMIME", "SMTPUTF8": "SMTPUTF8", "REQUIRETLS": "REQUIRETLS",
		"RET": "DSN", "ENVID": "DSN", "NOTIFY": "DSN", "ORCPT": "DSN",
	}
	utf8 := s.mail != nil && strings.Contains(s.mail.FromParams, "SMTPUTF8")
	for _, p := range strings.Fields(params) {
		name, _, _ := strings.Cut(p, "=")
		utf8 = utf8 || name == "SMTPUTF8"
		if need := needs[name]; need == "" || !s.offered[need] {
			s.h.violate("%s with %s, which was not offered", verb, p)
		}
	}
	if !utf8 && strings.ContainsFunc(address+params, func(r rune) bool { return r >= 0x80 }) {
		s.h.violate("%s with 8-bit characters and without SMTPUTF8: %q", verb, address)
	}
}

func (s *session) mailFrom(arg string) error {
	s.alone("MAIL", false)
	address, params, ok := path(arg, "FROM:")
	switch {
	case !ok:
		s.h.violate("MAIL cannot be read: %q", arg)
		return s.say("501 5.5.4 syntax")
	case s.helo == "":
		s.h.violate("MAIL before EHLO")
	case s.mail != nil:
		s.h.violate("MAIL in a transaction")
	}
	s.checkParams("MAIL", address, params)
	if len(s.h.behaviour().Users) > 0 && s.user == "" {
		return s.say("530 5.7.0 Authentication required")
	}
	ok, err := s.answer("MAIL", "250 2.1.0 sender ok")
	if ok {
		s.mail = &Message{Connection: s.number, HELO: s.helo, From: address, FromParams: params,
			TLS: s.tlsVersion, ServerName: s.serverName, User: s.user}
	}
	return err
}

func (s *session) rcptTo(arg string) error {
	s.alone("RCPT", false)
	address, params, ok := path(arg, "TO:")
	if !ok {
		s.h.violate("RCPT cannot be read: %q", arg)
		return s.say("501 5.5.4 syntax")
	}
	if s.mail == nil {
		return s.say("503 5.5.1 MAIL first")
	}
	s.checkParams("RCPT", address, params)
	b := s.h.behaviour()
	if reply := b.Recipients[address]; reply != "" {
		if err := s.say(reply); err != nil || strings.HasPrefix(reply, "421") {
			_ = s.w.Flush()
			return errors.Join(err, errGone)
		}
		if reply[0] != '2' {
			return nil
		}
		s.mail.To = append(s.mail.To, Rcpt{address, params})
		return nil
	}
	if b.RecipientLimit > 0 && len(s.mail.To) >= b.RecipientLimit {
		return s.say("452 4.5.3 Too many recipients")
	}
	if b.Greylist && s.h.firstTime(s.mail.From+" "+address) {
		return s.say("450 4.2.0 <" + address + ">: Recipient address rejected: Greylisted, see postgrey help")
	}
	ok, err := s.answer("RCPT", "250 2.1.5 recipient ok")
	if ok {
		s.mail.To = append(s.mail.To, Rcpt{address, params})
	}
	return err
}

func (s *session) data() error {
	s.alone("DATA", true)
	switch {
	case s.mail == nil:
		return s.say("503 5.5.1 MAIL first")
	case len(s.mail.To) == 0 && s.h.behaviour().Steps["DATA"].Reply == "":
		return s.say("554 5.5.1 no valid recipients")
	}
	ok, err := s.answer("DATA", "354 go ahead")
	if err != nil || !ok {
		return err
	}
	if err := s.w.Flush(); err != nil {
		return err
	}
	content, err := s.readContent()
	if err != nil {
		return err
	}
	s.log.add("C:", "("+strconv.Itoa(len(content))+" octets)")
	if len(s.mail.To) == 0 {
		s.mail = nil
		return s.say("554 5.5.1 no valid recipients")
	}
	s.mail.Content = string(content)
	return s.finish()
}

// readContent reads to the final dot and undoes the dots.
func (s *session) readContent() ([]byte, error) {
	var b bytes.Buffer
	drop := s.h.behaviour().DropAfter
	for {
		line, err := s.r.ReadBytes('\n')
		if err != nil {
			s.log.add("--", "the client breaks off in the content")
			return nil, err
		}
		if !bytes.HasSuffix(line, []byte("\r\n")) || bytes.Count(line, []byte("\r")) != 1 {
			s.h.violate("content with a bare CR or LF: %q", line[:min(len(line), 80)])
		}
		if string(line) == ".\r\n" {
			return b.Bytes(), nil
		}
		b.Write(bytes.TrimPrefix(line, []byte(".")))
		if drop > 0 && b.Len() >= drop {
			s.log.add("--", "the server breaks off in the content")
			return nil, errGone
		}
	}
}

func (s *session) bdat(arg string) error {
	size, last, _ := strings.Cut(arg, " ")
	n, err := strconv.ParseInt(size, 10, 64)
	if err != nil || n < 0 || n > 1<<30 || last != "" && last != "LAST" {
		s.h.violate("BDAT cannot be read: %q", arg)
		return errGone
	}
	if !s.offered["CHUNKING"] {
		s.h.violate("BDAT without an offer")
	}
	if drop := int64(s.h.behaviour().DropAfter); drop > 0 && n > drop {
		n = drop
		_, _ = io.CopyN(io.Discard, s.r, n)
		s.log.add("--", "the server breaks off in the content")
		return errGone
	}
	chunk := make([]byte, n)
	if _, err := io.ReadFull(s.r, chunk); err != nil {
		s.log.add("--", "the client breaks off in the content")
		return err
	}
	s.log.add("C:", "("+size+" octets)")
	s.alone("BDAT", true)
	if s.mail == nil || len(s.mail.To) == 0 {
		return s.say("503 5.5.1 no valid recipients")
	}
	s.body = append(s.body, chunk...)
	if last == "" {
		_, err := s.answer("BDAT", "250 2.0.0 chunk ok")
		return err
	}
	s.mail.Content, s.mail.BDAT = string(s.body), true
	return s.finish()
}

// finish answers a whole message and keeps it where the answer says so. It is
// kept before the answer goes out.
func (s *session) finish() error {
	m := *s.mail
	s.mail, s.body = nil, nil
	b := s.h.behaviour()
	if int64(len(m.Content)) > maxSize(b) {
		return s.say("552 5.3.4 too large")
	}
	st := b.Steps["content"]
	if st.Keep && (st.Drop || st.Silent) {
		s.h.keep(m)
	}
	ok, err := s.answer("content", "250 2.0.0 taken")
	if ok {
		s.h.keep(m)
	}
	return err
}
