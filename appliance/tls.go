package appliance

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"path/filepath"
	"time"

	"hauspost/appliance/accounts"
	"hauspost/appliance/certs"
	"hauspost/appliance/config"
	"hauspost/appliance/resolver"
)

// newCerts makes or loads the certificate, for the host and, where the box signs
// it itself, for its domains: people take them for the name of their server.
func newCerts(ctx context.Context, dir string, c *config.Config, core *core, dns *resolver.Resolver, logger *slog.Logger) (*certs.Certs, error) {
	domains, err := core.accounts.Domains(ctx)
	if err != nil {
		return nil, err
	}
	var roots *x509.CertPool
	if c.TLS.ExtraRoot != "" {
		if roots, err = certs.Roots(config.File(dir, c.TLS.ExtraRoot)); err != nil {
			return nil, err
		}
	}
	return certs.New(certs.Options{
		Dir:       filepath.Join(dir, "tls"),
		Mode:      certs.Mode(c.TLS.Mode),
		Hostname:  c.Hostname,
		Domains:   each(domains, func(d accounts.Domain) string { return d.Name }),
		CertFile:  config.File(dir, c.TLS.Cert),
		KeyFile:   config.File(dir, c.TLS.Key),
		Directory: c.TLS.ACMEDirectory,
		Email:     c.TLS.ACMEEmail,
		Roots:     roots,
		Dial:      dialer(c, dns),
		Logger:    logger,
	})
}

// dialer connects to hosts by the name server of the config, or is nil where
// that names none: then the system's way, with its own files, is the right one.
func dialer(c *config.Config, dns *resolver.Resolver) func(ctx context.Context, network, addr string) (net.Conn, error) {
	if c.Resolver.Address == "" {
		return nil
	}
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		var d net.Dialer
		host, port, err := net.SplitHostPort(addr)
		if err != nil {
			return nil, err
		}
		if _, err := netip.ParseAddr(host); err == nil {
			return d.DialContext(ctx, network, addr)
		}
		found, err := dns.LookupIP(ctx, host)
		if err != nil {
			return nil, err
		}
		// Half of what is left of the time for each, so that an address that
		// does not answer leaves some for the next one.
		var faults []error
		for i, ip := range found.Records {
			try, cancel := ctx, context.CancelFunc(func() {})
			if end, ok := ctx.Deadline(); ok && i+1 < len(found.Records) {
				try, cancel = context.WithTimeout(ctx, time.Until(end)/2)
			}
			nc, err := d.DialContext(try, network, net.JoinHostPort(ip.String(), port))
			cancel()
			if err == nil {
				return nc, nil
			}
			faults = append(faults, err)
		}
		return nil, errors.Join(faults...)
	}
}

// answerer is what answers the certificate authority at port 80 or 443; it
// serves nothing else.
type answerer struct{ http.Server }

func newAnswerer(handler http.Handler) *answerer {
	return &answerer{http.Server{
		Handler:           handler,
		ReadHeaderTimeout: 10 * time.Second,
		ReadTimeout:       20 * time.Second,
		WriteTimeout:      20 * time.Second,
		MaxHeaderBytes:    8 << 10,
		ErrorLog:          slog.NewLogLogger(slog.DiscardHandler, slog.LevelDebug),
	}}
}

// serve answers at l, with a handshake first where config is not nil.
func (a *answerer) serve(l net.Listener, config *tls.Config) error {
	if config != nil {
		l = tls.NewListener(l, config)
	}
	if err := a.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}
