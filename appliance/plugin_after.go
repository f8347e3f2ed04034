package appliance

import (
	"context"
	"errors"
	"os"
	"strconv"
	"sync"
	"time"

	"hauspost/appliance/accounts"
	"hauspost/appliance/deliver"
	"hauspost/appliance/envelope"
	"hauspost/appliance/imapd"
	"hauspost/appliance/maillog"
	"hauspost/plugins/abi"
	"hauspost/plugins/host"
	"hauspost/store"
)

// afterwards tells plugins what nobody waits for: that a message was delivered,
// that a person called one junk, that their time has come. It keeps a bounded
// list in memory, and what was not told when the box stops is lost: these are
// hints to learn from, not mail.
type afterwards struct {
	chain *pluginChain
	keep  func(id envelope.ID, entries []maillog.Entry)

	mu      sync.Mutex
	waiting []after
	dropped int
	wake    chan struct{}
}

// after is one event about a stored message.
type after struct {
	event abi.Event
	entry store.Entry
}

// maxAfter is how many events wait at most; mail that comes faster than plugins
// can be told of it is not told of.
const maxAfter = 10_000

func newAfterwards(chain *pluginChain, keep func(envelope.ID, []maillog.Entry)) *afterwards {
	return &afterwards{chain: chain, keep: keep, wake: make(chan struct{}, 1)}
}

func (a *afterwards) add(list ...after) {
	a.mu.Lock()
	room := max(maxAfter-len(a.waiting), 0)
	a.dropped += max(len(list)-room, 0)
	a.waiting = append(a.waiting, list[:min(len(list), room)]...)
	a.mu.Unlock()
	select {
	case a.wake <- struct{}{}:
	default:
	}
}

// next takes the oldest event.
func (a *afterwards) next() (one after, dropped int, ok bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	dropped, a.dropped = a.dropped, 0
	if len(a.waiting) == 0 {
		a.waiting = nil
		return after{}, dropped, false
	}
	one, a.waiting = a.waiting[0], a.waiting[1:]
	return one, dropped, true
}

// delivered tells of a message that went into mailboxes.
func (a *afterwards) delivered(d deliver.Delivered) {
	if a.chain.serves(abi.OnDelivery) == 0 {
		return
	}
	e := a.chain.event(abi.OnDelivery, d.Envelope)
	e.Size, e.Action, e.Score, e.Findings = d.Size, string(d.Verdict.Action), d.Verdict.Score, nil
	for _, p := range d.Places {
		one := e
		one.Account, one.Mailbox, one.Junk = p.Account, p.Mailbox, p.Junk
		a.add(after{one, p.Entry})
	}
}

// feedback tells of what a person called junk, or took back.
func (a *afterwards) feedback(_ context.Context, by accounts.Account, m imapd.Moved) {
	if a.chain.serves(abi.OnFeedback) == 0 {
		return
	}
	list := make([]after, len(m.Entries))
	for i, entry := range m.Entries {
		e := a.chain.event(abi.OnFeedback, &envelope.Envelope{ID: envelope.ID(entry.ID.String())})
		e.Account, e.Mailbox, e.From, e.Junk, e.Size = by.Address, m.Mailbox, m.From, m.Junk, int64(entry.Size)
		list[i] = after{e, entry}
	}
	a.add(list...)
}

// run tells until ctx ends.
func (a *afterwards) run(ctx context.Context) {
	tick := time.NewTicker(time.Minute)
	defer tick.Stop()
	for {
		for ctx.Err() == nil {
			one, dropped, ok := a.next()
			if dropped > 0 {
				a.chain.logger.Warn("plugins were not told of some events: they come too fast", "events", dropped)
			}
			if !ok {
				break
			}
			a.tell(ctx, one)
			// Where there is always something to tell, the time comes all the same.
			select {
			case <-tick.C:
				a.timers(ctx)
			default:
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-a.wake:
		case <-tick.C:
			a.timers(ctx)
		}
	}
}

func (a *afterwards) tell(ctx context.Context, one after) {
	c := a.chain
	content := func() (*os.File, error) { return storedFile(ctx, c.dir, c.store, one.entry) }
	runs := c.call(ctx, host.Call{Event: one.event, Content: content})
	id, log := envelope.ID(one.event.ID), maillog.Log{Logger: c.logger, Now: c.now}
	var entries []maillog.Entry
	for _, run := range toRuns(one.event.Stage, runs) {
		entries = append(entries, log.Emit(id, maillog.Filtered{Run: run}))
	}
	a.keep(id, entries)
}

// timerKind are the documents that say when the timer of a plugin was last
// served, so that a restart neither skips nor repeats one.
const timerKind = "plugin-timer"

// timers calls plugins whose time has come.
func (a *afterwards) timers(ctx context.Context) {
	c := a.chain
	for id, every := range c.state.Load().timers {
		if every <= 0 || ctx.Err() != nil {
			continue
		}
		now := c.now()
		last, err := c.store.Get(ctx, timerKind, id)
		if err == nil {
			if at, perr := strconv.ParseInt(string(last), 10, 64); perr == nil && now.Sub(time.Unix(at, 0)) < every && at <= now.Unix() {
				continue
			}
		} else if !errors.Is(err, store.ErrNotFound) {
			c.logger.Warn("the timer of a plugin could not be read", "plugin", id, "error", err.Error())
			continue
		}
		// Noted first: a plugin that brings its box down does so once.
		if err := c.store.Update(ctx, func(tx *store.Tx) error {
			return tx.Put(timerKind, id, strconv.AppendInt(nil, now.Unix(), 10))
		}); err != nil {
			c.logger.Warn("the timer of a plugin could not be noted", "plugin", id, "error", err.Error())
			continue
		}
		for _, r := range c.call(ctx, host.Call{Event: c.event(abi.OnTimer, &envelope.Envelope{}), Only: []string{id}}) {
			run := toRun(abi.OnTimer, &r)
			if run.Failure != "" || len(run.Log) > 0 {
				c.logger.Info("the timer of a plugin", "plugin", id, "failure", run.Failure, "problem", run.Problem, "log", run.Log)
			}
		}
	}
}
