package host

import (
	"testing"

	"hauspost/plugins/abi"
)

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
			b.ReportAllocs()
			for b.Loop() {
				for _, r := range h.Call(bgCtx, call) {
					if r.Failure != nil {
						b.Fatal(r.Failure)
					}
				}
			}
			b.ReportMetric(float64(h.Status().Plugins[0].P50.Microseconds()), "p50-µs")
		})
	}
}
