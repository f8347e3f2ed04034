package relay

import (
	"io"
	"strings"
	"syscall"
	"testing"

	"hauspost/appliance/relay/testnet"
	"hauspost/appliance/resolver"
	"hauspost/appliance/transfer"
)

// BenchmarkAttempt is one message over a connection that is there, with both
// ends in this process: the CPU time is that of both.
func BenchmarkAttempt(b *testing.B) {
	for _, c := range []struct {
		name  string
		size  int
		hosts testnet.Behaviour
	}{
		{"4KB-TLS", 4 << 10, testnet.Behaviour{Void: true}},
		{"4KB-plain", 4 << 10, testnet.Behaviour{Void: true, Without: []string{"STARTTLS"}}},
		{"4KB-BDAT", 4 << 10, testnet.Behaviour{Void: true, With: []string{"CHUNKING"}}},
		{"1MB-TLS", 1 << 20, testnet.Behaviour{Void: true}},
	} {
		b.Run(c.name, func(b *testing.B) {
			n := testnet.New(b)
			h, err := n.Host("mx1.example", c.hosts)
			if err == nil {
				err = n.Domain("far.example", h)
			}
			if err != nil {
				b.Fatal(err)
			}
			dns, err := resolver.New(resolver.Options{Server: n.DNS().Addr()})
			if err != nil {
				b.Fatal(err)
			}
			client := New(Options{
				Hostname: "box.example", Resolver: dns, Port: n.Port(), AllowLoopback: true, TLS: rootsOf(n), Limits: Limits{Messages: -1},
			})
			const line = "Lorem ipsum dolor sit amet, consetetur sadipscing elitr, sed diam nonumy eir\r\n"
			content := "Subject: bench\r\n\r\n" + strings.Repeat(line, c.size/len(line))
			m := message(content)
			m.Open = func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(content)), nil }
			b.SetBytes(int64(len(content)))
			b.ReportAllocs()
			before := cpuTime(b)
			for b.Loop() {
				if o := client.Attempt(b.Context(), m).Outcomes[0]; o.Status != transfer.Delivered {
					b.Fatal(show(o))
				}
			}
			b.ReportMetric(float64(cpuTime(b)-before)/float64(b.N)/1000, "cpu-µs/op")
			if s := client.Stats(); s.Connections != 1 {
				b.Errorf("%d connections", s.Connections)
			}
			if err := client.Close(b.Context()); err != nil {
				b.Error(err)
			}
		})
	}
}

// cpuTime is the CPU time of this process in nanoseconds.
func cpuTime(b *testing.B) int64 {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return u.Utime.Nano() + u.Stime.Nano()
}
