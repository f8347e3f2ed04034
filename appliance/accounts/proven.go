package accounts

import (
	"crypto/rand"
	"sync"
	"time"
)

// proven remembers passwords that were right a short while ago.
//
// Phones open a connection for each folder, and open all of them again after
// every change of network; some clients log in for every check. Argon2id takes
// a tenth of a second and 19 MiB each time on a Raspberry Pi, which would burn
// more of it than the mail itself. What is kept is no password but an HMAC
// under a key that dies with the process; the kept hash goes into it, so that
// a changed password is not recognised any more from that moment on.
type proven struct {
	remember time.Duration
	key      [32]byte

	mu    sync.Mutex
	until *lru[digest, time.Time]
}

// provenMost is far more than a household's devices.
const provenMost = 4096

func newProven(remember time.Duration) *proven {
	p := &proven{remember: remember, until: newLRU[digest, time.Time](provenMost)}
	rand.Read(p.key[:])
	return p
}

func (c *proven) digest(p *person, prepared string) (d digest) {
	copy(d[:], mac(c.key[:], p.ID, string(p.Credentials.Argon2.Hash), prepared))
	return d
}

func (c *proven) has(p *person, prepared string, now time.Time) bool {
	d := c.digest(p, prepared)
	c.mu.Lock()
	defer c.mu.Unlock()
	until, ok := c.until.get(d)
	if ok && !now.Before(until) {
		c.until.drop(d)
		return false
	}
	return ok
}

func (c *proven) add(p *person, prepared string, now time.Time) {
	if c.remember < 0 {
		return
	}
	d := c.digest(p, prepared)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.until.put(d, now.Add(c.remember))
}
