package dkim

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"hauspost/appliance/envelope"
	"hauspost/appliance/senderauth"
	"hauspost/store"
)

// Kind is the kind of the store's documents that hold keys. Their keys are the
// domain, NUL, and the selector.
const Kind = "dkim"

// Algorithms of Key.
const (
	RSA     = "rsa"
	Ed25519 = "ed25519"
)

// ErrNoKey: the domain has no key that signs.
var ErrNoKey = errors.New("there is no DKIM key")

// ErrDamaged is wrapped where a key in the store cannot be read.
var ErrDamaged = errors.New("the DKIM key in the store is damaged")

// Key is one key of a domain, without its private part.
type Key struct {
	// Domain is in lower-case A-labels.
	Domain   string `json:"domain"`
	Selector string `json:"selector"`
	// Algorithm is RSA or Ed25519.
	Algorithm string    `json:"algorithm"`
	Created   time.Time `json:"created"`
	// Active tells that mail is signed with the key.
	Active bool `json:"active"`
	// Name is the domain name of the TXT record that publishes the key, without
	// a dot at its end.
	Name string `json:"name"`
	// Record is the text of that record in one piece, as web forms of DNS
	// providers want it.
	Record string `json:"record"`
	// Zone is the record as a line of a zone file, its text cut into strings of
	// at most 255 octets (RFC 1035, section 3.3).
	Zone string `json:"zone"`
}

// Options say how to make a Keys. Only Store is needed.
type Options struct {
	// Store keeps the keys. At most one Keys may work on a store: it remembers
	// what it read.
	Store *store.Store
	// Now is the clock; nil means time.Now.
	Now func() time.Time
	// Logger hears of keys that are made, removed or damaged; nil means silence.
	Logger *slog.Logger
}

// Keys are the DKIM keys of the box. All methods may be called at any time from
// any goroutine.
type Keys struct {
	store  *store.Store
	now    func() time.Time
	logger *slog.Logger
	// generate makes a pair; it takes seconds on a small machine.
	generate func() ([]private, error)
	// making is held by who makes keys: one at a time, for each takes a core.
	making chan struct{}

	// known are the keys of all domains as they are in the store; nil before
	// the first use and after a change. loading is held while it is read, and
	// to forget it.
	known   atomic.Pointer[map[string]*domainKeys]
	loading sync.Mutex
}

// New makes a Keys on a store.
func New(o Options) *Keys {
	k := &Keys{store: o.Store, now: o.Now, logger: o.Logger, generate: generate, making: make(chan struct{}, 1)}
	if k.now == nil {
		k.now = time.Now
	}
	if k.logger == nil {
		k.logger = slog.New(slog.DiscardHandler)
	}
	return k
}

// Make makes the keys of a domain, one of RSA and one of ed25519, with
// selectors of today, if it has none at all, and gives those that it has. It
// may take seconds; when ctx ends it returns at once and nothing is kept.
func (k *Keys) Make(ctx context.Context, domain string) ([]Key, error) {
	domain, err := normalize(domain)
	if err != nil {
		return nil, err
	}
	failed := func(err error) ([]Key, error) {
		return nil, fmt.Errorf("making DKIM keys for %s: %w", domain, err)
	}
	select {
	case k.making <- struct{}{}:
	case <-ctx.Done():
		return failed(ctx.Err())
	}
	defer func() { <-k.making }()

	known, err := k.load(ctx)
	if err != nil {
		return failed(err)
	}
	if known[domain] != nil {
		return k.List(ctx, domain)
	}
	pair, err := k.pair(ctx)
	if err != nil {
		return failed(err)
	}
	at := k.now().UTC()
	err = k.store.Update(ctx, func(tx *store.Tx) error {
		for _, p := range pair {
			d := document{Algorithm: p.algorithm, Key: p.pkcs8, Created: at, State: stateActive}
			value, err := json.Marshal(d)
			if err != nil {
				return err
			}
			if err := tx.Put(Kind, domain+"\x00"+p.algorithm[:1]+at.Format("20060102"), value); err != nil {
				return err
			}
		}
		return nil
	})
	k.forget()
	if err != nil {
		return failed(err)
	}
	made, err := k.List(ctx, domain)
	for _, key := range made {
		k.logger.Info("made a DKIM key", "name", key.Name, "algorithm", key.Algorithm)
	}
	return made, err
}

// pair makes a pair of keys, or gives up when ctx ends.
func (k *Keys) pair(ctx context.Context) ([]private, error) {
	type result struct {
		pair []private
		err  error
	}
	made := make(chan result, 1)
	go func() {
		pair, err := k.generate()
		made <- result{pair, err}
	}()
	select {
	case r := <-made:
		return r.pair, r.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// Remove removes all keys of a domain. It is no error that there are none.
func (k *Keys) Remove(ctx context.Context, domain string) error {
	domain, err := normalize(domain)
	if err != nil {
		return err
	}
	var gone []string
	err = k.store.Update(ctx, func(tx *store.Tx) error {
		gone = gone[:0]
		err := tx.List(Kind, func(key string, _ []byte) error {
			if d, _, _ := strings.Cut(key, "\x00"); d == domain {
				gone = append(gone, key)
			}
			return nil
		})
		for _, key := range gone {
			if err == nil {
				err = tx.Delete(Kind, key)
			}
		}
		return err
	})
	k.forget()
	if err != nil {
		return fmt.Errorf("removing the DKIM keys of %s: %w", domain, err)
	}
	for _, key := range gone {
		k.logger.Info("removed a DKIM key", "name", recordName(key))
	}
	return nil
}

// List gives the keys of a domain, or of all domains where it is empty, by
// domain and selector. Where some are damaged it gives the others and an error
// that wraps ErrDamaged.
func (k *Keys) List(ctx context.Context, domain string) ([]Key, error) {
	known, err := k.load(ctx)
	if err != nil {
		return nil, err
	}
	domains := slices.Sorted(maps.Keys(known))
	if domain != "" {
		if domain, err = normalize(domain); err != nil {
			return nil, err
		}
		domains = []string{domain}
	}
	var list []Key
	var damage []error
	for _, name := range domains {
		if d := known[name]; d != nil {
			d.parse(k.logger)
			list = append(list, d.keys...)
			damage = append(damage, d.damage...)
		}
	}
	return list, errors.Join(damage...)
}

// Signers gives the active keys of a domain, to sign with: those of RSA first.
// Every verifier knows RSA (RFC 8301), and some look only at the signature on
// top. Without any, ErrNoKey; where none can be read, ErrDamaged. It is fast
// enough for each message: keys are read once.
func (k *Keys) Signers(ctx context.Context, domain string) ([]senderauth.Key, error) {
	domain, err := normalize(domain)
	if err != nil {
		return nil, err
	}
	known, err := k.load(ctx)
	if err != nil {
		return nil, err
	}
	d := known[domain]
	if d == nil {
		return nil, fmt.Errorf("%w for %s", ErrNoKey, domain)
	}
	d.parse(k.logger)
	switch {
	case len(d.signers) > 0:
		return slices.Clone(d.signers), nil
	case len(d.damage) > 0:
		return nil, errors.Join(d.damage...)
	}
	return nil, fmt.Errorf("%w for %s that is active", ErrNoKey, domain)
}

// load gives the keys of all domains.
func (k *Keys) load(ctx context.Context) (map[string]*domainKeys, error) {
	if known := k.known.Load(); known != nil {
		return *known, nil
	}
	k.loading.Lock()
	defer k.loading.Unlock()
	if known := k.known.Load(); known != nil {
		return *known, nil
	}
	known := map[string]*domainKeys{}
	err := k.store.List(ctx, Kind, func(key string, value []byte) error {
		domain, _, _ := strings.Cut(key, "\x00")
		if known[domain] == nil {
			known[domain] = &domainKeys{}
		}
		known[domain].documents = append(known[domain].documents, stored{key, slices.Clone(value)})
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("reading the DKIM keys: %w", err)
	}
	k.known.Store(&known)
	return known, nil
}

// forget has the next caller read the store again.
func (k *Keys) forget() {
	k.loading.Lock()
	defer k.loading.Unlock()
	k.known.Store(nil)
}

// normalize gives a domain in A-labels.
func normalize(domain string) (string, error) {
	name, err := envelope.NormalizeDomain(domain)
	if err == nil && strings.HasPrefix(name, "[") {
		err = fmt.Errorf("%w: an IP address has no DKIM keys", envelope.ErrAddress)
	}
	if err != nil {
		return "", fmt.Errorf("%q is not a domain such as example.test: %w", domain, err)
	}
	return name, nil
}
