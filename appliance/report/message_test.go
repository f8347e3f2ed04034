package report

import (
	"bufio"
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net/mail"
	"net/textproto"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"hauspost/appliance/envelope"
	"hauspost/appliance/transfer"
)

var update = flag.Bool("update", false, "write the golden files anew")

// parsed is a report, read by the standard library.
type parsed struct {
	header mail.Header
	types  []string
	bodies [][]byte // decoded
	// fields are the blocks of the delivery status: the first of the message,
	// the others of the recipients.
	fields []textproto.MIMEHeader
}

// mayStand are the fields that a report may have, each once.
var (
	mayStand       = strings.Fields("From To Date Message-Id Subject In-Reply-To References Auto-Submitted Mime-Version Content-Type Content-Transfer-Encoding")
	messageFields  = strings.Fields("Original-Envelope-Id Reporting-Mta Arrival-Date")
	rcptFields     = strings.Fields("Original-Recipient Final-Recipient Action Status Remote-Mta Diagnostic-Code Last-Attempt-Date Final-Log-Id Will-Retry-Until")
	partFields     = strings.Fields("Content-Type Content-Transfer-Encoding")
	thirdPartTypes = strings.Fields("text/rfc822-headers message/rfc822 message/global message/global-headers")
)

// parse reads a report and checks all that holds for every report.
func parse(raw []byte, n *Notice) (*parsed, error) {
	if err := lines(raw); err != nil {
		return nil, err
	}
	m, err := mail.ReadMessage(bytes.NewReader(raw))
	if err != nil {
		return nil, fmt.Errorf("the message: %w", err)
	}
	p := &parsed{header: m.Header}
	if err := only(textproto.MIMEHeader(m.Header), mayStand); err != nil {
		return nil, err
	}
	for _, name := range []string{"From", "To", "Date", "Message-Id", "Subject", "Auto-Submitted", "Mime-Version"} {
		if m.Header.Get(name) == "" {
			return nil, fmt.Errorf("no %s", name)
		}
	}
	if _, err := m.Header.AddressList("From"); err != nil {
		return nil, fmt.Errorf("from: %w", err)
	}
	kind, params, err := mime.ParseMediaType(m.Header.Get("Content-Type"))
	if err != nil || kind != "multipart/report" || params["report-type"] != "delivery-status" || len(params["boundary"]) > 70 {
		return nil, fmt.Errorf("type %q, %v, %v", kind, params, err)
	}
	if m.Header.Get("Content-Transfer-Encoding") == "7bit" && !isASCII(raw) && !needsUTF8Header(n) {
		return nil, errors.New("7bit, but it is not")
	}
	if err := p.readParts(multipart.NewReader(m.Body, params["boundary"])); err != nil {
		return nil, err
	}
	return p, p.readStatus(n)
}

func needsUTF8Header(n *Notice) bool { return n.From.NeedsUTF8() || n.To.NeedsUTF8() }

// lines tells whether raw has lines as RFC 5322 wants them.
func lines(raw []byte) error {
	if !bytes.HasSuffix(raw, []byte("\r\n")) {
		return errors.New("no line end at the end")
	}
	for line := range bytes.SplitSeq(bytes.TrimSuffix(raw, []byte("\r\n")), []byte("\r\n")) {
		if len(line) > 998 {
			return fmt.Errorf("a line of %d octets", len(line))
		}
		if i := bytes.IndexAny(line, "\r\n\x00"); i >= 0 {
			return fmt.Errorf("%q in the line %.80q", line[i], line)
		}
	}
	return nil
}

// only tells whether h has no other fields, and none of them twice.
func only(h textproto.MIMEHeader, allowed []string) error {
	for name, values := range h {
		if !slices.Contains(allowed, name) || len(values) != 1 {
			return fmt.Errorf("%s stands there: %q", name, values)
		}
	}
	return nil
}

func (p *parsed) readParts(r *multipart.Reader) error {
	for {
		part, err := r.NextRawPart()
		if err == io.EOF {
			break
		}
		if err != nil {
			return fmt.Errorf("part %d: %w", len(p.types)+1, err)
		}
		body, err := io.ReadAll(part)
		if err != nil {
			return fmt.Errorf("part %d: %w", len(p.types)+1, err)
		}
		if err := only(part.Header, partFields); err != nil {
			return err
		}
		kind, _, _ := mime.ParseMediaType(part.Header.Get("Content-Type"))
		switch encoding := part.Header.Get("Content-Transfer-Encoding"); encoding {
		case "7bit":
			if !isASCII(body) {
				return fmt.Errorf("%s is not 7bit", kind)
			}
		case "8bit":
			if isASCII(body) || p.header.Get("Content-Transfer-Encoding") != "8bit" {
				return fmt.Errorf("8bit does not fit %s", kind)
			}
		case "quoted-printable":
			if strings.HasPrefix(kind, "message/") {
				return fmt.Errorf("%s is encoded", kind)
			}
			if body, err = io.ReadAll(quotedprintable.NewReader(bytes.NewReader(body))); err != nil {
				return err
			}
		default:
			return fmt.Errorf("encoding %q", encoding)
		}
		p.types, p.bodies = append(p.types, kind), append(p.bodies, body)
	}
	if len(p.types) < 2 || len(p.types) > 3 || p.types[0] != "text/plain" ||
		p.types[1] != "message/delivery-status" && p.types[1] != "message/global-delivery-status" ||
		len(p.types) == 3 && !slices.Contains(thirdPartTypes, p.types[2]) {
		return fmt.Errorf("parts %q", p.types)
	}
	return nil
}

func (p *parsed) readStatus(n *Notice) error {
	r := textproto.NewReader(bufio.NewReader(io.MultiReader(bytes.NewReader(p.bodies[1]), strings.NewReader("\r\n"))))
	for i := range 1 + len(n.Recipients) {
		h, err := r.ReadMIMEHeader()
		if err != nil {
			return fmt.Errorf("block %d: %w", i, err)
		}
		allowed, must := rcptFields, []string{"Final-Recipient", "Action", "Status"}
		if i == 0 {
			allowed, must = messageFields, []string{"Reporting-Mta"}
		}
		if err := only(h, allowed); err != nil {
			return err
		}
		for _, name := range must {
			if h.Get(name) == "" {
				return fmt.Errorf("block %d without %s", i, name)
			}
		}
		p.fields = append(p.fields, h)
	}
	if rest, _ := io.ReadAll(r.R); len(rest) > 0 {
		return fmt.Errorf("more than the recipients: %q", rest)
	}
	return nil
}

var (
	berlin  = time.FixedZone("", 3600)
	arrival = time.Date(2026, 11, 20, 10, 15, 0, 0, berlin)
)

const lunch = "From: Anna <anna@haus.example>\r\nTo: bob@far.example\r\nSubject: Lunch on Friday\r\n" +
	"Date: Fri, 20 Nov 2026 10:14:58 +0100\r\nMessage-ID: <lunch.1@haus.example>\r\n"

// base is a report on one recipient.
func base(kind Action) Notice {
	return Notice{
		Kind: kind, Hostname: "mail.haus.example", To: envelope.MustAddress("anna@haus.example"),
		ID: "01krepdrt0000000000000000a", Now: arrival.Add(48 * time.Hour), Message: "01kmsgdrt0000000000000000b",
		Arrival: arrival, EnvID: "QQ314159+2B1", Header: []byte(lunch),
		Recipients: []Recipient{{
			Address: envelope.MustAddress("bob@far.example"), ORcpt: "rfc822;bob+2Bshop@old.example", Host: "mx1.far.example",
			LastAttempt: arrival.Add(47 * time.Hour),
		}},
	}
}

func failed() Notice {
	n := base(Failed)
	n.Recipients[0].Outcome = transfer.Outcome{Status: transfer.Failed, Scope: transfer.ScopeRecipient, Name: "unknown-recipient",
		Code: 550, Enhanced: "5.1.1", Verb: "RCPT", Answer: "550 5.1.1 <bob@far.example>: Recipient address rejected: User unknown in virtual mailbox table"}
	n.Content, n.MaxContent = []byte(lunch+"\r\nAt noon, in the yellow house?\r\n--=_01krepdrt0000000000000000a\r\n.\r\n"), 10_000
	return n
}

func expired() Notice {
	n := base(Failed)
	n.Ret = "HDRS"
	n.Recipients[0].Expired = true
	n.Recipients[0].Note = "mx2.far.example did not answer"
	n.Recipients[0].Outcome = transfer.Outcome{Status: transfer.Deferred, Scope: transfer.ScopeRecipient, Name: "mailbox-full",
		Code: 452, Enhanced: "4.2.2", Verb: "RCPT", Answer: "452-4.2.2 The recipient's inbox is out of storage space. / 452 4.2.2 Please direct them to clean it up"}
	second := Recipient{Address: envelope.MustAddress(`"carl c"@gone.example`), Expired: true,
		Outcome: transfer.Outcome{Status: transfer.Deferred, Scope: transfer.ScopeDestination, Name: "no-server", Answer: "192.0.2.25:25: connection refused"}}
	third := Recipient{Address: envelope.MustAddress("dora@slow.example"), Action: Delayed, Host: "mx.slow.example", RetryUntil: arrival.Add(72 * time.Hour),
		Outcome: transfer.Outcome{Status: transfer.Deferred, Name: "greylisted", Code: 450, Enhanced: "4.2.0", Verb: "RCPT", Answer: "450 4.2.0 Greylisted for 5 minutes"}}
	n.Recipients = append(n.Recipients, second, third)
	return n
}

func delayed() Notice {
	n := base(Delayed)
	n.Now = arrival.Add(4 * time.Hour)
	n.Recipients[0].LastAttempt = arrival.Add(4*time.Hour - time.Minute)
	n.Recipients[0].RetryUntil = arrival.Add(48 * time.Hour)
	n.Recipients[0].Outcome = transfer.Outcome{Status: transfer.Deferred, Scope: transfer.ScopeDestination, Name: "blocked",
		Code: 554, Enhanced: "4.7.1", Verb: "connect", Answer: "554 5.7.1 Service unavailable; Client host [192.0.2.7] blocked using zen.spamhaus.org; https://www.spamhaus.org/query/ip/192.0.2.7"}
	return n
}

func success(kind Action) Notice {
	n := base(kind)
	n.Now = arrival.Add(time.Second)
	n.Recipients[0].LastAttempt = n.Now
	n.Recipients[0].Outcome = transfer.Outcome{Status: transfer.Delivered, Code: 250, Enhanced: "2.0.0", Verb: "content", Answer: "250 2.0.0 Ok: queued as 4F1A2B3C"}
	return n
}

func forwarded() Notice {
	n := failed()
	n.To = envelope.MustAddress("owner@haus.example")
	n.Sender = envelope.MustAddress("shop@store.example")
	n.Alias = envelope.MustAddress("family@haus.example")
	n.Recipients[0].ORcpt = ""
	return n
}

func international(wide bool) Notice {
	n := failed()
	n.SMTPUTF8 = wide
	n.Recipients[0].Address = envelope.MustAddress("dörte+x@bücher.example")
	n.Recipients[0].ORcpt = `utf-8;d\x{F6}rte\x{2B}x@b\x{FC}cher.example`
	n.Recipients[0].Outcome.Answer = "550 5.1.1 Postfach „dörte“ unbekannt"
	n.Content = []byte("From: Anna <anna@haus.example>\r\nTo: dörte+x@bücher.example\r\nSubject: Grüße zum Frühstück\r\n\r\nGrüß dich!\r\n")
	n.Header = nil
	return n
}

func injecting() Notice {
	evil := "x\r\nBcc: victim@evil.example\r\n\r\nbody\n--=_evil\rX-Y: z\x00\x1b[31m\u202e"
	n := failed()
	n.Hostname, n.EnvID, n.Ret = "mail.haus.example\r\nX-Evil: 1", evil, evil
	n.ID, n.Message = envelope.ID("01\r\nX-Evil: 2"), envelope.ID(evil)
	n.From, n.To = envelope.Address{Local: evil, Domain: evil}, envelope.Address{Local: evil, Domain: "haus.example"}
	n.Alias, n.Sender = envelope.Address{Local: evil}, envelope.Address{Local: evil, Domain: evil}
	n.Header = []byte("Subject: =?utf-8?q?a=0D=0ABcc:_b@evil.example?=\rX-Evil: 3\nMessage-ID: <a@b>\r\n\tX-Evil: 4>\r\nX: \x00\xff\r\n")
	n.Content = nil
	n.Recipients[0] = Recipient{Address: n.From, ORcpt: "rfc822;a+0D+0AX-Evil:+205", Host: evil, Note: evil, Action: Action(evil),
		Outcome: transfer.Outcome{Status: transfer.Failed, Code: 550, Enhanced: "5.1.1\r\nX-Evil: 6", Verb: evil, Answer: evil, Name: evil}}
	return n
}

func huge() Notice {
	n := failed()
	n.Header = []byte(strings.Repeat("X-Filler: "+strings.Repeat("y", 85)+"\r\n", 2000))
	n.Content = append(bytes.Clone(n.Header), "\r\nbody\r\n"...)
	n.Recipients[0].Outcome.Answer = "550 5.7.1 " + strings.Repeat("a", 3000) + strings.Repeat(" b", 500)
	for range 3 {
		n.Recipients = append(n.Recipients, n.Recipients[0])
	}
	return n
}

func TestGolden(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		n     Notice
		types string // of the second and third part
	}{
		"failed":    {failed(), "message/delivery-status message/rfc822"},
		"expired":   {expired(), "message/delivery-status text/rfc822-headers"},
		"delayed":   {delayed(), "message/delivery-status text/rfc822-headers"},
		"relayed":   {success(Relayed), "message/delivery-status text/rfc822-headers"},
		"delivered": {success(Delivered), "message/delivery-status text/rfc822-headers"},
		"forwarded": {forwarded(), "message/delivery-status message/rfc822"},
		"smtputf8":  {international(true), "message/global-delivery-status message/global"},
		"utf8-7bit": {international(false), "message/delivery-status text/rfc822-headers"},
		"injection": {injecting(), "message/delivery-status text/rfc822-headers"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			raw := Message(c.n)
			p, err := parse(raw, &c.n)
			if err != nil {
				t.Fatalf("%v in\n%s", err, raw)
			}
			if got := strings.Join(p.types[1:], " "); got != c.types {
				t.Errorf("parts %s, want %s", got, c.types)
			}
			golden(t, "testdata/"+name+".eml", raw)
		})
	}
}

func golden(t *testing.T, file string, got []byte) {
	t.Helper()
	if *update {
		if err := os.WriteFile(file, got, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s differs; is now\n%s", file, got)
	}
}
