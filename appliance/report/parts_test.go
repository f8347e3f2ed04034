package report

import (
	"bytes"
	"mime"
	"regexp"
	"strings"
	"testing"
	"time"

	"hauspost/appliance/envelope"
	"hauspost/appliance/transfer"
)

var statusForm = regexp.MustCompile(`^[245]\.\d{1,3}\.\d{1,3}$`)

func mustParse(t *testing.T, n Notice) *parsed {
	t.Helper()
	raw := Message(n)
	p, err := parse(raw, &n)
	if err != nil {
		t.Fatalf("%v in\n%s", err, raw)
	}
	return p
}

// TestThirdPart: the message comes back whole only where it was asked for, is
// small enough and travels as it is.
func TestThirdPart(t *testing.T) {
	t.Parallel()
	const to = "To: d\u00f6rte@far.example\r\n"
	for name, c := range map[string]struct {
		change func(n *Notice)
		want   string // type, and a text that the part holds
		holds  string
	}{
		"full":             {func(n *Notice) { n.Ret = "FULL" }, "message/rfc822", "At noon"},
		"none asked":       {func(n *Notice) {}, "message/rfc822", "At noon"},
		"headers":          {func(n *Notice) { n.Ret = "hdrs" }, "text/rfc822-headers", "Lunch"},
		"no failure":       {func(n *Notice) { n.Kind = Delayed }, "text/rfc822-headers", "Lunch"},
		"no content":       {func(n *Notice) { n.Content = nil }, "text/rfc822-headers", "Lunch"},
		"no limit given":   {func(n *Notice) { n.MaxContent = 0 }, "text/rfc822-headers", "Lunch"},
		"just small":       {func(n *Notice) { n.MaxContent = len(n.Content) }, "message/rfc822", "At noon"},
		"just too large":   {func(n *Notice) { n.MaxContent = len(n.Content) - 1 }, "text/rfc822-headers", "Lunch"},
		"8-bit body":       {func(n *Notice) { n.Content = []byte(lunch + "\r\nGr\u00fc\u00dfe\r\n") }, "message/rfc822", "Gr\u00fc\u00dfe"},
		"bare CR":          {func(n *Notice) { n.Content = []byte(lunch + "\r\na\rb\r\n") }, "text/rfc822-headers", "Lunch"},
		"bare LF":          {func(n *Notice) { n.Content = []byte(lunch + "\r\na\nb\r\n") }, "text/rfc822-headers", "Lunch"},
		"NUL":              {func(n *Notice) { n.Content = []byte(lunch + "\r\n\x00\r\n") }, "text/rfc822-headers", "Lunch"},
		"line of 998":      {func(n *Notice) { n.Content = []byte(lunch + "\r\n" + strings.Repeat("x", 998) + "\r\n") }, "message/rfc822", "xx"},
		"line of 999":      {func(n *Notice) { n.Content = []byte(lunch + "\r\n" + strings.Repeat("x", 999) + "\r\n") }, "text/rfc822-headers", "Lunch"},
		"no line end":      {func(n *Notice) { n.Content = []byte(lunch + "\r\nend") }, "text/rfc822-headers", "Lunch"},
		"utf-8 header":     {func(n *Notice) { n.Header, n.Ret, n.SMTPUTF8 = []byte(to), "HDRS", true }, "message/global-headers", to},
		"utf-8, told so":   {func(n *Notice) { n.Header, n.Ret = []byte(to), "HDRS" }, "text/rfc822-headers", to},
		"latin-1":          {func(n *Notice) { n.Header, n.SMTPUTF8 = []byte("To: d\xf6rte\r\n"), true }, "text/rfc822-headers", "d\xf6rte"},
		"header from mail": {func(n *Notice) { n.Header, n.Ret = nil, "HDRS" }, "text/rfc822-headers", "Lunch"},
		"LF header":        {func(n *Notice) { n.Header, n.Content = []byte("A: b\nC: d\n\nno"), nil }, "text/rfc822-headers", "A: b\r\nC: d\r\n"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n := failed()
			c.change(&n)
			p := mustParse(t, n)
			if len(p.types) != 3 || p.types[2] != c.want || !bytes.Contains(p.bodies[2], []byte(c.holds)) {
				t.Errorf("%q: %q", p.types, p.bodies[2])
			}
			if strings.HasSuffix(c.want, "headers") && bytes.Contains(p.bodies[2], []byte("\r\n\r\n")) {
				t.Errorf("more than a header: %q", p.bodies[2])
			}
			if whole := !strings.HasSuffix(c.want, "headers"); whole && !bytes.Equal(p.bodies[2], n.Content) {
				t.Errorf("changed: %q", p.bodies[2])
			}
			if whole := strings.Contains(string(p.bodies[0]), "The message is attached"); whole == strings.HasSuffix(c.want, "headers") {
				t.Errorf("the text says otherwise: %s", p.bodies[0])
			}
		})
	}
}

func TestNothingToReturn(t *testing.T) {
	t.Parallel()
	n := failed()
	n.Header, n.Content = nil, nil
	p := mustParse(t, n)
	if len(p.types) != 2 || bytes.Contains(p.bodies[0], []byte("attached")) || p.header.Get("Subject") != "Not delivered: message to bob@far.example" {
		t.Errorf("%q %q\n%s", p.types, p.header.Get("Subject"), p.bodies[0])
	}
}

func TestHuge(t *testing.T) {
	t.Parallel()
	n := huge()
	n.MaxContent = len(n.Content) - 1
	p := mustParse(t, n)
	if len(p.bodies[2]) > maxHeader || len(p.bodies[2]) < maxHeader-200 || !bytes.HasSuffix(p.bodies[2], []byte("yyy\r\n")) {
		t.Errorf("%d octets of header, which end in %q", len(p.bodies[2]), p.bodies[2][len(p.bodies[2])-20:])
	}
	if !bytes.Contains(p.bodies[0], []byte("The beginning of")) {
		t.Errorf("nothing says that it was cut: %s", p.bodies[0])
	}
	if len(p.bodies[0])+len(p.bodies[1]) > 20_000 {
		t.Errorf("%d and %d octets on four recipients", len(p.bodies[0]), len(p.bodies[1]))
	}
	n.Header, n.Content = []byte(strings.Repeat("z", 3*maxHeader)), nil
	if p = mustParse(t, n); len(bytes.TrimSpace(p.bodies[2])) != maxHeader {
		t.Errorf("%d octets of a header that is one field", len(p.bodies[2]))
	}
}

func TestBoundaryIsNotInTheMessage(t *testing.T) {
	t.Parallel()
	n := failed()
	var lines strings.Builder
	for i := range 30 {
		lines.WriteString("--=_" + string(n.ID))
		if i > 0 {
			lines.WriteString("_" + string(rune('0'+i/10)) + string(rune('0'+i%10)))
		}
		lines.WriteString("\r\n")
	}
	n.Content = []byte(lunch + "\r\n" + lines.String())
	if p := mustParse(t, n); len(p.types) != 3 || !bytes.Equal(p.bodies[2], n.Content) {
		t.Errorf("%q", p.bodies)
	}
}

func TestSubject(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		kind         Action
		header, want string
	}{
		{Failed, "Subject: Lunch\r\n", "Not delivered: Lunch"},
		{Delayed, "subject :  Lunch\r\n on\r\n\tFriday\r\nX: y\r\n", "Not delivered yet: Lunch on Friday"},
		{Relayed, "X: y\r\nSubject: =?iso-8859-1?q?Gr=FC=DFe?= all\r\n", "Sent on: Grüße all"},
		{Delivered, "Subject: =?x-unknown?q?abc?=\r\n", "Delivered: message to bob@far.example"},
		{Failed, "Subject: =?utf-8?b?DQpCY2M6IGE=?=\r\n", "Not delivered: Bcc: a"},
		{Action("nonsense"), "Subject: a\x00\x1b[2Jb\u202ec\r\n", "Not delivered: a??[2Jb?c"},
		{Failed, "Subject: " + strings.Repeat("lang ", 100) + "\r\n", "Not delivered: " + strings.TrimSpace(strings.Repeat("lang ", 24)) + "…"},
		{Failed, "Subject: " + strings.Repeat("ü", 100) + "\r\n", "Not delivered: " + strings.Repeat("ü", 60) + "…"},
	} {
		n := base(c.kind)
		n.Header = []byte(c.header)
		p := mustParse(t, n)
		got, err := new(mime.WordDecoder).DecodeHeader(p.header.Get("Subject"))
		if err != nil || got != c.want {
			t.Errorf("%q: %q, %v; want %q", c.header, got, err, c.want)
		}
	}
}

func TestThreading(t *testing.T) {
	t.Parallel()
	for header, want := range map[string]string{
		"Message-ID: <a.b@c>\r\n":                              "<a.b@c>",
		"Message-ID:\r\n <a.b@c>\r\n":                          "<a.b@c>",
		"Message-ID: <a b@c>\r\n":                              "",
		"Message-ID: <a@b> <c@d>\r\n":                          "",
		"Message-ID: a@b\r\n":                                  "",
		"Message-ID: <@b>\r\n":                                 "",
		"Message-ID: <a@>\r\n":                                 "",
		"Message-ID: <" + strings.Repeat("a", 300) + "@b>\r\n": "",
	} {
		n := base(Failed)
		n.Header = []byte(header)
		p := mustParse(t, n)
		if got := p.header.Get("In-Reply-To"); got != want || p.header.Get("References") != want {
			t.Errorf("%q: %q", header, got)
		}
	}
}

func TestStatus(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		action   Action
		expired  bool
		enhanced string
		name     string
		want     string
	}{
		{Failed, false, "5.1.1", "", "5.1.1"},
		{Failed, false, "4.2.2", "", "5.2.2"},
		{Failed, false, "", "null-mx", "5.1.10"},
		{Failed, false, "", "", "5.0.0"},
		{Failed, false, "2.0.0", "", "5.0.0"},
		{Failed, false, "5.0.0", "mailbox-full", "5.2.2"},
		{Failed, true, "4.2.2", "", "4.2.2"},
		{Failed, true, "4.0.0", "", "4.4.7"},
		{Failed, true, "", "no-server", "4.4.1"},
		{Delayed, false, "5.7.1", "", "4.7.1"},
		{Delayed, false, "junk", "", "4.0.0"},
		{Delayed, false, "4.7.0001", "", "4.7.1"},
		{Delayed, false, "4.7.1000", "", "4.0.0"},
		{Relayed, false, "2.1.5", "", "2.1.5"},
		{Delivered, false, "", "", "2.0.0"},
		{Expanded, false, "5.1.1", "", "2.0.0"},
	} {
		r := Recipient{Expired: c.expired, Outcome: transfer.Outcome{Enhanced: c.enhanced, Name: c.name}}
		if got := status(c.action, &r); got != c.want {
			t.Errorf("%+v: %s", c, got)
		}
	}
}

func TestDiagnostic(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		o    transfer.Outcome
		want string
	}{
		{transfer.Outcome{Code: 550, Enhanced: "5.1.1", Answer: "550 5.1.1 no"}, "smtp; 550 5.1.1 no"},
		{transfer.Outcome{Code: 550, Enhanced: "5.1.1", Answer: "5.1.1 no"}, "smtp; 550 5.1.1 no"},
		{transfer.Outcome{Code: 550, Enhanced: "5.1.1", Answer: "no"}, "smtp; 550 5.1.1 no"},
		{transfer.Outcome{Code: 550, Answer: "no"}, "smtp; 550 no"},
		{transfer.Outcome{Code: 550}, "smtp; 550"},
		{transfer.Outcome{Answer: "no route"}, "X-Hauspost; no route"},
		{transfer.Outcome{}, ""},
	} {
		if got := diagnostic(&c.o); got != c.want {
			t.Errorf("%+v: %q", c.o, got)
		}
	}
}

func TestOriginalRecipient(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"rfc822;bob@far.example":              "rfc822; bob@far.example",
		"RFC822;bob+2Bx@far.example":          "rfc822; bob+x@far.example",
		"rfc822;a+20b":                        "rfc822; a b",
		"x400;+2FC=de":                        "x400; /C=de",
		`utf-8;d\x{F6}rte@far.example`:        "utf-8; dörte@far.example",
		`utf-8;d+5Cx{F6}rte@far.example`:      `utf-8; d\x{F6}rte@far.example`,
		"utf-8;dörte+x@far.example":           "utf-8; dörte+x@far.example",
		"utf-8;d+C3+B6rte@far.example":        "utf-8; dörte@far.example",
		`utf-8;a\x{0D}\x{0A}Bcc`:              "",
		`utf-8;a\x{D800}`:                     "",
		`utf-8;a\x{110000}`:                   "",
		`utf-8;a\x{zz}`:                       "",
		"utf-8;\xff":                          "",
		"rfc822;a+0D+0Ab":                     "",
		"rfc822;a+4":                          "",
		"rfc822;dörte@far.example":            "",
		"rfc822;":                             "",
		"rfc822":                              "",
		";a@b":                                "",
		"rf c;a@b":                            "",
		"rfc822;" + strings.Repeat("a", 2000): "",
	} {
		got := ""
		if o, ok := originalRecipient(in); ok {
			got = o.field(true)
		}
		if got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
	for address, want := range map[string]string{"dörte+x=y@far.example": `utf-8; d\x{F6}rte\x{2B}x\x{3D}y@far.example`, `a\b`: `utf-8; a\x{5C}b`, "€": `utf-8; \x{20AC}`} {
		got := typed{"utf-8", address}.field(false)
		if back, ok := decodeUnitext(strings.TrimPrefix(got, "utf-8; ")); got != want || !ok || back != address {
			t.Errorf("%q: %q, and back %q", address, got, back)
		}
	}
}

func TestEnvelopeID(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{"QQ+2B1": "QQ+1", "a+0Db": "", "a+": "", "": "", "+20": "", strings.Repeat("e", 300): ""} {
		n := base(Failed)
		n.EnvID = in
		if got := mustParse(t, n).fields[0].Get("Original-Envelope-Id"); got != want {
			t.Errorf("%q: %q", in, got)
		}
	}
}

func TestAddresses(t *testing.T) {
	t.Parallel()
	n := failed()
	n.To, n.From = envelope.Address{Local: "Postmaster"}, envelope.MustAddress("bounces@haus.example")
	p := mustParse(t, n)
	if to, from := p.header.Get("To"), p.header.Get("From"); to != "<Postmaster@mail.haus.example>" || from != "Mail delivery <bounces@haus.example>" {
		t.Errorf("%s, %s", to, from)
	}
	if NeedsSMTPUTF8(n) {
		t.Error("plain addresses need SMTPUTF8")
	}
	n.To = envelope.MustAddress("jörg@haus.example")
	if to := mustParse(t, n).header.Get("To"); to != "<jörg@haus.example>" || !NeedsSMTPUTF8(n) {
		t.Errorf("%s, needs SMTPUTF8: %t", to, NeedsSMTPUTF8(n))
	}
	if NeedsSMTPUTF8(international(false)) || !NeedsSMTPUTF8(international(true)) {
		t.Error("SMTPUTF8 of the Notice does not decide")
	}
}

func TestSpan(t *testing.T) {
	t.Parallel()
	for d, want := range map[time.Duration]string{
		0: "a minute", 119 * time.Second: "a minute", 2 * time.Minute: "2 minutes", 119 * time.Minute: "119 minutes",
		2 * time.Hour: "2 hours", 47 * time.Hour: "47 hours", 48*time.Hour + 20*time.Minute: "2 days", 5 * 24 * time.Hour: "5 days",
	} {
		if got := span(d); got != want {
			t.Errorf("%v: %s", d, got)
		}
	}
}

// TestLinesAreShort: people read this in 80 columns.
func TestLinesAreShort(t *testing.T) {
	t.Parallel()
	for _, n := range []Notice{failed(), expired(), delayed(), success(Relayed), success(Delivered), forwarded()} {
		for line := range strings.SplitSeq(n.text(), "\r\n") {
			if len(line) > 76 {
				t.Errorf("%d columns: %s", len(line), line)
			}
		}
	}
}

func TestRemoteMTA(t *testing.T) {
	t.Parallel()
	for host, want := range map[string]string{"mx.example.org": "dns; mx.example.org", "192.0.2.1": "dns; [192.0.2.1]", "2001:db8::1": "dns; [IPv6:2001:db8::1]"} {
		n := Notice{Kind: Failed, Hostname: "box.example", ID: "x", Now: time.Unix(0, 0).UTC(), Recipients: []Recipient{{Host: host}}}
		if got := string(Message(n)); !strings.Contains(got, "\r\nRemote-MTA: "+want+"\r\n") {
			t.Errorf("%s: not %q in\n%s", host, want, got)
		}
	}
}
