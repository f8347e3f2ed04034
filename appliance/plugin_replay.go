package appliance

import (
	"cmp"
	"context"
	"encoding/json"
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
	"hauspost/appliance/maillog"
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
	re, err := p.newReplayer(ctx, r)
	if err != nil {
		return err
	}
	defer re.host.Close(ctx)
	for _, e := range found {
		if err := ctx.Err(); err != nil {
			return err
		}
		one, err := re.message(ctx, e)
		if err != nil {
			return err
		}
		if err := row(one); err != nil {
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

// storedMail lists the messages of a replay, each once, the newest first.
func (p *pluginChain) storedMail(ctx context.Context, r replayed) ([]store.Entry, error) {
	people, err := accounts.New(accounts.Options{Store: p.store}).List(ctx)
	if err != nil {
		return nil, err
	}
	var list []store.Entry
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
			list = live.Entries(list)
			live.Close()
		}
	}
	if !known {
		return nil, &control.Error{Kind: control.KindNotFound, Text: fmt.Sprintf("there is no account %s", r.account)}
	}
	slices.SortFunc(list, func(x, y store.Entry) int { return cmp.Compare(y.ID.String(), x.ID.String()) })
	list = slices.CompactFunc(list, func(x, y store.Entry) bool { return x.ID == y.ID })
	if r.limit > 0 && len(list) > r.limit {
		list = list[:r.limit]
	}
	return list, nil
}

// past is what the trace tells of how a message came.
type past struct {
	event abi.Event
	facts []envelope.Fact
	runs  []envelope.Run
	// submitted tells that somebody of the house wrote it.
	submitted bool
}

// message replays one message.
func (re *replayer) message(ctx context.Context, e store.Entry) (control.ReplayRow, error) {
	was, err := re.past(ctx, e)
	if err != nil {
		return control.ReplayRow{}, err
	}
	row := control.ReplayRow{ID: e.ID.String(), Date: time.Unix(0, was.event.Time).UTC(), Sender: was.event.Sender, Differences: []string{}}
	stage, ok := re.stage(was)
	if !ok {
		return row, fmt.Errorf("the plugin %s looks neither at mail that arrives nor at mail that leaves: there is nothing to replay", re.plugin)
	}
	was.event.Stage = stage
	i := slices.IndexFunc(was.runs, func(r envelope.Run) bool { return r.Filter == re.plugin && r.Stage == stage.String() })
	record := was.record(i)
	runs := re.host.Call(ctx, host.Call{
		Event:   was.event,
		Content: func() (*os.File, error) { return storedFile(ctx, re.chain.dir, re.chain.store, e) },
		Replay:  map[string]*host.Record{re.plugin: record},
	})
	if err := ctx.Err(); err != nil || len(runs) != 1 {
		return row, errors.Join(err, fmt.Errorf("the plugin %s gave %d answers", re.plugin, len(runs)))
	}
	now := toRun(stage, &runs[0])
	then, after := envelope.Run{Filter: re.plugin, Stage: stage.String()}, slices.Clone(was.runs)
	if i < 0 {
		after = append(after, now)
	} else {
		then, after[i] = was.runs[i], now
	}
	at := time.Unix(0, was.event.Time)
	row.Before, row.After = re.verdict(was.facts, was.runs, at), re.verdict(was.facts, after, at)
	row.Differences = differences(&then, &now)
	row.Changed = row.Before != row.After
	row.Failure, row.Unrecorded = now.Problem, unrecorded(&runs[0].Record, record)
	return row, nil
}

// stage is the one at which a message is replayed.
func (re *replayer) stage(was *past) (abi.Stage, bool) {
	if was.submitted && slices.Contains(re.stages, abi.OnSubmit) {
		return abi.OnSubmit, true
	}
	return abi.OnMessage, slices.Contains(re.stages, abi.OnMessage)
}

func (re *replayer) verdict(facts []envelope.Fact, runs []envelope.Run, now time.Time) control.ReplayVerdict {
	v := deliver.Decide(re.policy, facts, runs, now)
	r := control.ReplayVerdict{Action: string(v.Action), Score: v.Score, Mailbox: v.Mailbox}
	if v.Junk {
		r.Mailbox = "Junk"
	}
	return r
}

// past reads how a message came from its trace. Of a message without one only
// what lies with it is known.
func (re *replayer) past(ctx context.Context, e store.Entry) (*past, error) {
	was := &past{event: abi.Event{ID: e.ID.String(), Time: e.InternalDate().UnixNano(), Hostname: re.chain.config.Hostname, Size: int64(e.Size)}}
	blobs, err := re.chain.store.Trace(ctx, e.ID)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return nil, err
	}
	for _, b := range blobs {
		entries, err := maillog.Decode(b)
		if err != nil {
			return nil, fmt.Errorf("message %s: %w", e.ID, err)
		}
		for _, entry := range entries {
			was.take(entry)
		}
	}
	return was, nil
}

// take reads one entry of a trace. One of another version, which does not read,
// tells nothing.
func (p *past) take(e maillog.Entry) {
	switch e.Step {
	case maillog.Connected{}.Step():
		var ev maillog.Connected
		if json.Unmarshal(e.Event, &ev) == nil {
			p.event.Time = e.At.UnixNano()
			p.event.Client = abi.Client{HELO: ev.HELO, Hostname: ev.Hostname, Protocol: ev.Protocol, TLS: ev.TLS}
			p.event.Client.Address, p.event.Client.Port = splitClient(ev.Client)
		}
	case maillog.Authenticated{}.Step():
		var ev maillog.Authenticated
		if json.Unmarshal(e.Event, &ev) == nil {
			p.event.Account, p.submitted = ev.Account, true
		}
	case maillog.Sender{}.Step():
		var ev maillog.Sender
		if json.Unmarshal(e.Event, &ev) == nil {
			p.event.Sender = ev.From
		}
	case maillog.RecipientAccepted{}.Step():
		var ev maillog.RecipientAccepted
		if json.Unmarshal(e.Event, &ev) == nil {
			p.event.Recipients = append(p.event.Recipients, ev.To)
		}
	case maillog.Checked{}.Step():
		var ev maillog.Checked
		if json.Unmarshal(e.Event, &ev) == nil {
			p.facts = append(p.facts, ev.Facts...)
			for _, f := range ev.Facts {
				p.event.Facts = append(p.event.Facts, abi.Fact(f))
			}
		}
	case maillog.Filtered{}.Step():
		var ev maillog.Filtered
		if json.Unmarshal(e.Event, &ev) == nil {
			p.runs = append(p.runs, ev.Run)
		}
	}
}
