package imapd_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"log/slog"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"hauspost/appliance/accounts"
	"hauspost/appliance/envelope"
	"hauspost/appliance/imapd"
	"hauspost/appliance/maillog"
	"hauspost/appliance/message"
	"hauspost/store"
)

const (
	ann      = "ann@example.test"
	password = "correct horse 7"
)

// box is a server with a store and one account in a folder of its own.
type box struct {
	store    *store.Store
	accounts *accounts.Accounts
	account  accounts.Account
	server   *imapd.Server
	log      *lockedBuffer
	plain    string // address of the listener for STARTTLS
	secure   string // address of the listener for TLS from the start
	roots    *x509.CertPool
}

func index(raw []byte) store.Derived {
	i := message.Index(raw)
	return store.Derived{
		Envelope: i.Envelope, Structure: i.Structure,
		From: i.From, To: i.To, Cc: i.Cc, Bcc: i.Bcc, Subject: i.Subject,
		MessageID: i.MessageID, Sent: i.Sent,
	}
}

var testCertificate = sync.OnceValues(func() (tls.Certificate, *x509.CertPool) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), DNSNames: []string{"localhost"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		panic(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		panic(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(leaf)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}, pool
})

// newBox starts a server; change may alter its options.
func newBox(t testing.TB, change func(o *imapd.Options)) *box {
	t.Helper()
	ctx := context.Background()
	st, err := store.Open(ctx, store.Options{Dir: t.TempDir(), Index: index})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { st.Close() })
	b := &box{store: st, log: &lockedBuffer{}}
	b.accounts = accounts.New(accounts.Options{
		Store: st, Hash: accounts.HashCost{Memory: 64, Passes: 1, Threads: 1},
		Limits: accounts.Limits{AddressGuesses: -1, AccountGuesses: -1},
	})
	if err := b.accounts.AddDomain(ctx, "example.test", ""); err != nil {
		t.Fatal(err)
	}
	if b.account, err = b.accounts.Add(ctx, ann, password); err != nil {
		t.Fatal(err)
	}
	cert, roots := testCertificate()
	b.roots = roots
	o := imapd.Options{
		Store: st, Accounts: b.accounts, TLS: &tls.Config{Certificates: []tls.Certificate{cert}},
		PlaintextOnLoopback: true,
		Log:                 maillog.Log{Logger: slog.New(slog.NewTextHandler(b.log, nil))},
		Limits:              imapd.Limits{LoginDelay: -1},
	}
	if change != nil {
		change(&o)
	}
	b.server = imapd.New(o)
	b.plain = b.listen(t, false)
	b.secure = b.listen(t, true)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := b.server.Shutdown(ctx); err != nil {
			t.Errorf("shutdown: %v", err)
		}
	})
	return b
}

func (b *box) listen(t testing.TB, implicit bool) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go b.server.Serve(context.Background(), l, implicit)
	return l.Addr().String()
}

// deliver puts a message into a mailbox behind the server's back.
func (b *box) deliver(t testing.TB, mailbox string, raw []byte, flags ...string) store.Placed {
	t.Helper()
	staged := b.store.Stage()
	if _, err := staged.Write(raw); err != nil {
		t.Fatal(err)
	}
	id, err := store.ParseID(string(envelope.NewID(time.Now())))
	if err != nil {
		t.Fatal(err)
	}
	placed, err := b.store.Deliver(context.Background(), staged, store.Delivery{ID: id, Places: []store.Place{{
		Owner: b.account.ID, Mailbox: mailbox, Flags: flags,
		Internal: time.Date(2025, 2, 1, 9, 0, 0, 0, time.FixedZone("", 3600)),
	}}})
	if err != nil {
		t.Fatal(err)
	}
	return placed[0]
}

// testMessage reads a message of testdata, with CRLF.
func testMessage(t testing.TB, name string) []byte {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join("testdata", "messages", name+".eml"))
	if err != nil {
		t.Fatal(err)
	}
	return bytes.ReplaceAll(raw, []byte("\n"), []byte("\r\n"))
}

// lockedBuffer is a log for many goroutines.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// eventually waits until cond holds.
func eventually(t testing.TB, what string, cond func() bool) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); time.Sleep(2 * time.Millisecond) {
		if cond() {
			return
		}
	}
	t.Fatalf("waited in vain: %s", what)
}
