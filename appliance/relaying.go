package appliance

import (
	"crypto/tls"
	"crypto/x509"
	"log/slog"
	"slices"
	"time"

	"hauspost/appliance/certs"
	"hauspost/appliance/config"
	"hauspost/appliance/queue"
	"hauspost/appliance/relay"
	"hauspost/appliance/resolver"
	"hauspost/appliance/submit"
	"hauspost/appliance/transfer"
)

// newRelay makes what hands mail to other servers. It reads the passwords.
func newRelay(dir string, c *config.Config, dns *resolver.Resolver, logger *slog.Logger) (*relay.Client, error) {
	var roots *x509.CertPool
	if c.TLS.ExtraRoot != "" {
		var err error
		if roots, err = certs.Roots(config.File(dir, c.TLS.ExtraRoot)); err != nil {
			return nil, err
		}
	}
	o := relay.Options{
		Hostname:      c.Hostname,
		Hello:         c.Relay.Hello,
		Resolver:      dns,
		Port:          c.Relay.Port,
		TLS:           &tls.Config{RootCAs: roots},
		AllowLoopback: c.Relay.Loopback,
		NoIPv4:        !c.Relay.IPv4,
		NoIPv6:        !c.Relay.IPv6,
		Limits:        relayLimits(c),
		Logger:        logger,
	}
	for i := range c.Routes {
		from := &c.Routes[i]
		password, err := from.ReadPassword(dir)
		if err != nil {
			return nil, err
		}
		r := relay.Route{
			To: from.To, Host: from.Host, Port: from.Port, Security: relay.Security(from.Security), Implicit: from.ImplicitTLS,
			User: from.User, Password: string(password), Connections: from.Connections,
		}
		if r.Host != "" && slices.Contains(r.To, "*") {
			o.Smarthost = &r
		}
		o.Routes = append(o.Routes, r)
	}
	return relay.New(o), nil
}

// routeFor gives the route of the config for a domain, or nil.
func routeFor(c *config.Config, domain string) (best *config.Route) {
	most := 0
	for i := range c.Routes {
		for _, to := range c.Routes[i].To {
			if n := relay.Specificity(to, domain); n > most {
				best, most = &c.Routes[i], n
			}
		}
	}
	return best
}

// paces gives the queue what the routes say of pace and connections.
func paces(c *config.Config) func(domain, via string) (time.Duration, int) {
	return func(domain, via string) (time.Duration, int) {
		if via == transfer.ViaDirect {
			return 0, 0
		}
		r := routeFor(c, domain)
		if r == nil {
			return 0, 0
		}
		return time.Duration(r.Pace), r.Connections
	}
}

func relayLimits(c *config.Config) relay.Limits {
	r := c.Relay
	usual := relay.Limits{}.WithDefaults()
	command := time.Duration(r.CommandTimeout)
	return relay.Limits{
		Connect: time.Duration(r.ConnectTimeout),
		Command: command,
		// An owner who waits less for a command waits less for these, too.
		Greeting:  min(command, usual.Greeting),
		Handshake: min(command, usual.Handshake),
		DataStart: min(command, usual.DataStart),
		Block:     min(command, usual.Block),
		Final:     time.Duration(r.DataTimeout),
		Idle:      orNone(r.Idle),
		Messages:  r.MessagesPerConnection,
		PerHost:   r.PerHost,
		// The queue's own number bounds them.
		Connections: max(usual.Connections, c.Queue.Attempts),
	}
}

func queueLimits(c *config.Config) queue.Limits {
	q := c.Queue
	return queue.Limits{
		Attempts:       q.Attempts,
		PerDestination: q.PerDestination,
		Pace:           time.Duration(q.Pace),
		Expiry:         time.Duration(q.Expiry),
		Delay:          orNone(q.DelayNotice),
		Bin:            time.Duration(q.Bin),
		Grace:          time.Duration(c.Shutdown),
	}
}

func submissionLimits(c *config.Config) submit.Limits {
	s := c.Submission
	l := engineLimits(c)
	l.Exempt, l.AuthFailures = nil, s.MaxLoginFailures
	l.Recipients = s.MaxRecipients
	l.Connections, l.ConnectionsPerAddress, l.ConnectionRate = s.MaxConnections, s.MaxConnectionsPerAddress, s.ConnectionRate
	l.Messages, l.Errors, l.BadRecipients = s.MaxMessages, s.MaxErrors, s.MaxBadRecipients
	l.CommandTimeout, l.StressTimeout = time.Duration(s.CommandTimeout), time.Duration(s.StressTimeout)
	l.ContentTimeout, l.WriteTimeout, l.HandshakeTimeout = time.Duration(s.ContentTimeout), time.Duration(s.WriteTimeout), time.Duration(s.HandshakeTimeout)
	return submit.Limits{
		Limits:            l,
		DNSTimeout:        time.Duration(c.Checks.Timeout),
		MessagesPerHour:   orUnlimited(s.MessagesPerHour),
		RecipientsPerHour: orUnlimited(s.RecipientsPerHour),
	}
}
