package imapd

import (
	"context"
	"sync"
)

// Places for messages from placeFrom octets on that are being sent. Each holds
// up to some megabytes of memory for as long as its client takes to read, so
// there are only so many, and one person does not get all of them.
const (
	placeFrom       = 64 << 10
	placesInAll     = 32
	placesPerPerson = 6
)

// places bounds how many large messages are being sent at a time.
type places struct {
	mu   sync.Mutex
	used int
	per  map[string]int
	// changed is closed when a place becomes free.
	changed chan struct{}
}

func newPlaces() *places {
	return &places{per: map[string]int{}, changed: make(chan struct{})}
}

// take waits for a place.
func (p *places) take(ctx context.Context, owner string) error {
	for {
		p.mu.Lock()
		if p.used < placesInAll && p.per[owner] < placesPerPerson {
			p.used++
			p.per[owner]++
			p.mu.Unlock()
			return nil
		}
		changed := p.changed
		p.mu.Unlock()
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (p *places) give(owner string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.used--
	decrement(p.per, owner)
	close(p.changed)
	p.changed = make(chan struct{})
}
