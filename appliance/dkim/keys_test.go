package dkim

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	msgauth "github.com/emersion/go-msgauth/dkim"
	"github.com/miekg/dns"
	"pgregory.net/rapid"

	"hauspost/appliance/envelope"
	"hauspost/appliance/senderauth"
	"hauspost/store"
)

var today = time.Date(2026, 11, 21, 23, 30, 0, 0, time.UTC)

func openStore(t *testing.T) *store.Store {
	t.Helper()
	s, err := store.Open(t.Context(), store.Options{
		Dir:   t.TempDir(),
		Index: func([]byte) store.Derived { return store.Derived{} },
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// onePair gives the same pair again and again: making one takes its time.
var onePair = sync.OnceValues(generate)

// newKeys makes a Keys that need not wait for new keys.
func newKeys(s *store.Store) *Keys {
	k := New(Options{Store: s, Now: func() time.Time { return today }})
	k.generate = onePair
	return k
}

func TestMake(t *testing.T) {
	t.Parallel()
	s := openStore(t)
	k := New(Options{Store: s, Now: func() time.Time { return today.In(time.FixedZone("", 3*3600)) }})
	made, err := k.Make(t.Context(), "B\u00fccher.example")
	if err != nil || len(made) != 2 {
		t.Fatalf("%+v, %v", made, err)
	}
	for i, want := range []struct{ selector, algorithm, record string }{
		{"e20261121", Ed25519, "v=DKIM1; k=ed25519; p="}, {"r20261121", RSA, "v=DKIM1; k=rsa; p="},
	} {
		key := made[i]
		if key.Domain != "xn--bcher-kva.example" || key.Selector != want.selector || key.Algorithm != want.algorithm || !key.Active ||
			!key.Created.Equal(today) || key.Name != want.selector+"._domainkey.xn--bcher-kva.example" || !strings.HasPrefix(key.Record, want.record) {
			t.Errorf("%+v", key)
		}
		rr, err := dns.NewRR(key.Zone)
		if err != nil {
			t.Fatalf("%s: %v", key.Zone, err)
		}
		txt, ok := rr.(*dns.TXT)
		if !ok || rr.Header().Name != key.Name+"." || strings.Join(txt.Txt, "") != key.Record {
			t.Errorf("%s reads as %v", key.Zone, rr)
		}
		for _, part := range txt.Txt {
			if len(part) > 255 {
				t.Errorf("a string of %d octets", len(part))
			}
		}
	}
	if n := len(made[1].Record); n < 256 || strings.Count(made[1].Zone, `"`) != 4 {
		t.Errorf("the record of RSA has %d octets: %s", n, made[1].Zone)
	}
	again, err := k.Make(t.Context(), "xn--bcher-kva.EXAMPLE")
	if err != nil || !slices.Equal(again, made) {
		t.Errorf("made again: %+v, %v", again, err)
	}
	// What the store keeps is what another run finds.
	other, err := New(Options{Store: s}).List(t.Context(), "")
	if err != nil || !slices.Equal(other, made) {
		t.Errorf("read again: %+v, %v", other, err)
	}
}

// TestKeysSign signs with the keys and judges by the records.
func TestKeysSign(t *testing.T) {
	t.Parallel()
	k := newKeys(openStore(t))
	made, err := k.Make(t.Context(), "example.test")
	if err != nil {
		t.Fatal(err)
	}
	signers, err := k.Signers(t.Context(), "Example.Test")
	if err != nil || len(signers) != 2 || signers[0].Selector != "r20261121" || signers[1].Selector != "e20261121" {
		t.Fatalf("%v, %v", signers, err)
	}
	const message = "From: a@example.test\r\nSubject: x\r\n\r\n"
	s, err := senderauth.NewSigner([]byte(message), signers, senderauth.Options{})
	if err != nil {
		t.Fatal(err)
	}
	fields, err := s.Sign()
	if err != nil {
		t.Fatal(err)
	}
	found, err := msgauth.VerifyWithOptions(strings.NewReader(string(fields)+message), &msgauth.VerifyOptions{
		LookupTXT: func(name string) ([]string, error) {
			for _, key := range made {
				if key.Name == name {
					return []string{key.Record}, nil
				}
			}
			return nil, errors.New("no such name")
		},
	})
	if err != nil || len(found) != 2 || found[0].Err != nil || found[1].Err != nil {
		t.Errorf("%+v, %v", found, err)
	}
}

func TestDomainsApart(t *testing.T) {
	t.Parallel()
	k := newKeys(openStore(t))
	for _, domain := range []string{"b.test", "a.test", "sub.a.test"} {
		if _, err := k.Make(t.Context(), domain); err != nil {
			t.Fatal(err)
		}
	}
	if err := k.Remove(t.Context(), "A.test"); err != nil {
		t.Fatal(err)
	}
	if _, err := k.Signers(t.Context(), "a.test"); !errors.Is(err, ErrNoKey) || err.Error() != "there is no DKIM key for a.test" {
		t.Errorf("after Remove: %v", err)
	}
	list, err := k.List(t.Context(), "")
	var names []string
	for _, key := range list {
		names = append(names, key.Name)
	}
	want := []string{"e20261121._domainkey.b.test", "r20261121._domainkey.b.test", "e20261121._domainkey.sub.a.test", "r20261121._domainkey.sub.a.test"}
	if err != nil || !slices.Equal(names, want) {
		t.Errorf("%q, %v", names, err)
	}
	if list, err := k.List(t.Context(), "A.test"); err != nil || len(list) != 0 {
		t.Errorf("%v, %v", list, err)
	}
	if err := k.Remove(t.Context(), "a.test"); err != nil {
		t.Errorf("removed again: %v", err)
	}
	if _, err := k.Make(t.Context(), "a.test"); err != nil {
		t.Error(err)
	}
	if got, err := k.Signers(t.Context(), "a.test"); err != nil || len(got) != 2 {
		t.Errorf("made after Remove: %v, %v", got, err)
	}
}

func TestNames(t *testing.T) {
	t.Parallel()
	k := newKeys(openStore(t))
	for _, domain := range []string{"", "[192.0.2.1]", "a b", "a..b", "a\x00b.test"} {
		_, makes := k.Make(t.Context(), domain)
		_, signs := k.Signers(t.Context(), domain)
		for _, err := range []error{makes, signs, k.Remove(t.Context(), domain)} {
			if !errors.Is(err, envelope.ErrAddress) {
				t.Errorf("%q: %v", domain, err)
			}
		}
	}
}

// TestSigningGoesOnWhileKeysAreMade holds that mail is signed, and that a
// caller can give up, while a pair takes long.
func TestSigningGoesOnWhileKeysAreMade(t *testing.T) {
	t.Parallel()
	k := newKeys(openStore(t))
	if _, err := k.Make(t.Context(), "a.test"); err != nil {
		t.Fatal(err)
	}
	begun, release := make(chan struct{}), make(chan struct{})
	k.generate = func() ([]private, error) {
		begun <- struct{}{}
		<-release
		return onePair()
	}
	ctx, cancel := context.WithCancel(t.Context())
	result := make(chan error, 1)
	go func() {
		_, err := k.Make(ctx, "b.test")
		result <- err
	}()
	<-begun
	if _, err := k.Signers(t.Context(), "a.test"); err != nil {
		t.Error(err)
	}
	// Another caller waits for the first, and need not wait for ever.
	waiting, stop := context.WithCancel(t.Context())
	stop()
	if _, err := k.Make(waiting, "c.test"); !errors.Is(err, context.Canceled) {
		t.Errorf("while another makes keys: %v", err)
	}
	cancel()
	if err := <-result; !errors.Is(err, context.Canceled) || !strings.Contains(err.Error(), "b.test") {
		t.Errorf("given up: %v", err)
	}
	close(release)
	if _, err := k.Signers(t.Context(), "b.test"); !errors.Is(err, ErrNoKey) {
		t.Errorf("keys of a caller that gave up: %v", err)
	}
	k.generate = func() ([]private, error) { return nil, errors.New("no entropy") }
	if _, err := k.Make(t.Context(), "b.test"); err == nil || err.Error() != "making DKIM keys for b.test: no entropy" {
		t.Errorf("%v", err)
	}
}

func TestManyAtOnce(t *testing.T) {
	t.Parallel()
	k := newKeys(openStore(t))
	var made atomic.Int64
	k.generate = func() ([]private, error) {
		made.Add(1)
		return onePair()
	}
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			if list, err := k.Make(t.Context(), "a.test"); err != nil || len(list) != 2 {
				t.Errorf("%v, %v", list, err)
			}
			if keys, err := k.Signers(t.Context(), "a.test"); err != nil || len(keys) != 2 {
				t.Errorf("%v, %v", keys, err)
			}
			if _, err := k.List(t.Context(), ""); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if made.Load() != 1 {
		t.Errorf("%d pairs were made", made.Load())
	}
}

func put(t *testing.T, s *store.Store, key string, value any) {
	t.Helper()
	raw, ok := value.([]byte)
	if !ok {
		var err error
		if raw, err = json.Marshal(value); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Update(t.Context(), func(tx *store.Tx) error { return tx.Put(Kind, key, raw) }); err != nil {
		t.Fatal(err)
	}
}

// TestStatesAndDamage holds that one key that is not fit leaves the others.
func TestStatesAndDamage(t *testing.T) {
	t.Parallel()
	s := openStore(t)
	var log bytes.Buffer
	pair, err := onePair()
	if err != nil {
		t.Fatal(err)
	}
	pair = slices.Clone(pair)
	slices.SortFunc(pair, func(a, b private) int { return strings.Compare(a.algorithm, b.algorithm) })
	ed, rsa2048 := pair[0].pkcs8, pair[1].pkcs8
	small, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(small)
	if err != nil {
		t.Fatal(err)
	}
	put(t, s, "a.test\x00e1", document{Ed25519, ed, today, stateActive})
	put(t, s, "a.test\x00e0", document{Ed25519, ed, today, "retired"})
	put(t, s, "a.test\x00r1", document{RSA, der, today, stateActive})
	put(t, s, "a.test\x00r2", []byte(`{"key":"`+base64.StdEncoding.EncodeToString(ed[:20])+`"}`))
	put(t, s, "a.test\x00r3", []byte(`{"key":`))
	put(t, s, "a.test\x00r4", document{RSA, ed, today, stateActive})
	put(t, s, "b.test\x00r1", document{RSA, rsa2048, today, "retired"})
	put(t, s, "c.test\x00r1", document{RSA, rsa2048[:200], today, stateActive})
	put(t, s, "d.test", document{RSA, rsa2048, today, stateActive})
	k := New(Options{Store: s, Logger: slog.New(slog.NewJSONHandler(&log, nil))})

	signers, err := k.Signers(t.Context(), "a.test")
	if err != nil || len(signers) != 1 || signers[0].Selector != "e1" {
		t.Errorf("%v, %v", signers, err)
	}
	list, err := k.List(t.Context(), "a.test")
	if !errors.Is(err, ErrDamaged) || len(list) != 2 || list[0].Active || !list[1].Active {
		t.Errorf("%+v, %v", list, err)
	}
	for _, selector := range []string{"r1", "r2", "r3", "r4"} {
		if !strings.Contains(err.Error(), selector+"._domainkey.a.test") {
			t.Errorf("%s is not told of: %v", selector, err)
		}
	}
	if _, err := k.Signers(t.Context(), "b.test"); !errors.Is(err, ErrNoKey) {
		t.Errorf("only a retired key: %v", err)
	}
	for _, domain := range []string{"c.test", "d.test"} {
		if _, err := k.Signers(t.Context(), domain); !errors.Is(err, ErrDamaged) {
			t.Errorf("%s: %v", domain, err)
		}
	}
	all, err := k.List(t.Context(), "")
	if len(all) != 3 || !errors.Is(err, ErrDamaged) {
		t.Errorf("%+v, %v", all, err)
	}
	if _, err := k.Make(t.Context(), "c.test"); !errors.Is(err, ErrDamaged) {
		t.Errorf("made over damage: %v", err)
	}
	said := log.String() + err.Error() + fmt.Sprintf("%+v %#v %v", all, all, signers)
	for _, secret := range [][]byte{ed, ed[:20], rsa2048, der, ed[len(ed)-ed25519.SeedSize:], small.D.Bytes()} {
		if text := base64.StdEncoding.EncodeToString(secret); strings.Contains(said, text[:20]) || bytes.Contains([]byte(said), secret[:16]) {
			t.Errorf("a private key shows in %s", said)
		}
	}
}

func TestStoreFails(t *testing.T) {
	t.Parallel()
	s, err := store.Open(t.Context(), store.Options{Dir: t.TempDir(), Index: func([]byte) store.Derived { return store.Derived{} }})
	if err != nil {
		t.Fatal(err)
	}
	k := newKeys(s)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	_, makes := k.Make(t.Context(), "a.test")
	_, lists := k.List(t.Context(), "")
	_, signs := k.Signers(t.Context(), "a.test")
	for i, err := range []error{makes, lists, signs, k.Remove(t.Context(), "a.test")} {
		if err == nil || errors.Is(err, ErrNoKey) {
			t.Errorf("%d: %v", i, err)
		}
	}
}

// TestModel makes and removes keys at random and compares with a plain map.
func TestModel(t *testing.T) {
	t.Parallel()
	s := openStore(t)
	domains := rapid.SampledFrom([]string{"a.test", "b.test", "a.test.a", "x.a.test"})
	rapid.Check(t, func(r *rapid.T) {
		k := newKeys(s)
		has := map[string]bool{}
		for _, domain := range []string{"a.test", "b.test", "a.test.a", "x.a.test"} {
			if err := k.Remove(t.Context(), domain); err != nil {
				r.Fatal(err)
			}
		}
		r.Repeat(map[string]func(*rapid.T){
			"make": func(r *rapid.T) {
				d := domains.Draw(r, "domain")
				if made, err := k.Make(t.Context(), d); err != nil || len(made) != 2 {
					r.Fatal(made, err)
				}
				has[d] = true
			},
			"remove": func(r *rapid.T) {
				d := domains.Draw(r, "domain")
				if err := k.Remove(t.Context(), d); err != nil {
					r.Fatal(err)
				}
				delete(has, d)
			},
			"read anew": func(*rapid.T) { k = newKeys(s) },
			"": func(r *rapid.T) {
				d := domains.Draw(r, "domain")
				keys, err := k.Signers(t.Context(), d)
				if has[d] != (len(keys) == 2 && err == nil) || !has[d] != errors.Is(err, ErrNoKey) {
					r.Fatalf("%s: %v, %v", d, keys, err)
				}
				if list, err := k.List(t.Context(), ""); err != nil || len(list) != 2*len(has) {
					r.Fatalf("%+v, %v", list, err)
				}
			},
		})
	})
}

func BenchmarkSigners(b *testing.B) {
	s, err := store.Open(b.Context(), store.Options{Dir: b.TempDir(), Index: func([]byte) store.Derived { return store.Derived{} }})
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	k := New(Options{Store: s})
	if _, err := k.Make(b.Context(), "example.test"); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := k.Signers(b.Context(), "example.test"); err != nil {
			b.Fatal(err)
		}
	}
}
