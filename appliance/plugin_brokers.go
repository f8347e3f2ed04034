package appliance

import (
	"context"
	"errors"
	"fmt"
	"time"

	"hauspost/appliance/config"
	"hauspost/appliance/resolver"
	"hauspost/plugins/abi"
	"hauspost/plugins/host"
	"hauspost/store"
)

// pluginKeys keeps what plugins keep, each in a space of its own. It is the
// host's Keys.
type pluginKeys struct{ store *store.Store }

func keySpace(plugin string) string { return "plugin/" + plugin }

// Get gives one value for each key.
func (k pluginKeys) Get(ctx context.Context, plugin string, keys [][]byte, now time.Time) ([]abi.Value, error) {
	found, err := k.store.Keys(ctx, keySpace(plugin), keys, now)
	if err != nil {
		return nil, err
	}
	byName := make(map[string]*store.Key, len(found))
	for i := range found {
		byName[string(found[i].Name)] = &found[i]
	}
	values := make([]abi.Value, len(keys))
	for i, name := range keys {
		if v := byName[string(name)]; v != nil {
			values[i] = abi.Value{Found: true, Bytes: v.Bytes, Number: v.Number, Expires: v.Expires}
		}
	}
	return values, nil
}

// pluginDNS answers the questions of plugins. It is the host's DNS.
type pluginDNS struct{ resolver *resolver.Resolver }

// Lookup asks one question.
func (d pluginDNS) Lookup(ctx context.Context, q abi.Question) abi.Answer {
	a, err := d.resolver.Records(ctx, q.Name, q.Type)
	switch {
	case err == nil:
		return abi.Answer{Status: abi.DNSFound, Records: a.Records, Secure: a.Secure}
	case errors.Is(err, resolver.ErrNotFound), errors.Is(err, resolver.ErrNoData):
		var e *resolver.Error
		return abi.Answer{Status: abi.DNSNone, Secure: errors.As(err, &e) && e.Secure}
	case errors.Is(err, resolver.ErrType):
		return abi.Answer{Status: int32(abi.ErrInvalid)}
	}
	return abi.Answer{Status: int32(abi.ErrAgain)}
}

// pluginServices makes the services of the owner's file.
func pluginServices(c *config.Config) (map[string]host.Service, error) {
	services := map[string]host.Service{}
	for _, s := range c.Services {
		one, err := host.NewService(s.Kind, host.ServiceOptions{Address: s.Address, Timeout: time.Duration(s.Timeout), MaxSize: int64(s.MaxSize)})
		if err != nil {
			return nil, fmt.Errorf("the service %s in hauspost.toml: %w", s.Name, err)
		}
		services[s.Name] = one
	}
	return services, nil
}
