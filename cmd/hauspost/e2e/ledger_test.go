package e2e

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
)

// ledger is what the box promised: for every person, what must, may and must
// not be in the mailboxes.
type ledger struct {
	mu     sync.Mutex
	people map[string]map[string]*claim
	// unsure are letters whose sender got no answer, with their recipients:
	// all of them have the letter or none.
	unsure map[string][]string
	acked  int
}

// claim is what is known of one letter of one person.
type claim struct {
	letter *letter
	// min and max bound the number of copies over all mailboxes: 1 and 1
	// means kept, 0 and 1 unanswered, 0 and 0 refused or expunged.
	min, max int
	// in are the mailboxes in which it may be.
	in []string
	// uid is the UID that the box told, 0 where it did not.
	uid uint32
	// flags are the flags that are watched: true means set, false not set; a
	// flag whose change was not answered is in neither.
	flags map[string]bool
	// touched tells that a mail program did something with it.
	touched bool
}

// watched are the flags that mail programs of these tests set and remove.
var watched = []string{`\Seen`, `\Flagged`, `\Answered`, `$Label1`, `\Deleted`}

func noFlags() map[string]bool {
	m := map[string]bool{}
	for _, f := range watched {
		m[f] = false
	}
	return m
}

func newLedger() *ledger {
	return &ledger{people: map[string]map[string]*claim{}, unsure: map[string][]string{}}
}

// sending notes that a letter is about to go to people: from now on it may be
// there.
func (l *ledger) sending(m *letter, mailbox string, people ...string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, p := range people {
		if l.people[p] == nil {
			l.people[p] = map[string]*claim{}
		}
		l.people[p][m.id] = &claim{letter: m, max: 1, in: []string{mailbox}, flags: noFlags()}
	}
	l.unsure[m.id] = people
}

// answered notes the answer: kept or refused.
func (l *ledger) answered(m *letter, kept bool, people ...string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.unsure, m.id)
	for _, p := range people {
		c := l.people[p][m.id]
		switch {
		case !kept:
			c.max = 0
		case !c.touched: // a mail program may have been faster
			c.min = 1
		}
	}
	if kept {
		l.acked++
	}
}

// change edits a claim.
func (l *ledger) change(person, id string, fn func(c *claim)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	c := l.people[person][id]
	c.touched = true
	fn(c)
}

// known tells whether a letter was ever sent to a person.
func (l *ledger) known(person, id string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.people[person][id] != nil
}

func (l *ledger) acks() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.acked
}

// found is one message that IMAP shows.
type found struct {
	mailbox string
	uid     uint32
	flags   []string
	sum     [32]byte
	size    int
}

// audit compares a person's mail with the ledger and returns what is wrong.
func (l *ledger) audit(person string, mail map[string][]found) []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	var faults []string
	for id, copies := range mail {
		if l.people[person][id] == nil {
			faults = append(faults, fmt.Sprintf("%s has %s in %s, which was never sent there", person, id, copies[0].mailbox))
		}
	}
	for _, id := range slices.Sorted(maps.Keys(l.people[person])) {
		c := l.people[person][id]
		copies := mail[id]
		if n := len(copies); n < c.min || n > c.max {
			faults = append(faults, fmt.Sprintf("%s has %d copies of %s (%d octets), want %d to %d: %v", person, n, id, c.letter.size, c.min, c.max, copies))
			continue
		}
		for _, f := range copies {
			if why := c.differs(f); why != "" {
				faults = append(faults, fmt.Sprintf("%s, %s in %s: %s", person, id, f.mailbox, why))
			}
		}
	}
	return faults
}

// differs tells how a message differs from what was promised.
func (c *claim) differs(f found) string {
	var why []string
	if f.sum != c.letter.sum {
		why = append(why, fmt.Sprintf("its content of %d octets is not the %d octets that were sent", f.size, c.letter.size))
	}
	if !slices.Contains(c.in, f.mailbox) {
		why = append(why, fmt.Sprintf("it belongs into %v", c.in))
	}
	if c.uid != 0 && len(c.in) == 1 && c.uid != f.uid {
		why = append(why, fmt.Sprintf("its UID was %d and is %d", c.uid, f.uid))
	}
	for flag, want := range c.flags {
		if has := slices.ContainsFunc(f.flags, func(g string) bool { return strings.EqualFold(g, flag) }); has != want {
			why = append(why, fmt.Sprintf("flag %s: %v, was acknowledged as %v", flag, has, want))
		}
	}
	return strings.Join(why, "; ")
}

// auditTogether holds that a letter without an answer went to all of its
// recipients or to none.
func (l *ledger) auditTogether(mail map[string]map[string][]found) []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	var faults []string
	for id, people := range l.unsure {
		var has, hasNot []string
		for _, p := range people {
			switch {
			case l.people[p][id].touched: // a mail program saw it, and may have expunged it
				has = append(has, p)
			case len(mail[p][id]) > 0:
				has = append(has, p)
			default:
				hasNot = append(hasNot, p)
			}
		}
		if len(has) > 0 && len(hasNot) > 0 {
			faults = append(faults, fmt.Sprintf("%s went to %v and not to %v", id, has, hasNot))
		}
	}
	return faults
}
