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
		{"From: root (Cron Daemon)\r\nTo: anna\r\nSubject: root, anna\r\n\r\n", header{},
			"From: postmaster@example.org (Cron Daemon)\r\nTo: anna@example.org\r\nSubject: root, anna\r\n\r\n"},
		{"From: smartd <root@pi.lan>\r\nSender: root@localhost\r\nReply-To: root@mail.example.org\r\n\r\n", header{},
			"From: smartd <postmaster@example.org>\r\nSender: postmaster@example.org\r\nReply-To: postmaster@example.org\r\n\r\n"},
		{"FROM : < root >\r\n\r\n", header{}, "FROM : < postmaster@example.org >\r\n\r\n"},
		{"From: Anna Smith <anna@b.test>\r\nTo: a@B.test, ben,\r\n cleo (x, y),\"d e\", F G <h>, <>\r\n\r\n", header{},
			"From: Anna Smith <anna@b.test>\r\nTo: a@B.test, ben@example.org,\r\n cleo@example.org (x, y),\"d e\"@example.org, F G <h@example.org>, <>\r\n\r\n"},
		{"From: a@b.test\r\nTo: undisclosed-recipients:;\r\nCc: team: x, y@z.test;, (only a comment)\r\n\r\n", header{},
			"From: a@b.test\r\nTo: undisclosed-recipients:;\r\nCc: team: x@example.org, y@z.test;, (only a comment)\r\n\r\n"},
		// What is no address stays as it is.
		{"From: Anna Smith\r\nTo: a @ b . c, x..y, <@x:y@z>, <a, b>, z <y\r\nCc: <\"a\\\r\n\r\n", header{},
			"From: Anna Smith\r\nTo: a @ b . c, x..y, <@x:y@z>, <a, b>, z <y\r\nCc: <\"a\\\r\n\r\n"},
		{"To: (((\r\nFrom: \"\r\n\r\n", header{}, "To: (((\r\nFrom: \"\r\n\r\n"},
		{"Subject: x\r\n\r\n", header{User: "www-data"}, "Subject: x\r\nFrom: \"www-data\" <postmaster@example.org>\r\n\r\n"},
		{"Subject: x\r\n\r\n", header{User: "anna"}, "Subject: x\r\nFrom: <anna@example.org>\r\n\r\n"},
		{"", header{User: "anna", Full: `J "Q" O'Hara\`}, "From: \"J \\\"Q\\\" O'Hara\\\\\" <anna@example.org>\r\n\r\n"},
		{"", header{User: "anna", Full: "Jürgen"}, "From: =?utf-8?q?J=C3=BCrgen?= <anna@example.org>\r\n\r\n"},
		{"", header{User: "anna", Full: "A\r\nBcc: evil@example.net"}, "From: \"A Bcc: evil@example.net\" <anna@example.org>\r\n\r\n"},
		{"", header{User: "anna", Sender: &null}, "From: <anna@example.org>\r\n\r\n"},
		{"", header{User: "anna", Sender: &full}, "From: <shop@example.net>\r\n\r\n"},
		{"", header{User: "anna", Sender: &bare}, "From: <shop@example.org>\r\n\r\n"},
		{"no header\r\n", header{User: "anna"}, "From: <anna@example.org>\r\n\r\nno header\r\n"},
	} {
		if got, err := c.header(t.Context(), []byte(x.in), &x.head); err != nil || string(got) != x.want {
			t.Errorf("%q becomes\n%q, %v; want\n%q", x.in, got, err, x.want)
		}
	}
	for name, c := range map[string]*completer{"From: root\r\n\r\n": newCompleter(), "To: slow\r\n\r\n": c, "\r\n": newCompleter()} {
		if got, err := c.header(t.Context(), []byte(name), &header{User: "anna"}); err == nil || !reply.Of(err).Temporary() {
			t.Errorf("%q becomes %q, %v; want it to wait", name, got, err)
		}
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
		if got, err := c.sender(t.Context(), &x.head); err != nil || got.String() != x.want {
			t.Errorf("%+v sends as %s, %v; want %s", x.head, got, err, x.want)
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

// Completing touches nothing but addresses, and twice is as good as once.
func FuzzSpans(f *testing.F) {
	for _, s := range []string{"root (x)", "a, <b>, \"c\" <d>", "a:b;c", "((\\)", "<\"", "\"\\", "< a >"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, value string) {
		last := 0
		for _, s := range spans([]byte(value)) {
			if s.start < last || s.end <= s.start || s.end > len(value) {
				t.Fatalf("%q: addresses at %v", value, spans([]byte(value)))
			}
			last = s.end
		}
		c := newCompleter("example.org")
		once, err := c.value(t.Context(), nil, []byte(value))
		if err != nil {
			return // slow@
		}
		if twice, err := c.value(t.Context(), nil, once); err != nil || string(twice) != string(once) {
			t.Errorf("%q becomes %q and then %q, %v", value, once, twice, err)
		}
		if strings.Count(string(once), "\n") != strings.Count(value, "\n") {
			t.Errorf("%q becomes %q", value, once)
		}
	})
}
