package control

import (
	"context"
	"encoding/json"
	"fmt"
)

// attach puts the octets of a package behind a request.
func attach(request, pkg []byte) []byte {
	return append(append(request, '\n'), pkg...)
}

// Plugins implements Admin.
func (c *Client) Plugins(ctx context.Context) ([]Plugin, error) {
	return call[[]Plugin](ctx, c, "plugins", nothing{})
}

// PluginReview implements Admin.
func (c *Client) PluginReview(ctx context.Context, r PluginRequest) (PluginReview, error) {
	return call[PluginReview](ctx, c, "plugin-review", r)
}

// PluginInstall implements Admin.
func (c *Client) PluginInstall(ctx context.Context, r PluginRequest) (Plugin, error) {
	return call[Plugin](ctx, c, "plugin-install", r)
}

// PluginUpdate implements Admin.
func (c *Client) PluginUpdate(ctx context.Context, r PluginRequest) (Plugin, error) {
	return call[Plugin](ctx, c, "plugin-update", r)
}

// PluginBack implements Admin.
func (c *Client) PluginBack(ctx context.Context, id string) (Plugin, error) {
	return call[Plugin](ctx, c, "plugin-back", nameRequest{id})
}

// PluginRemove implements Admin.
func (c *Client) PluginRemove(ctx context.Context, id string, forget bool) error {
	_, err := call[nothing](ctx, c, "plugin-remove", removeRequest{id, forget})
	return err
}

// PluginEnable implements Admin.
func (c *Client) PluginEnable(ctx context.Context, id string, on bool) (Plugin, error) {
	return call[Plugin](ctx, c, "plugin-enable", enableRequest{id, on})
}

// PluginOrder implements Admin.
func (c *Client) PluginOrder(ctx context.Context, ids []string) ([]Plugin, error) {
	return call[[]Plugin](ctx, c, "plugin-order", orderRequest{ids})
}

// PluginGrant implements Admin.
func (c *Client) PluginGrant(ctx context.Context, g PluginGrants) (Plugin, error) {
	return call[Plugin](ctx, c, "plugin-grant", g)
}

// PluginReplay implements Admin.
func (c *Client) PluginReplay(ctx context.Context, q ReplayQuery, fn func(ReplayRow) error) (ReplayTotals, error) {
	resp, err := c.post(ctx, "plugin-replay", q)
	if err != nil {
		return ReplayTotals{}, err
	}
	defer resp.Body.Close()
	d := json.NewDecoder(resp.Body)
	for {
		var l replayLine
		if err := d.Decode(&l); err != nil {
			return ReplayTotals{}, fmt.Errorf("reading the answer of the running box: %w", err)
		}
		switch {
		case l.Error != nil:
			return ReplayTotals{}, l.Error
		case l.Totals != nil:
			return *l.Totals, nil
		case l.Row != nil:
			if err := fn(*l.Row); err != nil {
				return ReplayTotals{}, err
			}
		}
	}
}
