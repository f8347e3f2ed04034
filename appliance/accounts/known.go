package accounts

import (
	"context"
	"encoding/json"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"hauspost/store"
)

// The addresses at which people logged in outlive a restart: otherwise whoever
// guesses passwords at that time would lock the people of the house out.

// knownAgain is how old the note of an address may become before a login makes
// a new one.
const knownAgain = 24 * time.Hour

// loggedIn notes a login of p from an address, and keeps it for the next start
// where that was not done of late. A login never fails because of it.
func (a *Accounts) loggedIn(ctx context.Context, v visitor, p *person) {
	now := a.now()
	if !a.guard.succeeded(v, now) {
		return
	}
	key := p.ID + " " + v.addr.addr.String()
	err := a.update(ctx, func(tx *store.Tx) error {
		raw, err := json.Marshal(now.UTC())
		if err != nil {
			return err
		}
		return tx.Put(kindKnown, key, raw)
	})
	if err != nil {
		a.logger.Warn("cannot keep from where somebody logged in", "account", p.ID, "error", err)
	}
}

// recall makes the guard know the addresses of the last run, and forgets those
// that are too old or whose account is gone. It is called with mu held, once.
func (a *Accounts) recall(ctx context.Context, d *directory) error {
	now := a.now()
	var old []string
	err := a.store.List(ctx, kindKnown, func(key string, value []byte) error {
		id, text, _ := strings.Cut(key, " ")
		addr, err := netip.ParseAddr(text)
		var at time.Time
		if err == nil {
			err = json.Unmarshal(value, &at)
		}
		if err != nil {
			return fmt.Errorf("%s %q: %w", kindKnown, key, err)
		}
		p := d.people[id]
		if p == nil || now.Sub(at) >= a.limits.GoodFor {
			old = append(old, key)
			return nil
		}
		a.guard.succeeded(a.guard.visitor(addr, fold(p.addr)), at)
		return nil
	})
	if err != nil || len(old) == 0 {
		return err
	}
	err = a.update(ctx, func(tx *store.Tx) error {
		for _, key := range old {
			if err := tx.Delete(kindKnown, key); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		a.logger.Warn("cannot forget old addresses of logins", "error", err)
	}
	return nil
}
