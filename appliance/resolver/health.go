package resolver

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/miekg/dns"
)

// errSilent is the fault of questions that are not put while no server answers
// anything.
var errSilent = errors.New("no name server answers anything just now")

const (
	// suspicion is how long a question waits before somebody asks whether the
	// servers are there at all.
	suspicion = time.Second
	// probePatience is the time for an answer to that, which every name server
	// has at hand; probePause passes between two such questions while none
	// answers.
	probePatience = 2 * time.Second
	probePause    = 5 * time.Second
	// leastTry is the least time for one question to one server.
	leastTry = 500 * time.Millisecond
)

// health tells whether any server answers. A slow answer to one name says
// nothing about that, as strangers can make a name slow at will: only servers
// that do not even know the root are silent, and then questions fail at once
// instead of making everybody wait.
type health struct {
	mu      sync.Mutex
	silent  bool
	probing bool
	probed  time.Time
}

// resting tells whether the servers are silent, and has them asked again every
// now and then.
func (r *Resolver) resting() bool {
	h := &r.health
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.silent && !h.probing && time.Since(h.probed) >= probePause {
		h.probing = true
		go r.probe()
	}
	return h.silent
}

// suspect has the servers asked whether they are there.
func (r *Resolver) suspect() {
	h := &r.health
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.silent && !h.probing {
		h.probing = true
		go r.probe()
	}
}

// heard notes that a server answered.
func (r *Resolver) heard() {
	r.health.mu.Lock()
	r.health.silent = false
	r.health.mu.Unlock()
}

// probe asks all servers for the root. Any answer will do.
func (r *Resolver) probe() {
	ctx, cancel := context.WithTimeout(context.Background(), probePatience)
	defer cancel()
	servers := r.servers()
	answers := make(chan bool, len(servers))
	for _, srv := range servers {
		go func() {
			q := new(dns.Msg)
			q.SetQuestion(".", dns.TypeNS)
			_, err := r.exchange(ctx, "udp", srv, q, probePatience)
			answers <- err == nil
		}()
	}
	alive := false
	for range servers {
		if alive = <-answers; alive {
			break
		}
	}
	h := &r.health
	h.mu.Lock()
	h.silent, h.probing, h.probed = !alive, false, time.Now()
	h.mu.Unlock()
}

// share gives the time for the next of so many tries: what is left until the
// end of ctx is for all of them, so that a server that is down leaves time for
// the others and a lost packet for another one.
func (r *Resolver) share(ctx context.Context, tries int) time.Duration {
	end, ok := ctx.Deadline()
	if !ok {
		return r.o.Timeout
	}
	return min(r.o.Timeout, max(time.Until(end)/time.Duration(tries), leastTry))
}
