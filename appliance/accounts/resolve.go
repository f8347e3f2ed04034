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
	switch {
	case len(w.targets) > 0:
		return w.targets, nil
	case isRole(addr.Local):
		return d.caretaker(domain)
	case w.seen != nil:
		return nil, leadsNowhere
	}
	return nil, reply.UnknownRecipient
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
	p := d.caretakerOf(domain)
	if p == nil {
		return nil, nobodyYet
	}
	return []envelope.Target{{Account: p.ID, Address: p.addr, Via: "oldest account"}}, nil
}

func (d *directory) caretakerOf(domain string) *person {
	if p := d.oldest[domain]; p != nil {
		return p
	}
	return d.oldest[""]
}

// leadsNowhere is what an alias gets whose address elsewhere became one of this
// box, as its domain was added, and that nobody took yet: the owner is at it, so
// this is never for good.
var leadsNowhere = reply.New(450, "4.2.1", "leads-nowhere", "The mailbox behind this address is not there yet, please try again later")

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
// stops loops, and each account or address elsewhere is taken once.
type walk struct {
	d       *directory
	targets []envelope.Target
	// taken, left and seen are made with the first alias: most addresses are
	// somebody's own and need none of them.
	taken map[*person]bool
	left  map[envelope.Address]bool
	seen  map[*alias]bool
}

// follow takes who is behind an address of a canonical domain.
func (w *walk) follow(addr envelope.Address, detail, via string) {
	p, al, own := w.d.lookup(addr)
	if own != "" {
		detail = own
	}
	switch {
	case p != nil:
		w.take(p, detail, via)
	case al != nil:
		w.alias(al, addr, detail, via)
	case via != "" && isRole(addr.Local):
		w.role(addr, detail, via)
	}
}

func (w *walk) take(p *person, detail, via string) {
	if w.taken[p] {
		return
	}
	if w.taken != nil {
		w.taken[p] = true
	}
	w.targets = append(w.targets, envelope.Target{Account: p.ID, Address: p.addr, Detail: detail, Via: via})
}

// alias follows al, which addr led to.
func (w *walk) alias(al *alias, addr envelope.Address, detail, via string) {
	if w.seen[al] {
		return
	}
	if w.seen == nil {
		w.seen, w.taken, w.left = make(map[*alias]bool), make(map[*person]bool), make(map[envelope.Address]bool)
	}
	w.seen[al] = true
	if via != "" {
		via += ", "
	}
	via += al.via
	for _, to := range al.to {
		domain, here := w.d.canonical(to.Domain)
		if here {
			w.follow(envelope.Address{Local: to.Local, Domain: domain}, detail, via)
		} else if !w.left[to] {
			w.left[to] = true
			w.targets = append(w.targets, envelope.Target{Address: to, Alias: al.named(addr), Detail: detail, Via: via})
		}
	}
}

// role takes who looks after an address such as postmaster that an alias leads
// to and that nobody took.
func (w *walk) role(addr envelope.Address, detail, via string) {
	if strings.EqualFold(addr.Local, "abuse") {
		w.follow(envelope.Address{Local: "postmaster", Domain: addr.Domain}, detail, via)
		return
	}
	if p := w.d.caretakerOf(addr.Domain); p != nil {
		w.take(p, detail, via+", oldest account")
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
