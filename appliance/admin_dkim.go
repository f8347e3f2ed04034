package appliance

import (
	"context"
	"fmt"

	"hauspost/appliance/control"
	"hauspost/appliance/dkim"
)

// DKIMKeys implements control.Admin.
func (a *admin) DKIMKeys(ctx context.Context, domain string) ([]control.DKIMKey, error) {
	core, err := a.parts(ctx)
	if err != nil {
		return nil, err
	}
	list, err := core.dkim.List(ctx, domain)
	if err != nil {
		return nil, err
	}
	if domain != "" && len(list) == 0 {
		return nil, &control.Error{Kind: control.KindNotFound,
			Text: fmt.Sprintf("there is no key for %s: `hauspost dkim list` names those that there are", domain)}
	}
	return each(list, func(k dkim.Key) control.DKIMKey {
		return control.DKIMKey{Domain: k.Domain, Selector: k.Selector, Algorithm: k.Algorithm, Created: k.Created, Active: k.Active,
			Record: control.DNSRecord{Name: k.Name, Type: "TXT", Value: k.Record, Zone: k.Zone}}
	}), nil
}
