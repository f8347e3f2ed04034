package worker

import (
	"bytes"
	"encoding/base64"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"hauspost/plugins/abi"
)

const sample = "From: a@example.org\r\n" +
	"Subject: x\r\n" +
	"Content-Type: multipart/mixed; boundary=b\r\n" +
	"\r\n" +
	"--b\r\n" +
	"Content-Type: text/plain; charset=ISO-8859-1\r\n" +
	"Content-Transfer-Encoding: quoted-printable\r\n" +
	"\r\n" +
	"Gr=FC=DFe\r\n" +
	"--b\r\n" +
	"Content-Type: text/html; charset=utf-8\r\n" +
	"Content-ID: <id@x>\r\n" +
	"\r\n" +
	"<title>no</title><p>Hello <b>wor</b>ld</p>\r\n" +
	"--b\r\n" +
	"Content-Type: message/rfc822\r\n" +
	"\r\n" +
	"Subject: inner\r\n" +
	"Content-Type: application/octet-stream\r\n" +
	"Content-Transfer-Encoding: BASE64\r\n" +
	"Content-Disposition: attachment; filename*=utf-8''r%C3%BCbe.bin\r\n" +
	"\r\n" +
	"AAEC\r\n" +
	"--b--\r\n"

func newSample(t *testing.T, raw string) *content {
	t.Helper()
	c := newContent(fileOf(t, raw))
	t.Cleanup(c.close)
	return c
}

func TestParts(t *testing.T) {
	t.Parallel()
	c := newSample(t, sample)
	b, errno := c.parts()
	if errno != 0 {
		t.Fatal(errno)
	}
	var got abi.Parts
	if err := got.Decode(b); err != nil {
		t.Fatal(err)
	}
	want := []abi.Part{
		{Index: 0, Parent: -1, Type: "multipart/mixed"},
		{Index: 1, Parent: 0, Type: "text/plain", Charset: "iso-8859-1", Encoding: "quoted-printable"},
		{Index: 2, Parent: 0, Type: "text/html", Charset: "utf-8", Encoding: "7bit", ContentID: "id@x"},
		{Index: 3, Parent: 0, Type: "message/rfc822", Encoding: "7bit"},
		{Index: 4, Parent: 3, Type: "application/octet-stream", Encoding: "base64", Disposition: "attachment", Filename: "rübe.bin"},
	}
	if len(got.List) != len(want) {
		t.Fatalf("%+v", got.List)
	}
	for i := range want {
		p := got.List[i]
		if p.Size == 0 {
			t.Errorf("part %d has no size", i)
		}
		p.Size = 0
		if p != want[i] {
			t.Errorf("%+v\ninstead of %+v", p, want[i])
		}
	}
}

func TestViews(t *testing.T) {
	t.Parallel()
	c := newSample(t, sample)
	for _, v := range []struct {
		part  int32
		form  abi.View
		want  string
		errno abi.Errno
	}{
		{1, abi.Raw, "Gr=FC=DFe", 0},
		{1, abi.Decoded, "Gr\xfc\xdfe", 0},
		{1, abi.Text, "Grüße", 0},
		{1, abi.PartHeader, "Content-Type: text/plain; charset=ISO-8859-1\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n", 0},
		{2, abi.Text, "Hello world", 0},
		{4, abi.Decoded, "\x00\x01\x02", 0},
		{4, abi.Text, "", abi.ErrInvalid},
		{1, abi.View(7), "", abi.ErrInvalid},
		{1, abi.View(-1), "", abi.ErrInvalid},
		{5, abi.Raw, "", abi.ErrNotFound},
		{-1, abi.Raw, "", abi.ErrNotFound},
	} {
		for range 2 { // the second time from the cache
			b, errno := c.view(v.part, v.form)
			if string(b) != v.want || errno != v.errno {
				t.Errorf("part %d, view %d: %q, %v", v.part, v.form, b, errno)
			}
		}
	}
	if h, _ := c.header(); !strings.HasSuffix(string(h), "boundary=b\r\n\r\n") {
		t.Errorf("%q", h)
	}
}

// Large messages are mapped where they are sealed and read where not; views
// over the budget are made again.
func TestLargeMessages(t *testing.T) {
	t.Parallel()
	data := bytes.Repeat([]byte("0123456789abcdef"), 1<<20)
	var raw strings.Builder
	raw.WriteString("Content-Type: multipart/mixed; boundary=b\r\n\r\n")
	for range 3 {
		raw.WriteString("--b\r\nContent-Type: text/plain\r\nContent-Transfer-Encoding: base64\r\n\r\n")
		raw.WriteString(base64.StdEncoding.EncodeToString(data) + "\r\n")
	}
	raw.WriteString("--b--\r\n")
	fd, err := unix.MemfdCreate("message", unix.MFD_ALLOW_SEALING)
	if err != nil {
		t.Fatal(err)
	}
	sealed := os.NewFile(uintptr(fd), "message")
	if _, err := sealed.WriteString(raw.String()); err != nil {
		t.Fatal(err)
	}
	if _, err := unix.FcntlInt(uintptr(fd), unix.F_ADD_SEALS, unix.F_SEAL_SHRINK|unix.F_SEAL_WRITE); err != nil {
		t.Fatal(err)
	}
	for _, c := range []*content{newContent(sealed), newSample(t, raw.String())} {
		for _, part := range []int32{1, 2, 3, 1} {
			if b, errno := c.view(part, abi.Text); errno != 0 || !bytes.Equal(b, data) {
				t.Fatal(part, errno, len(b))
			}
		}
		if c.used > viewBudget {
			t.Errorf("views take %d octets", c.used)
		}
		c.close()
	}
}

func TestUnreadableMessage(t *testing.T) {
	t.Parallel()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	if _, err := w.WriteString("x"); err != nil {
		t.Fatal(err)
	}
	for _, f := range []*os.File{r, func() *os.File { f := fileOf(t, "x"); f.Close(); return f }()} {
		c := newContent(f)
		if _, errno := c.parts(); errno == 0 && len(c.raw) > 0 {
			t.Error("something was read")
		}
		c.close()
	}
}

func TestText(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ in, charset, want string }{
		{"Gr\xfc\xdfe", "", "Grüße"},
		{"Grüße", "", "Grüße"},
		{"\x93\xfa\x96{", "Shift_JIS", "日本"},
		{"\x1b$BF|K\\\x1b(B", "iso-2022-jp", "日本"},
		{"\xfe\xff\x00a\x20\xac", "utf-16", "a€"},
		{"\xf0\xd2\xc9", "KOI8-R", "При"},
		{"abc", "no-such-charset", "abc"},
		{"", "windows-1252", ""},
	} {
		b, err := textOf([]byte(c.in), c.charset, false)
		if err != nil || string(b) != c.want {
			t.Errorf("%s: %q, %v", c.charset, b, err)
		}
		b.release()
	}
}

func TestReadable(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"a<br>b<p>c</p>d":                               "a\nb\nc\nd",
		"V<b>ia</b>gra &amp; more":                      "Viagra & more",
		"<style>p{}</style><script>x()</script>y":       "y",
		"<div style='DISPLAY: none'>no<b>no</b></div>y": "y",
		"<span hidden>no<br></span>y":                   "y",
		// What is hidden must not hide what browsers show.
		"<table><tr><td><div style=display:none>x</td></tr></table>shown": "shown",
		"<p style=display:none>x<p>shown":                                 "x\nshown",
		"<div style=display:none/>x</div>shown":                           "shown",
		"<td>a<td>b":                                                      "a b",
		"  a \n\t b  ":                                                    "a b",
		"<script>never":                                                   "",
		"<!-- no -->y<!x>":                                                "y",
	} {
		b, err := textOf([]byte(in), "utf-8", true)
		if err != nil || string(b) != want {
			t.Errorf("%s: %q instead of %q, %v", in, b, want, err)
		}
		b.release()
	}
}

func FuzzContent(f *testing.F) {
	f.Add([]byte(sample))
	f.Add([]byte("Content-Type: text/html; charset=utf-16\n\n<div hidden><x"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		c := newContent(fileOf(t, string(raw)))
		defer c.close()
		b, errno := c.parts()
		if errno != 0 {
			t.Fatal(errno)
		}
		var parts abi.Parts
		if err := parts.Decode(b); err != nil || len(parts.List) == 0 {
			t.Fatal(err)
		}
		for i := range parts.List {
			for form := abi.Raw; form <= abi.PartHeader; form++ {
				if _, errno := c.view(int32(i), form); errno != 0 && errno != abi.ErrInvalid {
					t.Fatal(errno)
				}
			}
		}
	})
}
