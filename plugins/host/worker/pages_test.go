package worker

import (
	"bytes"
	"math/rand/v2"
	"testing"
)

// Memory is the image again in all ways of setting it back, whatever was
// written, grown or only read.
func TestRestore(t *testing.T) {
	t.Parallel()
	const size = 40 * pageSize
	first := make([]byte, size)
	random := rand.NewChaCha8([32]byte{})
	_, _ = random.Read(first[:size/2]) // the rest are zeros
	im, err := newImage(first)
	if err != nil {
		t.Fatal(err)
	}
	defer im.close()
	if err := im.look(); err != nil {
		t.Fatal(err)
	}
	if testPages() == nil {
		t.Log("this system does not tell which pages were written to")
	}
	for _, p := range []*pages{nil, testPages()} {
		l, err := newLinear(2*size, p)
		if err != nil {
			t.Fatal(err)
		}
		r := rand.New(random)
		for round := range 50 {
			if err := l.restore(im); err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(l.all[:size], first) {
				t.Fatal("round", round, "is not the image")
			}
			for range r.IntN(1500) {
				l.all[r.IntN(size)]++
			}
			grown := l.Reallocate(size + pageSize*uint64(r.IntN(10)))
			if !zeros(grown[size:]) {
				t.Fatal("round", round, "finds something in grown memory")
			}
			clear(grown[r.IntN(size):])
			for i := size; i < len(grown); i += 1000 {
				grown[i] = 1
			}
		}
		l.release()
	}
}
