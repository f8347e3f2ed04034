package worker

import (
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"sync"
	"sync/atomic"
)

const (
	// idleGarbage is how much may lie around before it is collected while no
	// guest runs, busyGarbage before also those that wait for an answer have to
	// wait for that, and twice as much before all have to; both in octets.
	idleGarbage = 2 << 20
	busyGarbage = 48 << 20
	// muchLive is what the process never has but for instances with deep
	// stacks.
	muchLive = 64 << 20
)

// collector collects garbage between runs. Go's own collector stops all
// goroutines for moments, and one that runs a guest does not stop: all others
// would wait for it. So that is switched off.
type collector struct {
	// on is set where the process is the worker's alone.
	on     bool
	runs   sync.RWMutex
	active atomic.Int64
	// base is what was in use after the last collection.
	base atomic.Uint64
	// flush gives back what can be made again.
	flush func()
}

// start switches Go's collector off, and the adjusting of its threads to the
// machine, which stops everything too. parallel is how many guests run at a
// time: each may hold a thread for long, and the frames need one as well.
func (c *collector) start(parallel int) {
	c.on = true
	runtime.GOMAXPROCS(parallel + 2)
	debug.SetGCPercent(-1)
	debug.FreeOSMemory()
	c.base.Store(heapInUse())
}

// begin and end enclose a run.
func (c *collector) begin() {
	c.runs.RLock()
	c.active.Add(1)
}

// pause and resume enclose what a run waits for: no guest runs meanwhile, so
// that nobody has to wait for it with collecting. Between them is nothing that
// belongs to the guest's instance.
func (c *collector) pause() {
	c.active.Add(-1)
	c.runs.RUnlock()
}

func (c *collector) resume() { c.begin() }

func (c *collector) end() {
	idle := c.active.Add(-1) == 0
	c.runs.RUnlock()
	if !c.on {
		return
	}
	garbage := int64(heapInUse()) - int64(c.base.Load())
	switch {
	case garbage > 2*busyGarbage:
		// Who begins now waits as well, until the last one that runs has ended, and
		// its time goes on.
		c.runs.Lock()
	case garbage > busyGarbage && c.runs.TryLock():
	case !idle || garbage < idleGarbage || !c.runs.TryLock():
		return
	}
	defer c.runs.Unlock()
	before := heapInUse()
	if int64(before)-int64(c.base.Load()) < idleGarbage {
		return // another one was quicker
	}
	runtime.GC()
	after := heapInUse()
	if after > muchLive {
		c.flush()
		runtime.GC()
		after = heapInUse()
	}
	if int64(before)-int64(after) > busyGarbage/2 {
		debug.FreeOSMemory()
	}
	c.base.Store(after)
}

// heapInUse is what the heap holds in octets, garbage included. To ask for it
// stops nothing.
func heapInUse() uint64 {
	sample := [1]metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
	metrics.Read(sample[:])
	return sample[0].Value.Uint64()
}
