package e2e

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
)

// rawIMAP speaks IMAP line by line, to see exactly what the server says.
type rawIMAP struct {
	t    testing.TB
	conn net.Conn
	r    *bufio.Reader
	n    int
}

// raw signs a person in.
func (b *box) raw(person string) *rawIMAP {
	b.t.Helper()
	conn, err := net.DialTimeout("tcp", b.imap, patience)
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() { conn.Close() })
	c := &rawIMAP{t: b.t, conn: conn, r: bufio.NewReader(conn)}
	if line := c.line(); !strings.HasPrefix(line, "* OK ") {
		b.t.Fatalf("greeting: %q", line)
	}
	c.do("LOGIN %s@%s %q", person, domain, b.passwords[person])
	return c
}

var literalEnd = regexp.MustCompile(`\{(\d+)\}\r\n$`)

// line reads one line with the literals in it.
func (c *rawIMAP) line() string {
	c.t.Helper()
	if err := c.conn.SetDeadline(time.Now().Add(patience)); err != nil {
		c.t.Fatal(err)
	}
	var all strings.Builder
	for {
		s, err := c.r.ReadString('\n')
		all.WriteString(s)
		if err != nil {
			c.t.Fatalf("reading from the server: %v after %q", err, all.String())
		}
		m := literalEnd.FindStringSubmatch(s)
		if m == nil {
			return all.String()
		}
		n, err := strconv.Atoi(m[1])
		if err != nil {
			c.t.Fatal(err)
		}
		if _, err := io.CopyN(&all, c.r, int64(n)); err != nil {
			c.t.Fatal(err)
		}
	}
}

// do runs a command that has to succeed and returns the untagged lines.
func (c *rawIMAP) do(format string, args ...any) string {
	c.t.Helper()
	c.n++
	tag := fmt.Sprintf("t%d ", c.n)
	command := fmt.Sprintf(format, args...)
	if _, err := io.WriteString(c.conn, tag+command+"\r\n"); err != nil {
		c.t.Fatal(err)
	}
	var all strings.Builder
	for {
		line := c.line()
		if rest, ok := strings.CutPrefix(line, tag); ok {
			if !strings.HasPrefix(rest, "OK") {
				c.t.Fatalf("%s: %s", command, rest)
			}
			return all.String()
		}
		all.WriteString(line)
	}
}
