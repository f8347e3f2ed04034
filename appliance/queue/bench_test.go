package queue

import (
	"context"
	"fmt"
	"io"
	"runtime"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"hauspost/appliance/envelope"
	"hauspost/appliance/transfer"
	"hauspost/store"
)

// crowd makes a post with n rows at ten destinations, all of them put off; the
// queue does not run.
func crowd(b *testing.B, n int) *post {
	b.Helper()
	p := newPost(b)
	p.q.begun, p.q.running = false, false
	var wg sync.WaitGroup
	var next atomic.Int64
	for range 16 {
		wg.Go(func() {
			for i := next.Add(100); int(i) <= n; i = next.Add(100) {
				var rows []store.Queued
				for k := range 100 {
					it := &Item{
						Kind: KindSubmission, Added: p.clock.Now(), Due: p.clock.Now().Add(time.Duration(i) * time.Millisecond),
						Sender: envelope.MustAddress("alice@box.example"), Attempts: 3, Step: 3,
						Recipient: envelope.Recipient{Address: envelope.MustAddress(fmt.Sprintf("u%d-%d@d%d.example", i, k, k%10))},
						Last:      &Last{At: p.clock.Now(), Outcome: putOff, Host: "mx.example.org", TLS: "TLS1.3 TLS_AES_128_GCM_SHA256"},
						Note:      noteOf(&putOff, "mx.example.org"),
					}
					row, err := Row(it)
					if err != nil {
						b.Error(err)
						return
					}
					rows = append(rows, row)
				}
				st := p.store.Stage()
				if _, err := io.WriteString(st, "Subject: x\r\n\r\nbody\r\n"); err != nil {
					b.Error(err)
				}
				id, err := store.ParseID(string(envelope.NewID(time.Now())))
				if err == nil {
					_, err = p.store.Deliver(context.Background(), st, store.Delivery{ID: id, Queue: rows})
				}
				if err != nil {
					b.Error(err)
				}
			}
		})
	}
	wg.Wait()
	return p
}

const many = 100_000

// BenchmarkHundredThousand measures what the owner asks of a queue with 100,000
// rows, and what the schedule does with it.
func BenchmarkHundredThousand(b *testing.B) {
	p := crowd(b, many)
	ctx := context.Background()
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	p.start()
	p.work()
	runtime.GC()
	runtime.ReadMemStats(&after)
	memory := float64(after.HeapAlloc) - float64(before.HeapAlloc)
	b.Run("list", func(b *testing.B) {
		for b.Loop() {
			l, err := p.q.List(ctx, Filter{})
			if err != nil || len(l.Entries) != listLimit || l.Matching != many {
				b.Fatal(err, l.Matching)
			}
		}
		b.ReportMetric(memory, "heap-octets")
	})
	b.Run("list/filtered", func(b *testing.B) {
		for b.Loop() {
			l, err := p.q.List(ctx, Filter{Recipient: "u500-7@", Error: "full", Destination: "d7.example"})
			if err != nil || len(l.Entries) != 1 {
				b.Fatal(err, len(l.Entries))
			}
		}
	})
	b.Run("status", func(b *testing.B) {
		for b.Loop() {
			if s, err := p.q.Stats(ctx); err != nil || s.Waiting != many {
				b.Fatal(err, s.Waiting)
			}
		}
	})
	b.Run("due", func(b *testing.B) {
		// Finding the few that are due among all, as the dispatcher does.
		l := p.q.lane("d3.example")
		now := epoch.Add(150 * time.Millisecond)
		for b.Loop() {
			l.window, l.exhausted = nil, false
			if !p.q.load(ctx, l, now) || len(l.window) != 10 {
				b.Fatal(len(l.window))
			}
		}
	})
	b.Run("retry/one", func(b *testing.B) {
		for b.Loop() {
			if done, err := p.q.Act(ctx, Retry, Filter{Numbers: []int64{50_000}}, ""); err != nil || done.Rows != 1 {
				b.Fatal(err, done)
			}
		}
	})
	b.Run("retry/destination", func(b *testing.B) {
		for b.Loop() {
			if done, err := p.q.Act(ctx, Retry, Filter{Destination: "d5.example", Limit: 100}, ""); err != nil || done.Rows != many/10 {
				b.Fatal(err, done)
			}
		}
	})
}

// BenchmarkThroughput sends messages that come one by one to several
// destinations, through all of the queue: commit to commit. begins is the
// median from the commit to the beginning of the attempt.
func BenchmarkThroughput(b *testing.B) {
	p, stop := live(b)
	defer stop()
	var mu sync.Mutex
	committed := map[string]time.Time{}
	var delays []time.Duration
	var left atomic.Int64
	left.Store(int64(b.N))
	done := make(chan struct{})
	p.q.o.Transport = transportFunc(func(m *transfer.Message) transfer.Result {
		began := time.Now()
		mu.Lock()
		if at, ok := committed[m.Recipients[0].Address.Local]; ok {
			delays = append(delays, began.Sub(at))
		}
		mu.Unlock()
		if left.Add(-1) == 0 {
			close(done)
		}
		return transfer.Same(m, deliveredOutcome)
	})
	b.ResetTimer()
	for i := range b.N {
		rows, err := p.enqueue(letter{to: []string{fmt.Sprintf("%d@d%d.example", i, i%7)}, edit: now})
		if err != nil {
			b.Fatal(err)
		}
		mu.Lock()
		committed[strconv.Itoa(i)] = time.Now()
		mu.Unlock()
		p.q.Wake(rows)
	}
	<-done
	b.StopTimer()
	slices.Sort(delays)
	b.ReportMetric(float64(delays[len(delays)/2].Microseconds()), "µs-begins")
}
