package queue

import (
	"encoding/json"
	"time"

	"hauspost/appliance/transfer"
)

// failingKind is the kind of the documents in which episodes are kept; the key
// is the destination, or localKey.
const (
	failingKind = "queue-failing"
	localKey    = "(local)"
)

// episode is the time during which a destination fails (or this side has no
// network) without a success between. It is kept in the store, so that a
// restart neither forgets how long others have been waiting behind the one
// that is tried, nor storms every destination at once. All times are in Unix
// milliseconds, all durations in milliseconds.
type episode struct {
	Since    int64 `json:"since"`
	Failures int   `json:"failures"`
	// Looked is the time of the latest attempt, Planned the interval from there
	// to the next, Grown how much time the episode stands for: at each attempt
	// it grows by what passed, but never by more than twice what was planned.
	Looked  int64 `json:"looked"`
	Planned int64 `json:"planned"`
	Grown   int64 `json:"grown"`
	// Marks are pairs of a time and what Grown was then, the latest last.
	Marks [][2]int64 `json:"marks"`
	Last  Last       `json:"last"`
}

// maxMarks bounds Marks; beyond it every second one is left out.
const maxMarks = 64

// copy gives an independent episode: Marks are only ever replaced or appended to.
func (e *episode) copy() *episode {
	if e == nil {
		return nil
	}
	c := *e
	c.Marks = append([][2]int64(nil), e.Marks...)
	return &c
}

// look brings Grown up to now, in Unix milliseconds.
func (e *episode) look(now int64) {
	e.Grown += max(0, min(now-e.Looked, 2*e.Planned))
	e.Looked = now
	if len(e.Marks) >= maxMarks {
		kept := e.Marks[:0]
		for i, m := range e.Marks {
			if i%2 == 0 {
				kept = append(kept, m)
			}
		}
		e.Marks = kept
	}
	e.Marks = append(e.Marks, [2]int64{now, e.Grown})
}

// back takes care of a clock that was set back to now (Unix milliseconds): what
// has grown so far lies behind everything that comes from now on, also where the
// clock jumps forward again. It tells whether that changed something.
func (e *episode) back(now int64) (changed bool) {
	for i := range e.Marks {
		if e.Marks[i][0] > now {
			e.Marks[i][0], changed = now, true
		}
	}
	return changed
}

// since is how much of the episode lies behind t (Unix milliseconds).
func (e *episode) since(t int64) int64 {
	if e == nil {
		return 0
	}
	var sum int64
	for i := len(e.Marks) - 1; i > 0; i-- {
		end, part := e.Marks[i][0], e.Marks[i][1]-e.Marks[i-1][1]
		if t >= e.Marks[i-1][0] {
			return sum + max(0, min(part, end-t))
		}
		sum += part
	}
	return sum
}

// fail notes one more failure and plans the next attempt.
func (e *episode) fail(now time.Time, planned time.Duration, last Last) {
	e.look(now.UnixMilli())
	e.Failures++
	e.Planned, e.Last = planned.Milliseconds(), last
}

func newEpisode(now time.Time) *episode {
	return &episode{Since: now.UnixMilli(), Looked: now.UnixMilli()}
}

func (e *episode) encode() []byte {
	b, err := json.Marshal(e)
	if err != nil {
		// Integers and strings always encode.
		return []byte("{}")
	}
	return b
}

// lastOf sums up an attempt for one of its recipients.
func lastOf(now time.Time, r *transfer.Result, o transfer.Outcome) Last {
	l := Last{At: now.UTC(), Outcome: o, Host: r.Host, Greeting: r.Greeting, TLS: r.TLS, Note: r.Note}
	if r.Addr.IsValid() {
		l.Addr = r.Addr.String()
	}
	return l
}
