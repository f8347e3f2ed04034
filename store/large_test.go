package store

import (
	"context"
	"errors"
	"strings"
	"testing"
)

// TestChangesTooLargeForTheLog holds that a change which no record of the log
// takes fails for good and alone, and that one which only has to be the first of
// its group is made.
func TestChangesTooLargeForTheLog(t *testing.T) {
	t.Parallel()
	s := openStore(t, t.TempDir())
	put := func(prefix string, n int) func(g *group) error {
		return func(g *group) error {
			for i := range n {
				if err := (&Tx{g}).Put("k", prefix+strings.Repeat("x", i), make([]byte, 900<<10)); err != nil {
					return err
				}
			}
			return nil
		}
	}
	small, fits, huge := &request{fn: put("s", 1)}, &request{fn: put("f", 4)}, &request{fn: put("h", 6)}
	all := []*request{small, fits, huge}
	done := make(chan struct{})
	// The writer is held up until all three wait.
	held := &request{fn: func(*group) error {
		for _, r := range all {
			r.done = make(chan struct{})
			s.queue <- r
		}
		return nil
	}}
	go func() {
		defer close(done)
		if err := s.submit(held); err != nil {
			t.Error(err)
		}
	}()
	<-done
	for _, r := range all {
		<-r.done
	}
	if small.err != nil || fits.err != nil || !errors.Is(huge.err, ErrTooLarge) {
		t.Errorf("small: %v; fits: %v; huge: %v", small.err, fits.err, huge.err)
	}
	n := 0
	if err := s.List(context.Background(), "k", func(string, []byte) error {
		n++
		return nil
	}); err != nil || n != 5 {
		t.Errorf("%d documents, %v", n, err)
	}
}
