package smtpd

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	netsmtp "net/smtp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/emersion/go-smtp"

	"hauspost/appliance/envelope"
	"hauspost/appliance/esmtp"
	"hauspost/appliance/esmtp/dialogue"
	"hauspost/appliance/maillog"
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

// TestTraceOfAMessage: each step is one event in the trace and the log, the ID
// in the 250 is the trace's, and no content gets into either.
func TestTraceOfAMessage(t *testing.T) {
	t.Parallel()
	log, kept := &syncBuffer{}, &dialogue.Keeper{}
	late := make(chan maillog.Entry, 1)
	h := start(t, func(o *Options) {
		o.Log.Logger = slog.New(slog.NewJSONHandler(log, nil))
		o.Names, o.Keep = testZone(), kept.Keep
		o.Late = func(_ envelope.ID, e maillog.Entry) { late <- e }
	})
	c, err := smtp.Dial(h.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.Hello("client.test"); err != nil {
		t.Fatal(err)
	}
	opts := &smtp.MailOptions{Size: 26, Body: smtp.Body8BitMIME}
	if err := c.Mail("sender@good.test", opts); err != nil {
		t.Fatal(err)
	}
	if err := c.Rcpt("anna@example.test", nil); err != nil {
		t.Fatal(err)
	}
	if err := c.Rcpt("nobody@example.test", nil); err == nil {
		t.Fatal("nobody is somebody")
	}
	w, err := c.Data()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(w, "Subject: secret\r\n\r\nsecret\r\n"); err != nil {
		t.Fatal(err)
	}
	answer, err := w.CloseWithResponse()
	if err != nil {
		t.Fatal(err)
	}
	entry := <-late
	m := h.depot.stored()[0]
	if !strings.HasSuffix(answer.StatusText, "Accepted as "+string(m.env.ID)) || m.trace.ID != m.env.ID {
		t.Errorf("the answer is %q, the ID %q", answer.StatusText, m.env.ID)
	}
	if got, want := dialogue.Steps(m.trace.Entries()), "connected checked sender recipient refused received"; got != want {
		t.Errorf("the trace has %q, want %q", got, want)
	}
	if entry.Step != "accepted" {
		t.Errorf("after Commit came %q", entry.Step)
	}
	env := m.env
	checkEnvelope(t, env)
	if kept.Last() != "" {
		t.Errorf("a stored message is kept as not stored: %q", kept.Last())
	}
	text := log.String()
	if strings.Contains(text, "secret") {
		t.Error("the content got into the log")
	}
	if n := strings.Count(text, `"id":"`+string(env.ID)+`"`); n != 7 {
		t.Errorf("the log has %d lines of the message:\n%s", n, text)
	}
	for _, step := range []string{"connected", "checked", "sender", "recipient", "refused", "received", "accepted"} {
		if n := strings.Count(text, `"step":"`+step+`"`); n != 1 {
			t.Errorf("step %q is logged %d times", step, n)
		}
	}
}

func checkEnvelope(t *testing.T, env *envelope.Envelope) {
	t.Helper()
	if len(env.To) != 1 || env.To[0] != (envelope.Recipient{Address: envelope.MustAddress("anna@example.test")}) {
		t.Errorf("recipients are %+v", env.To)
	}
	if env.Size != 26 || env.Body != "8BITMIME" || env.RequireTLS || env.From.String() != "sender@good.test" {
		t.Errorf("the envelope is %+v", env)
	}
	if cl := env.Client; cl.HELO != "client.test" || cl.Protocol != "ESMTP" || cl.TLS != "" || !cl.Local.Addr().IsLoopback() {
		t.Errorf("the client is %+v", cl)
	}
	wantFacts := []envelope.Fact{
		{Name: "fcrdns", Value: "fail", Detail: "the address has no reverse name"},
		{Name: "sender.domain", Value: "pass"},
	}
	if !slices.Equal(env.Facts, wantFacts) {
		t.Errorf("the facts are %+v", env.Facts)
	}
}

// TestTraceOfARefusal: the trace of what was not stored is kept, and names the
// reason.
func TestTraceOfARefusal(t *testing.T) {
	t.Parallel()
	kept := &dialogue.Keeper{}
	h := start(t, func(o *Options) { o.Names, o.Keep = testZone(), kept.Keep })
	c, err := smtp.Dial(h.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	err = c.Mail("someone@nowhere.test", nil)
	var refusal *smtp.SMTPError
	if !errors.As(err, &refusal) || refusal.Code != 550 || refusal.EnhancedCode != (smtp.EnhancedCode{5, 1, 8}) {
		t.Fatalf("MAIL gives %v", err)
	}
	dialogue.Eventually(t, "the trace is kept", func() bool { return kept.Last() == "connected checked refused" })
	entries := kept.Traces()[0]
	var ev maillog.Refused
	if err := json.Unmarshal(entries[2].Event, &ev); err != nil {
		t.Fatal(err)
	}
	if ev.Verb != "MAIL" || ev.Argument != "someone@nowhere.test" || ev.Reason != "sender-domain-unknown" || ev.Code != 550 {
		t.Errorf("the event is %+v", ev)
	}
	if len(kept.IDs()[0]) != 26 {
		t.Errorf("the ID is %q", kept.IDs()[0])
	}
}

func TestStats(t *testing.T) {
	t.Parallel()
	h := start(t, nil)
	if err := netsmtp.SendMail(h.addr, nil, "a@good.test", []string{"anna@example.test"}, []byte("0123456789\r\n")); err != nil {
		t.Fatal(err)
	}
	if err := netsmtp.SendMail(h.addr, nil, "a@good.test", []string{"nobody@example.test"}, nil); err == nil {
		t.Fatal("nobody is somebody")
	}
	if err := netsmtp.SendMail(h.addr, nil, "a@good.test", []string{"a@other.test"}, nil); err == nil {
		t.Fatal("relayed")
	}
	dialogue.Eventually(t, "all is over", func() bool { return h.Stats().Connections.Active == 0 })
	st := h.Stats()
	if st.Messages != 1 || st.Octets != 12 || st.Connections.Accepted != 3 || st.Refused["unknown-recipient"] != 1 || st.Refused["relay-denied"] != 1 {
		t.Errorf("stats are %+v", st)
	}
	st.Refused["relay-denied"] = 7
	if h.Stats().Refused["relay-denied"] != 1 {
		t.Error("Stats gives away its own map")
	}
}

// TestForeignClients: net/smtp and go-smtp send, in the clear and with
// STARTTLS, what comes out as it went in.
func TestForeignClients(t *testing.T) {
	t.Parallel()
	h := start(t, func(o *Options) { o.TLS, _ = dialogue.TLS() })
	_, config := dialogue.TLS()
	message := "Subject: dots\r\n\r\n.\r\n..\r\n.a\r\n\r\n" + strings.Repeat("0123456789\r\n", 20000)
	to := []string{"anna@example.test", "ben@example.test"}

	standard, err := netsmtp.Dial(h.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer standard.Close()
	for _, err := range []error{
		standard.StartTLS(config), standard.Mail("a@good.test"), standard.Rcpt(to[0]), standard.Rcpt(to[1]),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	w, err := standard.Data()
	if err != nil {
		t.Fatal(err)
	}
	if _, err = io.WriteString(w, message); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(w.Close(), standard.Reset(), standard.Noop(), standard.Quit()); err != nil {
		t.Fatal(err)
	}

	plain, err := smtp.Dial(h.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer plain.Close()
	if err := plain.SendMail("b@good.test", to, strings.NewReader(message)); err != nil {
		t.Fatal(err)
	}
	secure, err := smtp.DialStartTLS(h.addr, config)
	if err != nil {
		t.Fatal(err)
	}
	defer secure.Close()
	if err := secure.SendMail("c@good.test", to, strings.NewReader(message)); err != nil {
		t.Fatal(err)
	}
	if err := secure.Quit(); err != nil {
		t.Fatal(err)
	}
	all := h.depot.stored()
	if len(all) != 3 {
		t.Fatalf("%d messages", len(all))
	}
	protocols := []string{"UTF8SMTPS", "ESMTP", "ESMTPS"}
	for i, m := range all {
		if m.content != message {
			t.Errorf("the message of %s came out with %d octets instead of %d", m.env.From, len(m.content), len(message))
		}
		c := m.env.Client
		if c.Protocol != protocols[i] || (c.TLS != "") != (i != 1) || len(m.env.To) != 2 {
			t.Errorf("the envelope is %+v", m.env)
		}
	}
}

// TestManyConnections: messages of many connections do not mix.
func TestManyConnections(t *testing.T) {
	t.Parallel()
	h := start(t, nil)
	const clients, each = 20, 10
	var wg sync.WaitGroup
	for n := range clients {
		wg.Go(func() {
			c, err := smtp.Dial(h.addr)
			if err != nil {
				t.Error(err)
				return
			}
			defer c.Close()
			for i := range each {
				text := fmt.Sprintf("%d %d %s\r\n", n, i, strings.Repeat("x", n*100))
				if err := c.SendMail(fmt.Sprintf("c%d@good.test", n), []string{"anna@example.test"}, strings.NewReader(text)); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	all := h.depot.stored()
	if len(all) != clients*each {
		t.Fatalf("%d messages", len(all))
	}
	seen := map[string]bool{}
	for _, m := range all {
		var n, i int
		if _, err := fmt.Sscanf(m.content, "%d %d", &n, &i); err != nil {
			t.Fatal(err)
		}
		want := fmt.Sprintf("%d %d %s\r\n", n, i, strings.Repeat("x", n*100))
		if m.content != want || m.env.From.Local != fmt.Sprintf("c%d", n) || seen[want] {
			t.Errorf("message %d %d of %s came in wrong or twice", n, i, m.env.From)
		}
		seen[want] = true
	}
}

// TestAnswerLost: a message whose 250 cannot be written is kept, and the log
// says so.
func TestAnswerLost(t *testing.T) {
	t.Parallel()
	committing, gone := make(chan struct{}), make(chan struct{})
	late := make(chan maillog.Entry, 1)
	kept := &dialogue.Keeper{}
	h := start(t, func(o *Options) {
		o.Intake.(*depot).onCommit = func() { close(committing); <-gone }
		o.Late = func(_ envelope.ID, e maillog.Entry) { late <- e }
		o.Keep = kept.Keep
	})
	c, err := net.Dial("tcp", h.addr)
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprint(c, "HELO x\r\n")
	buf := make([]byte, 1024)
	for got := ""; !strings.Contains(got, "250 "); {
		n, err := c.Read(buf)
		if err != nil {
			t.Fatal(err)
		}
		got += string(buf[:n])
	}
	fmt.Fprint(c, "MAIL FROM:<a@good.test>\r\nRCPT TO:<anna@example.test>\r\nBDAT 4 LAST\r\nab\r\n")
	<-committing
	c.(*net.TCPConn).SetLinger(0)
	c.Close()
	close(gone)
	entry := <-late
	if len(h.depot.stored()) != 1 || kept.Last() != "" {
		t.Errorf("%d are stored, kept is %q", len(h.depot.stored()), kept.Last())
	}
	// A reset may reach the server only after its write.
	if entry.Step != "answer-lost" && entry.Step != "accepted" {
		t.Errorf("the last step is %q", entry.Step)
	}
}

func TestLimitsDefaults(t *testing.T) {
	t.Parallel()
	s := New(Options{Hostname: "Mail.Example.TEST", Directory: people{}, Intake: &depot{}})
	l := s.opt.Limits
	if l.SenderRate != 60 || l.DomainRate != 300 || l.DNSTimeout == 0 || l.Limits.Recipients != (esmtp.Limits{}).WithDefaults().Recipients {
		t.Errorf("the limits are %+v", l)
	}
	if s.opt.Hostname != "mail.example.test" || s.opt.Now == nil {
		t.Errorf("the options are %+v", s.opt)
	}
}
