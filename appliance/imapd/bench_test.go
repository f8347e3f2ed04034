package imapd_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/base64"
	"fmt"
	"io"
	"math/rand/v2"
	"runtime"
	"strings"
	"testing"
	"time"

	"hauspost/appliance/envelope"
	"hauspost/appliance/imapd"
	"hauspost/store"
)

const benchMessages = 10000

// benchWords are what messages are made of: text that packs like prose.
var benchWords = func() []string {
	rnd := rand.New(rand.NewPCG(3, 4))
	syllables := strings.Fields("ba be bri co da di fea gou gri ho ka ke lou ma mi na nou pla pe ra ri sta sou te ti tra va vi")
	words := make([]string, 4096)
	for i := range words {
		for range 1 + rnd.IntN(3) {
			words[i] += syllables[rnd.IntN(len(syllables))]
		}
		words[i] += string("nsrt"[rnd.IntN(4)])
	}
	return words
}()

// benchMessage makes message i of a mix: most are 4 KB of text, one in ten is
// 40 KB, one in 200 has a megabyte of base64.
func benchMessage(i int, rnd *rand.Rand) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "Return-Path: <sender%02d@example.net>\r\n", i%50)
	fmt.Fprintf(&b, "Received: from mx.example.net (mx.example.net [192.0.2.%d])\r\n\tby mail.example.test with ESMTPS id %08x\r\n", i%250, i)
	fmt.Fprintf(&b, "From: \"Sender %d\" <sender%02d@example.net>\r\nTo: Ann <%s>\r\n", i%50, i%50, ann)
	fmt.Fprintf(&b, "Subject: Report %d on topic%03d\r\nDate: Sat, 1 Feb 2025 09:%02d:%02d +0000\r\n", i, i%100, i/60%60, i%60)
	fmt.Fprintf(&b, "Message-ID: <%d.bench@example.net>\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n", i)
	if i%200 == 199 {
		b.WriteString("Content-Transfer-Encoding: base64\r\n\r\n")
		var raw [57]byte
		for b.Len() < 1<<20 {
			for j := range raw {
				raw[j] = byte(rnd.Uint32())
			}
			b.WriteString(base64.StdEncoding.EncodeToString(raw[:]) + "\r\n")
		}
		return b.Bytes()
	}
	b.WriteString("\r\n")
	size := 4 << 10
	if i%10 == 9 {
		size = 40 << 10
	}
	for b.Len() < size {
		for range 9 {
			b.WriteString(benchWords[rnd.IntN(len(benchWords))])
			b.WriteByte(' ')
		}
		b.WriteString("\r\n")
	}
	return b.Bytes()
}

// fillBox puts n messages into INBOX.
func fillBox(tb testing.TB, b *box, n int) {
	tb.Helper()
	ctx := context.Background()
	rnd := rand.New(rand.NewPCG(1, 2))
	const writers = 64
	raws := make([][]byte, n)
	for i := range raws {
		raws[i] = benchMessage(i, rnd)
	}
	errs := make(chan error, writers)
	for w := range writers {
		go func() {
			for i := w; i < n; i += writers {
				staged := b.store.Stage()
				staged.Write(raws[i])
				id, err := store.ParseID(string(envelope.NewID(time.Now())))
				if err == nil {
					_, err = b.store.Deliver(ctx, staged, store.Delivery{ID: id, Places: []store.Place{{Owner: b.account.ID, Mailbox: "INBOX"}}})
				}
				if err != nil {
					errs <- err
					return
				}
			}
			errs <- nil
		}()
	}
	for range writers {
		if err := <-errs; err != nil {
			tb.Fatal(err)
		}
	}
}

// drain reads up to the tagged line without looking at what it reads.
func (c *wireClient) drain(tag string) int {
	n := 0
	c.SetReadDeadline(time.Now().Add(time.Minute))
	prefix := []byte(tag + " ")
	for {
		line, err := c.r.ReadSlice('\n')
		if err == bufio.ErrBufferFull {
			n += len(line)
			continue
		}
		if err != nil {
			c.t.Fatal(err)
		}
		n += len(line)
		if bytes.HasPrefix(line, prefix) {
			if !bytes.HasPrefix(line, []byte(tag+" OK")) {
				c.t.Fatalf("%s", line)
			}
			return n
		}
	}
}

// BenchmarkCommands runs commands on a mailbox with 10,000 messages. The time
// is that of server and client together.
func BenchmarkCommands(b *testing.B) {
	bx := newBox(b, nil)
	fillBox(b, bx, benchMessages)
	for _, bench := range []struct{ name, command string }{
		{"flags", "FETCH 1:* (FLAGS)"},
		{"envelope", "FETCH 1:* (UID FLAGS ENVELOPE RFC822.SIZE INTERNALDATE)"},
		{"structure", "FETCH 1:* (BODYSTRUCTURE)"},
		{"headers", "FETCH 1:* (UID BODY.PEEK[HEADER.FIELDS (FROM TO CC SUBJECT DATE MESSAGE-ID REFERENCES LIST-ID)])"},
		{"bodies", "UID FETCH 1:* (UID BODY.PEEK[])"},
		{"store", `STORE 1:* %sFLAGS (\Flagged)`},
		{"search-flag", "UID SEARCH UNSEEN"},
		{"search-from", `UID SEARCH FROM "sender07@"`},
		{"search-subject", `UID SEARCH SUBJECT "topic042"`},
		{"search-body", `UID SEARCH BODY "needle"`},
		{"select", "SELECT INBOX"},
		{"noop", "NOOP"},
	} {
		b.Run(bench.name, func(b *testing.B) {
			c := bx.login(b)
			c.r = bufio.NewReaderSize(c.Conn, 256<<10)
			c.command("s", "SELECT INBOX")
			b.ReportAllocs()
			i := 0
			for b.Loop() {
				text := bench.command
				if strings.Contains(text, "%s") {
					i++
					text = fmt.Sprintf(text, []string{"-", "+"}[i%2])
				}
				c.send("x " + text + "\r\n")
				c.drain("x")
			}
		})
	}
}

// BenchmarkAppend appends 4 KB messages on one connection.
func BenchmarkAppend(b *testing.B) {
	bx := newBox(b, nil)
	c := bx.login(b)
	raw := benchMessage(1, rand.New(rand.NewPCG(1, 2)))
	b.ReportAllocs()
	for b.Loop() {
		c.send(fmt.Sprintf("x APPEND INBOX {%d+}\r\n%s\r\n", len(raw), raw))
		c.drain("x")
	}
}

// BenchmarkPush measures from the start of a delivery to the EXISTS of a client
// on IDLE, and from the end of the delivery.
func BenchmarkPush(b *testing.B) {
	bx := newBox(b, nil)
	c := bx.login(b)
	c.command("s", "SELECT INBOX")
	c.send("i IDLE\r\n")
	c.until("+ ")
	seen := make(chan time.Time, 16)
	go func() {
		for {
			line, err := c.r.ReadString('\n')
			if err != nil {
				return
			}
			if strings.HasSuffix(line, "EXISTS\r\n") {
				seen <- time.Now()
			}
		}
	}()
	var late time.Duration
	n := 0
	raw := benchMessage(1, rand.New(rand.NewPCG(1, 2)))
	for b.Loop() {
		bx.deliver(b, "INBOX", raw)
		stored := time.Now()
		late += (<-seen).Sub(stored)
		n++
	}
	b.ReportMetric(float64(late.Microseconds())/float64(n), "µs-after-delivery")
}

// BenchmarkIdleConnection reports the memory of one connection on IDLE, kernel
// apart.
func BenchmarkIdleConnection(b *testing.B) {
	const n = 500
	bx := newBox(b, func(o *imapd.Options) {
		o.Limits.MaxConnections, o.Limits.MaxPerAddress, o.Limits.MaxPerAccount = 2*n, 2*n, 2*n
	})
	bx.deliver(b, "INBOX", testMessage(b, "plain"))
	bx.login(b)
	for b.Loop() {
		before := memory()
		var idle []io.Closer
		for range n {
			c := dialWire(b, bx.plain)
			c.until("* OK")
			c.command("a", fmt.Sprintf("LOGIN %s %q", ann, password))
			c.command("a", "SELECT INBOX")
			c.send("a IDLE\r\n")
			c.until("+ ")
			idle = append(idle, c.Conn)
			c.r = nil
		}
		after := memory()
		// The client's end is in the same process: a socket and its poller.
		b.ReportMetric(float64(after-before)/n/1024, "KB/conn")
		for _, c := range idle {
			c.Close()
		}
		eventually(b, "the connections are gone", func() bool { return bx.server.Stats().Connections <= 1 })
	}
}

func memory() uint64 {
	for range 4 {
		runtime.GC()
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc + m.StackInuse
}
