package accounts

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"golang.org/x/text/unicode/norm"

	"hauspost/appliance/envelope"
	"hauspost/store"
)

// The kinds of documents that the package keeps in the store.
const (
	kindDomain  = "domain"  // key: name
	kindAccount = "account" // key: account ID
	kindLogin   = "login"   // key: folded address; value: account ID
	kindAlias   = "alias"   // key: folded address, or "@domain"
	kindSecret  = "secret"  // key: secretSalt
	kindKnown   = "known"   // key: account ID, space, network address; value: time
)

const secretSalt = "scram-salt"

// person is an account with what must not leave the package. A person is
// never changed, only replaced.
type person struct {
	Account
	Credentials credentials `json:"credentials"`

	addr envelope.Address
}

// alias is an Alias with its addresses parsed.
type alias struct {
	Alias
	addr envelope.Address // the zero Address for a catch-all
	to   []envelope.Address
	via  string
}

// directory is the mirror of all documents. A published directory is never
// changed: a change works on a clone.
type directory struct {
	separator string
	domains   map[string]Domain
	people    map[string]*person // by ID
	logins    map[string]*person // by folded address
	aliases   map[string]*alias  // by folded address, or "@domain"
	secret    []byte

	// Made by index.
	order  []Domain
	oldest map[string]*person // by domain; "" for the whole box
}

func (d *directory) clone() *directory {
	c := *d
	c.domains, c.people = maps.Clone(d.domains), maps.Clone(d.people)
	c.logins, c.aliases = maps.Clone(d.logins), maps.Clone(d.aliases)
	return &c
}

func (d *directory) index() {
	d.order = slices.SortedFunc(maps.Values(d.domains), func(x, y Domain) int {
		return cmp.Or(x.Created.Compare(y.Created), strings.Compare(x.Name, y.Name))
	})
	d.oldest = make(map[string]*person)
	for _, p := range d.people {
		for _, domain := range []string{"", p.addr.Domain} {
			if o := d.oldest[domain]; o == nil || older(p, o) {
				d.oldest[domain] = p
			}
		}
	}
}

func older(p, q *person) bool {
	return cmp.Or(p.Created.Compare(q.Created), strings.Compare(p.Address, q.Address)) < 0
}

// fold gives the form under which an address is looked up. Beyond the folding
// of case, composed and decomposed letters are one and the same: people type
// the one and phones send the other.
func fold(a envelope.Address) string {
	return norm.NFC.String(a.Key())
}

// person finds an account by an address that somebody typed.
func (d *directory) person(address string) (*person, error) {
	addr, err := parse(address)
	if err != nil {
		return nil, err
	}
	p, ok := d.logins[fold(addr)]
	if !ok {
		return nil, refuse(ErrNotFound, "there is no account %s; `hauspost account list` shows them all", addr)
	}
	return p, nil
}

func parse(address string) (envelope.Address, error) {
	addr, err := envelope.ParseAddress(strings.TrimSpace(address))
	if err != nil {
		return addr, refuse(ErrAddress, "%q is not a mail address such as anna@example.test: %v", address, err)
	}
	if addr.IsLiteral() {
		return addr, refuse(ErrAddress, "%s: use an address with a domain name, not with an IP address", addr)
	}
	return addr, nil
}

// directory gives the mirror, reading it from the store where it is missing.
func (a *Accounts) directory(ctx context.Context) (*directory, error) {
	if d := a.dir.Load(); d != nil {
		return d, nil
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.load(ctx)
}

// load is called with mu held.
func (a *Accounts) load(ctx context.Context) (*directory, error) {
	if d := a.dir.Load(); d != nil {
		return d, nil
	}
	d, err := read(func(kind string, fn func(key string, value []byte) error) error {
		return a.store.List(ctx, kind, fn)
	})
	if err != nil {
		return nil, fmt.Errorf("reading the register of people: %w", err)
	}
	d.separator = a.separator
	if !a.recalled {
		if err := a.recall(ctx, d); err != nil {
			return nil, fmt.Errorf("reading from where people logged in: %w", err)
		}
		a.recalled = true
	}
	a.dir.Store(d)
	return d, nil
}

type lister func(kind string, fn func(key string, value []byte) error) error

func read(list lister) (*directory, error) {
	d := &directory{
		domains: make(map[string]Domain),
		people:  make(map[string]*person),
		logins:  make(map[string]*person),
		aliases: make(map[string]*alias),
	}
	steps := []struct {
		kind string
		take func(key string, value []byte) error
	}{
		{kindDomain, d.takeDomain},
		{kindAccount, d.takeAccount},
		{kindLogin, d.takeLogin},
		{kindAlias, d.takeAlias},
		{kindSecret, d.takeSecret},
	}
	for _, step := range steps {
		err := list(step.kind, func(key string, value []byte) error {
			if err := step.take(key, value); err != nil {
				return fmt.Errorf("%s %q: %w", step.kind, key, err)
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	d.index()
	return d, nil
}

func (d *directory) takeDomain(key string, value []byte) error {
	var dom Domain
	if err := json.Unmarshal(value, &dom); err != nil {
		return err
	}
	dom.Name = key
	d.domains[key] = dom
	return nil
}

func (d *directory) takeAccount(key string, value []byte) error {
	p := new(person)
	p.SentCopy = true // accounts of before there was a choice do not name it
	if err := json.Unmarshal(value, p); err != nil {
		return err
	}
	addr, err := envelope.ParseAddress(p.Address)
	if err != nil {
		return err
	}
	p.ID, p.addr = key, addr
	d.people[key] = p
	return nil
}

func (d *directory) takeLogin(key string, value []byte) error {
	p, ok := d.people[string(value)]
	if !ok {
		return fmt.Errorf("its account %q is missing", value)
	}
	d.logins[key] = p
	return nil
}

func (d *directory) takeAlias(key string, value []byte) error {
	var al Alias
	if err := json.Unmarshal(value, &al); err != nil {
		return err
	}
	made, err := newAlias(al)
	if err != nil {
		return err
	}
	d.aliases[key] = made
	return nil
}

// named gives the address that leads on through al where addr led to it: its
// own, without a plus-detail, or addr where it is a catch-all, which has none.
func (al *alias) named(addr envelope.Address) envelope.Address {
	if al.addr.IsNull() {
		return addr
	}
	return al.addr
}

func newAlias(al Alias) (*alias, error) {
	made := &alias{Alias: al, via: "alias " + al.Address}
	if domain, ok := strings.CutPrefix(al.Address, "@"); ok {
		made.via = "catch-all " + domain
	} else if addr, err := envelope.ParseAddress(al.Address); err != nil {
		return nil, err
	} else {
		made.addr = addr
	}
	for _, to := range al.To {
		addr, err := envelope.ParseAddress(to)
		if err != nil {
			return nil, err
		}
		made.to = append(made.to, addr)
	}
	return made, nil
}

func (d *directory) takeSecret(key string, value []byte) error {
	if key == secretSalt {
		d.secret = slices.Clone(value)
	}
	return nil
}

// edit is a change in the making: the directory as it will be, and what must
// be written for it. Either all of it is kept or nothing.
type edit struct {
	*directory
	before *directory
	writes []func(tx *store.Tx) error
}

// change plans on a clone of the mirror, writes what was planned in one
// transaction, and publishes the clone when it is durable.
func (a *Accounts) change(ctx context.Context, doing string, plan func(e *edit) error) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	d, err := a.load(ctx)
	if err != nil {
		return err
	}
	e := &edit{directory: d.clone(), before: d}
	if err := plan(e); err != nil {
		return err
	}
	if len(e.writes) == 0 {
		return nil
	}
	err = a.update(ctx, func(tx *store.Tx) error {
		for _, write := range e.writes {
			if err := write(tx); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		// Whether it was written is not known (the context may have ended
		// while the writer was at it): look again before the next answer.
		a.dir.Store(nil)
		return fmt.Errorf("%s: %w", doing, err)
	}
	e.index()
	a.dir.Store(e.directory)
	return nil
}

func (e *edit) put(kind, key string, value any) error {
	raw, err := json.Marshal(value)
	if err != nil {
		return fmt.Errorf("encoding %s %q: %w", kind, key, err)
	}
	e.putRaw(kind, key, raw)
	return nil
}

func (e *edit) putRaw(kind, key string, raw []byte) {
	e.writes = append(e.writes, func(tx *store.Tx) error { return tx.Put(kind, key, raw) })
}

func (e *edit) delete(kind, key string) {
	e.writes = append(e.writes, func(tx *store.Tx) error { return tx.Delete(kind, key) })
}

func (e *edit) setPerson(p *person) error {
	e.people[p.ID] = p
	e.logins[fold(p.addr)] = p
	return e.put(kindAccount, p.ID, p)
}

func (e *edit) setAlias(key string, al Alias) error {
	made, err := newAlias(al)
	if err != nil {
		return fmt.Errorf("alias %q: %w", key, err)
	}
	e.aliases[key] = made
	return e.put(kindAlias, key, al)
}

func (e *edit) dropAlias(key string) {
	delete(e.aliases, key)
	e.delete(kindAlias, key)
}
