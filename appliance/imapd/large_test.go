package imapd_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"fmt"
	"io"
	"strings"
	"testing"

	"hauspost/appliance/imapd"
)

// largeMessage has a part in base64, one in quoted-printable and one that is a
// message. It gives what is in the first two.
func largeMessage() (raw, binary, text []byte) {
	binary = bytes.Repeat([]byte("0\x001\xff2345678\n"), 120_000)
	var b bytes.Buffer
	b.WriteString("Subject: large\r\nContent-Type: multipart/mixed; boundary=x\r\n\r\n" +
		"--x\r\nContent-Type: application/octet-stream\r\nContent-Transfer-Encoding: base64\r\n\r\n")
	encoded := base64.StdEncoding.EncodeToString(binary)
	for ; len(encoded) > 76; encoded = encoded[76:] {
		b.WriteString(encoded[:76] + "\r\n")
	}
	b.WriteString(encoded)
	b.WriteString("\r\n--x\r\nContent-Type: text/plain\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n")
	for range 10_000 {
		b.WriteString("Gr=C3=BC=C3=9Fe aus dem  =\r\nHaus \r\n")
		text = append(text, "Grüße aus dem  Haus\r\n"...)
	}
	text = bytes.TrimSuffix(text, []byte("\r\n"))
	b.Truncate(b.Len() - 2)
	b.WriteString("\r\n--x\r\nContent-Type: message/rfc822\r\n\r\nSubject: within\r\nX-Other: y\r\n\r\nwithin\r\n--x--\r\n")
	return b.Bytes(), binary, text
}

// literal reads one FETCH response with one literal.
func (c *wireClient) literal(tag, command string) (head string, body []byte) {
	c.t.Helper()
	c.send(tag + " " + command + "\r\n")
	head, err := c.line()
	check(c.t, err)
	if n := strings.LastIndexByte(head, '{'); n >= 0 {
		var size int
		if _, err := fmt.Sscanf(head[n:], "{%d}", &size); err != nil {
			c.t.Fatal(head)
		}
		body = make([]byte, size)
		if _, err := io.ReadFull(c.r, body); err != nil {
			c.t.Fatal(err)
		}
	}
	c.until(tag + " OK")
	return head, body
}

// TestLargeSections: of a message that is never held in memory all the same
// sections can be read as of others.
func TestLargeSections(t *testing.T) {
	t.Parallel()
	b := newBox(t, nil)
	raw, binary, text := largeMessage()
	b.deliver(t, "INBOX", raw)
	bigHeader := []byte("Subject: big header\r\nX-Big: " + strings.Repeat(strings.Repeat("h", 70)+"\r\n ", 20_000) + "h\r\nX-After: z\r\n\r\nbody\r\n")
	b.deliver(t, "INBOX", bigHeader)
	c := b.login(t)
	c.command("s", "SELECT INBOX")
	header := raw[:bytes.Index(raw, []byte("\r\n\r\n"))+4]
	for i, test := range []struct {
		item string
		want []byte
	}{
		{"1 BODY.PEEK[]", raw},
		{"1 BINARY.PEEK[]", raw},
		{"1 BODY.PEEK[HEADER]", header},
		{"1 RFC822.HEADER", header},
		{"1 BODY.PEEK[TEXT]", raw[len(header):]},
		{"1 BODY.PEEK[]<5.2000000>", raw[5:min(2000005, len(raw))]},
		{"1 BINARY.PEEK[1]", binary},
		{"1 BINARY.PEEK[1]<100001.70000>", binary[100001:170001]},
		{"1 BINARY.PEEK[1]<100000000.7>", nil},
		{"1 BINARY.PEEK[2]", text},
		{"1 BINARY.PEEK[3]", []byte("Subject: within\r\nX-Other: y\r\n\r\nwithin")},
		{"1 BODY.PEEK[1.MIME]", []byte("Content-Type: application/octet-stream\r\nContent-Transfer-Encoding: base64\r\n\r\n")},
		{"1 BODY.PEEK[3.HEADER.FIELDS (X-Other)]", []byte("X-Other: y\r\n\r\n")},
		{"1 BODY.PEEK[HEADER.FIELDS (Subject)]", []byte("Subject: large\r\n\r\n")},
		{"2 BODY.PEEK[HEADER]", bigHeader[:len(bigHeader)-6]},
		{"2 BODY.PEEK[HEADER.FIELDS (Subject)]", []byte("Subject: big header\r\n\r\n")},
		{"2 BODY.PEEK[TEXT]", []byte("body\r\n")},
	} {
		head, got := c.literal(fmt.Sprintf("t%d", i), "FETCH "+test.item)
		if !bytes.Equal(got, test.want) {
			t.Errorf("%s: %s and %d octets, want %d", test.item, head, len(got), len(test.want))
		}
		if binary := bytes.IndexByte(test.want, 0) >= 0; strings.Contains(head, "~{") != binary {
			t.Errorf("%s: %s", test.item, head)
		}
	}
	got := c.command("z", "FETCH 1 (BINARY.SIZE[1] BINARY.SIZE[2] BINARY.PEEK[9] BODY.PEEK[9])")
	if want := fmt.Sprintf("* 1 FETCH (BINARY.SIZE[1] %d BINARY.SIZE[2] %d BINARY[9] NIL BODY[9] NIL)", len(binary), len(text)); got[0] != want {
		t.Errorf("%s, want %s", got[0], want)
	}
}

// TestDeafClientsHoldUpNobody: clients that ask for large messages and do not
// read them take nothing from others, nor from their own person's search.
func TestDeafClientsHoldUpNobody(t *testing.T) {
	t.Parallel()
	const bob = "bob@example.test"
	b := newBox(t, func(o *imapd.Options) { o.AllowPlaintext = true })
	other, err := b.accounts.Add(context.Background(), bob, password)
	check(t, err)
	raw, binary, _ := largeMessage()
	b.deliver(t, "INBOX", raw)
	b.deliver(t, "INBOX", testMessage(t, "short"))
	dial := b.servePipes(t)
	for i := range 10 {
		deaf := dial(ann)
		deaf.send([]string{"a FETCH 1 BINARY.PEEK[]\r\n", "a FETCH 1 BINARY.PEEK[1]\r\n", "a FETCH 1 BODY.PEEK[]\r\n"}[i%3])
		if i < 3 {
			// It is being answered.
			if first, err := deaf.r.ReadByte(); err != nil || first != '*' {
				t.Fatal(first, err)
			}
		}
	}
	c := b.login(t)
	c.command("s", "SELECT INBOX")
	if got := c.command("a", "SEARCH TEXT within"); got[0] != "* SEARCH 1" {
		t.Error(got)
	}
	if _, got := c.literal("b", "FETCH 2 BODY.PEEK[]"); !bytes.Equal(got, testMessage(t, "short")) {
		t.Errorf("%q", got)
	}
	ann := b.account
	b.account = other
	b.deliver(t, "INBOX", raw)
	b.account = ann
	d := dialWire(t, b.plain)
	d.until("* OK")
	d.command("l", fmt.Sprintf("LOGIN %s %q", bob, password))
	d.command("s", "SELECT INBOX")
	if _, got := d.literal("c", "FETCH 1 BINARY.PEEK[1]"); !bytes.Equal(got, binary) {
		t.Errorf("%d octets, want %d", len(got), len(binary))
	}
}
