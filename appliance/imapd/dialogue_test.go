package imapd_test

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"hauspost/appliance/imapd"
)

// TestDialogues plays testdata/dialogues/*.txt over real sockets. In a file
//
//	# comment
//	! mail MAILBOX MESSAGE [FLAG ...]   puts a message of testdata/messages into a mailbox
//	! limits NAME=N ...                 (first) sets limits of the server
//	! connect N [tls]                   opens connection N and says nothing
//	! login N                           opens it and logs in, up to the tagged OK
//	! starttls N                        does the handshake on connection N
//	C: line      sends a line (C2: and S2*: are connection 2)
//	CQ: "a\r\n"  sends a Go string as it is
//	S: line      expects exactly this line; {{...}} is a regular expression
//	S*: line     passes over lines until this one comes
//	S!: line     passes over lines up to a tagged one, and this must not be among them
//	EOF:         expects that the server closes the connection
func TestDialogues(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/dialogues/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatal("no dialogues", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			t.Parallel()
			script, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			play(t, string(script))
		})
	}
}

type player struct {
	t     *testing.T
	box   *box
	conns map[string]*wireClient
	line  int
}

func play(t *testing.T, script string) {
	t.Helper()
	p := &player{t: t, conns: map[string]*wireClient{}}
	defer func() {
		for _, c := range p.conns {
			c.Close()
		}
	}()
	for i, line := range strings.Split(script, "\n") {
		p.line = i + 1
		if line == "" || line[0] == '#' {
			continue
		}
		if rest, found := strings.CutPrefix(line, "! "); found {
			p.direct(strings.Fields(rest))
			continue
		}
		p.start(nil)
		what, rest, found := strings.Cut(line, ":")
		if !found {
			t.Fatalf("line %d: what is %q?", p.line, line)
		}
		p.step(what, strings.TrimPrefix(rest, " "))
	}
}

var stepName = regexp.MustCompile(`^(CQ|C|S|EOF)(\d*)([*!]?)$`)

func (p *player) step(what, text string) {
	m := stepName.FindStringSubmatch(what)
	if m == nil {
		p.t.Fatalf("line %d: what is %q?", p.line, what)
	}
	c := p.conn(m[2])
	switch m[1] + m[3] {
	case "C":
		c.send(text + "\r\n")
	case "CQ":
		s, err := strconv.Unquote(text)
		if err != nil {
			p.t.Fatalf("line %d: %v", p.line, err)
		}
		c.send(s)
	case "S":
		if got := p.read(c); !p.matches(text, got) {
			p.t.Fatalf("line %d: the server says\n  %s\nand not\n  %s", p.line, got, text)
		}
	case "S*":
		for seen := ""; ; {
			got := p.read(c)
			if p.matches(text, got) {
				return
			}
			if seen += "\n  " + got; len(seen) > 1<<20 {
				p.t.Fatalf("line %d: never saw %s among%s", p.line, text, seen)
			}
			if tagged.MatchString(got) && tagged.MatchString(text) {
				p.t.Fatalf("line %d: never saw\n  %s\namong%s", p.line, text, seen)
			}
		}
	case "S!":
		for {
			got := p.read(c)
			if p.matches(text, got) {
				p.t.Fatalf("line %d: the server says what it must not: %s", p.line, got)
			}
			if tagged.MatchString(got) {
				return
			}
		}
	case "EOF":
		if got, err := c.line(); !errors.Is(err, io.EOF) && !strings.Contains(fmt.Sprint(err), "reset") {
			p.t.Fatalf("line %d: expected the end of the connection, got %q, %v", p.line, got, err)
		}
	}
}

var tagged = regexp.MustCompile(`^[a-z]+\d* (OK|NO|BAD)`)

func (p *player) read(c *wireClient) string {
	got, err := c.line()
	if err != nil {
		p.t.Fatalf("line %d: reading: %v (got %q)", p.line, err, got)
	}
	return got
}

// matches compares a line with a pattern, in which {{...}} is a regular
// expression.
func (p *player) matches(pattern, got string) bool {
	var re strings.Builder
	re.WriteString("^")
	for pattern != "" {
		plain, rest, found := strings.Cut(pattern, "{{")
		re.WriteString(regexp.QuoteMeta(plain))
		if !found {
			break
		}
		expr, after, closed := strings.Cut(rest, "}}")
		if !closed {
			p.t.Fatalf("line %d: {{ without }}", p.line)
		}
		re.WriteString("(?:" + expr + ")")
		pattern = after
	}
	re.WriteString("$")
	return regexp.MustCompile(re.String()).MatchString(got)
}

func (p *player) start(change func(o *imapd.Options)) {
	if p.box == nil {
		p.box = newBox(p.t, change)
	}
}

func (p *player) conn(name string) *wireClient {
	if name == "" {
		name = "1"
	}
	c := p.conns[name]
	if c == nil {
		c = dialWire(p.t, p.box.plain)
		p.conns[name] = c
		p.read(c)
	}
	return c
}

func (p *player) direct(words []string) {
	switch words[0] {
	case "limits":
		p.start(func(o *imapd.Options) { setLimits(p.t, o, words[1:]) })
		return
	}
	p.start(nil)
	switch words[0] {
	case "mail":
		p.box.deliver(p.t, words[1], testMessage(p.t, words[2]), words[3:]...)
	case "connect":
		p.conns[words[1]] = dialWire(p.t, p.box.plain)
	case "login":
		c := p.conn(words[1])
		c.send(fmt.Sprintf("login LOGIN %s %q\r\n", ann, password))
		for got := ""; !strings.HasPrefix(got, "login OK"); {
			if got = p.read(c); strings.HasPrefix(got, "login NO") {
				p.t.Fatalf("line %d: %s", p.line, got)
			}
		}
	case "starttls":
		p.conn(words[1]).startTLS(p.box)
	default:
		p.t.Fatalf("line %d: what is %q?", p.line, words)
	}
}

func setLimits(t *testing.T, o *imapd.Options, words []string) {
	for _, w := range words {
		name, text, _ := strings.Cut(w, "=")
		n, err := strconv.Atoi(text)
		if err != nil {
			t.Fatal(err)
		}
		switch name {
		case "MaxErrors":
			o.Limits.MaxErrors = n
		case "MaxLoginFailures":
			o.Limits.MaxLoginFailures = n
		case "MaxConnections":
			o.Limits.MaxConnections = n
		case "MaxPerAddress":
			o.Limits.MaxPerAddress = n
		case "MaxPerAccount":
			o.Limits.MaxPerAccount = n
		case "AppendLimit":
			o.Limits.AppendLimit = int64(n)
		case "MaxLine":
			o.Limits.MaxLine = n
		case "MaxMailboxes":
			o.Limits.MaxMailboxes = n
		case "LoginDelay":
			o.Limits.LoginDelay = time.Duration(n) * time.Millisecond
		case "Plaintext":
			o.PlaintextOnLoopback = n != 0
		default:
			t.Fatalf("no limit %s", name)
		}
	}
}

// wireClient is the client's end of a connection, by lines.
type wireClient struct {
	t testing.TB
	net.Conn
	r *bufio.Reader
}

func dialWire(t testing.TB, addr string) *wireClient {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	return &wireClient{t: t, Conn: conn, r: bufio.NewReader(conn)}
}

func (c *wireClient) send(s string) {
	c.SetWriteDeadline(time.Now().Add(20 * time.Second))
	if _, err := io.WriteString(c.Conn, s); err != nil {
		c.t.Logf("sending: %v", err)
	}
}

func (c *wireClient) line() (string, error) {
	c.SetReadDeadline(time.Now().Add(20 * time.Second))
	b, err := c.r.ReadBytes('\n')
	return string(bytes.TrimSuffix(b, []byte("\r\n"))), err
}

// command sends a line and gives all lines up to the tagged one.
func (c *wireClient) command(tag, text string) []string {
	c.t.Helper()
	c.send(tag + " " + text + "\r\n")
	return c.until(tag + " ")
}

// until gives the lines up to the one with that beginning.
func (c *wireClient) until(prefix string) []string {
	c.t.Helper()
	var lines []string
	for {
		got, err := c.line()
		if err != nil {
			c.t.Fatalf("waiting for %q: %v after %q", prefix, err, lines)
		}
		lines = append(lines, got)
		if strings.HasPrefix(got, prefix) {
			return lines
		}
	}
}

func (c *wireClient) startTLS(b *box) {
	t := tls.Client(c.Conn, &tls.Config{RootCAs: b.roots, ServerName: "localhost"})
	if err := t.Handshake(); err != nil {
		c.t.Fatal(err)
	}
	c.Conn, c.r = t, bufio.NewReader(t)
}

// login opens a connection and logs in.
func (b *box) login(t testing.TB) *wireClient {
	t.Helper()
	c := dialWire(t, b.plain)
	t.Cleanup(func() { c.Close() })
	c.until("* OK")
	lines := c.command("login", fmt.Sprintf("LOGIN %s %q", ann, password))
	if last := lines[len(lines)-1]; !strings.HasPrefix(last, "login OK") {
		t.Fatal(last)
	}
	return c
}
