package headers

import (
	"errors"
	"strconv"

	"hauspost/plugins/abi"
	"hauspost/plugins/sdk"
)

// errTooMuch is the failure of rules that propose more than the host takes:
// to follow some of them only would be another thing than the owner wrote.
var errTooMuch = errors.New("the rules propose more than " + strconv.Itoa(abi.MaxEffects) + " things for one message")

// Apply goes through the rules from the top down and gives what they propose
// for a message. A rule that asks about the recipient is asked once for each;
// what the host can do for one recipient alone is proposed for those for whom
// it holds.
func (r *Rules) Apply(ev *abi.Event, header *sdk.Header) ([]abi.Effect, error) {
	run := &run{mail: newMail(ev, header, r.tests), recipients: ev.Recipients}
	if len(run.recipients) == 0 {
		run.recipients = []string{""}
	}
	n := len(run.recipients)
	run.folded = make([]string, n)
	run.stopped, run.filed = make([]bool, n), make([]bool, n)
	for i, to := range run.recipients {
		run.folded[i] = fold(to)
	}
	for i := range r.list {
		run.try(&r.list[i])
		if len(run.effects) > abi.MaxEffects {
			return nil, errTooMuch
		}
	}
	return run.effects, nil
}

// run is the way of one message through the rules.
type run struct {
	mail *mail
	// What follows is one for each recipient: stopped ones had enough of the
	// rules, filed ones have a mailbox.
	recipients, folded []string
	stopped, filed     []bool
	effects            []abi.Effect
}

// try applies a rule to the recipients for whom it holds.
func (r *run) try(rule *rule) {
	var whom []int
	each := rule.when.asksRecipient()
	held := !each && rule.when.holds(r.mail)
	for i := range r.recipients {
		if r.stopped[i] {
			continue
		}
		if each {
			r.mail.recipient = r.folded[i]
			held = rule.when.holds(r.mail)
		}
		if held {
			whom = append(whom, i)
		}
	}
	if len(whom) == 0 {
		return
	}
	for _, a := range rule.do {
		r.propose(a, whom)
		if len(r.effects) > abi.MaxEffects {
			return
		}
	}
	if rule.last {
		for _, i := range whom {
			r.stopped[i] = true
		}
	}
}

// propose proposes an action for some recipients. The first mailbox for
// somebody counts.
func (r *run) propose(a action, whom []int) {
	if a.Kind == abi.FileInto {
		var still []int
		for _, i := range whom {
			if !r.filed[i] {
				r.filed[i] = true
				still = append(still, i)
			}
		}
		whom = still
	}
	switch {
	case len(whom) == 0:
	case len(whom) == len(r.recipients) || !a.limited():
		r.effects = append(r.effects, a.Effect)
	default:
		if a.Kind == abi.Copy {
			whom = whom[:1] // one copy is enough
		}
		for _, i := range whom {
			e := a.Effect
			e.Recipient = r.recipients[i]
			r.effects = append(r.effects, e)
		}
	}
}
