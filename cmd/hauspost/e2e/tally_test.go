package e2e

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

// tally is what a comparison of the far end's notes with the ledger gave.
type tally struct {
	faults []string
	// copies arrived, again are those among them of letters that were there
	// already, though the far end had answered: the box was killed before it
	// could make a note of it. unheard are those that came again because the
	// far end gave no answer.
	copies, again, unheard int
	// perLife counts, for a life of the box that was ended by a kill, the
	// letters that went out again because of it.
	perLife map[int64]map[string]bool
	// latest is the longest time between an answer and the next copy.
	latest time.Duration
}

// tally compares what arrived at the far end with what the box promised. inside
// is the mail of the people of the box.
func (p *posting) tally(inside map[string]map[string][]found) *tally {
	p.mu.Lock()
	defer p.mu.Unlock()
	t := &tally{perLife: map[int64]map[string]bool{}}
	arrived := map[string]map[string][]arrival{}
	for _, a := range p.far.got("") {
		t.copies++
		q := p.outside[a.id]
		switch {
		case q == nil:
			t.fault("%q arrived for %s from %s, which nobody sent, %d octets: %.2000q", a.id, a.to, a.from, a.letter.size, a.raw)
		case !slices.Contains(q.to, a.to):
			t.fault("%s arrived for %s, it was for %v", a.id, a.to, q.to)
		case a.letter != *q.letter:
			t.fault("%s for %s arrived with %d octets that are not the %d octets that were sent", a.id, a.to, a.letter.size, q.letter.size)
		}
		if arrived[a.id] == nil {
			arrived[a.id] = map[string][]arrival{}
		}
		arrived[a.id][a.to] = append(arrived[a.id][a.to], a)
	}
	for id, q := range p.outside {
		var has, hasNot []string
		for _, r := range q.to {
			if len(arrived[id][r]) == 0 {
				hasNot = append(hasNot, r)
				continue
			}
			has = append(has, r)
			t.repeats(p, arrived[id][r])
		}
		for _, r := range q.inside {
			if len(inside[r][id]) == 0 {
				hasNot = append(hasNot, r)
			} else {
				has = append(has, r)
			}
		}
		switch {
		case q.kept && len(hasNot) > 0:
			t.fault("%s was acknowledged, and is not at %v (it is at %v)", id, hasNot, has)
		case q.refused && len(has) > 0:
			t.fault("%s was refused, and is at %v", id, has)
		case len(has) > 0 && len(hasNot) > 0:
			t.fault("%s got no answer, went to %v and not to %v", id, has, hasNot)
		}
	}
	return t
}

func (t *tally) fault(format string, args ...any) {
	t.faults = append(t.faults, fmt.Sprintf(format, args...))
}

// repeats judges the copies of one letter for one recipient: another one may
// come only where the box cannot know of the one before it, because the far end
// gave no answer, or because it was killed after the answer.
func (t *tally) repeats(p *posting, copies []arrival) {
	for i, a := range copies[:len(copies)-1] {
		b := copies[i+1]
		switch {
		case a.unsure:
			t.unheard++
		case a.life == b.life:
			t.fault("%s arrived twice for %s in one life of the box, %v after the first answer", a.id, a.to, b.answered.Sub(a.answered))
		case p.ended[a.life] != killed:
			t.fault("%s arrived again for %s after the box was stopped in order", a.id, a.to)
		default:
			t.again++
			t.latest = max(t.latest, b.answered.Sub(a.answered))
			if t.perLife[a.life] == nil {
				t.perLife[a.life] = map[string]bool{}
			}
			_, to, _ := strings.Cut(a.to, "@")
			t.perLife[a.life][a.id+" to "+to] = true
		}
	}
}

// inDoubt is how many attempts at one destination go on at the same time (the
// default of queue.per_destination): so many messages can be between an answer
// and the commit that notes it.
const inDoubt = 5

// mustTally fails the test where the box breaks a promise, and gives the tally.
func (p *posting) mustTally() *tally {
	p.t.Helper()
	mail := map[string]map[string][]found{}
	for _, person := range p.people {
		m, err := p.b.read(person)
		if err != nil {
			p.t.Fatalf("the mail of %s cannot be read: %v", person, err)
		}
		mail[person] = m
		for _, f := range p.inside.audit(person, m) {
			p.t.Error(f)
		}
	}
	t := p.tally(mail)
	domains := map[string]bool{}
	for _, s := range p.strangers {
		_, d, _ := strings.Cut(s, "@")
		domains[d] = true
	}
	for life, letters := range t.perLife {
		if len(letters) > inDoubt*len(domains) {
			t.fault("%d messages went out again after kill %d; no more than %d were on their way", len(letters), life, inDoubt*len(domains))
		}
	}
	for i, f := range t.faults {
		if i == 20 {
			p.t.Errorf("and %d more", len(t.faults)-i)
			break
		}
		p.t.Error(f)
	}
	return t
}

// TestTallySeesFaults holds that this comparison can fail.
func TestTallySeesFaults(t *testing.T) {
	t.Parallel()
	m, _ := compose("m", 300, chance("tally"))
	const one, two = "one@far.test", "two@far.test"
	copyOf := func(to string, life int64) arrival { return arrival{id: "m", to: to, letter: *m, life: life} }
	unheard := copyOf(one, 1)
	unheard.unsure = true
	other := copyOf(one, 1)
	other.letter.sum[0]++
	for name, c := range map[string]struct {
		kept, refused bool
		copies        []arrival
		inside        bool
		want          string
	}{
		"right":                      {kept: true, copies: []arrival{copyOf(one, 1), copyOf(two, 1)}, inside: true},
		"no answer, nowhere":         {},
		"no answer, everywhere":      {copies: []arrival{copyOf(one, 1), copyOf(two, 1)}, inside: true},
		"no answer, not inside":      {copies: []arrival{copyOf(one, 1), copyOf(two, 1)}, want: "got no answer"},
		"lost":                       {kept: true, copies: []arrival{copyOf(one, 1)}, inside: true, want: "is not at [two@far.test]"},
		"refused, there":             {refused: true, copies: []arrival{copyOf(one, 1)}, want: "was refused"},
		"other content":              {kept: true, copies: []arrival{other, copyOf(two, 1)}, inside: true, want: "not the"},
		"twice in one life":          {kept: true, copies: []arrival{copyOf(one, 1), copyOf(one, 1), copyOf(two, 1)}, inside: true, want: "in one life"},
		"again after a kill":         {kept: true, copies: []arrival{copyOf(one, 1), copyOf(one, 2), copyOf(two, 1)}, inside: true},
		"again after an orderly end": {kept: true, copies: []arrival{copyOf(one, 2), copyOf(one, 3), copyOf(two, 1)}, inside: true, want: "stopped in order"},
		"again without an answer":    {kept: true, copies: []arrival{unheard, copyOf(one, 1), copyOf(two, 1)}, inside: true},
		"invented":                   {kept: true, copies: []arrival{copyOf(one, 1), copyOf(two, 1), copyOf("three@far.test", 1)}, inside: true, want: "it was for"},
	} {
		p := newPosting(&box{t: t}, &sink{copies: c.copies}, 0, []string{"anna"}, []string{one, two})
		p.ended = map[int64]ending{1: killed, 2: stopped}
		p.outside["m"] = &posted{letter: m, to: []string{one, two}, inside: []string{"anna"}, kept: c.kept, refused: c.refused}
		mail := map[string]map[string][]found{}
		if c.inside {
			mail["anna"] = map[string][]found{"m": {{sum: m.sum}}}
		}
		faults := strings.Join(p.tally(mail).faults, "\n")
		if (faults != "") != (c.want != "") || !strings.Contains(faults, c.want) {
			t.Errorf("%s: faults %q, want %q", name, faults, c.want)
		}
	}
}
