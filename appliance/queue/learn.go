package queue

import (
	"time"

	"hauspost/appliance/transfer"
	"hauspost/store"
)

// health is what an attempt tells of a destination.
type health int

const (
	// healthy: the other server dealt with the message.
	healthy health = iota
	// unhealthy: the destination takes nothing just now.
	unhealthy
	// homemade: this side has no network.
	homemade
	// unclear: nothing was learned.
	unclear
)

func healthOf(res *transfer.Result, alone bool) health {
	h := unclear
	for _, o := range res.Outcomes {
		switch {
		case o.Status != transfer.Deferred && o.Scope != transfer.ScopeLocal, o.Status == transfer.Deferred && o.Scope == transfer.ScopeRecipient:
			return healthy
		case o.Status == transfer.Deferred && o.Scope == transfer.ScopeDestination:
			h = unhealthy
		case o.Status == transfer.Deferred && !alone && o.Name != nameStopped && h == unclear:
			h = homemade
		}
	}
	return h
}

// lesson is what the schedule learned from an attempt.
type lesson struct {
	health  health
	grounds grounds
	// lane is the key of the destination's episode.
	lane string
	// kept are episodes to be written, by their keys; nil for one that is over.
	kept map[string]*episode
	// news: the failure was the first of those that ran at the same time.
	news bool
}

// write keeps what was learned with the commit of an attempt.
func (k *lesson) write(tx *store.Tx) error {
	for key, e := range k.kept {
		var err error
		if e == nil {
			err = forget(tx, key)
		} else {
			err = tx.Put(failingKind, key, e.encode())
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// learn draws the consequences of an attempt for its lane and for this side.
// Attempts that ran beside each other and failed together count once.
func (q *Queue) learn(a *attempt, res *transfer.Result, alone bool, now time.Time) *lesson {
	q.mu.Lock()
	defer q.mu.Unlock()
	l := a.l
	k := &lesson{health: healthOf(res, alone), lane: l.name, kept: map[string]*episode{}}
	k.grounds = grounds{now: now, alone: alone, limits: q.o.Limits, spread: q.o.Random(), others: delivered(res)}
	switch k.health {
	case healthy:
		q.learnHealthy(l, k, res, now)
	case unhealthy:
		q.heardOf(k, now)
		l.localFailures = 0
		l.slots = 1
		if l.episode == nil {
			l.episode = newEpisode(now)
		}
		if k.news = a.gen == l.gen; k.news {
			l.gen++
			planned := interval(destinationWait, destinationMax, l.episode.Failures, q.o.Random())
			l.episode.fail(now, planned, lastOf(now, res, worst(res)))
			l.wait = waitFor(now, planned)
			k.kept[l.name] = l.episode.copy()
		}
		k.grounds.planned = l.wait.left(now)
	case homemade:
		q.learnHomemade(a, k, res, now)
	}
	k.grounds.destination = l.episode.copy()
	if k.health == healthy && l.episode != nil {
		k.grounds.destination.look(now.UnixMilli())
		l.episode = nil
	}
	if q.local != nil {
		k.grounds.local = q.local.copy()
	}
	return k
}

func (q *Queue) learnHealthy(l *lane, k *lesson, res *transfer.Result, now time.Time) {
	q.heardOf(k, now)
	l.wait, l.localFailures = wait{}, 0
	if l.episode != nil {
		l.gen++
		l.slots = 1
		k.kept[l.name] = nil
	}
	if delivered(res) {
		_, most := q.limits(l)
		l.slots = min(l.slots+1, most)
	}
}

// heardOf notes that the network works.
func (q *Queue) heardOf(k *lesson, now time.Time) {
	q.lastGood = now
	if q.local != nil {
		k.kept[localKey] = nil
		k.grounds.local = q.local
		q.local.look(now.UnixMilli())
		q.local, q.localWait = nil, wait{}
		q.localGen++
	}
}

// learnHomemade makes the lane wait, and everything where nobody was heard of
// since the attempt began.
func (q *Queue) learnHomemade(a *attempt, k *lesson, res *transfer.Result, now time.Time) {
	l := a.l
	planned := interval(localWait, localMax, l.localFailures, q.o.Random())
	l.localFailures++
	if l.episode != nil {
		// This time is not the other side's fault.
		l.episode.Looked = now.UnixMilli()
		k.kept[l.name] = l.episode.copy()
	}
	if !q.lastGood.Before(a.started) {
		l.wait = waitFor(now, planned)
		k.grounds.planned = planned
		return
	}
	if q.local == nil {
		q.local = newEpisode(now)
	}
	if k.news = a.localGen == q.localGen; k.news {
		q.localGen++
		planned = interval(localWait, localMax, q.local.Failures, q.o.Random())
		q.local.fail(now, planned, lastOf(now, res, worst(res)))
		q.localWait = waitFor(now, planned)
		k.kept[localKey] = q.local.copy()
	}
	k.grounds.planned = q.localWait.left(now)
}

// worst picks the outcome that stands for an attempt at a failing destination.
func worst(res *transfer.Result) transfer.Outcome {
	for _, o := range res.Outcomes {
		if o.Status == transfer.Deferred && o.Scope != transfer.ScopeRecipient {
			return o
		}
	}
	return res.Outcomes[0]
}
