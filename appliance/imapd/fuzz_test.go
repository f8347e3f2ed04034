package imapd_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"hauspost/appliance/accounts"
	"hauspost/appliance/imapd"
)

// FuzzSession sends anything to a server, before and after the login. Whatever
// it is, the server must not fail, and must not speak but in responses.
func FuzzSession(f *testing.F) {
	for _, script := range clientLines(f) {
		f.Add([]byte(script), true)
		f.Add([]byte(script), false)
	}
	b := newBox(f, func(o *imapd.Options) {
		o.Limits.AppendLimit, o.Limits.MaxErrors, o.Limits.MaxMailboxes = 10000, 1000, 100
		o.Accounts = swift{o.Accounts}
	})
	swiftAccount = b.account
	b.deliver(f, "INBOX", testMessage(f, "multi"))
	f.Fuzz(func(t *testing.T, script []byte, login bool) {
		conn, err := net.Dial("tcp", b.plain)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		conn.SetDeadline(time.Now().Add(20 * time.Second))
		go func() {
			if login {
				fmt.Fprintf(conn, "l LOGIN %s %q\r\ns SELECT INBOX\r\n", ann, password)
			}
			conn.Write(script)
			conn.(*net.TCPConn).CloseWrite()
		}()
		said, err := io.ReadAll(conn)
		if err != nil && !strings.Contains(err.Error(), "reset") {
			t.Fatal(err)
		}
		if bytes.Contains(said, []byte("the log of the box says")) {
			t.Fatalf("%s\n%s", said, b.log.String())
		}
		if bad := notResponse(said); bad != "" {
			t.Fatalf("%q is no response", bad)
		}
	})
}

// swift is a register of people that does not make guessing slow.
type swift struct{ imapd.Accounts }

var swiftAccount accounts.Account

func (swift) Password(_ context.Context, user, pass string, _ netip.Addr) (accounts.Account, error) {
	if user != ann || pass != password {
		return accounts.Account{}, accounts.ErrCredentials
	}
	return swiftAccount, nil
}

func (swift) SASL(mechanism string, _ netip.Addr) (accounts.Exchange, error) {
	if mechanism != "PLAIN" && mechanism != "LOGIN" {
		return nil, accounts.ErrMechanism
	}
	return refusal{}, nil
}

type refusal struct{}

func (refusal) Next(_ context.Context, response []byte) ([]byte, bool, error) {
	if response == nil {
		return []byte("Username:"), false, nil
	}
	return nil, false, accounts.ErrCredentials
}

func (refusal) Account() accounts.Account { return accounts.Account{} }

var response = regexp.MustCompile(`^(\+ |\* |[^\x00-\x20"(){%*\\+\x7f-\xff]+ (OK|NO|BAD) )`)

// notResponse gives the first line that is none, literals passed over.
func notResponse(said []byte) string {
	for len(said) > 0 {
		line, rest, found := bytes.Cut(said, []byte("\r\n"))
		if !found {
			return "" // cut off by the end of the connection
		}
		if !response.Match(line) {
			return string(line)
		}
		for {
			said = rest
			n := literalSize(line)
			if n < 0 {
				break
			}
			if n > len(rest) {
				return ""
			}
			if line, rest, found = bytes.Cut(rest[n:], []byte("\r\n")); !found {
				return ""
			}
		}
	}
	return ""
}

func literalSize(line []byte) int {
	i := bytes.LastIndexByte(line, '{')
	if i < 0 || !bytes.HasSuffix(line, []byte("}")) {
		return -1
	}
	n, err := strconv.Atoi(string(line[i+1 : len(line)-1]))
	if err != nil {
		return -1
	}
	return n
}

// clientLines are what the clients of the dialogues send.
func clientLines(tb testing.TB) []string {
	files, err := filepath.Glob("testdata/dialogues/*.txt")
	if err != nil || len(files) == 0 {
		tb.Fatal("no dialogues", err)
	}
	var scripts []string
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			tb.Fatal(err)
		}
		var b strings.Builder
		for _, line := range strings.Split(string(text), "\n") {
			what, rest, _ := strings.Cut(line, ": ")
			switch {
			case strings.HasPrefix(what, "CQ"):
				s, err := strconv.Unquote(rest)
				if err != nil {
					tb.Fatal(err)
				}
				b.WriteString(s)
			case strings.HasPrefix(what, "C"):
				b.WriteString(rest + "\r\n")
			}
		}
		scripts = append(scripts, b.String())
	}
	return scripts
}
