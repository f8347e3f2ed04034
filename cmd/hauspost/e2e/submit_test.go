package e2e

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"net"
	"net/textproto"
	"os"
	"path/filepath"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"
)

// trusting gives TLS settings that trust the box's own certificate.
func (b *box) trusting() (*tls.Config, error) {
	data, err := os.ReadFile(filepath.Join(b.dir, "tls", "self-signed.pem"))
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(data)
	return &tls.Config{RootCAs: pool, ServerName: "mail." + domain}, nil
}

// submit connects a person who signs in, by STARTTLS at port 587.
func (b *box) submit(person string) (sender, error) {
	config, err := b.trusting()
	if err != nil {
		return nil, err
	}
	conn, err := net.DialTimeout("tcp", b.submission, patience)
	if err != nil {
		return nil, err
	}
	c, err := smtp.NewClientStartTLS(conn, config)
	if err != nil {
		conn.Close()
		return nil, err
	}
	c.CommandTimeout, c.SubmissionTimeout = patience, patience
	if err := c.Auth(sasl.NewPlainClient("", person+"@"+domain, b.passwords[person])); err != nil {
		c.Close()
		return nil, err
	}
	return byData{c, person + "@" + domain}, nil
}

// submitChunks connects a person who signs in, by TLS at port 465, and sends in
// chunks.
func (b *box) submitChunks(person string) (sender, error) {
	config, err := b.trusting()
	if err != nil {
		return nil, err
	}
	conn, err := tls.DialWithDialer(&net.Dialer{Timeout: patience}, "tcp", b.submissions, config)
	if err != nil {
		return nil, err
	}
	s := byBdat{textproto.NewConn(conn), conn, person + "@" + domain}
	if err := s.greet(); err != nil {
		conn.Close()
		return nil, err
	}
	response := base64.StdEncoding.EncodeToString([]byte("\x00" + s.from + "\x00" + b.passwords[person]))
	if err := s.ask(235, "AUTH PLAIN %s", response); err != nil {
		conn.Close()
		return nil, err
	}
	return s, nil
}

// mustSubmit has a person send one message.
func (b *box) mustSubmit(person string, content []byte, to ...string) {
	b.t.Helper()
	if err := b.submitOne(person, content, to...); err != nil {
		b.t.Fatalf("%s cannot send: %v", person, err)
	}
}

func (b *box) submitOne(person string, content []byte, to ...string) error {
	s, err := b.submit(person)
	if err != nil {
		return fmt.Errorf("connecting: %w", err)
	}
	defer s.close()
	return s.send(content, to)
}

// note makes a short message of a person's.
func note(person, id string, to ...string) []byte {
	head := ""
	for i, r := range to {
		if i == 0 {
			head = "To: <" + addressOf(r) + ">"
			continue
		}
		head += ",\r\n <" + addressOf(r) + ">"
	}
	return fmt.Appendf(nil, "%s%s\r\nFrom: <%s@%s>\r\n%s\r\nSubject: %s\r\nMessage-ID: <%s@%s>\r\n"+
		"Date: Sat, 21 Nov 2026 12:00:00 +0000\r\n\r\nThe text of %s.\r\n", marker, id, person, domain, head, id, id, domain, id)
}
