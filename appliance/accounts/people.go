package accounts

import (
	"context"
	"crypto/rand"
	"encoding/base32"
	"fmt"
	"strings"
	"time"

	"hauspost/appliance/envelope"
	"hauspost/store"
)

// mailboxes are what a new account starts with (RFC 6154 for the uses).
var mailboxes = []struct{ name, use string }{
	{"INBOX", ""},
	{"Archive", `\Archive`},
	{"Drafts", `\Drafts`},
	{"Junk", `\Junk`},
	{"Sent", `\Sent`},
	{"Trash", `\Trash`},
}

var idText = base32.NewEncoding("0123456789abcdefghjkmnpqrstvwxyz").WithPadding(base32.NoPadding)

func newID() string {
	var b [10]byte
	rand.Read(b[:])
	return idText.EncodeToString(b[:])
}

// Add makes an account with its mailboxes. The domain must be the box's and
// nobody else may have the address. *Error of kind ErrAddress, ErrPassword,
// ErrNotFound (the domain) or ErrExists.
func (a *Accounts) Add(ctx context.Context, address, password string) (Account, error) {
	addr, err := parse(address)
	if err != nil {
		return Account{}, err
	}
	prepared, err := a.newPassword(password)
	if err != nil {
		return Account{}, err
	}
	creds, err := a.derive(ctx, prepared)
	if err != nil {
		return Account{}, err
	}
	p := &person{Credentials: creds, addr: addr}
	p.Account = Account{ID: newID(), Address: addr.String(), Created: a.stamp(), SentCopy: true}
	err = a.change(ctx, "adding the account "+p.Address, func(e *edit) error {
		if err := e.free(addr); err != nil {
			return err
		}
		if err := e.setPerson(p); err != nil {
			return err
		}
		e.putRaw(kindLogin, fold(addr), []byte(p.ID))
		e.keepSecret()
		e.writes = append(e.writes, func(tx *store.Tx) error { return makeMailboxes(tx, p.ID) })
		return nil
	})
	if err != nil {
		return Account{}, err
	}
	return p.Account, nil
}

func makeMailboxes(tx *store.Tx, owner string) error {
	for _, m := range mailboxes {
		if _, err := tx.CreateMailbox(owner, m.name, m.use); err != nil {
			return fmt.Errorf("making the mailbox %s: %w", m.name, err)
		}
		if err := tx.Subscribe(owner, m.name, true); err != nil {
			return fmt.Errorf("subscribing the mailbox %s: %w", m.name, err)
		}
	}
	return nil
}

// stamp is the time of a change, in the precision in which it is kept.
func (a *Accounts) stamp() time.Time { return a.now().UTC().Truncate(time.Millisecond) }

// free tells whether an account or alias may get the address.
func (d *directory) free(addr envelope.Address) error {
	if err := d.hosts(addr.Domain); err != nil {
		return err
	}
	key := fold(addr)
	if p := d.logins[key]; p != nil {
		return refuse(ErrExists, "%s has an account already", p.Address)
	}
	if al := d.aliases[key]; al != nil {
		return refuse(ErrExists, "%s is an alias of %s already; remove that first with `hauspost alias remove %s`",
			al.Address, strings.Join(al.To, ", "), al.Address)
	}
	return nil
}

// hosts tells whether a domain can have accounts and aliases of its own.
func (d *directory) hosts(domain string) error {
	dom, ok := d.domains[domain]
	if !ok {
		return refuse(ErrNotFound, "%s is not a domain of this box; add it first with `hauspost domain add %s`", domain, domain)
	}
	if dom.AliasOf != "" {
		return refuse(ErrAddress, "%s is only another name of %s and has no addresses of its own; use the address at %s",
			domain, dom.AliasOf, dom.AliasOf)
	}
	return nil
}

// Remove removes an account with its mailboxes, its mail and its logins, and
// the address from every alias. Aliases that lead to nobody any more go too.
// ErrNotFound.
func (a *Accounts) Remove(ctx context.Context, address string) error {
	return a.change(ctx, "removing the account "+address, func(e *edit) error {
		p, err := e.person(address)
		if err != nil {
			return err
		}
		delete(e.people, p.ID)
		e.delete(kindAccount, p.ID)
		for key, q := range e.logins {
			if q.ID == p.ID {
				delete(e.logins, key)
				e.delete(kindLogin, key)
			}
		}
		e.writes = append(e.writes, func(tx *store.Tx) error { return tx.DeleteOwner(p.ID) })
		e.index()
		return e.forget(fold(p.addr))
	})
}

// SetPassword gives an account another password. Logins with the old one fail
// from then on; sessions that are open stay open. ErrNotFound, ErrPassword.
func (a *Accounts) SetPassword(ctx context.Context, address, password string) error {
	prepared, err := a.newPassword(password)
	if err != nil {
		return err
	}
	if _, err := a.Find(ctx, address); err != nil {
		return err
	}
	creds, err := a.derive(ctx, prepared)
	if err != nil {
		return err
	}
	return a.replace(ctx, "changing the password of "+address, address, func(p *person) { p.Credentials = creds })
}

// SetDisabled refuses (or allows again) the logins of an account. Its mail is
// still kept. ErrNotFound.
func (a *Accounts) SetDisabled(ctx context.Context, address string, disabled bool) error {
	return a.replace(ctx, "changing the account "+address, address, func(p *person) { p.Disabled = disabled })
}

// SetSentCopy switches the copies in Sent on or off for an account. ErrNotFound.
func (a *Accounts) SetSentCopy(ctx context.Context, address string, on bool) error {
	return a.replace(ctx, "changing the account "+address, address, func(p *person) { p.SentCopy = on })
}

func (a *Accounts) replace(ctx context.Context, doing, address string, alter func(p *person)) error {
	return a.change(ctx, doing, func(e *edit) error {
		old, err := e.person(address)
		if err != nil {
			return err
		}
		p := *old
		alter(&p)
		return e.setPerson(&p)
	})
}
