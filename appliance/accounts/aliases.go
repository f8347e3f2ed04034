package accounts

import (
	"context"
	"slices"
	"strings"

	"hauspost/appliance/envelope"
)

// AddAlias makes an alias to one or more addresses: accounts, plus-addresses
// and other aliases of this box, and addresses elsewhere, to which mail is
// forwarded. "@example.test" is the catch-all of a domain. *Error of kind
// ErrAddress, ErrNotFound (the domain of the alias), ErrExists, ErrNotLocal (an
// address of the box that nobody has), ErrLoop.
func (a *Accounts) AddAlias(ctx context.Context, address string, to []string) error {
	return a.change(ctx, "adding the alias "+address, func(e *edit) error {
		key, name, err := e.aliasKey(address)
		if err != nil {
			return err
		}
		al := Alias{Address: name, Created: a.stamp()}
		for _, t := range to {
			target, err := e.target(t)
			if err != nil {
				return err
			}
			if s := target.String(); !slices.Contains(al.To, s) {
				al.To = append(al.To, s)
			}
		}
		if len(al.To) == 0 {
			return refuse(ErrAddress, "say to which address the alias %s leads", name)
		}
		if err := e.setAlias(key, al); err != nil {
			return err
		}
		return e.leadsSomewhere(e.aliases[key])
	})
}

// aliasKey reads the address of an alias that is to be made.
func (e *edit) aliasKey(address string) (key, name string, err error) {
	if domain, ok := strings.CutPrefix(strings.TrimSpace(address), "@"); ok {
		domain, err := domainName(domain)
		if err != nil {
			return "", "", err
		}
		if err := e.hosts(domain); err != nil {
			return "", "", err
		}
		if al := e.aliases["@"+domain]; al != nil {
			return "", "", refuse(ErrExists, "the catch-all of %s leads to %s already; remove it first with `hauspost alias remove @%s`",
				domain, strings.Join(al.To, ", "), domain)
		}
		return "@" + domain, "@" + domain, nil
	}
	addr, err := parse(address)
	if err != nil {
		return "", "", err
	}
	return fold(addr), addr.String(), e.free(addr)
}

// target reads an address to which an alias is to lead.
func (e *edit) target(address string) (envelope.Address, error) {
	addr, err := parse(address)
	if err != nil {
		return addr, err
	}
	domain, ok := e.canonical(addr.Domain)
	if ok {
		addr.Domain = domain
		return addr, nil
	}
	if !strings.Contains(addr.Domain, ".") {
		return addr, refuse(ErrAddress, "%s: %s is neither a domain of this box nor one of the Internet, such as example.org; check the spelling",
			addr, addr.Domain)
	}
	return addr, nil
}

// leadsSomewhere refuses an alias with a target that ends at nobody.
func (e *edit) leadsSomewhere(al *alias) error {
	for _, to := range al.to {
		if e.reaches(to) {
			continue
		}
		if _, through, _ := e.lookup(to); through != nil {
			return refuse(ErrLoop, "%s leads to %s and that leads back to %s: nobody would get the mail", al.Address, to, al.Address)
		}
		return refuse(ErrNotLocal, "nobody here has the address %s; add the account or alias first, or check the spelling", to)
	}
	return nil
}

// RemoveAlias removes an alias, also from other aliases that lead to it;
// those that then lead to nobody go too. ErrNotFound.
func (a *Accounts) RemoveAlias(ctx context.Context, address string) error {
	return a.change(ctx, "removing the alias "+address, func(e *edit) error {
		key, err := e.findAlias(address)
		if err != nil {
			return err
		}
		e.dropAlias(key)
		return e.forget(key)
	})
}

func (e *edit) findAlias(address string) (key string, err error) {
	if domain, ok := strings.CutPrefix(strings.TrimSpace(address), "@"); ok {
		name, err := domainName(domain)
		if err != nil {
			return "", err
		}
		key = "@" + name
	} else {
		addr, err := parse(address)
		if err != nil {
			return "", err
		}
		key = fold(addr)
	}
	if e.aliases[key] == nil {
		return "", refuse(ErrNotFound, "there is no alias %s; `hauspost alias list` shows them all", key)
	}
	return key, nil
}

// forget takes an address that is gone out of all aliases, with the targets
// that lead to nobody and the aliases that are left without targets, and goes
// on with the addresses of those. A catch-all does not save them: nobody meant
// it when the alias was made. After it every target of every alias leads to
// somebody, as AddAlias demands, but for those that did not before: addresses
// elsewhere whose domain came to the box since and that nobody took yet.
func (e *edit) forget(key string) error {
	gone := map[string]bool{key: true}
	for {
		shorter := e.prune(gone)
		if len(shorter) == 0 {
			return nil
		}
		for key, rest := range shorter {
			if len(rest.To) == 0 {
				e.dropAlias(key)
				gone[key] = true
			} else if err := e.setAlias(key, rest); err != nil {
				return err
			}
		}
	}
}

// prune gives the aliases that lose targets, as they will be. It judges all
// before any is changed, so that the order does not matter.
func (e *edit) prune(gone map[string]bool) map[string]Alias {
	shorter := make(map[string]Alias)
	for key, al := range e.aliases {
		rest := al.Alias
		rest.To = nil
		for i, to := range al.to {
			if e.leads(to, gone) || !e.before.reaches(to) {
				rest.To = append(rest.To, al.To[i])
			}
		}
		if len(rest.To) < len(al.To) {
			shorter[key] = rest
		}
	}
	return shorter
}

// leads tells whether an address leads to somebody, and not only because a
// catch-all takes what is gone.
func (d *directory) leads(to envelope.Address, gone map[string]bool) bool {
	key := fold(to)
	if gone[key] {
		return false
	}
	if d.logins[key] == nil && d.aliases[key] == nil {
		if base, _, ok := d.split(to); ok && gone[fold(base)] {
			return false
		}
	}
	return d.reaches(to)
}

// reaches tells whether a target of an alias leads to somebody, here or
// elsewhere.
func (d *directory) reaches(to envelope.Address) bool {
	if _, ok := d.canonical(to.Domain); !ok {
		return true
	}
	targets, _ := d.resolve(to)
	return len(targets) > 0
}
