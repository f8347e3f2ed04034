package relay

import (
	"cmp"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"

	"hauspost/appliance/transfer"
)

// Security is what the owner asks of the connection to a server.
type Security string

// The levels of Security; the empty one is Opportunistic.
const (
	// Opportunistic encrypts where the server offers it, with any certificate.
	Opportunistic Security = "opportunistic"
	// Required encrypts or does not send; any certificate will do.
	Required Security = "required"
	// Verified encrypts, with a certificate that is valid for the server's
	// name, or does not send.
	Verified Security = "verified"
	// None does not encrypt.
	None Security = "none"
)

// Route is how mail for some destinations goes.
type Route struct {
	// To are domains in lower-case A-labels: "example.org" itself,
	// ".example.org" all below it, "*" all. The most specific Route wins. Of a
	// smarthost it is not used.
	To []string
	// Host is the server, a name or an IP address; empty means those that the
	// DNS names, for which only Security applies.
	Host string
	// Port of Host; 0 means Options.Port, or 465 where Implicit is set.
	Port     int
	Security Security
	// Implicit is TLS from the start instead of STARTTLS.
	Implicit bool
	// User and Password sign in at Host, over TLS only; no sign-in without a
	// User.
	User, Password string
	// Connections to Host at a time; 0 means Limits.PerHost.
	Connections int
}

// String says where r leads. It never has the password.
func (r Route) String() string {
	if r.Host == "" {
		return "by MX, " + string(r.security())
	}
	s := fmt.Sprintf("%s port %d, %s", r.Host, r.Port, r.security())
	if r.User != "" {
		s += " as " + r.User
	}
	return s
}

// GoString is String: the password must not get into a log by "%#v" either.
func (r Route) GoString() string { return r.String() }

func (r *Route) security() Security { return cmp.Or(r.Security, Opportunistic) }

// Specificity tells how specific the match of one of Route.To with a domain is;
// 0 is none. The most specific Route wins.
func Specificity(pattern, domain string) int {
	switch {
	case pattern == domain:
		return 1000
	case pattern == "*":
		return 1
	case strings.HasPrefix(pattern, ".") && strings.HasSuffix(domain, pattern):
		return 1 + len(pattern)
	}
	return 0
}

// routeTo finds the most specific route, or nil.
func (c *Client) routeTo(domain string) (r *Route, specific bool) {
	best := 0
	for i := range c.routes {
		for _, p := range c.routes[i].To {
			if m := Specificity(p, domain); m > best {
				best, r = m, &c.routes[i]
			}
		}
	}
	return r, best > 1
}

// way is how one message goes.
type way struct {
	// route is never nil; without a Host it is by MX.
	route *Route
	// key names the way for the pool: what is the same for messages that can
	// share a connection without asking the DNS.
	key string
}

func (w *way) byMX() bool { return w.route.Host == "" }

// wayOf chooses by the owner's word for this message, then by the most specific
// route, then the smarthost, then MX. A route for "*" without a Host gives way
// to the smarthost.
func (c *Client) wayOf(m *transfer.Message) (*way, *transfer.Outcome) {
	r, specific := c.routeTo(m.Domain)
	switch m.Via {
	case transfer.ViaSettings:
		if c.smarthost != nil && (r == nil || r.Host == "" && !specific) {
			r = c.smarthost
		}
	case transfer.ViaDirect:
		// What the owner asks of connections there holds on this way too.
		r = &Route{Security: policy(r, specific)}
	case transfer.ViaSmarthost:
		if r = c.smarthost; r == nil {
			return nil, ours(transfer.Deferred, transfer.ScopeDestination, "no-smarthost", "4.3.5", "connect", "the settings name no smarthost")
		}
	default:
		var err error
		if r, err = c.named(m.Via, policy(r, specific)); err != nil {
			return nil, ours(transfer.Deferred, transfer.ScopeDestination, "no-smarthost", "4.3.5", "connect", err.Error())
		}
	}
	if r == nil {
		r = &Route{Security: Opportunistic}
	}
	w := &way{route: r, key: "mx " + m.Domain}
	if r.Host != "" {
		w.key = "host " + r.hostKey()
	}
	return w, nil
}

// named gives the route to "host:port": one of the settings where it is known
// there, so that its password and security hold.
func (c *Client) named(via string, usual Security) (*Route, error) {
	host, port, err := net.SplitHostPort(via)
	n, perr := strconv.Atoi(port)
	if err != nil || perr != nil {
		return nil, transfer.ErrVia
	}
	for i := range c.routes {
		if r := &c.routes[i]; r.Host == host && r.Port == n {
			return r, nil
		}
	}
	if c.smarthost != nil && c.smarthost.Host == host && c.smarthost.Port == n {
		return c.smarthost, nil
	}
	return &Route{Host: host, Port: n, Implicit: n == 465, Security: usual}, nil
}

// policy is what the owner asks of connections for a domain whatever the way:
// that of a route which is about the domain, not about one server for all.
func policy(r *Route, specific bool) Security {
	if r == nil || r.Host != "" && !specific {
		return Opportunistic
	}
	return r.security()
}

// hostKey tells connections apart that must not serve for one another.
func (r *Route) hostKey() string {
	return r.Host + " " + strconv.Itoa(r.Port) + " " + strconv.FormatBool(r.Implicit) + " " + r.User
}

// prepared gives r as it is used: canonical names, the port filled in.
func (r Route) prepared(port int) Route {
	r.Host = strings.ToLower(strings.TrimSuffix(strings.Trim(r.Host, "[]"), "."))
	if ip, err := netip.ParseAddr(r.Host); err == nil {
		r.Host = ip.Unmap().String()
	}
	if r.Port == 0 {
		r.Port = port
		if r.Implicit {
			r.Port = 465
		}
	}
	return r
}
