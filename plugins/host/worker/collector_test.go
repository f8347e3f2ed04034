package worker

import (
	"runtime"
	"testing"
)

// Who waits for an answer of the parent, perhaps for long, does not keep garbage
// from being collected, and so does not keep others from beginning.
func TestCollectWhileOneWaits(t *testing.T) {
	t.Parallel()
	ballast := make([]byte, 3*busyGarbage)
	flushed := 0
	c := collector{on: true, flush: func() { flushed++ }}
	c.begin()
	c.pause()
	c.begin()
	c.end()
	if flushed != 1 || c.base.Load() < uint64(len(ballast)) {
		t.Errorf("nothing was collected: %d, %d octets", flushed, c.base.Load())
	}
	runtime.KeepAlive(ballast)
	c.resume()
	c.end()
	if n := c.active.Load(); n != 0 {
		t.Errorf("%d runs are left", n)
	}
}
