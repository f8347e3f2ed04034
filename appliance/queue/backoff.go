package queue

import (
	"fmt"
	"time"

	"hauspost/appliance/transfer"
)

// The intervals of retry, before jitter.
const (
	greylistWait    = 4 * time.Minute
	recipientWait   = 5 * time.Minute
	recipientMax    = 4 * time.Hour
	destinationWait = time.Minute
	destinationMax  = time.Hour
	localWait       = 30 * time.Second
	localMax        = 10 * time.Minute
	// longest is more than any interval with its jitter: a row that is due
	// later than this was put there by another clock.
	longest = 5 * time.Hour
	// jitter spreads intervals by this part to both sides.
	jitter = 0.2
)

// Names of outcomes on which the schedule depends.
const (
	nameGreylisted = "greylisted"
	nameTooMany    = "too-many-recipients"
)

// interval is base doubled step times, at most limit, spread by r in [0, 1).
func interval(base, limit time.Duration, step int, r float64) time.Duration {
	d := base
	for ; step > 0 && d < limit; step-- {
		d *= 2
	}
	d = min(d, limit)
	return time.Duration(float64(d) * (1 - jitter + 2*jitter*r))
}

// recipientInterval is how long a recipient waits that was put off step times
// before.
func recipientInterval(o transfer.Outcome, step int, r float64) time.Duration {
	if step == 0 && o.Name == nameGreylisted {
		return interval(greylistWait, recipientMax, 0, r)
	}
	return interval(recipientWait, recipientMax, step, r)
}

// wait is a span of time that has to pass. A clock that jumps back makes it
// begin anew, never longer.
type wait struct{ from, until time.Time }

func waitFor(now time.Time, d time.Duration) wait { return wait{now, now.Add(d)} }

// left is how long is left of it at now.
func (w *wait) left(now time.Time) time.Duration {
	if w.until.IsZero() {
		return 0
	}
	if now.Before(w.from) {
		*w = waitFor(now, w.until.Sub(w.from))
	}
	if d := w.until.Sub(now); d > 0 {
		return d
	}
	*w = wait{}
	return 0
}

// words says a duration as people do: "30 s", "4 min", "2 h 5 min", "3 d".
func words(d time.Duration) string {
	switch {
	case d < 0:
		return "0 s"
	case d < 100*time.Second:
		return fmt.Sprintf("%d s", int(d.Round(time.Second)/time.Second))
	case d < 100*time.Minute:
		return fmt.Sprintf("%d min", int(d.Round(time.Minute)/time.Minute))
	case d < 48*time.Hour:
		d = d.Round(time.Minute)
		if m := int(d/time.Minute) % 60; m != 0 {
			return fmt.Sprintf("%d h %d min", int(d/time.Hour), m)
		}
		return fmt.Sprintf("%d h", int(d/time.Hour))
	default:
		return fmt.Sprintf("%d d %d h", int(d/(24*time.Hour)), int(d/time.Hour)%24)
	}
}
