package accounts

import (
	"context"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"hauspost/appliance/envelope"
	"hauspost/store"
)

// SeparatorOff as Options.Separator switches plus-addresses off.
const SeparatorOff = "off"

// Options say how to make an Accounts. Only Store is needed.
type Options struct {
	// Store keeps the documents and mailboxes. At most one Accounts may work
	// on a store: it trusts its own mirror of the documents.
	Store *store.Store
	// Now is the clock; nil means time.Now.
	Now func() time.Time
	// Separator splits a plus-address into local part and detail; empty
	// means "+", SeparatorOff none.
	Separator string
	// Limits bound guesses and hashing; each zero field takes its default.
	Limits Limits
	// Hash is the cost of a password; each zero field takes its default.
	// Passwords kept at another cost are hashed anew at the next login that
	// shows them.
	Hash HashCost
	// Logger hears of upgrades of passwords that failed; nil means silence.
	Logger *slog.Logger
}

// Account is one person of the box.
type Account struct {
	// ID owns the mailboxes in the store. It is never used twice, also when
	// the address is given to somebody else later.
	ID string `json:"id"`
	// Address is the address and the login name, in canonical spelling.
	Address string    `json:"address"`
	Created time.Time `json:"created"`
	// Disabled refuses logins; mail is still kept for the person.
	Disabled bool `json:"disabled"`
	// SentCopy tells that a copy of what the person sends is put into Sent
	// where the mail program did not do so itself. New accounts have it.
	SentCopy bool `json:"sent_copy"`
}

// Domain is one domain for which the box takes mail.
type Domain struct {
	// Name is in lower-case A-labels.
	Name string `json:"name"`
	// AliasOf is the domain whose people and aliases this one shares, or empty.
	AliasOf string    `json:"alias_of,omitempty"`
	Created time.Time `json:"created"`
}

// Alias leads from one address of this box to others, here or elsewhere.
type Alias struct {
	// Address is the alias; "@example.test" is the catch-all of a domain.
	Address string `json:"address"`
	// To are the addresses it leads to: accounts, aliases and plus-addresses
	// of this box, and addresses elsewhere, to which mail is forwarded.
	To      []string  `json:"to"`
	Created time.Time `json:"created"`
}

// Accounts is the register of people. Its methods are safe for many goroutines.
type Accounts struct {
	store     *store.Store
	now       func() time.Time
	separator string
	limits    Limits
	cost      HashCost
	logger    *slog.Logger
	hashing   chan struct{} // holds a token for each that runs
	tidy      *time.Timer   // gives the memory back
	guard     *guard
	proven    *proven
	// update keeps a change; the model test keeps none.
	update func(ctx context.Context, fn func(tx *store.Tx) error) error
	// pause waits before a late answer; tests replace it.
	pause func(ctx context.Context, d time.Duration) error

	// mu is held by changes, so that one plans on what the one before left.
	mu       sync.Mutex
	recalled bool // recall was done
	dir      atomic.Pointer[directory]
}

// New makes an Accounts on an open store. Nothing is read before it is needed.
func New(o Options) *Accounts {
	if o.Now == nil {
		o.Now = time.Now
	}
	switch o.Separator {
	case "":
		o.Separator = "+"
	case SeparatorOff:
		o.Separator = ""
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	limits := o.Limits.withDefaults()
	a := &Accounts{
		store:     o.Store,
		now:       o.Now,
		separator: o.Separator,
		limits:    limits,
		cost:      o.Hash.withDefaults(),
		logger:    o.Logger,
		hashing:   make(chan struct{}, limits.Hashing),
		guard:     newGuard(limits),
		proven:    newProven(limits.Remember),
		update:    o.Store.Update,
		pause:     pause,
	}
	a.tidy = time.AfterFunc(tidyAfter, a.giveBack)
	a.tidy.Stop() // nothing was hashed yet
	return a
}

func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// List gives all accounts sorted by address.
func (a *Accounts) List(ctx context.Context) ([]Account, error) {
	d, err := a.directory(ctx)
	if err != nil {
		return nil, err
	}
	list := make([]Account, 0, len(d.people))
	for _, p := range d.people {
		list = append(list, p.Account)
	}
	slices.SortFunc(list, func(x, y Account) int { return strings.Compare(x.Address, y.Address) })
	return list, nil
}

// Find gives the account with exactly this address. ErrNotFound.
func (a *Accounts) Find(ctx context.Context, address string) (Account, error) {
	d, err := a.directory(ctx)
	if err != nil {
		return Account{}, err
	}
	p, err := d.person(address)
	if err != nil {
		return Account{}, err
	}
	return p.Account, nil
}

// ByID gives the account with this ID. ErrNotFound.
func (a *Accounts) ByID(ctx context.Context, id string) (Account, error) {
	d, err := a.directory(ctx)
	if err != nil {
		return Account{}, err
	}
	p, ok := d.people[id]
	if !ok {
		return Account{}, refuse(ErrNotFound, "there is no account with the ID %q; `hauspost account list` shows them all", id)
	}
	return p.Account, nil
}

// Domains gives all domains in the order in which they were added.
func (a *Accounts) Domains(ctx context.Context) ([]Domain, error) {
	d, err := a.directory(ctx)
	if err != nil {
		return nil, err
	}
	return slices.Clone(d.order), nil
}

// ListAliases gives all aliases sorted by address.
func (a *Accounts) ListAliases(ctx context.Context) ([]Alias, error) {
	d, err := a.directory(ctx)
	if err != nil {
		return nil, err
	}
	list := make([]Alias, 0, len(d.aliases))
	for _, al := range d.aliases {
		c := al.Alias
		c.To = slices.Clone(c.To)
		list = append(list, c)
	}
	slices.SortFunc(list, func(x, y Alias) int { return strings.Compare(x.Address, y.Address) })
	return list, nil
}

// Resolve says where mail for addr ends: one Target for each account and one
// for each address elsewhere to which an alias leads, in a stable order, none of
// them twice. It fails with a *reply.Reply: reply.RelayDenied where the domain is
// not the box's, reply.UnknownRecipient where nobody has the address, a 4yz where
// the box cannot tell just now.
//
// Whether an address is elsewhere is decided by the domains of the moment, not
// by those of the day on which the alias was made.
//
// In this order: the account or alias of exactly this address, that of the
// address without its plus-detail, the catch-all of the domain. postmaster
// (also without a domain, RFC 5321, section 4.5.1) and abuse (RFC 2142) that
// nobody took go to the oldest account of the domain, or of the box.
func (a *Accounts) Resolve(ctx context.Context, addr envelope.Address) ([]envelope.Target, error) {
	d, err := a.directory(ctx)
	if err != nil {
		return nil, unavailable(err)
	}
	targets, refusal := d.resolve(addr)
	if refusal != nil {
		return nil, refusal
	}
	return targets, nil
}
