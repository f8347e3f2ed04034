package resolver

import (
	"context"
	"sync"
	"time"

	"github.com/miekg/dns"
)

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
	mu     sync.Mutex
	silent bool
	// blind: servers answer, but only that they cannot find anything out, not
	// even the root. Questions are put all the same.
	blind bool
	// probing is closed when the probe that runs ends; nil without one.
	probing chan struct{}
	probed  time.Time
}

// resting tells whether the servers are silent, and has them asked again every
// now and then.
func (r *Resolver) resting() bool {
	h := &r.health
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.silent && h.probing == nil && time.Since(h.probed) >= probePause {
		r.startProbe()
	}
	return h.silent
}

// startProbe needs the lock of health.
func (r *Resolver) startProbe() {
	r.health.probing = make(chan struct{})
	go r.probe(r.health.probing)
}

// lost tells, after a question that failed, whether that is because the servers
// as a whole know nothing just now.
func (r *Resolver) lost(ctx context.Context) bool {
	h := &r.health
	h.mu.Lock()
	if h.probing == nil && time.Since(h.probed) >= probePause {
		r.startProbe()
	}
	running := h.probing
	h.mu.Unlock()
	if running != nil {
		select {
		case <-running:
		case <-ctx.Done():
		}
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.silent || h.blind
}

// suspect has the servers asked whether they are there.
func (r *Resolver) suspect() {
	h := &r.health
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.silent && h.probing == nil {
		r.startProbe()
	}
}

// heard notes that a server answered.
func (r *Resolver) heard() {
	r.health.mu.Lock()
	r.health.silent, r.health.blind = false, false
	r.health.mu.Unlock()
}

// probe asks all servers for the root. Any answer will do to show that they are
// there; one that finds nothing out is one that has no network itself.
func (r *Resolver) probe(done chan struct{}) {
	ctx, cancel := context.WithTimeout(context.Background(), probePatience)
	defer cancel()
	servers := r.servers()
	type answer struct{ alive, sees bool }
	answers := make(chan answer, len(servers))
	for _, srv := range servers {
		go func() {
			q := new(dns.Msg)
			q.SetQuestion(".", dns.TypeNS)
			reply, err := r.exchange(ctx, "udp", srv, q, probePatience)
			answers <- answer{err == nil, err == nil && (reply.Rcode == dns.RcodeSuccess || reply.Rcode == dns.RcodeNameError)}
		}()
	}
	var all answer
	for range servers {
		a := <-answers
		all.alive = all.alive || a.alive
		if all.sees = a.sees; a.sees {
			break
		}
	}
	h := &r.health
	h.mu.Lock()
	h.silent, h.blind, h.probing, h.probed = !all.alive, !all.sees, nil, time.Now()
	h.mu.Unlock()
	close(done)
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
