package imapd_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"hauspost/appliance/imapd"
)

// TestStrangersMakeRoom: whoever opens connections and says nothing keeps
// nobody out, and people who logged in lose nothing.
func TestStrangersMakeRoom(t *testing.T) {
	t.Parallel()
	b := newBox(t, func(o *imapd.Options) {
		o.Limits.MaxConnections = 3
		o.Limits.LoginTimeout, o.Limits.StressTimeout, o.Limits.HandshakeTimeout = time.Hour, time.Hour, time.Hour
	})
	person := b.login(t)
	first := dialWire(t, b.plain)
	first.until("* OK")
	half := dialWire(t, b.plain)
	half.until("* OK")
	half.send("a NO")
	handshake := dialWire(t, b.secure)
	if said := first.gone(); said != "* BYE [LIMIT] Too many connections; this one makes room\r\n" {
		t.Errorf("%q", said)
	}
	eventually(t, "the first is gone", func() bool { return b.server.Stats().Connections == 3 })
	second := b.login(t)
	half.gone()
	eventually(t, "the second is gone", func() bool { return b.server.Stats().Connections == 3 })
	third := b.login(t)
	handshake.gone()
	eventually(t, "the third is gone", func() bool { return b.server.Stats().Connections == 3 })
	if said := dialWire(t, b.plain).gone(); said != "* BYE [UNAVAILABLE] Too many connections\r\n" {
		t.Errorf("%q", said)
	}
	for _, c := range []*wireClient{person, second, third} {
		c.command("z", "NOOP")
	}
}

// TestStress: while few connections are left, those without a login must be
// quick, also those that are there already.
func TestStress(t *testing.T) {
	t.Parallel()
	b := newBox(t, func(o *imapd.Options) {
		o.Limits.MaxConnections = 8
		o.Limits.LoginTimeout, o.Limits.StressTimeout, o.Limits.HandshakeTimeout = time.Hour, time.Nanosecond, time.Hour
	})
	person := b.login(t)
	var strangers []*wireClient
	for range 5 {
		c := dialWire(t, b.plain)
		c.until("* OK")
		strangers = append(strangers, c)
	}
	for _, c := range strangers {
		c.command("a", "NOOP")
	}
	// Several may go at once: all that wait hear of it together.
	dialWire(t, b.plain).until("* OK")
	eventually(t, "one is gone", func() bool { return b.server.Stats().Connections <= 6 })
	person.command("z", "NOOP")
}

// TestShutdownIsPrompt: nobody who does not go on holds the server up.
func TestShutdownIsPrompt(t *testing.T) {
	t.Parallel()
	for name, begin := range map[string]func(b *box) (c *wireClient, last string){
		"TLS not begun": func(b *box) (*wireClient, string) { return dialWire(t, b.secure), "" },
		"STARTTLS not begun": func(b *box) (*wireClient, string) {
			c := dialWire(t, b.plain)
			c.send("a STARTTLS\r\n")
			c.until("a OK")
			return c, ""
		},
		"half a command": func(b *box) (*wireClient, string) {
			c := b.login(t)
			// With the answer to the first it has read the second.
			c.send("x NOOP\r\na NOO")
			c.until("x OK")
			return c, "* BYE The server is shutting down\r\n"
		},
		"half a command before the login": func(b *box) (*wireClient, string) {
			c := dialWire(t, b.plain)
			c.until("* OK")
			// With the answer to the first it has read the second.
			c.send("x NOOP\r\na NOO")
			c.until("x OK")
			return c, "* BYE The server is shutting down\r\n"
		},
		"half a message": func(b *box) (*wireClient, string) {
			c := b.login(t)
			c.send("a APPEND INBOX {20}\r\n")
			c.until("+ ")
			return c, "* BYE The server is shutting down\r\n"
		},
		"a wrong password": func(b *box) (*wireClient, string) {
			c := dialWire(t, b.plain)
			c.until("* OK")
			c.send("a LOGIN " + ann + " wrong\r\n")
			eventually(t, "it was found wrong", func() bool { return strings.Contains(b.log.String(), "login failed") })
			return c, "a NO [AUTHENTICATIONFAILED] Wrong user name or password\r\n* BYE The server is shutting down\r\n"
		},
		"a client that does not read": func(b *box) (*wireClient, string) {
			raw, _, _ := largeMessage()
			for range 8 {
				b.deliver(t, "INBOX", raw)
			}
			c := b.login(t)
			c.command("s", "SELECT INBOX")
			c.send("a FETCH 1:* BODY.PEEK[]\r\n")
			c.until("* 1 FETCH")
			return nil, ""
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBox(t, func(o *imapd.Options) {
				o.Limits.HandshakeTimeout, o.Limits.LoginDelay = time.Hour, time.Hour
			})
			c, last := begin(b)
			eventually(t, "the connection is in", func() bool { return b.server.Stats().Connections == 1 })
			ctx, cancel := context.WithTimeout(context.Background(), 15*time.Second)
			defer cancel()
			if err := b.server.Shutdown(ctx); err != nil {
				t.Error(err)
			}
			if c == nil {
				return
			}
			if said := c.gone(); said != last {
				t.Errorf("%q, want %q", said, last)
			}
		})
	}
}
