package message

import (
	"bytes"
	"slices"
	"strings"
	"testing"
)

func lines(s string) []byte { return []byte(strings.ReplaceAll(s, "\n", "\r\n")) }

func TestReadOutgoing(t *testing.T) {
	t.Parallel()
	o := ReadOutgoing(lines(`Received: from a
 by b
FROM : "Alice, A." <alice@example.test>
From:
	Team: bob@example.test, "c d"@Example.Test;
Sender: desk@example.test (the desk)
date:
Message-ID:
 <1@example.test>
Message-ID: <2@example.test>
Bcc: x@example.test,
 y@example.test
bcc	: z@example.test
Resent-Bcc: r@example.test
Delivered-To: alice@example.test
delivered-to: bob@example.test
Received: from c
TLS-Required:  no
Subject: ` + "\u00fcber" + `

From: body@example.test
`))
	if want := []string{"alice@example.test", "bob@example.test", `"c d"@Example.Test`}; !slices.Equal(o.From, want) || o.FromFields != 2 {
		t.Errorf("From: %d fields, %q", o.FromFields, o.From)
	}
	if o.SenderField != "desk@example.test" || !o.HasDate || !o.HasMessageID || o.MessageID != "<1@example.test>" {
		t.Errorf("%+v", o)
	}
	if want := lines("Bcc: x@example.test,\n y@example.test\nbcc\t: z@example.test\nResent-Bcc: r@example.test\n"); !bytes.Equal(o.Bcc, want) {
		t.Errorf("Bcc: %q", o.Bcc)
	}
	if want := []string{"alice@example.test", "bob@example.test"}; o.Received != 2 || !slices.Equal(o.DeliveredTo, want) {
		t.Errorf("Received %d, Delivered-To %q", o.Received, o.DeliveredTo)
	}
	if !o.TLSOptional || !o.EightBit || o.Malformed != "" || o.BadLine != 0 {
		t.Errorf("%+v", o)
	}
	if o := ReadOutgoing(nil); o.From != nil || o.Malformed != "" || o.BadLine != 0 || o.HasDate || o.HasMessageID || o.EightBit {
		t.Errorf("of nothing: %+v", o)
	}
	if o := ReadOutgoing(lines("TLS-Required: yes\nBcc: a@example.test")); o.TLSOptional || string(o.Bcc) != "Bcc: a@example.test\r\n" {
		t.Errorf("%+v", o)
	}
}

// TestAuthors holds that an author is never missed, and that what two readers
// could read in two ways is called malformed.
func TestAuthors(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		from string
		want []string
		bad  bool
	}{
		{"alice@example.test", []string{"alice@example.test"}, false},
		{"Alice (the boss) <alice@example.test>", []string{"alice@example.test"}, false},
		{"alice@example.test (bob@example.test)", []string{"alice@example.test"}, false},
		{`"bob@example.test" <alice@example.test>`, []string{"alice@example.test"}, false},
		{`"\"<bob@example.test>" <alice@example.test>`, []string{"alice@example.test"}, false},
		{"=?utf-8?q?bob=40example=2Etest?= <alice@example.test>", []string{"alice@example.test"}, false},
		{"=?x-unknown?b?YWJj?= <alice@example.test>", []string{"alice@example.test"}, false},
		{"J. \u00dc. Doe <j\u00fc@b\u00fccher.example>", []string{"j\u00fc@b\u00fccher.example"}, false},
		{"Alice\r\n <alice@example.test>,\r\n\tbob@example.test", []string{"alice@example.test", "bob@example.test"}, false},
		{"us: alice@example.test, Bob <bob@example.test>;", []string{"alice@example.test", "bob@example.test"}, false},
		{`"a b"@example.test`, []string{`"a b"@example.test`}, false},
		{`"plain"@example.test`, []string{"plain@example.test"}, false},
		{`"q\"\\"@[192.0.2.1]`, []string{`"q\"\\"@[192.0.2.1]`}, false},
		{"nobody:;", nil, false},

		{"", nil, true},
		{"alice", []string{"alice"}, true},
		{"root (Cron Daemon)", []string{"root"}, true},
		{"Alice Doe", nil, true},
		{"bob@example.test <alice@example.test>", []string{"alice@example.test"}, true},
		{"<bob@example.test> <alice@example.test>", []string{"bob@example.test", "alice@example.test"}, true},
		{"<@relay.example:alice@example.test>", []string{"alice@example.test"}, true},
		{"Doe, Alice <alice@example.test>", []string{"Doe", "alice@example.test"}, true},
		{`"Alice <alice@example.test>`, []string{"alice@example.test"}, true},
		{"Alice <alice@example.test", []string{"alice@example.test"}, true},
		{"(the boss) alice@example.test", []string{"alice@example.test"}, true},
		{"alice(b)@example.test", []string{"alice@example.test"}, true},
		{"alice@example.test;bob@example.test", []string{"alice@example.test", "bob@example.test"}, true},
		{"M\xfcller <alice@example.test>", []string{"alice@example.test"}, true},
		{"alice@example.test" + strings.Repeat(" ", 10) + "bob@example.test", []string{"alice@example.test"}, true},
		{"(" + strings.Repeat("c", maxAuthors) + ") alice@example.test", []string{"alice@example.test"}, true},
	} {
		o := ReadOutgoing([]byte("From: " + test.from + "\r\n\r\n"))
		if !slices.Equal(o.From, test.want) || (o.Malformed != "") != test.bad {
			t.Errorf("From: %.80q: %q, malformed %q", test.from, o.From, o.Malformed)
		}
		if s := ReadOutgoing([]byte("Sender: " + test.from + "\r\n\r\n")); len(s.From) != 0 || s.SenderField != first(test.want) ||
			(s.Malformed != "") != (test.bad || len(test.want) != 1) {
			t.Errorf("Sender: %.80q: %q, malformed %q", test.from, s.SenderField, s.Malformed)
		}
	}
	o := ReadOutgoing(lines("From: alice@example.test\nFrom: bob@\nSender:\n\n"))
	if o.FromFields != 2 || o.Malformed != "the From field is not a plain list of addresses" {
		t.Errorf("%+v", o)
	}
	many := ReadOutgoing([]byte("From: " + strings.Repeat("a@b,", MaxAddresses+5) + "\r\n"))
	if len(many.From) != MaxAddresses || many.Malformed == "" {
		t.Errorf("%d of too many addresses, malformed %q", len(many.From), many.Malformed)
	}
}

func first(list []string) string {
	if len(list) == 0 {
		return ""
	}
	return list[0]
}

func TestBadLineEndsTheHeader(t *testing.T) {
	t.Parallel()
	for header, line := range map[string]int{
		"From: a@example.test\n\nno field\n":                     0,
		"From: a@example.test":                                   0,
		"From: a@example.test\n fold\n\t \nTo: b@example.test\n": 0,
		"From: a@example.test\n fold\nno field\nTo: b@c\n\nbody": 3,
		"no field\nFrom: b@example.test\n\n":                     1,
		" From: b@example.test\n\n":                              1,
		"From alice Mon Jan  1 00:00:00 2026\nFrom: b@c\n\n":     1,
		"From: a@example.test\nSubj\x00ect: x\n\n":               2,
		"From: a@example.test\nFr\u00f6m: x\n\n":                 2,
		"From: a@example.test\n: x\n\n":                          2,
		"From: a@example.test\nFrom\n : b@example.test\n\n":      2,
	} {
		o := ReadOutgoing(lines(header))
		if o.BadLine != line {
			t.Errorf("%q: line %d", header, o.BadLine)
		}
		if line != 1 && o.FromFields != 1 {
			t.Errorf("%q: %d From fields", header, o.FromFields)
		}
	}
}

func TestMend(t *testing.T) {
	t.Parallel()
	const add = "Date: now\n"
	for _, test := range []struct{ header, add, want string }{
		{"From: a\n\n", add, "From: a\nDate: now\n\n"},
		{"From: a\n\n", "", "From: a\n\n"},
		{"From: a\n", add, "From: a\nDate: now\n\n"},
		{"From: a", add, "From: a\nDate: now\n\n"},
		{"", add, "Date: now\n\n"},
		{"", "", "\n"},
		{"\n", add, "Date: now\n\n"},
		{"Just a text\nof two lines\n", add, "Date: now\n\nJust a text\nof two lines\n"},
		{"Just a text", "", "\nJust a text"},
		{"From: a\nno field\nBcc: kept\n\nbody", add, "From: a\nDate: now\n\nno field\nBcc: kept\n\nbody"},
		{"Bcc: a,\n b\nFrom: \xff \t\nBCC \t: c\n\td\nresent-bcc:e\nReturn-Path: <f>\nX-Bcc: g\nBcc-X: h\n\nBcc: body\n", add,
			"From: \xff \t\nX-Bcc: g\nBcc-X: h\nDate: now\n\nBcc: body\n"},
		{"Bcc: a", add, "Date: now\n\n"},
		{"Bcc:\n\n", "", "\n"},
	} {
		if got := Mend(lines(test.header), lines(test.add)); !bytes.Equal(got, lines(test.want)) {
			t.Errorf("%q with %q: %q", test.header, test.add, got)
		}
	}
	if got := Mend([]byte("A: b\nBcc: c\n\nbody\n"), []byte("D: e\r\n")); string(got) != "A: b\nD: e\r\n\nbody\n" {
		t.Errorf("bare line ends: %q", got)
	}
}

func TestRecipients(t *testing.T) {
	t.Parallel()
	for header, want := range map[string][]string{
		"":                     {},
		"From: a@x\nTo: b@x\n": {"b@x"},
		"To: B <b@x>, c@x (d@x)\nCC : friends: e@x, \"f g\"@x;, root\nbcc:\n h@x,\n b@x\n\nTo: body@x\n": {"b@x", "c@x", "e@x", `"f g"@x`, "root", "h@x"},
		"To: b@x\nResent-To: c@x\nResent-Cc: d@x\nresent-bcc: e@x\n":                                     {"c@x", "d@x", "e@x"},
		"To: b@x\nResent-Date: now\n":                      {},
		"To: undisclosed-recipients:;\n":                   {},
		"To: Name Only, <>, <@r:i@x>\nno field\nCc: j@x\n": {"i@x"},
	} {
		if got := Recipients(lines(header)); !slices.Equal(got, want) {
			t.Errorf("%q: %q", header, got)
		}
	}
	var all strings.Builder
	for i := range MaxAddresses + 10 {
		all.WriteString("To: a" + strings.Repeat("b", i%60) + strings.Repeat("c", i/60%60) + strings.Repeat("d", i/3600) + "@x\r\n")
	}
	if n := len(Recipients([]byte(all.String()))); n != MaxAddresses+1 {
		t.Errorf("%d of too many recipients", n)
	}
}

// FuzzMend holds what Mend promises of any header.
func FuzzMend(f *testing.F) {
	for _, raw := range mails(f) {
		f.Add(raw, "Date: now\r\n")
	}
	f.Add([]byte("Bcc\t: a\r\n b\r\nFrom\r\n : c\r\nx"), "")
	f.Add([]byte("Bcc: a"), "A: b\r\nC: d\r\n")
	f.Fuzz(func(t *testing.T, header []byte, add string) {
		o := ReadOutgoing(header)
		Recipients(header)
		if a := ReadOutgoing([]byte(add)); a.BadLine != 0 || !strings.HasSuffix(add, "\r\n") || len(a.Bcc) > 0 || strings.Contains(add, "\n\r\n") ||
			strings.Contains(add, "\n\n") || strings.Contains(strings.ToLower(add), "return-path") || strings.Trim(add[:1], " \t\r\n") == "" {
			add = ""
		}
		out := Mend(header, []byte(add))
		m := ReadOutgoing(out)
		if len(m.Bcc) > 0 || m.BadLine != 0 {
			t.Fatalf("%q: left %q, bad line %d", out, m.Bcc, m.BadLine)
		}
		if add == "" && (!slices.Equal(m.From, o.From) || m.FromFields != o.FromFields || m.MessageID != o.MessageID || m.Received != o.Received) {
			t.Fatalf("%q to %q:\n%+v\n%+v", header, out, o, m)
		}
		if again := Mend(out, nil); !bytes.Equal(again, out) {
			t.Fatalf("%q mends again to %q", out, again)
		}
		whole, body := SplitHeader(out)
		if !bytes.HasSuffix(whole, []byte(add+"\r\n")) && !bytes.HasSuffix(whole, []byte(add+"\n")) {
			t.Fatalf("the header %q does not end in %q", whole, add)
		}
		if !bytes.HasSuffix(header, body) {
			t.Fatalf("the body %q is not the end of %q", body, header)
		}
	})
}

func BenchmarkMend(b *testing.B) {
	header, _ := SplitHeader(ordinary(4 << 10))
	add := []byte("Date: Tue, 3 Feb 2026 09:15:00 +0100\r\nMessage-ID: <1@example.test>\r\n")
	b.ReportAllocs()
	for b.Loop() {
		Mend(header, add)
	}
}

func BenchmarkReadOutgoing(b *testing.B) {
	header, _ := SplitHeader(ordinary(4 << 10))
	b.ReportAllocs()
	for b.Loop() {
		ReadOutgoing(header)
	}
}
