package accounts

import (
	"context"
	"net/netip"
	"strings"

	"hauspost/appliance/envelope"
)

// Password checks a login with a password in the clear. user is the address
// of an account; from is the client. ErrCredentials, ErrTooManyGuesses (as
// *TooManyGuesses), or an inner fault.
//
// What it takes does not tell whether the account exists.
func (a *Accounts) Password(ctx context.Context, user, password string, from netip.Addr) (Account, error) {
	d, err := a.directory(ctx)
	if err != nil {
		return Account{}, err
	}
	key := loginKey(user)
	v := a.guard.visitor(from, key)
	slow, err := a.admit(v)
	if err != nil {
		return Account{}, err
	}
	var prepared string
	p := d.logins[key]
	if len(password) > maxPassword || (p != nil && p.Disabled) {
		p = nil
	} else {
		prepared = prepare(password)
	}
	if p != nil && a.proven.has(p, prepared, a.now()) {
		a.loggedIn(ctx, v, p)
		return p.Account, nil
	}
	guess := a.guess(key, p, password)
	if a.guard.knownWrong(v, guess) {
		return Account{}, ErrCredentials
	}
	if slow {
		if err := a.pause(ctx, a.limits.Slow); err != nil {
			return Account{}, err
		}
	}
	return a.verify(ctx, v, p, prepared, guess)
}

// guess stands for a password tried at an account. The kept hash goes into
// it: what was wrong may be right after a change.
func (a *Accounts) guess(key string, p *person, password string) digest {
	var hash string
	if p != nil {
		hash = string(p.Credentials.Argon2.Hash)
	}
	return a.guard.digest("guess", key, "\x00", hash, "\x00", password)
}

// verify does the expensive part, in its turn. p is nil where nobody can log
// in; the work is the same.
func (a *Accounts) verify(ctx context.Context, v visitor, p *person, prepared string, guess digest) (Account, error) {
	release, err := a.turn(ctx)
	if err != nil {
		return Account{}, err
	}
	defer release()
	// Many guesses may have waited for their turn together: only as many as
	// run at the same time can pass the limit.
	if _, err := a.admit(v); err != nil {
		return Account{}, err
	}
	if p == nil {
		h := argon2Hash{Memory: a.cost.Memory, Passes: a.cost.Passes, Threads: a.cost.Threads, Salt: make([]byte, saltSize)}
		h.matches(prepared)
		a.guard.failed(v, guess, a.now())
		return Account{}, ErrCredentials
	}
	if !p.Credentials.Argon2.matches(prepared) {
		a.guard.failed(v, guess, a.now())
		return Account{}, ErrCredentials
	}
	a.loggedIn(ctx, v, p)
	if !p.Credentials.meets(a.cost) {
		p = a.upgrade(ctx, p, prepared)
	}
	a.proven.add(p, prepared, a.now())
	return p.Account, nil
}

// upgrade keeps a password that was just seen to be right at today's cost. A
// login never fails because of it.
func (a *Accounts) upgrade(ctx context.Context, p *person, prepared string) *person {
	creds, err := derive(prepared, a.cost)
	if err != nil {
		a.logger.Warn("cannot hash a password anew", "account", p.ID, "error", err)
		return p
	}
	fresh := *p
	fresh.Credentials = creds
	err = a.change(ctx, "keeping the password of "+p.Address+" at a new cost", func(e *edit) error {
		if e.people[p.ID] != p {
			return nil // somebody changed it in the meantime
		}
		return e.setPerson(&fresh)
	})
	if err != nil {
		a.logger.Warn("cannot keep a password hashed anew", "account", p.ID, "error", err)
		return p
	}
	return &fresh
}

// admit asks the guard.
func (a *Accounts) admit(v visitor) (slow bool, err error) {
	until, slow, ok := a.guard.admit(v, a.now())
	if !ok {
		return false, &TooManyGuesses{Until: until}
	}
	return slow, nil
}

// loginKey folds a login name. What is no address is nobody's name, but its
// guesses are counted like all others.
func loginKey(user string) string {
	addr, err := envelope.ParseAddress(strings.TrimSpace(user))
	if err != nil {
		return "\x00" + user
	}
	return fold(addr)
}
