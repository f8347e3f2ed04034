package deliver

import (
	"fmt"
	"time"

	"hauspost/appliance/envelope"
)

// Policy is what the owner wants of filters. The maps have the IDs of filters
// as keys. The zero Policy counts every point and has no thresholds.
type Policy struct {
	// JunkAt, QuarantineAt and RejectAt are the sums of points from which on a
	// message goes to the junk mailbox, is kept away, is refused; 0 means never.
	JunkAt, QuarantineAt, RejectAt float64
	// Weights multiply the points of a filter; 1 where there is none.
	Weights map[string]float64
	// MaxPoints bounds one score of a filter, either way, before it is weighed;
	// 0 or none: no bound.
	MaxPoints map[string]float64
	// OnFailure is what follows where a filter failed: "tempfail" puts the
	// message off, anything else ("skip") goes on without the filter.
	OnFailure map[string]string
	// QuarantineAfter is how long a filter may fail before messages are kept
	// away instead of being put off; 0 means for ever.
	QuarantineAfter time.Duration
}

// Decide weighs the facts and what the filters propose. It is pure: the same
// input gives the same verdict, so that a trace can be replayed. The strongest
// proposal wins, in the order reject, tempfail, quarantine, discard; without
// one the message is kept.
func Decide(p Policy, facts []envelope.Fact, runs []envelope.Run, now time.Time) envelope.Verdict {
	var effects []envelope.Effect
	for _, r := range runs {
		effects = append(effects, r.Effects...)
	}
	v := envelope.Verdict{Action: envelope.Keep, Reason: envelope.Reason{Name: "no-objection", Text: "nothing speaks against it"}}
	strongest := -1
	for _, e := range effects {
		switch e.Kind {
		case envelope.EffectScore:
			v.Score += e.Points
		case envelope.EffectFileInto:
			if v.Mailbox == "" {
				v.Mailbox = e.Argument
			}
		}
		action, rank := stop(e.Kind)
		if rank <= strongest {
			continue
		}
		strongest = rank
		v.Action = action
		v.Reason = envelope.Reason{Name: e.Symbol, Text: fmt.Sprintf("%s: %s", e.By, e.Detail)}
	}
	return v
}

// stop gives the action of an effect that stops a message, and its rank.
func stop(k envelope.EffectKind) (envelope.Action, int) {
	switch k {
	case envelope.EffectReject:
		return envelope.Reject, 3
	case envelope.EffectTempfail:
		return envelope.Tempfail, 2
	case envelope.EffectQuarantine:
		return envelope.Quarantine, 1
	case envelope.EffectDiscard:
		return envelope.Discard, 0
	default:
		return "", -1
	}
}
