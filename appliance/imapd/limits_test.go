package imapd_test

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"hauspost/appliance/accounts"
	"hauspost/appliance/imapd"
	"hauspost/store"
)

// gone waits for the end of a connection and gives what came before.
func (c *wireClient) gone() string {
	c.t.Helper()
	c.SetReadDeadline(time.Now().Add(20 * time.Second))
	rest, err := io.ReadAll(c.r)
	var timeout net.Error
	if errors.As(err, &timeout) && timeout.Timeout() {
		c.t.Fatalf("the connection is still there after %q", rest)
	}
	return string(rest)
}

func TestSilentClients(t *testing.T) {
	t.Parallel()
	b := newBox(t, func(o *imapd.Options) {
		o.Limits.LoginTimeout, o.Limits.HandshakeTimeout = 150*time.Millisecond, 150*time.Millisecond
		o.Limits.CommandTimeout = 150 * time.Millisecond
		o.Limits.MinRate = 1 << 20
	})
	t.Run("before the login", func(t *testing.T) {
		t.Parallel()
		if said := dialWire(t, b.plain).gone(); !strings.Contains(said, "* BYE Closed for being silent too long") {
			t.Error(said)
		}
	})
	t.Run("commands do not prolong it", func(t *testing.T) {
		t.Parallel()
		c := dialWire(t, b.plain)
		c.until("* OK")
		go func() {
			for {
				if _, err := io.WriteString(c.Conn, "a NOOP\r\n"); err != nil {
					return
				}
				time.Sleep(time.Millisecond)
			}
		}()
		c.gone()
	})
	t.Run("in the handshake", func(t *testing.T) {
		t.Parallel()
		dialWire(t, b.secure).gone()
	})
	t.Run("inside a command", func(t *testing.T) {
		t.Parallel()
		c := b.login(t)
		c.send("a NO")
		if said := c.gone(); !strings.Contains(said, "* BYE") {
			t.Error(said)
		}
	})
	t.Run("inside a literal", func(t *testing.T) {
		t.Parallel()
		c := b.login(t)
		c.send("a APPEND INBOX {100000+}\r\nSubject")
		if said := c.gone(); !strings.Contains(said, "* BYE") {
			t.Error(said)
		}
	})
	t.Run("inside IDLE's end", func(t *testing.T) {
		t.Parallel()
		c := b.login(t)
		c.send("a IDLE\r\nDO")
		c.gone()
	})
	eventually(t, "no connection is left", func() bool { return b.server.Stats().Connections == 0 })
}

// TestDeafClient: a client that does not read is dropped, and holds up nobody.
func TestDeafClient(t *testing.T) {
	t.Parallel()
	b := newBox(t, func(o *imapd.Options) {
		o.Limits.WriteTimeout, o.Limits.PushTimeout = 200*time.Millisecond, 200*time.Millisecond
	})
	raw := []byte("Subject: large\r\n\r\n" + strings.Repeat(strings.Repeat("x", 70)+"\r\n", 20000))
	for range 8 {
		b.deliver(t, "INBOX", raw)
	}
	c := b.login(t)
	c.command("s", "SELECT INBOX")
	c.send("a FETCH 1:8 BODY.PEEK[]\r\n")
	other := b.login(t)
	other.command("s", "SELECT INBOX")
	other.command("x", "STORE 1:8 +FLAGS (\\Seen)")
	eventually(t, "the deaf client is dropped", func() bool { return b.server.Stats().Connections == 1 })
}

func TestConnectionsOfOneAddress(t *testing.T) {
	t.Parallel()
	b := newBox(t, func(o *imapd.Options) { o.Limits.MaxPerAddress = 2 })
	one, two := dialWire(t, b.plain), dialWire(t, b.plain)
	one.until("* OK")
	two.until("* OK")
	if said := dialWire(t, b.plain).gone(); !strings.Contains(said, "BYE [UNAVAILABLE] Too many connections from your address") {
		t.Error(said)
	}
	if said := dialWire(t, b.secure).gone(); said != "" {
		t.Error(said)
	}
	one.Close()
	eventually(t, "there is room again", func() bool {
		c := dialWire(t, b.plain)
		defer c.Close()
		line, _ := c.line()
		return strings.HasPrefix(line, "* OK")
	})
}

// TestDeadIdleMakesRoom: a connection on IDLE that was silent for half an hour
// does not keep its person out.
func TestDeadIdleMakesRoom(t *testing.T) {
	t.Parallel()
	var later atomic.Int64
	b := newBox(t, func(o *imapd.Options) {
		o.Limits.MaxPerAccount = 2
		o.Now = func() time.Time { return time.Now().Add(time.Duration(later.Load())) }
	})
	dead := b.login(t)
	dead.send("a IDLE\r\n")
	dead.until("+ ")
	later.Store(int64(20 * time.Minute))
	fresh := b.login(t)
	fresh.command("a", "NOOP")
	third := dialWire(t, b.plain)
	third.until("* OK")
	login := fmt.Sprintf("LOGIN %s %q", ann, password)
	if got := third.command("a", login); !strings.Contains(got[0], "[LIMIT]") {
		t.Error(got)
	}
	later.Store(int64(31 * time.Minute))
	fresh.command("b", "NOOP")
	if got := third.command("b", login); !strings.HasPrefix(got[0], "b OK") {
		t.Error(got)
	}
	if said := dead.gone(); !strings.Contains(said, "* BYE [LIMIT]") {
		t.Error(said)
	}
	fresh.command("c", "NOOP")
}

func TestShutdown(t *testing.T) {
	t.Parallel()
	b := newBox(t, nil)
	anonymous := dialWire(t, b.plain)
	anonymous.until("* OK")
	waiting, idling, busy := b.login(t), b.login(t), b.login(t)
	idling.send("a IDLE\r\n")
	idling.until("+ ")
	busy.send("a APPEND INBOX {20}\r\n")
	busy.until("+ ")
	done := make(chan error, 1)
	go func() { done <- b.server.Shutdown(context.Background()) }()
	for name, c := range map[string]*wireClient{"anonymous": anonymous, "waiting": waiting, "idling": idling} {
		if said := c.gone(); said != "* BYE The server is shutting down\r\n" {
			t.Errorf("%s: %q", name, said)
		}
	}
	// A command that runs comes to its end.
	busy.send("Subject: last\r\n\r\n...\r\n")
	busy.until("a OK [APPENDUID")
	if said := busy.gone(); said != "* BYE The server is shutting down\r\n" {
		t.Errorf("%q", said)
	}
	check(t, <-done)
	if c, err := net.Dial("tcp", b.plain); err == nil {
		c.Close()
		t.Error("still listening")
	}
}

// TestShutdownWithoutPatience cuts what does not end in time.
func TestShutdownWithoutPatience(t *testing.T) {
	t.Parallel()
	b := newBox(t, nil)
	busy := b.login(t)
	busy.send("a APPEND INBOX {20}\r\n")
	busy.until("+ ")
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	if err := b.server.Shutdown(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Error(err)
	}
	busy.gone()
}

func TestServeEndsWithContext(t *testing.T) {
	t.Parallel()
	b := newBox(t, nil)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	check(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- b.server.Serve(ctx, l, false) }()
	dialWire(t, l.Addr().String()).until("* OK")
	cancel()
	if err := <-done; !errors.Is(err, imapd.ErrClosed) {
		t.Error(err)
	}
	s := imapd.New(imapd.Options{Store: b.store, Accounts: b.accounts})
	if err := s.Serve(context.Background(), l, true); err == nil || errors.Is(err, imapd.ErrClosed) {
		t.Error("TLS without a configuration:", err)
	}
}

// faulty is a register of people with faults.
type faulty struct{ imapd.Accounts }

func (f faulty) Password(ctx context.Context, user, password string, from netip.Addr) (accounts.Account, error) {
	switch user {
	case "panic":
		panic("boom\r\n* BYE injected")
	case "fault":
		return accounts.Account{}, errors.New("secret inner detail")
	case "guesses":
		return accounts.Account{}, &accounts.TooManyGuesses{Until: time.Date(2025, 1, 1, 12, 30, 0, 0, time.UTC)}
	}
	return f.Accounts.Password(ctx, user, password, from)
}

func TestFaults(t *testing.T) {
	t.Parallel()
	b := newBox(t, func(o *imapd.Options) { o.Accounts = faulty{o.Accounts} })
	c := dialWire(t, b.plain)
	c.until("* OK")
	if got := c.command("a", "LOGIN fault x"); !strings.HasPrefix(got[0], "a NO [UNAVAILABLE]") || strings.Contains(got[0], "secret") {
		t.Error(got)
	}
	if got := c.command("b", "LOGIN guesses x"); got[0] != "b NO [LIMIT] Too many wrong passwords; try again after 12:30 UTC" {
		t.Error(got)
	}
	if got := c.command("c", "LOGIN panic x"); !strings.HasPrefix(got[0], "c NO [SERVERBUG]") {
		t.Error(got)
	}
	if said := c.gone(); said != "* BYE Closing the connection\r\n" {
		t.Errorf("%q", said)
	}
	if log := b.log.String(); !strings.Contains(log, "secret inner detail") || !strings.Contains(log, "boom") || strings.Contains(log, password) {
		t.Error(log)
	}
	// The others live on.
	b.login(t).command("a", "NOOP")
}

// TestDamagedMessage: one file that cannot be read spoils nothing else.
func TestDamagedMessage(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	ctx := context.Background()
	st, err := store.Open(ctx, store.Options{Dir: dir, Index: index})
	check(t, err)
	b := newBox(t, nil)
	owner := b.account.ID
	check(t, st.Update(ctx, func(tx *store.Tx) error { _, err := tx.CreateMailbox(owner, "INBOX", ""); return err }))
	keep := b.store
	b.store = st
	large := []byte("Subject: large\r\n\r\n" + strings.Repeat(strings.Repeat("y", 70)+"\r\n", 5000))
	for range 3 {
		b.deliver(t, "INBOX", large)
	}
	b.store = keep
	check(t, st.Close())
	files, err := filepath.Glob(filepath.Join(dir, "mail", "*", "*"))
	check(t, err)
	if len(files) == 0 {
		files, err = filepath.Glob(filepath.Join(dir, "mail", "*", "*", "*"))
		check(t, err)
	}
	if len(files) != 3 {
		t.Fatalf("%d files", len(files))
	}
	check(t, os.WriteFile(files[1], []byte("damaged"), 0o600))
	st, err = store.Open(ctx, store.Options{Dir: dir, Index: index})
	check(t, err)
	t.Cleanup(func() { st.Close() })
	server := imapd.New(imapd.Options{Store: st, Accounts: b.accounts, AllowPlaintext: true})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	check(t, err)
	go server.Serve(ctx, l, false)
	t.Cleanup(func() { server.Shutdown(ctx) })
	b.plain = l.Addr().String()
	c := b.login(t)
	c.command("s", "SELECT INBOX")
	got := c.command("a", "FETCH 1:3 (UID BODY.PEEK[HEADER])")
	last := got[len(got)-1]
	if !strings.HasPrefix(last, "a NO [CONTACTADMIN] 1 messages could not be read") {
		t.Error(last)
	}
	if fetched := strings.Count(strings.Join(got, "\n"), "FETCH (UID"); fetched != 2 {
		t.Errorf("%d of 2 messages were served", fetched)
	}
	if got := c.command("b", "FETCH 1:3 (ENVELOPE)"); len(got) != 4 || !strings.HasPrefix(got[3], "b OK") {
		t.Error(got)
	}
}

// TestStoreFault: a store that cannot write is no fault of the program.
func TestStoreFault(t *testing.T) {
	t.Parallel()
	b := newBox(t, nil)
	b.deliver(t, "INBOX", testMessage(t, "short"), `\Deleted`)
	c := b.login(t)
	c.command("s", "SELECT INBOX")
	check(t, b.store.Close())
	for i, command := range []string{"EXPUNGE", `STORE 1 +FLAGS (\Seen)`, "COPY 1 Archive", "MOVE 1 Archive", "CREATE x", "APPEND INBOX {3+}\r\na\r\n"} {
		tag := fmt.Sprintf("t%d", i)
		got := c.command(tag, command)
		if last := got[len(got)-1]; last != tag+" NO [UNAVAILABLE] This cannot be done just now; the log of the box says why" {
			t.Errorf("%s: %s", command, last)
		}
	}
}

// TestHandshakeOnly: a TLS client that says nothing costs no more than others.
func TestHandshakeOnly(t *testing.T) {
	t.Parallel()
	b := newBox(t, func(o *imapd.Options) { o.Limits.LoginTimeout = 100 * time.Millisecond })
	c, err := tls.Dial("tcp", b.secure, &tls.Config{RootCAs: b.roots, ServerName: "localhost"})
	check(t, err)
	defer c.Close()
	c.SetReadDeadline(time.Now().Add(20 * time.Second))
	all, err := io.ReadAll(c)
	if err != nil || !strings.Contains(string(all), "* BYE") {
		t.Errorf("%q %v", all, err)
	}
}
