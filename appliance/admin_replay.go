package appliance

import (
	"context"
	"math"
	"time"

	"hauspost/appliance/config"
	"hauspost/appliance/control"
	"hauspost/plugins/pack"
)

// replayed is a plugin as it is to be run over stored mail.
type replayed struct {
	pkg     *pack.Package
	granted pack.Grants
	// owner is what the settings of the box say of it, with those of the query.
	owner config.Plugin
	// account and mailbox limit to a person's address and to a mailbox; empty
	// means all. limit is how many messages at most, 0 means all.
	account, mailbox string
	limit            int
}

// PluginReplay implements control.Admin.
func (a *admin) PluginReplay(ctx context.Context, q control.ReplayQuery, fn func(control.ReplayRow) error) (control.ReplayTotals, error) {
	var totals control.ReplayTotals
	if a.filtering == nil {
		return totals, &control.Error{Kind: control.KindNotRunning, Text: "the box is not running, and it is the box that runs plugins: start it first"}
	}
	if q.Limit < 0 {
		return totals, invalid("the limit cannot be %d", q.Limit)
	}
	r, err := a.replayed(q)
	if err != nil {
		return totals, err
	}
	start := time.Now()
	totals.Actions = map[string]int{}
	err = a.filtering.replay(ctx, r, func(row control.ReplayRow) error {
		if row.Differences == nil {
			row.Differences = []string{}
		}
		row.Changed = row.Failure == "" && (row.Before.Action != row.After.Action || row.Before.Mailbox != row.After.Mailbox ||
			math.Abs(row.Before.Score-row.After.Score) > 1e-6 || len(row.Differences) > 0)
		tally(&totals, row)
		return fn(row)
	})
	totals.Milliseconds = float64(time.Since(start).Microseconds()) / 1000
	return totals, err
}

// tally adds a row to the totals.
func tally(t *control.ReplayTotals, row control.ReplayRow) {
	t.Messages++
	for _, c := range []struct {
		n  *int
		is bool
	}{{&t.Changed, row.Changed}, {&t.Failed, row.Failure != ""}, {&t.Unrecorded, row.Unrecorded}} {
		if c.is {
			*c.n++
		}
	}
	if row.Changed && row.Before.Action != row.After.Action {
		t.Actions[row.Before.Action+" → "+row.After.Action]++
	}
}

// replayed finds what a query wants to have run.
func (a *admin) replayed(q control.ReplayQuery) (replayed, error) {
	f, err := a.pluginFolder()
	if err != nil {
		return replayed{}, err
	}
	var p *pack.Package
	if e, getErr := f.Get(q.ID); len(q.Package) == 0 && getErr == nil {
		p, err = f.Load(e)
		err = pluginKinds(err)
	} else {
		p, _, err = a.packageOf(q.PluginSource)
	}
	if err != nil {
		return replayed{}, err
	}
	r := replayed{pkg: p, owner: pluginConfig(a.config, p.Manifest.ID), account: q.Account, mailbox: q.Mailbox, limit: q.Limit}
	if r.granted, _, _, err = wantedGrants(f, p, control.PluginChoice{}); err != nil {
		return r, pluginKinds(err)
	}
	if q.Override {
		if r.owner.Settings, err = config.ParseSettings("the settings", []byte(q.Settings)); err != nil {
			return r, invalid("%v", err)
		}
	}
	if _, err := p.Manifest.Resolve(ownerSettings(r.owner.Settings)); err != nil {
		return r, invalid("%v", err)
	}
	return r, nil
}
