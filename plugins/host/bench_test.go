package host

import (
	"testing"
	"time"

	"hauspost/plugins/abi"
)

// benchmarkCalls makes the same call again and again, and tells the median
// beside the mean: on a shared machine some calls wait for a processor.
func benchmarkCalls(b *testing.B, h *Host, call Call) {
	var times histogram
	b.ReportAllocs()
	for b.Loop() {
		began := time.Now()
		for _, r := range h.Call(bgCtx, call) {
			if r.Failure != nil {
				b.Fatal(r.Failure)
			}
		}
		times.add(time.Since(began))
	}
	b.ReportMetric(float64(times.quantile(0.5).Microseconds()), "p50-µs")
}

// BenchmarkCall is what the host adds to a message: to a worker that has
// nothing to do, and back.
func BenchmarkCall(b *testing.B) {
	event := abi.Event{Stage: abi.OnMessage, ID: "01JD", Hostname: "mail.example.org", Sender: "a@example.com", Recipients: []string{"b@example.org"},
		Size: 4000, Facts: []abi.Fact{{Name: "spf", Value: "pass"}, {Name: "dkim", Value: "pass"}}}
	for name, c := range map[string]struct {
		ids     []string
		content bool
	}{"one": {[]string{"a"}, false}, "message": {[]string{"a"}, true}, "three": {[]string{"a", "b", "c"}, false}} {
		b.Run(name, func(b *testing.B) {
			h := newHost(b, Options{}, fakePlugins(0, c.ids...)...)
			call := Call{Event: event}
			if c.content {
				call.Content = sealed("Subject: hello\r\n\r\nhello\r\n")
			}
			benchmarkCalls(b, h, call)
		})
	}
}
