package appliance

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"time"

	"hauspost/appliance/certs"
	"hauspost/appliance/config"
)

func newCerts(dir string, c *config.Config, logger *slog.Logger) (*certs.Certs, error) {
	var roots *x509.CertPool
	if c.TLS.ExtraRoot != "" {
		var err error
		if roots, err = certs.Roots(config.File(dir, c.TLS.ExtraRoot)); err != nil {
			return nil, err
		}
	}
	return certs.New(certs.Options{
		Dir:       filepath.Join(dir, "tls"),
		Mode:      certs.Mode(c.TLS.Mode),
		Hostname:  c.Hostname,
		CertFile:  config.File(dir, c.TLS.Cert),
		KeyFile:   config.File(dir, c.TLS.Key),
		Directory: c.TLS.ACMEDirectory,
		Email:     c.TLS.ACMEEmail,
		Roots:     roots,
		Logger:    logger,
	})
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
