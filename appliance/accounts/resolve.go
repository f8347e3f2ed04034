package accounts

import (
	"strings"

	"hauspost/appliance/envelope"
	"hauspost/appliance/reply"
)

// nobodyYet is what postmaster gets on a box without a single account: the
// address must exist (RFC 5321, section 4.5.1), so this is never for good.
var nobodyYet = reply.New(450, "4.2.1", "nobody-yet", "This server has no people yet, please try again later")

func unavailable(err error) *reply.Reply { return reply.LocalError.Because(err) }

// resolve is Resolve on one state of the directory.
func (d *directory) resolve(addr envelope.Address) ([]envelope.Target, *reply.Reply) {
	if addr.Domain == "" {
		return d.bare(addr)
	}
	domain, ok := d.canonical(addr.Domain)
	if !ok {
		return nil, reply.RelayDenied
	}
	w := walk{d: d}
	w.follow(envelope.Address{Local: addr.Local, Domain: domain}, "", "")
	if len(w.targets) > 0 {
		return w.targets, nil
	}
	if strings.EqualFold(addr.Local, "abuse") {
		w.follow(envelope.Address{Local: "postmaster", Domain: domain}, "", "")
	}
	if len(w.targets) == 0 && isRole(addr.Local) {
		return d.caretaker(domain)
	}
	if len(w.targets) == 0 {
		return nil, reply.UnknownRecipient
	}
	return w.targets, nil
}

// bare resolves "<Postmaster>", the only address that needs no domain.
func (d *directory) bare(addr envelope.Address) ([]envelope.Target, *reply.Reply) {
	if !strings.EqualFold(addr.Local, "postmaster") {
		return nil, reply.UnknownRecipient
	}
	for _, domain := range d.order {
		key := "postmaster@" + domain.Name
		if d.logins[key] != nil || d.aliases[key] != nil {
			return d.resolve(envelope.Address{Local: "postmaster", Domain: domain.Name})
		}
	}
	return d.caretaker("")
}

// caretaker is who gets the mail for roles that nobody took.
func (d *directory) caretaker(domain string) ([]envelope.Target, *reply.Reply) {
	p := d.oldest[domain]
	if p == nil {
		p = d.oldest[""]
	}
	if p == nil {
		return nil, nobodyYet
	}
	return []envelope.Target{{Account: p.ID, Address: p.addr, Via: "oldest account"}}, nil
}

func isRole(local string) bool {
	return strings.EqualFold(local, "postmaster") || strings.EqualFold(local, "abuse")
}

// canonical gives the domain that holds the people of a domain of the box.
func (d *directory) canonical(domain string) (string, bool) {
	dom, ok := d.domains[domain]
	if !ok {
		if dom, ok = d.domains[strings.ToLower(domain)]; !ok {
			return "", false
		}
	}
	if dom.AliasOf != "" {
		return dom.AliasOf, true
	}
	return dom.Name, true
}

// walk follows aliases from one address. Each alias is followed once, which
// stops loops, and each account is taken once.
type walk struct {
	d       *directory
	targets []envelope.Target
	// taken and seen are made with the first alias: most addresses are
	// somebody's own and need neither.
	taken map[*person]bool
	seen  map[*alias]bool
}

func (w *walk) follow(addr envelope.Address, detail, via string) {
	p, al, own := w.d.lookup(addr)
	if own != "" {
		detail = own
	}
	switch {
	case p != nil:
		if w.taken[p] {
			return
		}
		if w.taken != nil {
			w.taken[p] = true
		}
		w.targets = append(w.targets, envelope.Target{Account: p.ID, Address: p.addr, Detail: detail, Via: via})
	case al != nil:
		if w.seen[al] {
			return
		}
		if w.seen == nil {
			w.seen, w.taken = make(map[*alias]bool), make(map[*person]bool)
		}
		w.seen[al] = true
		if via != "" {
			via += ", "
		}
		via += al.via
		for _, to := range al.to {
			w.follow(to, detail, via)
		}
	}
}

// lookup finds who or what has an address of a canonical domain, with the
// detail where it was found without it.
func (d *directory) lookup(addr envelope.Address) (p *person, al *alias, detail string) {
	key := fold(addr)
	if p, al = d.logins[key], d.aliases[key]; p != nil || al != nil {
		return p, al, ""
	}
	if base, detail, ok := d.split(addr); ok {
		key := fold(base)
		if p, al = d.logins[key], d.aliases[key]; p != nil || al != nil {
			return p, al, detail
		}
	}
	return nil, d.aliases["@"+addr.Domain], ""
}

// split takes a plus-address apart at its first separator.
func (d *directory) split(addr envelope.Address) (base envelope.Address, detail string, ok bool) {
	if d.separator == "" {
		return addr, "", false
	}
	local, detail, ok := strings.Cut(addr.Local, d.separator)
	if !ok || local == "" {
		return addr, "", false
	}
	return envelope.Address{Local: local, Domain: addr.Domain}, detail, true
}
