package relay

import (
	"context"
	"io"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"hauspost/appliance/transfer"
)

// FuzzServer has a server say anything at all. The attempt must end, say
// something of every recipient, keep what it says fit for logs, and call a
// message delivered only after a 2yz.
func FuzzServer(f *testing.F) {
	files, err := filepath.Glob(filepath.Join("testdata", "dialogues", "*.txt"))
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		var said strings.Builder
		for line := range strings.SplitSeq(string(data), "\n") {
			if s, ok := strings.CutPrefix(line, "S: "); ok {
				said.WriteString(s + "\r\n")
			}
		}
		f.Add([]byte(said.String()), uint8(0))
	}
	f.Add([]byte("220 mx\r\n250-mx\r\n250-PIPELINING\r\n250-AUTH PLAIN LOGIN\r\n250 CHUNKING\r\n250 ok\r\n250 ok\r\n250 ok\r\n250 ok\r\n"), uint8(1))
	f.Add([]byte("220 mx\r\n250 mx\r\n334 \r\n334 \r\n235 ok\r\n250 ok\r\n552 5.5.3 x\r\n354 ok\r\n451 \x00\xff\r\n"), uint8(2))
	f.Fuzz(func(t *testing.T, said []byte, how uint8) {
		o := Options{Hostname: "box.example", Resolver: names{ip: map[string][]string{"far.example": {"192.0.2.1"}}}, Limits: Limits{Idle: -1, Stagger: time.Hour}}
		o.Dial = func(context.Context, netip.AddrPort) (net.Conn, error) {
			client, server := net.Pipe()
			go io.Copy(io.Discard, server)
			go func() {
				server.Write(said) // until the client has enough
				server.Close()
			}()
			return client, nil
		}
		if how&1 != 0 {
			o.Routes = []Route{{To: []string{"*"}, Security: None}}
		}
		c := New(o)
		m := message(text, three...)
		if how&2 != 0 {
			m = message(large(smallSize+1), three...)
		}
		res := c.Attempt(t.Context(), m)
		if len(res.Outcomes) != len(m.Recipients) {
			t.Fatalf("%d outcomes", len(res.Outcomes))
		}
		for _, o := range res.Outcomes {
			if o.Status == "" || o.Status != transfer.Delivered && (o.Name == "" || o.Scope == "") || o.Status == transfer.Delivered && o.Code/100 != 2 {
				t.Errorf("%+v", o)
			}
			for _, s := range []string{o.Answer, o.Enhanced, res.Greeting, res.Note} {
				if !utf8.ValidString(s) || strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f }) || len(s) > 6000 {
					t.Errorf("not fit for a log: %q", s)
				}
			}
		}
		if s := c.Stats(); s.Waiting != 0 || s.Idle != 0 {
			t.Errorf("%+v", s)
		}
		if err := c.Close(t.Context()); err != nil {
			t.Error(err)
		}
		if s := c.Stats(); s.Open != 0 {
			t.Errorf("connections are left: %+v", s)
		}
	})
}
