package appliance

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"strconv"
	"syscall"

	"hauspost/appliance/config"
	"hauspost/appliance/control"
)

// The services by the names that people see.
const (
	serviceSMTP        = "smtp"
	serviceSubmission  = "submission"
	serviceSubmissions = "submissions"
	serviceIMAP        = "imap"
	serviceIMAPS       = "imaps"
	serviceHTTP        = "acme-http"
	serviceHTTPS       = "acme-tls"
)

// socket is one listener of one service.
type socket struct {
	service string
	l       net.Listener
}

// services gives the services that are switched on with their ports.
func services(c *config.Config) []service {
	var on []service
	for _, s := range []service{
		{serviceSMTP, config.PortSMTP, c.Listeners.SMTP},
		{serviceSubmission, config.PortSubmission, c.Listeners.Submission},
		{serviceSubmissions, config.PortSubmissions, c.Listeners.Submissions},
		{serviceIMAP, config.PortIMAP, c.Listeners.IMAP},
		{serviceIMAPS, config.PortIMAPS, c.Listeners.IMAPS},
		{serviceHTTP, config.PortHTTP, c.TLS.Mode == config.ModeACME && c.TLS.ACMEHTTP},
		{serviceHTTPS, config.PortHTTPS, c.TLS.Mode == config.ModeACME && c.TLS.ACMETLS},
	} {
		if s.port = c.Port(s.port); s.on {
			on = append(on, s)
		}
	}
	return on
}

type service struct {
	name string
	port int
	on   bool
}

// planned gives the listeners as the config says.
func planned(c *config.Config) []control.Listener {
	list := []control.Listener{}
	for _, s := range services(c) {
		for _, host := range c.Listen {
			list = append(list, control.Listener{Service: s.name, Address: net.JoinHostPort(host, strconv.Itoa(s.port))})
		}
	}
	return list
}

// listen opens all sockets or none.
func listen(ctx context.Context, dir string, c *config.Config) (open []socket, err error) {
	defer func() {
		if err != nil {
			for _, s := range open {
				s.l.Close()
			}
		}
	}()
	var lc net.ListenConfig
	for _, s := range services(c) {
		for _, host := range c.Listen {
			if host == "*" {
				host = ""
			}
			l, err := lc.Listen(ctx, "tcp", net.JoinHostPort(host, strconv.Itoa(s.port)))
			if err != nil {
				return open, cannotListen(dir, host, s, err)
			}
			open = append(open, socket{s.name, l})
		}
	}
	return open, nil
}

func cannotListen(dir, host string, s service, err error) error {
	file := config.Path(dir)
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return fmt.Errorf("port %d (%s) is taken by another program: stop that one, or set port_offset in %s", s.port, s.name, file)
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("port %d (%s) needs special rights: run as root or with CAP_NET_BIND_SERVICE, or set port_offset = 10000 in %s", s.port, s.name, file)
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return fmt.Errorf("this machine has no address %s: correct listen in %s", host, file)
	}
	return fmt.Errorf("listening at port %d (%s): %w", s.port, s.name, err)
}

// bound gives the listeners that are open.
func bound(sockets []socket) []control.Listener {
	list := []control.Listener{}
	for _, s := range sockets {
		list = append(list, control.Listener{Service: s.service, Address: s.l.Addr().String()})
	}
	return list
}
