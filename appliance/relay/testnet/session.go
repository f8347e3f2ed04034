package testnet

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strconv"
	"strings"
)

// session is one connection.
type session struct {
	h      *Host
	ctx    context.Context
	conn   net.Conn
	number int
	log    *dialogue

	r *bufio.Reader
	w *bufio.Writer

	helo       string
	tlsVersion uint16
	serverName string
	user       string
	offered    map[string]bool // keywords of the last EHLO

	// The transaction.
	mail *Message
	body []byte // BDAT so far
}

var errGone = errors.New("the connection is over")

func (s *session) serve() {
	raw := s.conn
	defer func() {
		s.conn.Close()
		s.h.mu.Lock()
		delete(s.h.open, raw)
		s.h.mu.Unlock()
	}()
	s.reset()
	_ = s.talk() // how it ended stands in the dialogue
}

func (s *session) reset() {
	s.r, s.w = bufio.NewReaderSize(s.conn, 64<<10), bufio.NewWriterSize(s.conn, 4<<10)
}

func (s *session) talk() error {
	b := s.h.behaviour()
	if b.Implicit {
		if err := s.encrypt(); err != nil {
			return err
		}
	}
	if _, err := s.answer("connect", "220 "+s.h.name+" ESMTP"); err != nil {
		return err
	}
	for {
		line, err := s.readLine()
		if err != nil {
			return err
		}
		if err := s.command(line); err != nil {
			return err
		}
	}
}

// readLine reads a command. Answers go out when there is nothing left to read.
func (s *session) readLine() (string, error) {
	if s.r.Buffered() == 0 {
		if err := s.w.Flush(); err != nil {
			return "", err
		}
	}
	line, err := s.r.ReadString('\n')
	if err != nil {
		return "", err
	}
	if !strings.HasSuffix(line, "\r\n") {
		s.h.violate("a line ends without CR: %q", line)
	}
	if len(line) > 4096 {
		s.h.violate("a line of %d octets", len(line))
	}
	line = strings.TrimRight(line, "\r\n")
	s.log.add("C:", line)
	return line, nil
}

// answer gives the answer to a verb, or does what the host was told to do in
// its place. carry tells whether the command is carried out.
func (s *session) answer(verb, usual string) (carry bool, err error) {
	st := s.h.step(verb)
	if st.Before != nil {
		_ = s.w.Flush() // a fault shows at the next write
		st.Before(s.ctx)
	}
	reply := usual
	if st.Reply != "" {
		reply = st.Reply
	}
	switch {
	case st.Drop:
		s.log.add("--", "the server breaks off")
		_ = s.w.Flush()
		return false, errGone
	case st.Silent:
		s.log.add("--", "the server is silent")
		_ = s.w.Flush()
		_, _ = io.Copy(io.Discard, s.conn) // until the client or the host ends it
		return false, errGone
	case st.Write != nil:
		s.log.add("--", "the server says something else")
		st.Write(s.w)
		return false, s.w.Flush()
	}
	s.log.add("S:", reply)
	if !strings.HasSuffix(reply, "\n") {
		reply += "\r\n"
	}
	if _, err := s.w.WriteString(reply); err != nil {
		return false, err
	}
	if strings.HasPrefix(reply, "421") {
		_ = s.w.Flush()
		return false, errGone
	}
	return reply[0] == '2' || reply[0] == '3', nil
}

// say answers without being told otherwise.
func (s *session) say(reply string) error {
	s.log.add("S:", reply)
	_, err := s.w.WriteString(reply + "\r\n")
	return err
}

func (s *session) command(line string) error {
	verb, arg, _ := strings.Cut(line, " ")
	switch verb = strings.ToUpper(verb); verb {
	case "EHLO", "HELO":
		return s.hello(verb, arg)
	case "STARTTLS":
		return s.startTLS()
	case "AUTH":
		return s.auth(arg)
	case "MAIL":
		return s.mailFrom(arg)
	case "RCPT":
		return s.rcptTo(arg)
	case "DATA":
		return s.data()
	case "BDAT":
		return s.bdat(arg)
	case "RSET":
		if ok, err := s.answer(verb, "250 2.0.0 reset"); err != nil || !ok {
			return err
		}
		s.mail, s.body = nil, nil
		return nil
	case "QUIT":
		if _, err := s.answer(verb, "221 2.0.0 bye"); err != nil {
			return err
		}
		_ = s.w.Flush()
		return errGone
	}
	s.h.violate("an unknown command: %q", line)
	return s.say("500 5.5.1 what?")
}

func (s *session) hello(verb, arg string) error {
	lines := []string{s.h.name + " at your service"}
	if verb == "EHLO" {
		lines = append(lines, s.extensions()...)
	}
	var b strings.Builder
	for i, l := range lines {
		sep := "-"
		if i == len(lines)-1 {
			sep = " "
		}
		fmt.Fprintf(&b, "250%s%s\r\n", sep, l)
	}
	ok, err := s.answer(verb, b.String())
	if ok {
		s.helo, s.mail = arg, nil
		s.offered = map[string]bool{}
		if verb == "EHLO" {
			for _, l := range lines[1:] {
				word, _, _ := strings.Cut(l, " ")
				s.offered[word] = true
			}
		}
	}
	return err
}

func (s *session) extensions() []string {
	b := s.h.behaviour()
	list := []string{"PIPELINING", "SIZE " + strconv.FormatInt(maxSize(b), 10), "8BITMIME", "SMTPUTF8", "ENHANCEDSTATUSCODES"}
	if s.tlsVersion == 0 {
		list = append(list, "STARTTLS")
	} else if len(b.Users) > 0 {
		list = append(list, "AUTH "+strings.Join(mechanisms(b), " "))
	}
	for _, e := range b.With {
		if e != "REQUIRETLS" || s.tlsVersion != 0 {
			list = append(list, e)
		}
	}
	return slices.DeleteFunc(list, func(e string) bool {
		word, _, _ := strings.Cut(e, " ")
		return slices.Contains(b.Without, word)
	})
}

func maxSize(b Behaviour) int64 {
	if b.MaxSize > 0 {
		return b.MaxSize
	}
	return 50_000_000
}

func mechanisms(b Behaviour) []string {
	if b.Mechanisms != nil {
		return b.Mechanisms
	}
	return []string{"PLAIN", "LOGIN"}
}

func (s *session) startTLS() error {
	if !s.offered["STARTTLS"] {
		s.h.violate("STARTTLS without an offer")
	}
	if s.r.Buffered() > 0 {
		s.h.violate("something was sent together with STARTTLS")
	}
	ok, err := s.answer("STARTTLS", "220 2.0.0 go ahead")
	if err != nil || !ok {
		return err
	}
	if err := s.w.Flush(); err != nil {
		return err
	}
	if s.h.behaviour().BadHandshake {
		s.log.add("--", "text in place of a handshake")
		if _, err := s.r.ReadByte(); err != nil {
			return err
		}
		if _, err := io.WriteString(s.conn, "454 4.7.0 not today\r\n"); err != nil {
			return err
		}
		_, _ = io.Copy(io.Discard, s.conn)
		return errGone
	}
	return s.encrypt()
}

func (s *session) encrypt() error {
	cert, err := s.h.certificate()
	if err != nil {
		return err
	}
	tc := tls.Server(s.conn, &tls.Config{
		Certificates: []tls.Certificate{*cert}, MinVersion: tls.VersionTLS10, MaxVersion: s.h.behaviour().MaxTLS,
	})
	if err := tc.HandshakeContext(s.ctx); err != nil {
		s.log.add("--", "the handshake failed")
		return errGone
	}
	s.log.add("--", "encrypted")
	cs := tc.ConnectionState()
	s.conn, s.tlsVersion, s.serverName = tc, cs.Version, cs.ServerName
	s.helo, s.mail, s.offered = "", nil, nil
	s.reset()
	return nil
}
