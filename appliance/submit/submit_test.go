package submit

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/netip"
	netsmtp "net/smtp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"
	"github.com/xdg-go/scram"

	"hauspost/appliance/envelope"
	"hauspost/appliance/esmtp/dialogue"
	"hauspost/appliance/maillog"
	"hauspost/appliance/resolver"
)

// syncBuffer is a log that tests can read.
type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *syncBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *syncBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

// dial connects by TLS from the start.
func dial(t *testing.T, addr string, change func(*tls.Config)) *smtp.Client {
	t.Helper()
	_, config := dialogue.TLS()
	config = config.Clone()
	if change != nil {
		change(config)
	}
	c, err := smtp.DialTLS(addr, config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func send(c *smtp.Client, from, to string) (string, error) {
	if err := c.Mail(from, nil); err != nil {
		return "", err
	}
	if err := c.Rcpt(to, nil); err != nil {
		return "", err
	}
	w, err := c.Data()
	if err != nil {
		return "", err
	}
	if _, err := io.WriteString(w, "Subject: private\r\n\r\nprivate\r\n"); err != nil {
		return "", err
	}
	answer, err := w.CloseWithResponse()
	if err != nil {
		return "", err
	}
	return answer.StatusText, nil
}

// scramClient is SCRAM-SHA-256 for go-smtp.
type scramClient struct{ conv *scram.ClientConversation }

func newScramClient(t *testing.T, user, password string) *scramClient {
	c, err := scram.SHA256.NewClient(user, password, "")
	if err != nil {
		t.Fatal(err)
	}
	return &scramClient{c.NewConversation()}
}

func (c *scramClient) Start() (string, []byte, error) {
	first, err := c.conv.Step("")
	return "SCRAM-SHA-256", []byte(first), err
}

func (c *scramClient) Next(challenge []byte) ([]byte, error) {
	response, err := c.conv.Step(string(challenge))
	return []byte(response), err
}

// TestForeignClients: what other people wrote can sign in and send, and is
// refused with a wrong password.
func TestForeignClients(t *testing.T) {
	t.Parallel()
	h := start(t, true, nil)
	for name, auth := range map[string]func(password string) sasl.Client{
		"PLAIN":         func(p string) sasl.Client { return sasl.NewPlainClient("", "anna@example.test", p) },
		"LOGIN":         func(p string) sasl.Client { return sasl.NewLoginClient("anna@example.test", p) },
		"SCRAM-SHA-256": func(p string) sasl.Client { return newScramClient(t, "anna@example.test", p) },
	} {
		t.Run(name, func(t *testing.T) {
			c := dial(t, h.addr, nil)
			var no *smtp.SMTPError
			if err := c.Auth(auth("wrong")); !errors.As(err, &no) || no.Code != 535 {
				t.Errorf("a wrong password gives %v", err)
			}
			if _, err := send(c, "anna@example.test", "ben@example.test"); !errors.As(err, &no) || no.Code != 530 {
				t.Errorf("without a sign-in: %v", err)
			}
			if err := c.Auth(auth(password)); err != nil {
				t.Fatal(err)
			}
			if _, err := send(c, "anna@example.test", "ben@example.test"); err != nil {
				t.Fatal(err)
			}
		})
	}
	starttls := start(t, false, nil)
	conn, err := net.Dial("tcp", starttls.addr)
	if err != nil {
		t.Fatal(err)
	}
	c, err := netsmtp.NewClient(conn, "mail.example.test")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_, config := dialogue.TLS()
	if err := c.StartTLS(config); err != nil {
		t.Fatal(err)
	}
	if err := c.Auth(netsmtp.PlainAuth("", "ben@example.test", password, "mail.example.test")); err != nil {
		t.Fatal(err)
	}
	if err := c.Mail("ben@example.test"); err != nil {
		t.Error(err)
	}
	if n := len(h.depot.stored()); n != 3 {
		t.Errorf("%d messages are stored", n)
	}
}

// TestTraceAndLog: each step is one event; neither password nor content gets
// into the log, whatever is typed where.
func TestTraceAndLog(t *testing.T) {
	t.Parallel()
	log := &syncBuffer{}
	late := make(chan maillog.Entry, 1)
	h := start(t, true, func(o *Options) {
		o.Log.Logger = slog.New(slog.NewJSONHandler(log, nil))
		o.Late = func(_ envelope.ID, e maillog.Entry) { late <- e }
	})
	c := dial(t, h.addr, nil)
	for _, auth := range []sasl.Client{
		sasl.NewPlainClient("", "anna@example.test", "hunter2"),
		sasl.NewPlainClient("", "hunter2", "hunter2"),
		sasl.NewLoginClient("hunter2", "anna@example.test"),
		newScramClient(t, "ben@example.test", "hunter2"),
	} {
		if err := c.Auth(auth); err == nil {
			t.Fatal("a wrong password is right")
		}
	}
	c = dial(t, h.addr, nil)
	if err := c.Auth(sasl.NewPlainClient("", "anna@example.test", password)); err != nil {
		t.Fatal(err)
	}
	if err := c.Mail("ben@example.test", nil); err == nil {
		t.Fatal("anna is ben")
	}
	answer, err := send(c, "anna@example.test", "ben@example.test")
	if err != nil {
		t.Fatal(err)
	}
	entry := <-late
	m := h.depot.stored()[0]
	if !strings.HasSuffix(answer, "Accepted as "+string(m.env.ID)) || entry.Step != "accepted" {
		t.Errorf("the answer is %q, the ID %q, the last event %q", answer, m.env.ID, entry.Step)
	}
	text := log.String()
	for _, secret := range []string{password, "hunter2", "private"} {
		if strings.Contains(text, secret) {
			t.Errorf("%q got into the log:\n%s", secret, text)
		}
	}
	var signIns []string
	for line := range strings.SplitSeq(strings.TrimSpace(text), "\n") {
		var got struct {
			Step  string
			Event SignIn
		}
		if err := json.Unmarshal([]byte(line), &got); err != nil {
			t.Fatal(err)
		}
		if e := got.Event; strings.HasPrefix(got.Step, "sign") {
			signIns = append(signIns, strings.TrimSpace(got.Step+" "+e.Mechanism+" "+e.Name+" "+e.Account))
			if host, _, err := net.SplitHostPort(e.Client); err != nil || host != "127.0.0.1" {
				t.Errorf("a sign-in came from %q", e.Client)
			}
		}
	}
	want := []string{
		"sign-in-failed PLAIN anna@example.test", "sign-in-failed PLAIN", "sign-in-failed LOGIN",
		"sign-in-failed SCRAM-SHA-256 ben@example.test", "signed-in PLAIN anna@example.test anna@example.test",
	}
	if !slices.Equal(signIns, want) {
		t.Errorf("the log has %q, want %q", signIns, want)
	}
	st := h.Stats()
	if st.SignIns != 1 || st.FailedSignIns != 4 || st.Messages != 1 || st.Octets != uint64(len(m.content)) || st.Refused["wrong-credentials"] != 4 || st.Refused["sender-not-owned"] != 1 {
		t.Errorf("the stats are %+v", st)
	}
}

func TestClaimedName(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ mechanism, response, want string }{
		{"PLAIN", "\x00anna@example.test\x00pw", "anna@example.test"},
		{"PLAIN", "ben@example.test\x00anna@example.test\x00pw", "anna@example.test"},
		{"PLAIN", "\x00anna\x00pw", ""},
		{"PLAIN", "anna@example.test", ""},
		{"PLAIN", "\x00a\x00b\x00c@example.test", ""},
		{"LOGIN", " anna@example.test ", "anna@example.test"},
		{"LOGIN", "p@ssword", ""},
		{"LOGIN", "correct horse", ""},
		{"LOGIN", "anna\u202e@example.test", ""},
		{"SCRAM-SHA-256", "n,,n=anna@example.test,r=abc", "anna@example.test"},
		{"SCRAM-SHA-256", "n,a=ben@example.test,n=a=3Db@example.test,r=abc", "a=b@example.test"},
		{"SCRAM-SHA-256", "r=abc", ""},
		{"EXTERNAL", "", ""},
		{"EXTERNAL", "anna@example.test", "anna@example.test"},
	} {
		if got := claimedName(c.mechanism, []byte(c.response)); got != c.want {
			t.Errorf("%s %q gives %q, want %q", c.mechanism, c.response, got, c.want)
		}
	}
}

// TestRatesComeBack: who has used up an hour's messages may send when the
// answer said so, and nobody pays for others.
func TestRatesComeBack(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	now := testNow
	h := start(t, true, func(o *Options) {
		o.Limits.MessagesPerHour = 4
		o.Now = func() time.Time { mu.Lock(); defer mu.Unlock(); return now }
	})
	anna := dial(t, h.addr, nil)
	if err := anna.Auth(sasl.NewPlainClient("", "anna@example.test", password)); err != nil {
		t.Fatal(err)
	}
	for range 4 {
		if _, err := send(anna, "anna@example.test", "ben@example.test"); err != nil {
			t.Fatal(err)
		}
	}
	var no *smtp.SMTPError
	if _, err := send(anna, "anna@example.test", "ben@example.test"); !errors.As(err, &no) || no.Code != 450 || !strings.Contains(no.Message, "12:16 UTC") {
		t.Errorf("the fifth message: %v", err)
	}
	ben := dial(t, h.addr, nil)
	if err := ben.Auth(sasl.NewPlainClient("", "ben@example.test", password)); err != nil {
		t.Fatal(err)
	}
	if _, err := send(ben, "ben@example.test", "anna@example.test"); err != nil {
		t.Error(err)
	}
	mu.Lock()
	now = time.Date(2026, 11, 21, 12, 16, 0, 0, time.UTC)
	mu.Unlock()
	if _, err := send(anna, "anna@example.test", "ben@example.test"); err != nil {
		t.Error(err)
	}
}

func TestClock(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 21, 12, 0, 30, 0, time.FixedZone("", 3600))
	for wait, want := range map[time.Duration]string{
		0: "11:01 UTC", 30 * time.Second: "11:01 UTC", 31 * time.Second: "11:02 UTC",
		13 * time.Hour: "00:01 UTC", 48 * time.Hour: "23 November 11:01 UTC",
	} {
		if got := clock(now, now.Add(wait)); got != want {
			t.Errorf("in %v it is %q, want %q", wait, got, want)
		}
	}
}

// stuck is a Domains that answers when nobody waits any more.
type stuck struct {
	zone
	mu    sync.Mutex
	asked int
}

func (s *stuck) LookupMX(ctx context.Context, _ string) (a resolver.Answer[resolver.MX], err error) {
	s.mu.Lock()
	s.asked++
	s.mu.Unlock()
	<-ctx.Done()
	return a, ctx.Err()
}

// TestStuckDNS: a name server that hangs costs its time-out once per message,
// and refuses nothing.
func TestStuckDNS(t *testing.T) {
	t.Parallel()
	dns := &stuck{}
	h := start(t, true, func(o *Options) { o.Domains, o.Limits.DNSTimeout = dns, 10*time.Millisecond })
	c := dial(t, h.addr, nil)
	if err := c.Auth(sasl.NewPlainClient("", "anna@example.test", password)); err != nil {
		t.Fatal(err)
	}
	if err := c.Mail("anna@example.test", nil); err != nil {
		t.Fatal(err)
	}
	for _, to := range []string{"a@one.invalid", "b@two.invalid", "c@three.invalid"} {
		if err := c.Rcpt(to, nil); err != nil {
			t.Error(err)
		}
	}
	dns.mu.Lock()
	defer dns.mu.Unlock()
	if dns.asked != 1 {
		t.Errorf("the DNS was asked %d times", dns.asked)
	}
}

// TestLimits: what 0 and negative values mean.
func TestLimits(t *testing.T) {
	t.Parallel()
	s := New(Options{Hostname: "Mail.Example.Test", People: theHousehold(), Intake: &depot{}})
	if s.messages.limit != 300 || s.recipients.limit != 1000 || s.opt.Limits.DNSTimeout != 3*time.Second || s.opt.Hostname != "mail.example.test" {
		t.Errorf("defaults: %+v", s.opt.Limits)
	}
	s = New(Options{Hostname: "x", People: theHousehold(), Intake: &depot{}, Limits: Limits{MessagesPerHour: -1, RecipientsPerHour: -1}})
	for range 2000 {
		if s.messages.take(testNow, "x") != nil || s.recipients.take(testNow, "x") != nil {
			t.Fatal("there is a limit")
		}
	}
	defer func() {
		if recover() == nil {
			t.Error("a server without people can be made")
		}
	}()
	New(Options{Hostname: "x"})
}

// TestTrustedDevicesPayAlone: the addresses of a trusted network are counted
// each for itself.
func TestTrustedDevicesPayAlone(t *testing.T) {
	t.Parallel()
	h := start(t, false, func(o *Options) {
		o.Trusted = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
		o.Limits.MessagesPerHour = 1
	})
	for i, from := range []string{"127.0.0.2", "127.0.0.3", "127.0.0.2"} {
		dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}
		nc, err := dialer.Dial("tcp", h.addr)
		if err != nil {
			t.Fatal(err)
		}
		c := smtp.NewClient(nc)
		if _, err := send(c, "anna@example.test", "friend@friend.test"); (err == nil) != (i < 2) {
			t.Errorf("message %d from %s: %v", i, from, err)
		}
		c.Close()
	}
}

// talkative is a household whose exchanges have a last word.
type talkative struct{ *household }

type lastWord struct{}

func (talkative) SASL(string, netip.Addr) (Exchange, error) { return lastWord{}, nil }

func (lastWord) Person() Person { return person("anna@example.test") }

func (lastWord) Next(context.Context, []byte) ([]byte, bool, error) { return []byte("bye"), true, nil }

// TestCancelledAtTheEnd: who was not told 235 has not signed in, even where the
// accounts were content already.
func TestCancelledAtTheEnd(t *testing.T) {
	t.Parallel()
	h := start(t, true, func(o *Options) { o.People = talkative{theHousehold()} })
	c := dial(t, h.addr, nil)
	var no *smtp.SMTPError
	if err := c.Auth(giveUp{}); err == nil {
		t.Error("who cancels has signed in")
	}
	if err := c.Mail("anna@example.test", nil); !errors.As(err, &no) || no.Code != 530 {
		t.Errorf("a cancelled sign-in lets in: %v", err)
	}
}

// giveUp begins PLAIN and cancels it (go-smtp says "*" then).
type giveUp struct{}

func (giveUp) Start() (string, []byte, error) { return "PLAIN", []byte("x"), nil }

func (giveUp) Next([]byte) ([]byte, error) { return nil, errors.New("enough") }
