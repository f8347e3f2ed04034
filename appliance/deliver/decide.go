package deliver

import (
	"fmt"

	"hauspost/appliance/envelope"
)

// Decide weighs the facts and what the filters propose. It is pure: the same
// input gives the same verdict, so that a trace can be replayed. The strongest
// proposal wins, in the order reject, tempfail, quarantine, discard; without
// one the message is kept.
func Decide(facts []envelope.Fact, effects []envelope.Effect) envelope.Verdict {
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
