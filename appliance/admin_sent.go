package appliance

import (
	"context"

	"hauspost/appliance/accounts"
)

// SetSentCopy implements control.Admin.
func (a *admin) SetSentCopy(ctx context.Context, address string, on bool) error {
	return a.change(ctx, func(p *accounts.Accounts) error { return p.SetSentCopy(ctx, address, on) })
}
