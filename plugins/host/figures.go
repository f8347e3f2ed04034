package host

import (
	"math"
	"math/bits"
	"sync"
	"sync/atomic"
	"time"
)

// plugin is a Plugin of a pool with its limits within the ceilings.
type plugin struct {
	Plugin
	hard   time.Duration
	memory int64
	*figures
}

// soft is the time after which a call looks as if it hung: well above what is
// usual for this plugin on this machine, so that a slow one does not have
// workers started all the time.
func (q *plugin) soft() time.Duration {
	return min(max(softLeast, time.Duration(q.usual.Load())*softTimes), q.hard/2)
}

const (
	softLeast = 50 * time.Millisecond
	softTimes = 8
	// usualEvery is after how many calls it is looked again what is usual.
	usualEvery = 16
)

// figures are what a plugin did since the start, and its breaker.
type figures struct {
	mu    sync.Mutex
	since time.Time
	calls int64
	times histogram
	// usual is the median of times, now and then.
	usual    atomic.Int64
	memory   int64
	failures map[string]int64
	effects  int64
	dropped  int64
	// failing is since when it failed without a success between.
	failing time.Time
	// away is since when it could not be asked, without a success between.
	away    time.Time
	breaker breaker

	loadError string
	loadTime  time.Duration
	pooled    bool
	instance  int64
}

func newFigures() *figures { return &figures{failures: map[string]int64{}} }

// ends notes how a run ended, and gives the failure with its time. opened tells
// that the breaker opened by it and was closed before.
func (f *figures) ends(r *Run, probe bool, now time.Time) (opened bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if r.Failure != nil {
		f.failures[r.Failure.Kind]++
		if !r.Failure.its() {
			r.Failure.Since = f.missing(r.Failure.Kind, now)
			if probe {
				f.breaker.unprobed(now)
			}
			return false
		}
		if f.failing.IsZero() {
			f.failing = now
		}
		r.Failure.Since = f.failing
	} else {
		f.failing, f.away = time.Time{}, time.Time{}
	}
	f.calls++
	f.times.add(r.Took)
	if f.calls%usualEvery == 0 {
		f.usual.Store(int64(f.times.quantile(0.5)))
	}
	f.memory = max(f.memory, r.Memory)
	f.effects += int64(len(r.Effects))
	f.dropped += int64(r.dropped)
	return f.breaker.note(r.Failure != nil, probe, now)
}

// missing tells since when mail was without the plugin, which has no part in the
// latest failure. That somebody did not wait says nothing of it.
func (f *figures) missing(kind string, now time.Time) time.Time {
	if kind != FailCancelled && f.away.IsZero() {
		f.away = now
	}
	if f.failing.IsZero() || !f.away.IsZero() && f.away.Before(f.failing) {
		return f.away
	}
	return f.failing
}

// ask tells whether the breaker lets a call through, and whether as its probe.
func (f *figures) ask(now time.Time) (ok, probe bool, failing time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	ok, probe = f.breaker.ask(now)
	if !ok {
		f.failures[FailBreaker]++
	}
	return ok, probe, f.failing
}

// histogram counts times in buckets that grow by a quarter of an octave, from
// a microsecond on. Old ones count half after each 4096.
type histogram struct {
	buckets [112]uint32
	total   uint32
}

const histogramKeeps = 4096

func bucket(d time.Duration) int {
	us := uint64(max(d, 0) / time.Microsecond)
	if us < 4 {
		return int(us)
	}
	octave := bits.Len64(us) - 3 // the two bits behind the highest one choose a quarter
	return min(octave*4+int(us>>octave), len(histogram{}.buckets)-1)
}

// middle is the time in the middle of a bucket.
func middle(b int) time.Duration {
	if b < 4 {
		return time.Duration(b)*time.Microsecond + time.Microsecond/2
	}
	octave, quarter := b/4-1, b%4+4
	return time.Duration((float64(quarter) + 0.5) * math.Exp2(float64(octave)) * float64(time.Microsecond))
}

func (h *histogram) add(d time.Duration) {
	h.buckets[bucket(d)]++
	if h.total++; h.total < histogramKeeps {
		return
	}
	h.total = 0
	for i := range h.buckets {
		h.buckets[i] /= 2
		h.total += h.buckets[i]
	}
}

// quantile gives the time below which the part q of all lie, within 13 %.
func (h *histogram) quantile(q float64) time.Duration {
	if h.total == 0 {
		return 0
	}
	rank := uint32(math.Ceil(q * float64(h.total)))
	var seen uint32
	for i, n := range h.buckets {
		if seen += n; n > 0 && seen >= rank {
			return middle(i)
		}
	}
	return 0
}

// The states of a breaker.
const (
	BreakerClosed  = "closed"
	BreakerOpen    = "open"
	BreakerProbing = "probing"
)

const (
	breakerRow    = 5
	breakerWindow = 20
	breakerFirst  = 10 * time.Second
	breakerLast   = 10 * time.Minute
)

// breaker keeps a plugin from being asked that fails again and again. The zero
// value is closed.
type breaker struct {
	open, probing bool
	since, retry  time.Time
	backoff       time.Duration
	row           int
	// late has a bit for each of the last calls, set for failures.
	late uint32
}

func (b *breaker) state() string {
	switch {
	case b.probing:
		return BreakerProbing
	case b.open:
		return BreakerOpen
	}
	return BreakerClosed
}

func (b *breaker) ask(now time.Time) (ok, probe bool) {
	if !b.open {
		return true, false
	}
	if b.probing || now.Before(b.retry) {
		return false, false
	}
	b.probing = true
	return true, true
}

// unprobed takes a probe back that came to nothing, for no fault of the plugin.
func (b *breaker) unprobed(now time.Time) {
	b.probing = false
	b.retry = now
}

// note counts the end of a call; opened tells of a breaker that was closed and
// is no more.
func (b *breaker) note(failed, probe bool, now time.Time) (opened bool) {
	if b.open {
		// A call from before it opened says nothing new.
		if !probe {
			return false
		}
		if !failed {
			*b = breaker{}
			return false
		}
		b.probing = false
		b.backoff = min(2*b.backoff, breakerLast)
		b.retry = now.Add(b.backoff)
		return false
	}
	b.late = b.late << 1 & (1<<breakerWindow - 1)
	if !failed {
		b.row = 0
		return false
	}
	b.late |= 1
	b.row++
	if b.row < breakerRow && bits.OnesCount32(b.late) < breakerWindow/2 {
		return false
	}
	b.open, b.since, b.backoff = true, now, breakerFirst
	b.retry = now.Add(b.backoff)
	return true
}
