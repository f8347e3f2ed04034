package accounts

import (
	"context"

	"hauspost/appliance/envelope"
)

// Owns tells whether an address is one of an account, so that it may send with
// it: its own, a plus-address of it, or one that an alias, another name of the
// domain or a catch-all leads to it (also together with others, and through
// other aliases). Everything that Resolve would bring to the account, in short.
// The null reverse-path and addresses without a domain are nobody's. An error
// says that the register cannot be read.
func (a *Accounts) Owns(ctx context.Context, accountID string, addr envelope.Address) (bool, error) {
	d, err := a.directory(ctx)
	if err != nil {
		return false, err
	}
	if accountID == "" || addr.Domain == "" {
		return false, nil
	}
	targets, _ := d.resolve(addr)
	for _, t := range targets {
		if t.Account == accountID {
			return true, nil
		}
	}
	return false, nil
}

// ByAddresses gives the one account that the addresses name, as those of a
// client certificate do (RFC 4422, EXTERNAL). Only the accounts' own addresses
// count, not aliases; what is no address is passed over. ErrNotFound where they
// name nobody, more than one account, or one that is disabled.
func (a *Accounts) ByAddresses(ctx context.Context, addresses []string) (Account, error) {
	d, err := a.directory(ctx)
	if err != nil {
		return Account{}, err
	}
	var one *person
	for _, s := range addresses {
		addr, err := parse(s)
		if err != nil {
			continue
		}
		p := d.logins[fold(addr)]
		if p == nil {
			continue
		}
		if one != nil && one != p {
			return Account{}, refuse(ErrNotFound, "the addresses name two accounts, %s and %s", one.Address, p.Address)
		}
		one = p
	}
	switch {
	case one == nil:
		return Account{}, refuse(ErrNotFound, "the addresses name no account of this box")
	case one.Disabled:
		return Account{}, refuse(ErrNotFound, "the account %s is disabled", one.Address)
	}
	return one.Account, nil
}
