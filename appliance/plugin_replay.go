package appliance

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"hauspost/appliance/accounts"
	"hauspost/appliance/control"
	"hauspost/appliance/deliver"
	"hauspost/appliance/envelope"
	"hauspost/plugins/abi"
	"hauspost/plugins/host"
	"hauspost/plugins/pack"
	"hauspost/store"
)

// replayer runs one plugin over stored mail, in workers of its own: what it
// finds is compared and thrown away.
type replayer struct {
	chain  *pluginChain
	plugin string
	stages []abi.Stage
	policy deliver.Policy
	host   *host.Host
}

// replay implements filtering.
func (p *pluginChain) replay(ctx context.Context, r replayed, row func(control.ReplayRow) error) error {
	found, err := p.storedMail(ctx, r)
	if err != nil {
		return err
	}
	if !slices.Contains(r.pkg.Manifest.Stages, abi.OnMessage) && !slices.Contains(r.pkg.Manifest.Stages, abi.OnSubmit) {
		return invalid("the plugin %s looks neither at mail that arrives nor at mail that leaves: there is nothing to replay", r.pkg.Manifest.ID)
	}
	re, err := p.newReplayer(ctx, r)
	if err != nil {
		return err
	}
	defer re.host.Close(ctx)
	for _, e := range found {
		if err := ctx.Err(); err != nil {
			return err
		}
		one, ok, err := re.message(ctx, e)
		if err == nil && ok {
			err = row(one)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (p *pluginChain) newReplayer(ctx context.Context, r replayed) (*replayer, error) {
	m := r.pkg.Manifest
	re := &replayer{chain: p, plugin: m.ID, stages: m.Stages, policy: p.newPolicy()}
	for _, other := range p.config.Plugins {
		weigh(&re.policy, other, "")
	}
	weigh(&re.policy, r.owner, m.OnFailure)
	// The seed of the box's own instances, so that they begin alike.
	entry := pack.Entry{}
	if folder, err := pack.OpenFolder(filepath.Join(p.dir, pluginsFolder), p.now); err == nil {
		if installed, err := folder.Get(m.ID); err == nil {
			entry = installed
		}
	}
	one, err := hostPlugin(entry, r.pkg, r.granted, r.owner)
	if err != nil {
		return nil, err
	}
	if re.host, err = p.newHost(); err != nil {
		return nil, err
	}
	if err := re.host.Use(ctx, []host.Plugin{one}); err != nil {
		re.host.Close(ctx)
		return nil, fmt.Errorf("starting the plugin %s: %w", m.ID, err)
	}
	return re, nil
}

// storedMessage is a message in a mailbox; own tells that it is one for what its
// owner writes.
type storedMessage struct {
	store.Entry
	own bool
}

// storedMail lists the messages of a replay, each once, the newest first.
func (p *pluginChain) storedMail(ctx context.Context, r replayed) ([]storedMessage, error) {
	people, err := accounts.New(accounts.Options{Store: p.store}).List(ctx)
	if err != nil {
		return nil, err
	}
	var list []storedMessage
	known := false
	for _, who := range people {
		if r.account != "" && !strings.EqualFold(who.Address, r.account) {
			continue
		}
		known = true
		boxes, err := p.store.Mailboxes(ctx, who.ID)
		if err != nil {
			return nil, err
		}
		for _, box := range boxes {
			if box.NoSelect || r.mailbox != "" && !strings.EqualFold(box.Name, r.mailbox) {
				continue
			}
			live, err := p.store.Live(ctx, box.ID)
			if err != nil {
				return nil, err
			}
			for _, e := range live.Entries(nil) {
				list = append(list, storedMessage{e, box.SpecialUse == `\Sent` || box.SpecialUse == `\Drafts`})
			}
			live.Close()
		}
	}
	if !known && r.account != "" {
		return nil, &control.Error{Kind: control.KindNotFound, Text: fmt.Sprintf("there is no account %s", r.account)}
	}
	slices.SortStableFunc(list, func(x, y storedMessage) int { return cmp.Compare(y.ID.String(), x.ID.String()) })
	list = slices.CompactFunc(list, func(x, y storedMessage) bool { return x.ID == y.ID })
	if r.limit > 0 && len(list) > r.limit {
		list = list[:r.limit]
	}
	return list, nil
}

// message replays one message; ok tells whether the plugin is for messages of
// its kind.
func (re *replayer) message(ctx context.Context, e storedMessage) (row control.ReplayRow, ok bool, err error) {
	was, err := re.past(ctx, e)
	if err != nil {
		return row, false, err
	}
	stage, ok := was.stage(re.stages)
	if !ok {
		return row, false, nil
	}
	i := was.at(stage, re.plugin)
	record := was.record(i)
	runs := re.host.Call(ctx, host.Call{
		Event:   was.asked(stage, i, record.Time),
		Content: func() (*os.File, error) { return storedFile(ctx, re.chain.dir, re.chain.store, e.Entry) },
		Replay:  map[string]*host.Record{re.plugin: record},
	})
	if err := ctx.Err(); err != nil || len(runs) != 1 {
		return row, false, errors.Join(err, fmt.Errorf("the plugin %s gave %d answers", re.plugin, len(runs)))
	}
	now := toRun(stage, &runs[0])
	then, after := envelope.Run{Filter: re.plugin, Stage: stage.String()}, slices.Clone(was.runs)
	if i < 0 {
		after = append(after, now)
	} else {
		then, after[i] = was.runs[i], now
	}
	at := time.Unix(0, was.event.Time)
	row = control.ReplayRow{
		ID: e.ID.String(), Date: at.UTC(), Sender: was.event.Sender, Differences: differences(&then, &now),
		Before: re.verdict(stage, was.facts, was.runs, at), After: re.verdict(stage, was.facts, after, at),
		Failure: complaint(now.Problem, now.Log), Unrecorded: unrecorded(&runs[0].Record, record),
	}
	row.Changed = row.Before != row.After
	return row, true, nil
}

// verdict decides again by what filters did until a stage was over: what they
// said at others, or afterwards, had no part in it.
func (re *replayer) verdict(stage abi.Stage, facts []envelope.Fact, runs []envelope.Run, now time.Time) control.ReplayVerdict {
	p := re.policy
	if stage == abi.OnSubmit {
		p.JunkAt = 0
	}
	runs = slices.DeleteFunc(slices.Clone(runs), func(r envelope.Run) bool { return r.Stage != stage.String() && !isEarly(r.Stage) })
	v := deliver.Decide(p, facts, runs, now)
	r := control.ReplayVerdict{Action: string(v.Action), Score: v.Score, Mailbox: v.Mailbox}
	if v.Junk {
		r.Mailbox = "Junk"
	}
	return r
}
