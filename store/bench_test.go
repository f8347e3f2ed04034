package store

import (
	"context"
	"fmt"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

func cpuTime() time.Duration {
	var r syscall.Rusage
	syscall.Getrusage(syscall.RUSAGE_SELF, &r)
	return time.Duration(r.Utime.Nano() + r.Stime.Nano())
}

// benchDir is where benchmarks put their stores: a folder on the device to be
// measured, or the temporary one.
func benchDir(b *testing.B) string {
	if base := os.Getenv("HAUSPOST_BENCH_DIR"); base != "" {
		dir, err := os.MkdirTemp(base, "store")
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() { os.RemoveAll(dir) })
		return dir
	}
	return b.TempDir()
}

// BenchmarkDeliver makes 4 KB messages durable from several connections, into
// eight mailboxes. flushes/op counts the redo log's and the checkpoints'.
func BenchmarkDeliver(b *testing.B) {
	content := "Subject: benchmark\r\n\r\n" + strings.Repeat("The quick brown fox jumps over the lazy dog. 0123456789\r\n", 70)
	for _, conns := range []int{1, 8, 32} {
		b.Run(fmt.Sprintf("conns=%d", conns), func(b *testing.B) {
			s := openStore(b, benchDir(b))
			var next atomic.Int64
			flushes := s.flushes.Load()
			start := cpuTime()
			b.ResetTimer()
			var wg sync.WaitGroup
			for range conns {
				wg.Go(func() {
					for {
						i := next.Add(1)
						if i > int64(b.N) {
							return
						}
						if _, _, err := tryDeliver(s, content, inboxOf(fmt.Sprintf("user%d", i%8))); err != nil {
							b.Error(err)
							return
						}
					}
				})
			}
			wg.Wait()
			b.StopTimer()
			b.ReportMetric(float64(cpuTime()-start)/float64(b.N)/1000, "cpu-µs/op")
			b.ReportMetric(float64(s.flushes.Load()-flushes)/float64(b.N), "flushes/op")
		})
	}
}

// benchMailbox fills one mailbox.
func benchMailbox(b *testing.B, n int) (*Store, Mailbox, []uint32) {
	s := openStore(b, benchDir(b))
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			for i := range n / 16 {
				if _, _, err := tryDeliver(s, fmt.Sprintf("Subject: %d\r\n\r\nbody\r\n", i), inboxOf("alice")); err != nil {
					b.Error(err)
				}
			}
		})
	}
	wg.Wait()
	m := mailboxOf(b, s, "alice", "INBOX")
	uids := make([]uint32, m.Messages)
	for i := range uids {
		uids[i] = uint32(i + 1)
	}
	return s, m, uids
}

// BenchmarkSetFlags changes a flag of 9,984 messages at once.
func BenchmarkSetFlags(b *testing.B) {
	s, m, uids := benchMailbox(b, 10_000)
	l, err := s.Live(context.Background(), m.ID)
	if err != nil {
		b.Fatal(err)
	}
	defer l.Close()
	start := cpuTime()
	i := 0
	for b.Loop() {
		op := FlagsAdd
		if i%2 == 1 {
			op = FlagsRemove
		}
		i++
		if _, err := s.SetFlags(context.Background(), m.ID, uids, op, []string{`\Seen`}, 0); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(cpuTime()-start)/float64(i)/1e6, "cpu-ms/op")
}

// BenchmarkOpenMailbox reads a mailbox of 9,984 messages into memory.
func BenchmarkOpenMailbox(b *testing.B) {
	s, m, _ := benchMailbox(b, 10_000)
	conn, err := s.loads.Conn(context.Background())
	if err != nil {
		b.Fatal(err)
	}
	defer conn.Close()
	for b.Loop() {
		if _, err := loadEntries(context.Background(), conn, m.ID, int(m.Messages)); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkRows reads index columns of 9,984 messages.
func BenchmarkRows(b *testing.B) {
	s, m, _ := benchMailbox(b, 10_000)
	l, err := s.Live(context.Background(), m.ID)
	if err != nil {
		b.Fatal(err)
	}
	defer l.Close()
	entries := l.Entries(nil)
	for name, cols := range map[string]Columns{"envelope": ColEnvelope, "search": ColSearch} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				n := 0
				if err := s.Rows(context.Background(), m.ID, entries, cols, func(*Entry, *Row) error { n++; return nil }); err != nil || n != len(entries) {
					b.Fatal(n, err)
				}
			}
		})
	}
}

// BenchmarkReadMessage reads small messages whole.
func BenchmarkReadMessage(b *testing.B) {
	s, m, _ := benchMailbox(b, 1024)
	l, err := s.Live(context.Background(), m.ID)
	if err != nil {
		b.Fatal(err)
	}
	defer l.Close()
	entries := l.Entries(nil)
	var buf []byte
	i := 0
	for b.Loop() {
		var err error
		if buf, err = s.ReadMessage(context.Background(), entries[i%len(entries)], buf[:0]); err != nil {
			b.Fatal(err)
		}
		i++
	}
}

// BenchmarkExpunge removes 1,000 messages of 3,000.
func BenchmarkExpunge(b *testing.B) {
	s, m, uids := benchMailbox(b, 2000)
	for b.Loop() {
		b.StopTimer()
		made, err := s.Copy(context.Background(), m.ID, uids[:1000], "alice", "INBOX")
		if err == nil {
			_, err = s.SetFlags(context.Background(), m.ID, made.Dest, FlagsAdd, []string{`\Deleted`}, 0)
		}
		if err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
		if gone, err := s.Expunge(context.Background(), m.ID, made.Dest); err != nil || len(gone) != 1000 {
			b.Fatal(len(gone), err)
		}
	}
}
