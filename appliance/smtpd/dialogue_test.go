package smtpd

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"hauspost/appliance/reply"
)

// TestDialogues runs testdata/*.txt over real sockets. A file holds several
// dialogues, each with a server of its own:
//
//	== name key=value ...   begins one; the keys are in options below
//	C: text                 the client sends text and CR LF
//	R: text                 the client sends text alone
//	S: pattern              the server sends a line; a regular expression for
//	                        the whole line, without CR LF
//	TLS                     both sides start TLS
//	HANGUP                  the client closes the connection
//	END                     the server closes the connection
//	STORED n                so many messages were committed
//	CONTENT text            the last committed message is exactly this
//	FROM, TO, PROTOCOL text what the last envelope says
//	TRACE steps             the steps of the last kept (not stored) trace
//
// Texts hold the escapes of Go: \r \n \x00 and \\; \* n repeats: {n*text}.
func TestDialogues(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no dialogues: %v", err)
	}
	for _, file := range files {
		raw, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		base := strings.TrimSuffix(filepath.Base(file), ".txt")
		for i, part := range strings.Split("\n"+string(raw), "\n== ")[1:] {
			head, body, _ := strings.Cut(part, "\n")
			words := strings.Fields(head)
			if len(words) == 0 {
				t.Fatalf("%s: dialogue %d has no name", file, i+1)
			}
			t.Run(base+"/"+words[0], func(t *testing.T) {
				t.Parallel()
				runDialogue(t, words[1:], body)
			})
		}
	}
}

type dialogue struct {
	*testing.T
	h    *harness
	conn net.Conn
	in   *bufio.Reader
	kept *keeper
}

func runDialogue(t *testing.T, options []string, body string) {
	kept := &keeper{}
	var from net.Addr
	h := start(t, func(o *Options) {
		o.Keep = kept.keep
		for _, option := range options {
			key, value, _ := strings.Cut(option, "=")
			if key == "from" {
				from = &net.TCPAddr{IP: net.ParseIP(value)}
				continue
			}
			applyOption(t, o, key, value)
		}
	})
	dialer := net.Dialer{LocalAddr: from, Timeout: 5 * time.Second}
	conn, err := dialer.Dial("tcp", h.addr)
	if err != nil {
		t.Fatal(err)
	}
	d := &dialogue{T: t, h: h, conn: conn, in: bufio.NewReader(conn), kept: kept}
	defer func() { d.conn.Close() }()
	for i, line := range strings.Split(body, "\n") {
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		d.step(i+2, line)
	}
}

func applyOption(t *testing.T, o *Options, key, value string) {
	n, _ := strconv.Atoi(value)
	l, c := &o.Limits, &o.Checks
	switch key {
	case "size":
		l.MessageSize = int64(n)
	case "drop":
		l.DropSize = int64(n)
	case "recipients":
		l.Recipients = n
	case "messages":
		l.Messages = n
	case "errors":
		l.Errors = n
	case "bad-recipients":
		l.BadRecipients = n
	case "empty":
		l.EmptyCommands = n
	case "text-line":
		l.TextLine = n
	case "timeout":
		l.CommandTimeout, l.ContentTimeout = time.Duration(n)*time.Millisecond, time.Duration(n)*time.Millisecond
	case "greet-pause":
		l.GreetPause = time.Duration(n) * time.Millisecond
	case "sender-rate":
		l.SenderRate = n
	case "domain-rate":
		l.DomainRate = n
	case "exempt":
		l.Exempt = append(l.Exempt, netip.MustParsePrefix(value))
	case "tls":
		o.TLS, _ = testTLS()
	case "pipelining":
		o.AllowPipelining = true
	case "names":
		o.Names = testZone()
	case "our-address":
		o.Addresses = append(o.Addresses, netip.MustParseAddr(value))
	case "allow-forged-helo":
		c.AllowForgedHelo = true
	case "allow-malformed-helo":
		c.AllowMalformedHelo = true
	case "require-helo-fqdn":
		c.RequireHeloFQDN = true
	case "require-reverse-dns":
		c.RequireReverseDNS = true
	case "allow-short-sender":
		c.AllowShortSender = true
	case "allow-unknown-sender":
		c.AllowUnknownSender = true
	case "defer-on-dns-trouble":
		c.DeferOnDNSTrouble = true
	case "disk-full":
		o.Intake.(*depot).writeErr = reply.StorageError
	case "commit-fails":
		o.Intake.(*depot).commitErr = fmt.Errorf("fsync /secret/path: input/output error")
	default:
		t.Fatalf("unknown option %q", key)
	}
}

func testZone() *zone {
	return &zone{
		ptr: map[string][]string{"127.0.0.2": {"liar.test.", "good.test."}, "127.0.0.3": {"liar.test."}},
		ip: map[string][]string{
			"good.test": {"127.0.0.2"}, "liar.test": {"192.0.2.1"}, "only-a.test": {"192.0.2.2"},
		},
		mx:   map[string][]string{"good.test": {"mx.good.test."}, "null.test": {"."}},
		down: []string{"down.test", "127.0.0.4"},
	}
}

func (d *dialogue) step(n int, line string) {
	d.Helper()
	word, text, _ := strings.Cut(line, " ")
	switch word {
	case "C:":
		d.send(unescape(text) + "\r\n")
	case "R:":
		d.send(unescape(text))
	case "S:":
		d.expect(n, text)
	case "TLS":
		_, config := testTLS()
		d.conn = tls.Client(d.conn, config)
		d.in = bufio.NewReader(d.conn)
	case "HANGUP":
		d.conn.Close()
		eventually(d, "the server notices", func() bool { return d.h.Stats().Connections.Active == 0 })
	case "END":
		d.conn.SetReadDeadline(time.Now().Add(5 * time.Second))
		if rest, err := d.in.ReadString('\n'); err == nil || len(rest) > 0 || os.IsTimeout(err) {
			d.Fatalf("line %d: want the end of the connection, got %q, %v", n, rest, err)
		}
	case "STORED":
		if got := fmt.Sprint(len(d.h.depot.stored())); got != text {
			d.Fatalf("line %d: %s messages stored, want %s", n, got, text)
		}
	case "CONTENT", "FROM", "TO", "PROTOCOL":
		d.check(n, word, unescape(text))
	case "TRACE":
		if got := d.kept.last(); got != text {
			d.Fatalf("line %d: trace has %q, want %q", n, got, text)
		}
	default:
		d.Fatalf("line %d: cannot read %q", n, line)
	}
}

func (d *dialogue) send(s string) {
	d.Helper()
	d.conn.SetWriteDeadline(time.Now().Add(5 * time.Second))
	// An error is no failure: the server may have closed; what it said counts.
	fmt.Fprint(d.conn, s)
}

func (d *dialogue) expect(n int, pattern string) {
	d.Helper()
	d.conn.SetReadDeadline(time.Now().Add(5 * time.Second))
	line, err := d.in.ReadString('\n')
	if err != nil {
		d.Fatalf("line %d: want %q, got %q, %v", n, pattern, line, err)
	}
	got, ok := strings.CutSuffix(line, "\r\n")
	if !ok || !regexp.MustCompile("^(?:"+pattern+")$").MatchString(got) {
		d.Fatalf("line %d: want %q, got %q", n, pattern, line)
	}
}

func (d *dialogue) check(n int, what, want string) {
	d.Helper()
	all := d.h.depot.stored()
	if len(all) == 0 {
		d.Fatalf("line %d: nothing is stored", n)
	}
	last := all[len(all)-1]
	var got string
	switch what {
	case "CONTENT":
		got = last.content
	case "FROM":
		got = last.env.From.String()
	case "PROTOCOL":
		got = last.env.Client.Protocol
	case "TO":
		var to []string
		for _, r := range last.env.To {
			to = append(to, r.Address.String())
		}
		got = strings.Join(to, " ")
	}
	if got != want {
		d.Fatalf("line %d: %s is %q, want %q", n, what, got, want)
	}
}

var repeat = regexp.MustCompile(`\{(\d+)\*([^}]*)\}`)

// unescape reads the escapes of a dialogue.
func unescape(s string) string {
	s = repeat.ReplaceAllStringFunc(s, func(m string) string {
		parts := repeat.FindStringSubmatch(m)
		n, err := strconv.Atoi(parts[1])
		if err != nil {
			panic(err)
		}
		return strings.Repeat(parts[2], n)
	})
	out, err := strconv.Unquote(`"` + strings.ReplaceAll(s, `"`, `\"`) + `"`)
	if err != nil {
		panic(fmt.Sprintf("escapes of %q: %v", s, err))
	}
	return out
}
