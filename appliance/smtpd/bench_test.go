package smtpd

import (
	"bufio"
	"context"
	"crypto/tls"
	"io"
	"net"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"hauspost/appliance/envelope"
	"hauspost/appliance/esmtp/dialogue"
	"hauspost/appliance/maillog"
)

// void is an Intake that keeps nothing.
type void struct{}

func (void) Stage(context.Context, *envelope.Envelope, *maillog.Trace) Staging { return void{} }
func (void) Write(p []byte) (int, error)                                       { return len(p), nil }
func (void) Commit(context.Context) error                                      { return nil }
func (void) Discard()                                                          {}

func benchMessage(size int) string {
	const line = "Lorem ipsum dolor sit amet, consetetur sadipscing elitr, sed diam nonumy eir\r\n"
	return "Subject: bench\r\n\r\n" + strings.Repeat(line, size/len(line))
}

// BenchmarkReceive is the whole dialogue of one message on an open connection:
// MAIL, RCPT and DATA as a group, the content, the 250. The CPU time is that
// of both ends; allocations are those of server and client.
func BenchmarkReceive(b *testing.B) {
	for _, c := range []struct {
		name   string
		size   int
		secure bool
	}{{"4KB", 4 << 10, false}, {"4KB-TLS", 4 << 10, true}, {"1MB", 1 << 20, false}} {
		b.Run(c.name, func(b *testing.B) { benchReceive(b, c.size, c.secure) })
	}
}

func benchReceive(b *testing.B, size int, secure bool) {
	h := start(b, func(o *Options) {
		o.Intake = void{}
		o.Limits.Messages = -1
		o.TLS, _ = dialogue.TLS()
	})
	conn, err := net.Dial("tcp", h.addr)
	if err != nil {
		b.Fatal(err)
	}
	defer func() { conn.Close() }()
	in := bufio.NewReader(conn)
	want := func(prefix string) {
		line, err := in.ReadSlice('\n')
		for err == nil && len(line) > 3 && line[3] == '-' {
			line, err = in.ReadSlice('\n')
		}
		if err != nil || !strings.HasPrefix(string(line), prefix) {
			b.Fatalf("got %q, %v, want %q", line, err, prefix)
		}
	}
	say := func(s string) {
		if _, err := io.WriteString(conn, s); err != nil {
			b.Fatal(err)
		}
	}
	want("220")
	say("EHLO client.test\r\n")
	want("250")
	if secure {
		say("STARTTLS\r\n")
		want("220")
		_, config := dialogue.TLS()
		conn = tls.Client(conn, config)
		in.Reset(conn)
		say("EHLO client.test\r\n")
		want("250")
	}
	const group = "MAIL FROM:<sender@good.test> SIZE=4000\r\nRCPT TO:<anna@example.test>\r\nDATA\r\n"
	content := benchMessage(size) + ".\r\n"
	b.SetBytes(int64(len(content)))
	b.ReportAllocs()
	before := cpuTime(b)
	for b.Loop() {
		say(group)
		want("250")
		want("250")
		want("354")
		say(content)
		want("250")
	}
	b.ReportMetric(float64(cpuTime(b)-before)/float64(b.N)/1000, "cpu-µs/op")
}

// cpuTime is the CPU time of this process in nanoseconds.
func cpuTime(b *testing.B) int64 {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return u.Utime.Nano() + u.Stime.Nano()
}

// BenchmarkIdle is the memory of a connection that waits for its peer.
func BenchmarkIdle(b *testing.B) {
	h := start(b, func(o *Options) { o.Limits.Connections = -1 })
	buf := make([]byte, 512)
	const conns = 1000
	for b.Loop() {
		before := inUse()
		open := make([]net.Conn, conns)
		for i := range open {
			c, err := net.Dial("tcp", h.addr)
			if err != nil {
				b.Fatal(err)
			}
			if _, err := c.Read(buf); err != nil {
				b.Fatal(err)
			}
			open[i] = c
		}
		b.ReportMetric(float64(inUse()-before)/conns, "B/conn")
		for _, c := range open {
			c.Close()
		}
		dialogue.Eventually(b, "all are gone", func() bool { return h.Stats().Connections.Active == 0 })
	}
}

// inUse is the memory of heap and stacks, both ends of the connections counted.
func inUse() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapInuse + m.StackInuse
}
