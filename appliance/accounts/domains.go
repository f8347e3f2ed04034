package accounts

import (
	"context"
	"slices"
	"strings"

	"hauspost/appliance/envelope"
)

// AddDomain makes the box take mail for a domain. With aliasOf the domain is
// only another name of that one and shares all its addresses. International
// names may come in their own letters. *Error of kind ErrAddress, ErrExists,
// ErrNotFound (aliasOf).
func (a *Accounts) AddDomain(ctx context.Context, name, aliasOf string) error {
	name, err := domainName(name)
	if err != nil {
		return err
	}
	if aliasOf != "" {
		if aliasOf, err = domainName(aliasOf); err != nil {
			return err
		}
	}
	return a.change(ctx, "adding the domain "+name, func(e *edit) error {
		if _, ok := e.domains[name]; ok {
			return refuse(ErrExists, "%s is a domain of this box already", name)
		}
		if aliasOf != "" {
			if err := e.hosts(aliasOf); err != nil {
				return err
			}
		}
		d := Domain{Name: name, AliasOf: aliasOf, Created: a.stamp()}
		e.domains[name] = d
		return e.put(kindDomain, name, d)
	})
}

// RemoveDomain makes the box refuse mail for a domain. It is refused with
// ErrInUse while accounts, aliases or other names of the domain are left.
// ErrNotFound.
func (a *Accounts) RemoveDomain(ctx context.Context, name string) error {
	name, err := domainName(name)
	if err != nil {
		return err
	}
	return a.change(ctx, "removing the domain "+name, func(e *edit) error {
		if _, ok := e.domains[name]; !ok {
			return refuse(ErrNotFound, "%s is not a domain of this box; `hauspost domain list` shows them all", name)
		}
		if users := e.users(name); len(users) > 0 {
			return refuse(ErrInUse, "%s is still in use by %s; remove these first", name, enumerate(users))
		}
		delete(e.domains, name)
		e.delete(kindDomain, name)
		return nil
	})
}

// users names what needs a domain.
func (d *directory) users(domain string) []string {
	var users []string
	for _, p := range d.people {
		if p.addr.Domain == domain {
			users = append(users, "the account "+p.Address)
		}
	}
	for key, al := range d.aliases {
		needs := strings.HasSuffix(key, "@"+domain)
		for _, to := range al.to {
			needs = needs || to.Domain == domain
		}
		if needs {
			users = append(users, "the alias "+al.Address)
		}
	}
	for _, dom := range d.domains {
		if dom.AliasOf == domain {
			users = append(users, "its other name "+dom.Name)
		}
	}
	slices.Sort(users)
	return users
}

// enumerate names at most three.
func enumerate(names []string) string {
	const most = 3
	if len(names) <= most {
		return strings.Join(names, ", ")
	}
	return strings.Join(names[:most], ", ") + " and others"
}

func domainName(name string) (string, error) {
	domain, err := envelope.NormalizeDomain(strings.TrimSuffix(strings.TrimSpace(name), "."))
	if err != nil {
		return "", refuse(ErrAddress, "%q is not a domain such as example.test: %v", name, err)
	}
	if strings.HasPrefix(domain, "[") {
		return "", refuse(ErrAddress, "%s: use a domain name, not an IP address", domain)
	}
	return domain, nil
}
