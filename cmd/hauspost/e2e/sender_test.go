package e2e

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"net/textproto"
	"strings"
	"time"

	"github.com/emersion/go-smtp"
)

// sender hands letters over by SMTP, to people of the box by their local parts
// and to others by their addresses. An error that is a *refusal is an answer of
// the server; after any other error nobody knows. After an error the connection
// is of no more use.
type sender interface {
	send(content []byte, people []string) error
	close()
}

// refusal is an answer other than 2yz.
type refusal struct {
	code int
	text string
}

func (r *refusal) Error() string { return fmt.Sprintf("%d %s", r.code, r.text) }

// stranger is the reverse-path of letters from outside.
const stranger = "ledger@sender.test"

// addressOf completes the local part of a person of the box.
func addressOf(p string) string {
	if strings.Contains(p, "@") {
		return p
	}
	return p + "@" + domain
}

// byData sends with DATA, by the client of go-smtp.
type byData struct {
	c    *smtp.Client
	from string
}

func dialData(addr string) (sender, error) {
	conn, err := net.DialTimeout("tcp", addr, patience)
	if err != nil {
		return nil, err
	}
	c := smtp.NewClient(conn)
	c.CommandTimeout, c.SubmissionTimeout = patience, patience
	if err := c.Hello("client.sender.test"); err != nil {
		conn.Close()
		return nil, err
	}
	return byData{c, stranger}, nil
}

func (s byData) close() { s.c.Close() }

func (s byData) send(content []byte, people []string) error {
	err := s.transact(content, people)
	var answer *smtp.SMTPError
	if errors.As(err, &answer) {
		return &refusal{answer.Code, answer.Message}
	}
	return err
}

func (s byData) transact(content []byte, people []string) error {
	if err := s.c.Mail(s.from, &smtp.MailOptions{Body: smtp.Body8BitMIME, Size: int64(len(content))}); err != nil {
		return err
	}
	for _, p := range people {
		if err := s.c.Rcpt(addressOf(p), nil); err != nil {
			return err
		}
	}
	w, err := s.c.Data()
	if err != nil {
		return err
	}
	if _, err := w.Write(content); err != nil {
		return err
	}
	return w.Close()
}

// byBdat sends in chunks with BDAT, which go-smtp's client cannot, and
// pipelines the commands before them.
type byBdat struct {
	c    *textproto.Conn
	n    net.Conn
	from string
}

func dialBdat(addr string) (sender, error) {
	conn, err := net.DialTimeout("tcp", addr, patience)
	if err != nil {
		return nil, err
	}
	s := byBdat{textproto.NewConn(conn), conn, stranger}
	if err := s.greet(); err != nil {
		conn.Close()
		return nil, err
	}
	return s, nil
}

func (s byBdat) greet() error {
	if err := s.answer(220); err != nil {
		return err
	}
	return s.ask(250, "EHLO client.sender.test")
}

func (s byBdat) close() { s.c.Close() }

func (s byBdat) ask(want int, format string, args ...any) error {
	if err := s.c.PrintfLine(format, args...); err != nil {
		return err
	}
	return s.answer(want)
}

func (s byBdat) answer(want int) error {
	_, _, err := s.c.ReadResponse(want)
	var answer *textproto.Error
	if errors.As(err, &answer) {
		return &refusal{answer.Code, answer.Msg}
	}
	return err
}

func (s byBdat) send(content []byte, people []string) error {
	if err := s.n.SetDeadline(time.Now().Add(patience)); err != nil {
		return err
	}
	var pipe strings.Builder
	fmt.Fprintf(&pipe, "MAIL FROM:<%s> BODY=8BITMIME SIZE=%d\r\n", s.from, len(content))
	for _, p := range people {
		fmt.Fprintf(&pipe, "RCPT TO:<%s>\r\n", addressOf(p))
	}
	if _, err := s.n.Write([]byte(pipe.String())); err != nil {
		return err
	}
	var refused error
	for range 1 + len(people) {
		if err := s.answer(250); err != nil {
			var r *refusal
			if !errors.As(err, &r) {
				return err
			}
			refused = errors.Join(refused, err)
		}
	}
	if refused != nil {
		return refused
	}
	const chunk = 100 << 10
	for {
		n, last := min(chunk, len(content)), ""
		if n == len(content) {
			last = " LAST"
		}
		if _, err := s.n.Write(append(fmt.Appendf(nil, "BDAT %d%s\r\n", n, last), content[:n]...)); err != nil {
			return err
		}
		if err := s.answer(250); err != nil {
			return err
		}
		if content = content[n:]; last != "" {
			return nil
		}
	}
}

// sendOne sends one letter over a connection of its own.
func sendOne(addr string, content []byte, people ...string) error {
	s, err := dialData(addr)
	if err != nil {
		return err
	}
	defer s.close()
	return s.send(content, people)
}

// plain makes a message of one line with a subject.
func plain(id, subject, line string) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s%s\r\nFrom: Anna <anna@sender.test>\r\nTo: Bob <bob@%s>\r\nSubject: %s\r\n"+
		"Message-ID: <%s@sender.test>\r\nDate: Sat, 21 Nov 2026 12:00:00 +0000\r\n\r\n%s\r\n", marker, id, domain, subject, id, line)
	return b.Bytes()
}
