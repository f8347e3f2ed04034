package deliver

import (
	"context"
	"errors"
	"fmt"

	"hauspost/appliance/envelope"
	"hauspost/appliance/maillog"
	"hauspost/appliance/reply"
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

// filter asks the filters and decides. A message that is refused comes with the
// refusal as a *reply.Reply.
func filter(ctx context.Context, by Scanner, m *Message, trace *maillog.Trace) (envelope.Verdict, error) {
	effects, err := by.Scan(ctx, m)
	if err != nil {
		return envelope.Verdict{}, reply.LocalError.Because(fmt.Errorf("filtering: %w", err))
	}
	trace.Add(maillog.Scanned{Filters: by.Filters(), Effects: effects})
	v := Decide(m.Envelope.Facts, effects)
	trace.Add(maillog.Decided{Verdict: v})
	switch v.Action {
	case envelope.Reject:
		return v, reply.New(550, "5.7.1", "filtered", "This message was not accepted by a filter here").Because(errors.New(v.Reason.Text))
	case envelope.Tempfail:
		return v, reply.New(451, "4.7.1", "filtered-for-now", "This message cannot be checked just now, please try again later").Because(errors.New(v.Reason.Text))
	}
	return v, nil
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
