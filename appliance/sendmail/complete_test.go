package sendmail

import (
	"strings"
	"testing"

	"hauspost/appliance/reply"
)

func newCompleter(domains ...string) *completer {
	return &completer{
		dir: people{"anna"}, facts: Facts{Hostname: "mail.example.org", Domains: domains},
		host: "pi.lan", isUser: fakeUsers{}.Has,
	}
}

func TestCompleteAddress(t *testing.T) {
	t.Parallel()
	c := newCompleter("example.org", "example.com")
	for in, want := range map[string]string{
		"anna":                  "anna@example.org",
		"root":                  "postmaster@example.org",
		"www-data@localhost":    "postmaster@example.org",
		"root@pi.lan":           "postmaster@example.org",
		"root@pi":               "postmaster@example.org",
		"root@mail.example.org": "postmaster@example.org",
		"Anna@PI.LAN":           "Anna@example.org",
		"postmaster":            "postmaster@example.org",
		"nobody-here":           "nobody-here@example.org",
		"root@example.com":      "root@example.com",
		"root@example.net":      "root@example.net",
		`"a b"`:                 `"a b"@example.org`,
	} {
		if got, err := c.address(t.Context(), in); err != nil || !strings.EqualFold(got.String(), want) {
			t.Errorf("%s becomes %s, %v; want %s", in, got, err, want)
		}
	}
	if _, err := c.address(t.Context(), "slow"); err == nil || !reply.Of(err).Temporary() {
		t.Errorf("a directory that cannot be asked: %v", err)
	}
	if _, err := newCompleter().address(t.Context(), "root"); err == nil || !reply.Of(err).Temporary() {
		t.Errorf("a box without a domain: %v", err)
	}
	// A box whose own name is a mail domain.
	own := newCompleter("mail.example.org")
	if got, err := own.address(t.Context(), "root@mail.example.org"); err != nil || got.Local != "root" {
		t.Errorf("at a domain of the box root becomes %s, %v", got, err)
	}
}

func TestCompleteHeader(t *testing.T) {
	t.Parallel()
	c := newCompleter("example.org")
	null, full, bare := "", "shop@example.net", "shop"
	for _, x := range []struct {
		in   string
		head header
		want string
	}{
		{"From: root (Cron Daemon)\r\nTo: root\r\nSubject: root, anna\r\n\r\n", header{},
			"From: root@example.org (Cron Daemon)\r\nTo: root@example.org\r\nSubject: root, anna\r\n\r\n"},
		{"FROM : <root>\r\n\r\n", header{}, "FROM : <root@example.org>\r\n\r\n"},
		{"From: Anna Smith <anna@b.test>\r\nTo: a@b.test, ben,\r\n cleo (x, y),\"d e\", F G <h>, <>\r\n\r\n", header{},
			"From: Anna Smith <anna@b.test>\r\nTo: a@b.test, ben@example.org,\r\n cleo@example.org (x, y),\"d e\"@example.org, F G <h@example.org>, <>\r\n\r\n"},
		{"From: a@b\r\nTo: undisclosed-recipients:;\r\nCc: team: x, y@z;, (only a comment)\r\n\r\n", header{},
			"From: a@b\r\nTo: undisclosed-recipients:;\r\nCc: team: x@example.org, y@z;, (only a comment)\r\n\r\n"},
		// What is no address stays as it is.
		{"From: Anna Smith\r\nTo: a @ b . c, \"a@b\" , <@x:y@z>, <a, b>, x <y\r\nCc: <\"a\\\r\n\r\n", header{},
			"From: Anna Smith\r\nTo: a @ b . c, \"a@b\"@example.org , <@x:y@z>, <a, b>, x <y\r\nCc: <\"a\\\r\n\r\n"},
		{"To: (((\r\nFrom: \"\r\n\r\n", header{}, "To: (((\r\nFrom: \"\r\n\r\n"},
		{"Subject: x\r\n\r\n", header{User: "www-data"}, "Subject: x\r\nFrom: <www-data@example.org>\r\n\r\n"},
		{"", header{User: "u", Full: `J "Q" O'Hara\`}, "From: \"J \\\"Q\\\" O'Hara\\\\\" <u@example.org>\r\n\r\n"},
		{"", header{User: "u", Full: "Jürgen"}, "From: =?utf-8?q?J=C3=BCrgen?= <u@example.org>\r\n\r\n"},
		{"", header{User: "u", Full: "A\r\nBcc: evil@example.net"}, "From: \"A Bcc: evil@example.net\" <u@example.org>\r\n\r\n"},
		{"", header{User: "u", Sender: &null}, "From: <u@example.org>\r\n\r\n"},
		{"", header{User: "u", Sender: &full}, "From: <shop@example.net>\r\n\r\n"},
		{"", header{User: "u", Sender: &bare}, "From: <shop@example.org>\r\n\r\n"},
		{"", header{User: "no user@@"}, "From: <postmaster@example.org>\r\n\r\n"},
		{"no header\r\n", header{User: "u"}, "From: <u@example.org>\r\n\r\nno header\r\n"},
	} {
		if got := string(c.header([]byte(x.in), &x.head)); got != x.want {
			t.Errorf("%q becomes\n%q, want\n%q", x.in, got, x.want)
		}
	}
	if got := string(newCompleter().header([]byte("From: root\r\n\r\n"), &header{})); got != "From: root\r\n\r\n" {
		t.Errorf("a box without a domain makes %q", got)
	}
}

// Errors always reach somebody, whoever the user is.
func TestSenderOfUser(t *testing.T) {
	t.Parallel()
	c := newCompleter("example.org")
	null, other := "", "who"
	for _, x := range []struct {
		head header
		want string
	}{
		{header{User: "anna"}, "anna@example.org"},
		{header{User: "www-data"}, "postmaster@example.org"},
		{header{User: "user4711"}, "postmaster@example.org"},
		{header{User: "no user"}, "postmaster@example.org"},
		{header{User: "a@b.test"}, "postmaster@example.org"},
		{header{User: "anna", Sender: &null}, ""},
		{header{User: "anna", Sender: &other}, "who@example.org"},
	} {
		s := &Spooled{}
		if err := c.sender(t.Context(), s, &x.head); err != nil || s.Sender.String() != x.want {
			t.Errorf("%+v sends as %s, %v; want %s", x.head, s.Sender, err, x.want)
		}
	}
}

// The name is no way into the header, however long or odd it is.
func FuzzPhrase(f *testing.F) {
	f.Add("Anna Smith")
	f.Add("J\u00fcrgen\x00 \xff")
	f.Add(strings.Repeat("ä", 49))
	f.Fuzz(func(t *testing.T, name string) {
		got := phrase(name)
		lines := strings.Split("From: "+got+"<a@b>", "\r\n")
		for i, line := range lines {
			if strings.ContainsAny(line, "\r\n\x00") || len(line) > 998 || i > 0 && !strings.HasPrefix(line, " =?") {
				t.Errorf("%q makes %q", name, got)
			}
		}
	})
}

// Names are completed behind an address, never within a quote or a comment, and
// twice is as good as once.
func FuzzBareNames(f *testing.F) {
	for _, s := range []string{"root (x)", "a, <b>, \"c\" <d>", "a:b;c", "((\\)", "<\"", "\"\\"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, value string) {
		c := newCompleter("example.org")
		once := c.value(nil, []byte(value))
		if len(bareNames(once)) > len(bareNames([]byte(value))) {
			t.Errorf("%q becomes %q, which has more bare names", value, once)
		}
		last := -1
		for _, end := range bareNames([]byte(value)) {
			if end <= last || end > len(value) || isSpace(value[end-1]) {
				t.Errorf("%q: names end at %v", value, bareNames([]byte(value)))
			}
			last = end
		}
	})
}
