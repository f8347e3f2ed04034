package e2e

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// memoryBound is what 1,000 idle and hostile connections may make of a box.
const memoryBound = 200 << 20

// hostile is one kind of connection that takes and gives nothing: what is said
// on it, of which the last part is held there for as long as the peer likes.
type hostile struct {
	name  string
	count int
	// to is smtp, submission, submissions, imap or imaps.
	to string
	// say is written line by line, each after an answer that begins with the
	// line's expect; then hold is written.
	say  []exchange
	hold []byte
	// tls makes a handshake first.
	tls bool
}

type exchange struct{ expect, say string }

func hostiles(b *box) []hostile {
	login := fmt.Sprintf("a LOGIN bert@%s %q\r\n", domain, b.passwords["bert"])
	greeted, ehlo := exchange{"220 ", "EHLO x.sender.test\r\n"}, []exchange{{"220 ", "EHLO x.sender.test\r\n"}}
	mail := append(ehlo[:1:1], exchange{"250 ", "MAIL FROM:<a@sender.test>\r\n"}, exchange{"250 ", "RCPT TO:<anna@" + domain + ">\r\n"})
	plain := base64.StdEncoding.EncodeToString([]byte("\x00bert@" + domain + "\x00" + b.passwords["bert"]))
	submit := []exchange{greeted, {"250 ", "AUTH PLAIN " + plain + "\r\n"}, {"235 ", "MAIL FROM:<bert@" + domain + ">\r\n"},
		{"250 ", "RCPT TO:<anna@" + domain + ">\r\n"}, {"250 ", "DATA\r\n"}, {"354 ", ""}}
	half := strings.Repeat("0123456789abcdef0123456789abcdef0123456789abcdef\r\n", 8000) // 400 KB
	return []hostile{
		{name: "SMTP, silent", count: 100, to: "smtp"},
		{name: "SMTP, half a command", count: 100, to: "smtp", say: []exchange{greeted, {"250 ", "MAIL FROM:<half"}}},
		{name: "SMTP, a line without end", count: 50, to: "smtp", say: []exchange{{"220 ", ""}}, hold: bytes.Repeat([]byte("x"), 60<<10)},
		{name: "SMTP, STARTTLS without handshake", count: 50, to: "smtp", say: append(ehlo[:1:1], exchange{"250 ", "STARTTLS\r\n"}, exchange{"220 ", ""})},
		{name: "SMTP, half a message by DATA", count: 60, to: "smtp", say: append(mail[:3:3], exchange{"250 ", "DATA\r\n"}, exchange{"354 ", ""}), hold: []byte("Subject: x\r\n\r\n" + half)},
		{name: "SMTP, half a chunk by BDAT", count: 60, to: "smtp", say: append(mail[:3:3], exchange{"250 ", "BDAT 40000000\r\n"}), hold: []byte("Subject: x\r\n\r\n" + half)},
		{name: "submission, silent", count: 60, to: "submission"},
		{name: "submission, STARTTLS without handshake", count: 40, to: "submission", say: append(ehlo[:1:1], exchange{"250 ", "STARTTLS\r\n"}, exchange{"220 ", ""})},
		{name: "submission by TLS, half a handshake", count: 40, to: "submissions", hold: []byte{22, 3, 1, 2, 0, 1, 0, 1, 252, 3, 3}},
		{name: "submission by TLS, half a header", count: 30, to: "submissions", tls: true, say: submit, hold: bytes.Repeat([]byte("X-Long: field\r\n"), 16_000)},
		{name: "submission by TLS, half a message", count: 30, to: "submissions", tls: true, say: submit, hold: []byte("Subject: x\r\n\r\n" + half)},
		{name: "IMAP, silent", count: 150, to: "imap"},
		{name: "IMAP, a literal before login", count: 100, to: "imap", say: []exchange{{"* OK", "a LOGIN {4000}\r\n"}, {"", strings.Repeat("x", 3999)}}},
		{name: "IMAP, a non-synchronizing literal before login", count: 50, to: "imap", say: []exchange{{"* OK", "a LOGIN {4000+}\r\n"}}, hold: bytes.Repeat([]byte("x"), 3999)},
		{name: "IMAP, a line without end", count: 50, to: "imap", say: []exchange{{"* OK", ""}}, hold: bytes.Repeat([]byte("("), 7<<10)},
		{name: "IMAP, STARTTLS without handshake", count: 50, to: "imap", say: []exchange{{"* OK", "a STARTTLS\r\n"}, {"a OK", ""}}},
		{name: "IMAP, half a message by APPEND", count: 20, to: "imap", say: []exchange{{"* OK", login}, {"a OK", "b APPEND INBOX {40000000+}\r\n"}}, hold: []byte("Subject: x\r\n\r\n" + half)},
		{name: "IMAP, IDLE", count: 30, to: "imap", say: []exchange{{"* OK", login}, {"a OK", "b SELECT INBOX\r\n"}, {"b OK", "c IDLE\r\n"}, {"+ ", ""}}},
		{name: "IMAP, wrong passwords", count: 30, to: "imap", say: []exchange{{"* OK", "a LOGIN anna@" + domain + " guess\r\n"}}},
		{name: "IMAPS, silent", count: 75, to: "imaps"},
		{name: "IMAPS, half a handshake", count: 75, to: "imaps", hold: []byte{22, 3, 1, 2, 0, 1, 0, 1, 252, 3, 3}},
		{name: "IMAPS, encrypted and silent", count: 75, to: "imaps", tls: true},
	}
}

// open makes the connection and says what there is to say.
func (h hostile) open(b *box) (net.Conn, error) {
	addr := map[string]string{"smtp": b.smtp, "submission": b.submission, "submissions": b.submissions, "imap": b.imap, "imaps": b.imaps}[h.to]
	conn, err := net.DialTimeout("tcp", addr, patience)
	if err != nil {
		return nil, err
	}
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		return conn, err
	}
	if h.tls {
		// What is looked at is memory; the certificate is for the clients.
		c := tls.Client(conn, &tls.Config{InsecureSkipVerify: true})
		conn = c
		if err := c.Handshake(); err != nil {
			return conn, err
		}
	}
	r := bufio.NewReader(conn)
	for _, x := range h.say {
		for line := "\x00"; !strings.HasPrefix(line, x.expect); {
			if line, err = r.ReadString('\n'); err != nil {
				return conn, fmt.Errorf("waiting for %q: %w", x.expect, err)
			}
		}
		if _, err := conn.Write([]byte(x.say)); err != nil {
			return conn, err
		}
	}
	_, err = conn.Write(h.hold)
	return conn, err
}

// TestMemoryIsBounded opens more than 1,000 connections that do all that a box
// could be made to hold memory by, and holds that it stays below its bound and
// serves a real client meanwhile.
func TestMemoryIsBounded(t *testing.T) {
	t.Parallel()
	b := newBox(t, map[string]string{
		"smtp.max_connections": "1000", "imap.max_connections": "2000", "imap.max_connections_per_address": "2000",
		"imap.max_connections_per_account": "200", "imap.login_timeout": `"1h"`, "imap.handshake_timeout": `"10m"`,
		"smtp.handshake_timeout": `"10m"`, "submission.handshake_timeout": `"10m"`,
		"submission.max_connections": "500", "submission.max_connections_per_address": "500", "submission.connection_rate": "10000",
	}, "anna", "bert", "carla")
	b.start()
	open := flood(b)
	if t.Failed() {
		t.FailNow()
	}
	s := b.status()
	held := s.SMTP["connections"] + s.Submission["connections"] + s.IMAP["connections"]
	t.Logf("%d connections opened, %d held by the box", open, held)
	if held < 1000 {
		t.Errorf("the box holds %d connections: too few to prove anything", held)
	}
	m, content := compose("real", 20<<10, chance("memory"))
	l := newLoad(b, 0, []string{"carla"})
	if err := sendOne(b.smtp, content, "carla"); err != nil {
		t.Errorf("a real client cannot send: %v", err)
	}
	l.ledger.sending(m, "INBOX", "carla")
	l.ledger.answered(m, true, "carla")
	mail, err := b.read("carla")
	if err != nil {
		t.Errorf("a real client cannot read: %v", err)
	}
	for _, fault := range l.ledger.audit("carla", mail) {
		t.Error(fault)
	}
	peak := memory(t, b, "VmHWM")
	t.Logf("memory: %d MiB now, %d MiB at its peak", memory(t, b, "VmRSS")>>20, peak>>20)
	if peak > memoryBound {
		t.Errorf("the box took %d MiB, want at most %d", peak>>20, memoryBound>>20)
	}
}

// flood opens all hostile connections and keeps them until the test ends.
func flood(b *box) int {
	b.t.Helper()
	var mu sync.Mutex
	var all sync.WaitGroup
	open, gate := 0, make(chan struct{}, 32)
	for _, h := range hostiles(b) {
		for range h.count {
			all.Go(func() {
				gate <- struct{}{}
				defer func() { <-gate }()
				conn, err := h.open(b)
				mu.Lock()
				defer mu.Unlock()
				if conn != nil {
					b.t.Cleanup(func() { conn.Close() })
				}
				if err != nil {
					b.t.Errorf("%s: %v", h.name, err)
				}
				open++
			})
		}
	}
	all.Wait()
	return open
}

// status is what the tests look at of `status --json`.
type status struct {
	SMTP, Submission, IMAP map[string]int
	TLS                    struct{ Fingerprint string }
}

func (b *box) status() (s status) {
	b.t.Helper()
	if err := json.Unmarshal([]byte(b.must("status", "--json")), &s); err != nil {
		b.t.Fatal(err)
	}
	return s
}

// memory reads one of the kernel's figures for the server, in octets.
func memory(t testing.TB, b *box, name string) int {
	t.Helper()
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", b.cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	m := regexp.MustCompile(name + `:\s+(\d+) kB`).FindSubmatch(data)
	if m == nil {
		t.Fatalf("no %s in %s", name, data)
	}
	kb, err := strconv.Atoi(string(m[1]))
	if err != nil {
		t.Fatal(err)
	}
	return kb << 10
}
