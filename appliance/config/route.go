package config

import (
	"bytes"
	"fmt"
	"io"
	"net/netip"
	"os"
	"strconv"
	"strings"

	"hauspost/appliance/envelope"
)

// The words for Route.Security.
const (
	// SecurityOpportunistic encrypts where the other side offers it, with any
	// certificate.
	SecurityOpportunistic = "opportunistic"
	// SecurityRequired sends encrypted, with any certificate, or not at all.
	SecurityRequired = "required"
	// SecurityVerified sends encrypted, with a certificate that is valid for
	// the server's name, or not at all.
	SecurityVerified = "verified"
	// SecurityNone does not encrypt.
	SecurityNone = "none"
)

// The ports of a server that takes mail from people (RFC 6409, RFC 8314).
const (
	submissionPort  = 587
	submissionsPort = 465
)

// Route says how mail for some destinations goes out. The most specific To wins.
type Route struct {
	// To are domains ("example.org"), all below one (".example.org") or
	// everything ("*"), in lower-case A-labels.
	To []string
	// Host is a server by name or IP address, through which the mail goes;
	// empty means the destination's own servers (by MX).
	Host string
	// Port is that of Host; Parse fills in 587. 0 where there is no Host.
	Port int
	// Security is one of the Security words; Parse fills it in.
	Security string
	// ImplicitTLS begins with TLS; Parse fills in true for port 465.
	ImplicitTLS bool
	// User signs in at Host with Password or the one in PasswordFile.
	User         string
	Password     Secret
	PasswordFile string
	// Connections at the same time; 0 means as in Relay.PerHost.
	Connections int
	// Pace is the least time between two attempts; 0 means as in Queue.Pace.
	Pace Duration
}

// maxPasswordFile is how much of a file with a password is read.
const maxPasswordFile = 4096

// ReadPassword gives Password, or the first line of PasswordFile, which may be
// relative to the data folder dir.
func (r *Route) ReadPassword(dir string) (Secret, error) {
	if r.PasswordFile == "" {
		return r.Password, nil
	}
	name := File(dir, r.PasswordFile)
	f, err := os.Open(name)
	if err != nil {
		return "", fmt.Errorf("reading the password for %s: %w", r.Host, err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxPasswordFile))
	if err != nil {
		return "", fmt.Errorf("reading the password for %s: %w", r.Host, err)
	}
	line, _, _ := bytes.Cut(data, []byte("\n"))
	password := strings.TrimRight(string(line), "\r")
	if password == "" {
		return "", fmt.Errorf("reading the password for %s: the first line of %s is empty", r.Host, name)
	}
	return Secret(password), nil
}

// settled gives r with what its keys mean where they are not written. That of
// implicit_tls is false then as well, so the caller must know whether it is.
func (r Route) settled(implicitWritten bool) Route {
	if r.Host != "" && r.Port == 0 {
		r.Port = submissionPort
		if r.ImplicitTLS {
			r.Port = submissionsPort
		}
	}
	if !implicitWritten {
		r.ImplicitTLS = r.Port == submissionsPort
	}
	if r.Security == "" {
		r.Security = r.usualSecurity()
	}
	return r
}

// usualSecurity is that of a route that does not say: a password goes only to
// a server that proved its name.
func (r *Route) usualSecurity() string {
	if r.User != "" {
		return SecurityVerified
	}
	return SecurityOpportunistic
}

// implied gives a route with the values of r that follow from its others and so
// need not be written.
func (r *Route) implied() Route {
	i := Route{ImplicitTLS: r.Port == submissionsPort, Security: r.usualSecurity()}
	if r.Host != "" && !r.ImplicitTLS {
		i.Port = submissionPort
	}
	return i
}

// ofRoute makes a field of the route that is being read or written.
func ofRoute[T any](field func(*Route) *T) func(*Config) *T {
	return ofLast(func(c *Config) []Route { return c.Routes }, Route{}, field)
}

// routes checks what no key can check by itself: how the keys of each route
// fit each other, and the routes each other.
func (p *parser) routes() {
	places := map[string]int{}
	for i := range p.config.Routes {
		r := &p.config.Routes[i]
		set := func(name string) bool { _, ok := p.seen[inList(name, i)]; return ok }
		*r = r.settled(set("route.implicit_tls"))
		where := func(name string) at { return p.whereIn("route", name, i) }
		if !set("route.to") {
			p.fault("route.to", where("route.to"), "missing: it says for which destinations the route is",
				`add for example to = ["example.org"], or to = ["*"] for everything`)
		}
		for _, to := range r.To {
			if first, twice := places[to]; twice && first != i {
				p.fault("route.to", where("route.to"), fmt.Sprintf("the %s route leads to %q already", ordinal(first), to),
					"name each destination in one route alone")
				continue
			}
			places[to] = i
		}
		p.server(r, set, where)
		p.signIn(r, set, where)
	}
}

// ordinal names the i-th of a list, counted from 0, as people count.
func ordinal(i int) string {
	if words := []string{"first", "second", "third"}; i < len(words) {
		return words[i]
	}
	return strconv.Itoa(i+1) + "th"
}

// server faults what does not fit a route's host.
func (p *parser) server(r *Route, set func(string) bool, where func(string) at) {
	for _, name := range []string{"route.port", "route.implicit_tls", "route.user"} {
		if r.Host == "" && set(name) {
			p.fault(name, where(name), "has a meaning only with a host",
				`name the server, for example host = "smtp.example.net", or remove the line`)
		}
	}
	if r.ImplicitTLS && r.Security == SecurityNone {
		p.fault("route.security", where("route.security"), "does not fit implicit_tls, which encrypts from the start",
			`write security = "required", or implicit_tls = false`)
	}
}

// signIn faults what does not fit a route's user and password.
func (p *parser) signIn(r *Route, set func(string) bool, where func(string) at) {
	password := r.Password != "" || r.PasswordFile != ""
	name := "route.password"
	if r.Password == "" && set("route.password_file") {
		name = "route.password_file"
	}
	switch {
	case r.Password != "" && r.PasswordFile != "":
		p.fault("route.password_file", where("route.password_file"), "there is a password as well", "keep one of the two lines")
	case password && r.User == "":
		p.fault(name, where(name), "has a meaning only with a user", `add for example user = "anna@example.net"`)
	case r.User != "" && !password && r.Host != "":
		p.fault("route.user", where("route.user"), "has no password", `add password = "…", or password_file with the name of a file`)
	}
	if password && r.Security == SecurityNone {
		p.fault("route.security", where("route.security"), "a password is never sent without encryption",
			`write security = "verified", or remove user and password`)
	}
}

// validTo tells whether every word names destinations, and puts the words into
// their canonical spelling.
func validTo(p any) bool {
	words := *p.(*[]string)
	seen := map[string]bool{}
	for i, word := range words {
		if word != "*" {
			domain, below := strings.CutPrefix(word, ".")
			d, err := envelope.NormalizeDomain(domain)
			if err != nil || strings.HasPrefix(d, "[") {
				return false
			}
			if below {
				d = "." + d
			}
			words[i] = d
		}
		if seen[words[i]] {
			return false
		}
		seen[words[i]] = true
	}
	return len(words) > 0
}

func validServerName(s string) bool {
	if _, err := netip.ParseAddr(s); err == nil || s == "" {
		return true
	}
	d, err := envelope.NormalizeDomain(s)
	return err == nil && d == s && !strings.HasPrefix(d, "[")
}

func validHello(s string) bool { return s == "" || ValidHostname(s) }

// validWord refuses what would break a line of the protocol.
func validWord(s string) bool { return !strings.ContainsAny(s, "\x00\r\n") }
