// Package dialogue is for tests: it plays written SMTP dialogues with a real
// server over real sockets, and has the certificate for it. It knows neither
// the engine nor a policy: what it is to look at comes with the Peer.
//
// A file holds several dialogues, each with a server of its own:
//
//	== name key=value ...   begins one; the keys mean what Begin takes them for
//	C: text                 the client sends text and CR LF
//	R: text                 the client sends text alone
//	S: pattern              the server sends a line; a regular expression for
//	                        the whole line, without CR LF
//	S*: pattern             the same for the last line of a reply of several
//	TLS                     both sides start TLS
//	HANGUP                  the client closes the connection
//	END                     the server closes the connection
//	WORD text               Peer.Look says that WORD is text
//
// Texts hold the escapes of Go: \r \n \x00 and \\; \* n repeats: {n*text}; and
// {base64 text}.
//
// Package dialogue must not import anything of ours, and only tests import it.
package dialogue

import (
	"bufio"
	"crypto/tls"
	"encoding/base64"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
)

// Option is one key=value of a dialogue's head.
type Option struct{ Key, Value string }

// Peer is the server of one dialogue.
type Peer struct {
	Addr string
	// From is where the client dials from; nil leaves it to the kernel.
	From net.Addr
	// TLS is the client's; Implicit begins with it.
	TLS      *tls.Config
	Implicit bool
	// Active tells how many connections the server counts.
	Active func() int
	// Look gives what the word stands for; ok is false for an unknown one.
	Look func(word string) (got string, ok bool)
}

// Run plays the dialogues of all files that match glob, each as a parallel
// subtest. begin starts the server of one.
func Run(t *testing.T, glob string, begin func(t *testing.T, options []Option) Peer) {
	files, err := filepath.Glob(glob)
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
			var options []Option
			for _, word := range words[1:] {
				key, value, _ := strings.Cut(word, "=")
				options = append(options, Option{key, value})
			}
			t.Run(base+"/"+words[0], func(t *testing.T) {
				t.Parallel()
				play(t, begin(t, options), body)
			})
		}
	}
}

type player struct {
	*testing.T
	Peer
	conn net.Conn
	in   *bufio.Reader
}

func play(t *testing.T, peer Peer, body string) {
	dialer := net.Dialer{LocalAddr: peer.From, Timeout: 5 * time.Second}
	conn, err := dialer.Dial("tcp", peer.Addr)
	if err != nil {
		t.Fatal(err)
	}
	p := &player{T: t, Peer: peer, conn: conn, in: bufio.NewReader(conn)}
	defer func() { p.conn.Close() }()
	if peer.Implicit {
		p.startTLS()
	}
	for i, line := range strings.Split(body, "\n") {
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		p.step(i+2, line)
	}
}

func (p *player) startTLS() {
	p.conn = tls.Client(p.conn, p.TLS)
	p.in = bufio.NewReader(p.conn)
}

func (p *player) step(n int, line string) {
	p.Helper()
	word, text, _ := strings.Cut(line, " ")
	switch word {
	case "C:":
		p.send(Unescape(text) + "\r\n")
	case "R:":
		p.send(Unescape(text))
	case "S:":
		p.expect(n, text)
	case "S*:":
		p.expect(n, "[0-9]{3}-.*")
		p.expectLast(n, text)
	case "TLS":
		p.startTLS()
	case "HANGUP":
		p.conn.Close()
		Eventually(p, "the server notices", func() bool { return p.Active() == 0 })
	case "END":
		p.conn.SetReadDeadline(time.Now().Add(5 * time.Second))
		if rest, err := p.in.ReadString('\n'); err == nil || len(rest) > 0 || os.IsTimeout(err) {
			p.Fatalf("line %d: want the end of the connection, got %q, %v", n, rest, err)
		}
	default:
		got, ok := p.Look(word)
		if !ok {
			p.Fatalf("line %d: cannot read %q", n, line)
		}
		// The server counts after it has answered: what is not so yet may be
		// so in a moment.
		want := Unescape(text)
		for end := time.Now().Add(5 * time.Second); got != want && time.Now().Before(end); got, _ = p.Look(word) {
			time.Sleep(time.Millisecond)
		}
		if got != want {
			p.Fatalf("line %d: %s is %q, want %q", n, word, got, want)
		}
	}
}

func (p *player) send(s string) {
	p.Helper()
	p.conn.SetWriteDeadline(time.Now().Add(5 * time.Second))
	// An error is no failure: the server may have closed; what it said counts.
	fmt.Fprint(p.conn, s)
}

// expectLast reads the rest of a reply of several lines.
func (p *player) expectLast(n int, pattern string) {
	p.Helper()
	for {
		if head, err := p.in.Peek(4); err != nil || head[3] != '-' {
			p.expect(n, pattern)
			return
		}
		p.expect(n, ".*")
	}
}

func (p *player) expect(n int, pattern string) {
	p.Helper()
	p.conn.SetReadDeadline(time.Now().Add(5 * time.Second))
	line, err := p.in.ReadString('\n')
	if err != nil {
		p.Fatalf("line %d: want %q, got %q, %v", n, pattern, line, err)
	}
	got, ok := strings.CutSuffix(line, "\r\n")
	if !ok || !regexp.MustCompile("^(?:"+pattern+")$").MatchString(got) {
		p.Fatalf("line %d: want %q, got %q", n, pattern, line)
	}
}

var (
	repeats = regexp.MustCompile(`\{(\d+)\*([^}]*)\}`)
	encoded = regexp.MustCompile(`\{base64 ([^}]*)\}`)
)

// Unescape reads the escapes of a dialogue. It panics at malformed ones.
func Unescape(s string) string {
	s = repeats.ReplaceAllStringFunc(s, func(m string) string {
		parts := repeats.FindStringSubmatch(m)
		n, err := strconv.Atoi(parts[1])
		if err != nil {
			panic(err)
		}
		return strings.Repeat(parts[2], n)
	})
	s = encoded.ReplaceAllStringFunc(s, func(m string) string {
		return base64.StdEncoding.EncodeToString([]byte(unquote(encoded.FindStringSubmatch(m)[1])))
	})
	return unquote(s)
}

func unquote(s string) string {
	out, err := strconv.Unquote(`"` + strings.ReplaceAll(s, `"`, `\"`) + `"`)
	if err != nil {
		panic(fmt.Sprintf("escapes of %q: %v", s, err))
	}
	return out
}

// Eventually polls until ok, and fails the test where that does not happen.
func Eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(5 * time.Second); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("did not happen: %s", what)
		}
	}
}
