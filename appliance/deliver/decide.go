package deliver

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"hauspost/appliance/envelope"
	"hauspost/appliance/reply"
)

// Policy is what the owner wants of filters. The maps have the IDs of filters
// as keys. The zero Policy counts every point and has no thresholds.
type Policy struct {
	// JunkAt, QuarantineAt and RejectAt are the sums of points from which on a
	// message goes to the junk mailbox, is kept away, is refused; 0 means never.
	JunkAt, QuarantineAt, RejectAt float64
	// Weights multiply the points of a filter; 1 where there is none. A negative
	// one counts as 0.
	Weights map[string]float64
	// MaxPoints bounds each score of a filter and the sum of them for one message,
	// either way, before they are weighed; 0 or none: no bound of the owner's.
	MaxPoints map[string]float64
	// OnFailure is what follows where a filter failed: "tempfail" puts the
	// message off, anything else ("skip") goes on without the filter.
	OnFailure map[string]string
	// QuarantineAfter is how long a filter may fail, on all mail or each time on
	// one message, before messages are kept away instead of being put off; 0
	// means for ever.
	QuarantineAfter time.Duration
}

// Decide weighs what the filters propose. It is pure: the same input gives the
// same verdict, so that a trace can be replayed. The order of the runs matters
// for nothing but which of several equal stops is named as the reason, which of
// several mailboxes is taken (the first), and which proposals are left out where
// there are too many.
//
// Each score is clamped, weighed and summed; the sum is compared with the
// thresholds, and the strongest of what they ask for and of the stops wins. An
// exemption takes both away, but for stops for malware. Failures of a filter
// without which mail must not pass are stops as well, which no exemption takes
// away.
//
// What filters did before the content came has been judged by DecideEarly:
// their refusals do not count again here, all else does. Facts are for those
// who decide by more than filters one day; filters have seen them.
func Decide(p Policy, _ []envelope.Fact, runs []envelope.Run, now time.Time) envelope.Verdict {
	v := envelope.Verdict{Action: envelope.Keep}
	c := collect(&p, runs, &v)
	v.Score, v.Exempt = c.sum.total(), c.exempt
	all := slices.Concat(c.stops, failures(&p, runs, now), threshold(&p, &c.sum))

	taken := strongest(all, c.exempt != "")
	spared := strongest(all, false)
	switch {
	case taken != nil:
		v.Action, v.Reason, v.Junk = taken.action, taken.reason, taken.action == envelope.Keep
	case spared != nil:
		v.Reason = envelope.Reason{Name: "exempt", Text: "filter " + c.exempt + " exempts it; otherwise: " + spared.reason.Text}
	default:
		v.Reason = envelope.Reason{Name: "no-objection", Text: "nothing speaks against it"}
		if v.Score != 0 {
			v.Reason.Text += " (" + c.sum.say(false) + ")"
		}
	}
	c.perRecipient()
	return v
}

// DecideEarly judges what filters did before the content came, in all stages so
// far: nil, or the refusal, as 550 5.7.1 or 451 4.7.1. Only refusals count
// there, and an exemption takes them away. Scores wait for the message, and so
// do failures: a filter that cannot work just now may be well again when the
// content is here.
func DecideEarly(p Policy, runs []envelope.Run, _ time.Time) *reply.Reply {
	var v envelope.Verdict
	c := collect(&p, runs, &v)
	for i := range runs {
		for _, e := range works(&runs[i]) {
			if action, ok := stopOf(e.Kind); ok && refuses(action) && isEarly(runs[i].Stage) {
				e.Recipient = "" // at on_rcpt it can only be the one that is asked about
				c.stop(&runs[i], &e, action)
			}
		}
	}
	taken := strongest(c.stops, c.exempt != "")
	if taken == nil {
		return nil
	}
	return refusal(taken.action, taken.reason)
}

// refusal is the answer to a message or command that is not taken; nil for
// other actions. What a filter says is for the owner, not for the peer.
func refusal(a envelope.Action, why envelope.Reason) *reply.Reply {
	switch a {
	case envelope.Reject:
		return reply.New(550, "5.7.1", "filtered", "This message was not accepted by a filter here").Because(errors.New(why.Name))
	case envelope.Tempfail:
		return reply.New(451, "4.7.1", "filtered-for-now", "This message is not taken just now, please try again later").Because(errors.New(why.Name))
	}
	return nil
}

// objection is one reason not to file a message where mail goes. The action
// Keep means the junk mailbox.
type objection struct {
	action envelope.Action
	reason envelope.Reason
	// firm: no exemption takes it away.
	firm bool
	// recipient is the key of the only one that it is about, or empty.
	recipient string
}

// strongest gives the strongest of those that are for all recipients; of equals
// a firm one, then the first. nil without any.
func strongest(all []objection, firmOnly bool) *objection {
	var best *objection
	for i := range all {
		o := &all[i]
		switch {
		case firmOnly && !o.firm || o.recipient != "":
		case best == nil || o.action.Stronger(best.action), o.action == best.action && o.firm && !best.firm:
			best = o
		}
	}
	return best
}

// threshold is what the sum of points asks for.
func threshold(p *Policy, sum *scores) []objection {
	total := sum.total()
	for _, t := range []struct {
		at     float64
		action envelope.Action
		name   string
		what   string
	}{
		{p.RejectAt, envelope.Reject, "score-above-reject", "refuse it"},
		{p.QuarantineAt, envelope.Quarantine, "score-above-quarantine", "keep it away"},
		{p.JunkAt, envelope.Keep, "score-above-junk", "file it as junk"},
	} {
		if t.at > 0 && total >= t.at {
			text := fmt.Sprintf("%s; %s points are enough to %s", sum.say(true), number(t.at), t.what)
			return []objection{{action: t.action, reason: envelope.Reason{Name: t.name, Text: text}}}
		}
	}
	return nil
}

// failures are the stops for filters that mail must not pass without and that
// could not work. One that failed before the content came and worked on the
// message did its duty.
func failures(p *Policy, runs []envelope.Run, now time.Time) []objection {
	var all []objection
	for i := range runs {
		r := &runs[i]
		if r.Failure == "" || p.OnFailure[r.Filter] != "tempfail" {
			continue
		}
		worked := func(o envelope.Run) bool { return o.Filter == r.Filter && o.Failure == "" && !isEarly(o.Stage) }
		if isEarly(r.Stage) && slices.ContainsFunc(runs, worked) {
			continue
		}
		o := objection{action: envelope.Tempfail, firm: true, reason: envelope.Reason{
			Name: "filter-failed", Text: fmt.Sprintf("filter %s cannot work just now (%s)", r.Filter, problem(r)),
		}}
		since := now.Sub(r.Failing)
		if p.QuarantineAfter > 0 && !r.Failing.IsZero() && since >= p.QuarantineAfter {
			o.action = envelope.Quarantine
			o.reason.Text = fmt.Sprintf("filter %s could not work for %s (%s), so what it should look at is kept away", r.Filter, since.Round(time.Minute), problem(r))
		}
		all = append(all, o)
	}
	return all
}

func problem(r *envelope.Run) string {
	if r.Problem != "" {
		return line(r.Problem, maxSaid)
	}
	return line(r.Failure, maxSaid)
}

// isEarly tells whether a stage comes before the content.
func isEarly(stage string) bool {
	return stage == "on_connect" || stage == "on_mail" || stage == "on_rcpt"
}

// refuses tells whether the peer is told of an action.
func refuses(a envelope.Action) bool { return a == envelope.Reject || a == envelope.Tempfail }

// stopOf gives the action of an effect that stops a message.
func stopOf(k envelope.EffectKind) (envelope.Action, bool) {
	switch k {
	case envelope.EffectReject:
		return envelope.Reject, true
	case envelope.EffectTempfail:
		return envelope.Tempfail, true
	case envelope.EffectQuarantine:
		return envelope.Quarantine, true
	case envelope.EffectDiscard:
		return envelope.Discard, true
	}
	return "", false
}
