package appliance

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"

	"hauspost/appliance/config"
	"hauspost/appliance/control"
	"hauspost/appliance/envelope"
)

// InitOptions say what box to make.
type InitOptions struct {
	// Dir is the data folder: it must not exist yet, or be empty.
	Dir string
	// Hostname is the box's true name, Domain the first domain.
	Hostname, Domain string
	// PortOffset and Listen are as in the config; an empty Listen means all.
	PortOffset int
	Listen     []string
	// Adjust, if set, changes further settings before they are checked.
	Adjust func(*config.Config)
}

// Made tells of a new box.
type Made struct {
	Data      string             `json:"data"`
	Config    string             `json:"config"`
	Hostname  string             `json:"hostname"`
	Domain    string             `json:"domain"`
	Listeners []control.Listener `json:"listeners"`
}

// Init makes a new box. Everything is checked before anything is made, and what
// was made is removed again when it fails half-way.
func Init(ctx context.Context, o InitOptions) (made Made, err error) {
	c, domain, err := o.config()
	if err != nil {
		return made, err
	}
	dir, err := filepath.Abs(o.Dir)
	if err != nil {
		return made, fmt.Errorf("finding the data folder: %w", err)
	}
	undo, err := makeFolder(dir)
	if err != nil {
		return made, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(plainly(dir, err), undo())
		}
	}()
	core, err := openCore(ctx, dir, c, slog.New(slog.DiscardHandler), nil)
	if err != nil {
		return made, err
	}
	if err = core.accounts.AddDomain(ctx, domain, ""); err == nil {
		_, err = core.dkim.Make(ctx, domain)
	}
	if err = errors.Join(err, core.store.Close()); err != nil {
		return made, err
	}
	// The settings come last: a folder without them is not a box yet.
	if err = c.Save(dir); err != nil {
		return made, err
	}
	return Made{Data: dir, Config: config.Path(dir), Hostname: c.Hostname, Domain: domain, Listeners: planned(c)}, nil
}

// config makes and checks the settings.
func (o InitOptions) config() (*config.Config, string, error) {
	hostname := strings.TrimSuffix(strings.ToLower(o.Hostname), ".")
	if ascii, err := envelope.NormalizeDomain(hostname); err == nil {
		hostname = ascii
	}
	if !config.ValidHostname(hostname) {
		return nil, "", fmt.Errorf("the host name %q is not a full name such as mail.example.org", o.Hostname)
	}
	domain, err := envelope.NormalizeDomain(strings.TrimSuffix(o.Domain, "."))
	if err != nil || strings.HasPrefix(domain, "[") {
		return nil, "", fmt.Errorf("the domain %q is not a domain such as example.org", o.Domain)
	}
	c := config.Default(hostname)
	c.PortOffset = o.PortOffset
	if len(o.Listen) > 0 {
		c.Listen = o.Listen
	}
	if o.Adjust != nil {
		o.Adjust(c)
	}
	_, err = config.Parse(config.FileName, c.Write())
	var faults config.Faults
	if errors.As(err, &faults) {
		f := faults[0]
		return nil, "", fmt.Errorf("%s = %s: %s", f.Key, f.Value, f.Problem)
	}
	return c, domain, err
}

// makeFolder makes the data folder; undo removes what was made in it since.
func makeFolder(dir string) (undo func() error, err error) {
	names, err := os.ReadDir(dir)
	switch {
	case errors.Is(err, os.ErrNotExist):
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return nil, fmt.Errorf("making the data folder: %w", err)
		}
		return func() error { return os.RemoveAll(dir) }, nil
	case err != nil:
		return nil, fmt.Errorf("reading the data folder: %w", err)
	}
	for _, n := range names {
		if n.Name() == config.FileName {
			return nil, fmt.Errorf("there is a box in %s already; nothing was changed", dir)
		}
	}
	if len(names) > 0 {
		return nil, fmt.Errorf("the folder %s is not empty; name a new or an empty one", dir)
	}
	if err := os.Chmod(dir, 0o700); err != nil {
		return nil, fmt.Errorf("making the data folder private: %w", err)
	}
	if err := checkFolder(dir); err != nil {
		return nil, err
	}
	return func() error {
		names, err := os.ReadDir(dir)
		for _, n := range names {
			err = errors.Join(err, os.RemoveAll(filepath.Join(dir, n.Name())))
		}
		return err
	}, nil
}
