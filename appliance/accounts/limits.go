package accounts

import (
	"runtime"
	"time"
)

// Limits bound guesses, hashing and passwords. A zero field takes its
// default; a negative number of guesses means no limit.
type Limits struct {
	// AddressGuesses is how many wrong passwords one address (one /64 of
	// IPv6) may try within Window before it must wait; default 10.
	AddressGuesses int
	// AccountGuesses is the same for one account from all addresses together
	// that never logged in to it; default 30.
	AccountGuesses int
	// Window is the sliding window of both; default 15 minutes.
	Window time.Duration
	// Backoff is the first wait; each wrong password after it doubles the
	// wait up to MaxBackoff; defaults 1 minute and 1 hour.
	Backoff, MaxBackoff time.Duration
	// Slow is how long an address that logged in to the account before waits
	// for each answer when it guesses beyond the limit: it is never locked
	// out, it is only made slow. Default 2 seconds.
	Slow time.Duration
	// GoodFor is how long a successful login makes an address known to the
	// account; default 30 days.
	GoodFor time.Duration
	// Tracked bounds the number of addresses and accounts remembered with
	// wrong passwords, and of those remembered as good, each; the ones not
	// heard of for longest are forgotten first. Default 8192 (some 4 MB at
	// worst, under an attack).
	Tracked int
	// Hashing is how many passwords are hashed at the same time; each takes
	// HashCost.Memory and leaves as much behind until the next garbage
	// collection. Default 1, or 2 on four cores and more.
	Hashing int
	// Remember is how long a password that was right is recognised without
	// hashing it again; default 5 minutes, negative never.
	Remember time.Duration
	// MinPassword is the least length of a new password in characters;
	// default 10.
	MinPassword int
}

// HashCost is what it costs to check a password. A zero field takes its
// default: 19 MiB, 2 passes and 1 thread, OWASP's least for Argon2id, about
// 0.1 s on a Raspberry Pi 4.
type HashCost struct {
	// Memory is Argon2id's memory in KiB; default 19456.
	Memory uint32
	// Passes is Argon2id's time; default 2.
	Passes uint32
	// Threads is Argon2id's parallelism; default 1.
	Threads uint8
	// Iterations are those of SCRAM-SHA-256; at least (and by default) 4096,
	// as RFC 7677 asks: every client that logs in computes them too.
	Iterations int
}

func (l Limits) withDefaults() Limits {
	fill(&l.AddressGuesses, 10)
	fill(&l.AccountGuesses, 30)
	fill(&l.Window, 15*time.Minute)
	fill(&l.Backoff, time.Minute)
	fill(&l.MaxBackoff, time.Hour)
	fill(&l.Slow, 2*time.Second)
	fill(&l.GoodFor, 30*24*time.Hour)
	fill(&l.Tracked, 8192)
	fill(&l.Hashing, min(max(runtime.NumCPU()/2, 1), 2))
	fill(&l.Remember, 5*time.Minute)
	fill(&l.MinPassword, 10)
	return l
}

func (c HashCost) withDefaults() HashCost {
	fill(&c.Memory, 19*1024)
	fill(&c.Passes, 2)
	fill(&c.Threads, 1)
	c.Iterations = max(c.Iterations, minIterations)
	return c
}

const minIterations = 4096

func fill[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}
