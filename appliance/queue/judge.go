package queue

import (
	"time"

	"hauspost/appliance/report"
	"hauspost/appliance/transfer"
)

// fate is what an attempt means for a row.
type fate int

const (
	fateDelivered fate = iota
	fateDeferred
	fateFailed
	// fateExpired: it was put off once more, and its time is over.
	fateExpired
)

// ending tells that the row goes.
func (f fate) ending() bool { return f != fateDeferred }

// grounds are what a judgement rests on beside the row and its outcome.
type grounds struct {
	now time.Time
	// destination and local are the episodes that the attempt belongs to, as
	// they stand after it; nil where there is none.
	destination, local *episode
	// planned is the interval after which the destination, or this side, is
	// tried again.
	planned time.Duration
	// alone: the fault is this row's own, though it is this side's.
	alone bool
	// others: another recipient of the same attempt was delivered.
	others bool
	limits Limits
	// spread is random, in [0, 1): one for an attempt, so that its rows stay
	// together.
	spread float64
}

// judge says what an outcome means for a row, and how the row goes on. It is
// pure.
//
// Time: Waited and Counted grow by what passed since the last look, but by no
// more than twice the interval that was planned then, or by what the failing
// destination has stood for since: a clock that jumps and a box that was off
// make nothing late. Counted, by which a row expires, grows only where the
// other side is at fault.
func judge(it *Item, o transfer.Outcome, g *grounds) (Item, fate) {
	next := *it
	next.Attempts++
	now := g.now.UnixMilli()
	waited, counted := it.grown(now, g)
	next.Waited += waited
	if o.Scope != transfer.ScopeLocal {
		next.Counted += counted
	}
	next.Looked = now

	switch o.Status {
	case transfer.Delivered:
		return next, fateDelivered
	case transfer.Failed:
		return next, fateFailed
	}
	if o.Scope != transfer.ScopeLocal && next.Counted >= g.limits.Expiry.Milliseconds() {
		return next, fateExpired
	}
	wait := g.planned
	switch {
	case o.Scope == transfer.ScopeLocal && g.alone:
		wait = interval(recipientWait, recipientMax, it.Step, g.spread)
		next.Step++
		next.Due = g.now.Add(wait)
	case o.Scope == transfer.ScopeDestination && aboutMessage(o.Verb):
		// The destination waits, and it may be this message at which it fails:
		// the next time another one goes first.
		wait = max(wait, recipientInterval(o, it.Step, g.spread))
		next.Step++
		next.Due = g.now.Add(wait)
	case o.Scope == transfer.ScopeLocal, o.Scope == transfer.ScopeDestination:
		// Due stays: the row keeps its place in line, and the destination waits.
	case o.Name == nameTooMany && g.others:
		wait, next.Step = 0, 0
		next.Due = g.now
	default:
		wait = recipientInterval(o, it.Step, g.spread)
		next.Step++
		next.Due = g.now.Add(wait)
	}
	next.Planned = wait.Milliseconds()
	return next, fateDeferred
}

// aboutMessage tells whether a command had to do with one message.
func aboutMessage(verb string) bool {
	switch verb {
	case "MAIL", "RCPT", "DATA", "BDAT", "content":
		return true
	}
	return false
}

// grown is by how much Waited and Counted have grown at now.
func (it *Item) grown(now int64, g *grounds) (waited, counted int64) {
	looked := it.Looked
	if looked == 0 {
		looked = it.Added.UnixMilli()
	}
	span := max(0, now-looked)
	there := max(2*it.Planned, g.destination.since(looked))
	return min(span, max(there, g.local.since(looked))), min(span, there)
}

// overdue tells whether the sender of a row that still waits is to be told of
// it now.
func (it *Item) overdue(limits *Limits) bool {
	if it.Delayed || limits.Delay < 0 || it.Waited < limits.Delay.Milliseconds() {
		return false
	}
	_, told, _ := addressee(it, report.Delayed)
	return told
}
