package queue

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"time"

	"hauspost/appliance/maillog"
	"hauspost/store"
)

// tendEvery is how often the bin is emptied.
const tendEvery = time.Hour

// wantTending asks for a look at all rows soon.
func (q *Queue) wantTending() {
	select {
	case q.tending <- struct{}{}:
	default:
	}
}

// tend looks after what no attempt does: it empties the bin, and pulls in rows
// that another clock put far into the future.
func (q *Queue) tend(ctx context.Context) {
	for ctx.Err() == nil {
		if err := q.tendOnce(ctx); err != nil && ctx.Err() == nil {
			q.log.Error("the queue could not be tidied; trying again in an hour", "error", err)
		}
		select {
		case <-q.o.After(tendEvery):
		case <-q.tending:
		case <-ctx.Done():
		}
	}
}

func (q *Queue) tendOnce(ctx context.Context) error {
	now := q.o.Now()
	far := now.Add(longest).UnixMilli()
	err := q.eachBatch(ctx, store.QueueFilter{States: []uint8{uint8(Waiting)}}, func(r *store.Queued) bool {
		return r.Due > far && r.Destination != SentDestination || r.Due > now.Add(sentLongest).UnixMilli()
	}, func(tx *store.Tx, r store.Queued) error {
		r.Due = now.UnixMilli()
		return tx.Requeue(r)
	}, func(rows []store.Queued) {
		q.log.Warn("rows were due in the far future, by another clock; they are due now", "rows", len(rows))
		q.refresh(rows)
	})
	if err == nil {
		err = q.forgetStale(ctx)
	}
	if err == nil {
		err = q.setBack(ctx, now)
	}
	if err != nil {
		return err
	}
	return q.eachBatch(ctx, store.QueueFilter{States: []uint8{uint8(Dropped)}, DueBy: now.UnixMilli()}, func(*store.Queued) bool { return true },
		func(tx *store.Tx, r store.Queued) error { return tx.Dequeue(r.ID) },
		func(rows []store.Queued) {
			for i := range rows {
				q.trace(&rows[i], maillog.Handled{Deed: "purge", Recipient: rows[i].Recipient, Number: rows[i].ID})
			}
		})
}

// forgetStale removes what is known of destinations for which nothing waits.
func (q *Queue) forgetStale(ctx context.Context) error {
	var stale []string
	err := q.o.Store.List(ctx, failingKind, func(key string, _ []byte) error {
		q.mu.Lock()
		defer q.mu.Unlock()
		if key != localKey && q.lanes[key] == nil {
			stale = append(stale, key)
		}
		return nil
	})
	if err != nil || len(stale) == 0 {
		return err
	}
	return q.o.Store.Update(ctx, func(tx *store.Tx) error {
		for _, key := range stale {
			if err := forget(tx, key); err != nil {
				return err
			}
		}
		return nil
	})
}

// setBack does to the episodes in the store what episode.back does to those in
// memory: the clock may be right again after the next start.
func (q *Queue) setBack(ctx context.Context, now time.Time) error {
	var keys []string
	err := q.o.Store.List(ctx, failingKind, func(key string, value []byte) error {
		e := new(episode)
		if json.Unmarshal(value, e) == nil && e.back(now.UnixMilli()) {
			keys = append(keys, key)
		}
		return nil
	})
	if err != nil {
		return err
	}
	for some := range slices.Chunk(keys, 100) {
		err := q.o.Store.Update(ctx, func(tx *store.Tx) error {
			for _, key := range some {
				value, err := tx.Get(failingKind, key)
				e := new(episode)
				if errors.Is(err, store.ErrNotFound) || err == nil && (json.Unmarshal(value, e) != nil || !e.back(now.UnixMilli())) {
					continue
				}
				if err == nil {
					err = tx.Put(failingKind, key, e.encode())
				}
				if err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// sentLongest is more than a copy for Sent ever waits.
const sentLongest = 25 * time.Hour

// eachBatch changes the rows that f and choose pick, some in one commit, and calls done after each commit. A row that changed since it was
// read is left alone.
func (q *Queue) eachBatch(ctx context.Context, f store.QueueFilter, choose func(*store.Queued) bool,
	change func(*store.Tx, store.Queued) error, done func([]store.Queued)) error {
	f.Limit = batch
	for {
		var rows []store.Queued
		n := 0
		err := q.o.Store.Queue(ctx, f, func(r *store.Queued) error {
			n++
			f.After = r.ID
			if choose(r) {
				rows = append(rows, *r)
			}
			return nil
		})
		if err != nil {
			return err
		}
		for part := range parts(rows) {
			err = q.o.Store.Update(ctx, func(tx *store.Tx) error {
				for _, r := range part {
					cur, err := tx.Queued(r.ID)
					if errors.Is(err, store.ErrNotFound) || err == nil && (cur.State != r.State || cur.Due != r.Due) {
						continue
					}
					if err == nil {
						err = change(tx, cur)
					}
					if err != nil {
						return err
					}
				}
				return nil
			})
			if err != nil {
				return err
			}
			done(part)
		}
		if n < batch {
			return nil
		}
	}
}

// refresh makes the lanes of rows look into the store again: something there
// changed. Without Run it does nothing.
func (q *Queue) refresh(rows []store.Queued) {
	q.mu.Lock()
	if q.begun {
		for i := range rows {
			l := q.lane(rows[i].Destination)
			l.window, l.exhausted, l.unknown = nil, false, true
			q.makeReady(l)
		}
	}
	q.mu.Unlock()
	q.poke()
}
