package store

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"testing"
)

// TestReadHeader reads what every kind of message begins with, without the rest
// where the header has a frame of its own.
func TestReadHeader(t *testing.T) {
	t.Parallel()
	s := openStore(t, t.TempDir())
	line := strings.Repeat("A line of text that says little, as most lines do.\r\n", 20)
	random := make([]byte, 300<<10)
	for i, x := 0, uint32(1); i < len(random); i++ {
		x = x*1664525 + 1013904223
		random[i] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"[x>>26]
	}
	short, long := "Subject: short\r\n\r\n", "Subject: long\r\n"+strings.Repeat("X-Filler: 0123456789\r\n", 200)+"\r\n"
	for name, c := range map[string]struct {
		header, body string
		alone        bool
	}{
		"tiny":              {short, "body\r\n", false},
		"text":              {short, strings.Repeat(line, 4), true},
		"long header":       {long, strings.Repeat(line, 4), true},
		"page":              {short, strings.Repeat(line, 40) + string(random[:8<<10]), true},
		"spilled":           {short, string(random), true},
		"spilled, long":     {long, string(random), true},
		"no header":         {"\r\n", strings.Repeat(line, 4), true},
		"header only":       {strings.TrimSuffix(long, "\r\n"), "", false},
		"too long a header": {"X: " + strings.Repeat(string(random)+"\r\n ", 2) + "\r\n\r\n", line, false},
	} {
		t.Run(name, func(t *testing.T) {
			_, placed := deliver(t, s, c.header+c.body, inboxOf(name))
			e := entryOf(t, s, name, placed[0].UID)
			whole, err := s.ReadMessage(t.Context(), e, nil)
			if err != nil || !bytes.HasSuffix(whole, []byte(c.header+c.body)) || len(whole) != int(e.Size) {
				t.Fatalf("%d octets, %v", len(whole), err)
			}
			prefix := whole[:len(whole)-len(c.header)-len(c.body)]
			got, found, err := s.ReadHeader(t.Context(), e, []byte("before"))
			if err != nil {
				t.Fatal(err)
			}
			want := "before" + string(prefix) + c.header
			switch {
			case c.alone && string(got) != want:
				t.Fatalf("found %v, %d octets of header instead of %d", found, len(got), len(want))
			case found && !strings.HasPrefix(string(got), want):
				t.Fatalf("%q", got)
			}
			r, err := s.OpenMessage(t.Context(), e)
			if err != nil {
				t.Fatal(err)
			}
			defer r.Close()
			first := make([]byte, 3)
			if _, err := io.ReadFull(r, first); err != nil {
				t.Fatal(err)
			}
			var rest bytes.Buffer
			if _, err := r.(io.WriterTo).WriteTo(&rest); err != nil || string(first)+rest.String() != string(whole) {
				t.Fatal("what streams is something else", err)
			}
		})
	}
	mustVerify(t, s)
}

// TestFolderNames: six digits, more where needed.
func TestFolderNames(t *testing.T) {
	t.Parallel()
	for _, msg := range []int64{0, 1023, 1024, 16 << 10, 255 << 10, 0xfffff << 10, 0x100000 << 10, 0xffffff << 10, 0x1000000 << 10} {
		if got, want := string(appendFolder(nil, msg)), fmt.Sprintf("/%06x", msg>>10); got != want {
			t.Errorf("%d lies in %s instead of %s", msg, got, want)
		}
	}
}
