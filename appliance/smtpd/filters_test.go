package smtpd

import (
	"log/slog"
	"net"
	"strings"
	"testing"

	"hauspost/appliance/esmtp/dialogue"
	"hauspost/appliance/reply"
)

// TestRefusedPeerIsNoted: a peer that hears nothing but a refusal is in the log
// and counted.
func TestRefusedPeerIsNoted(t *testing.T) {
	t.Parallel()
	log := &syncBuffer{}
	h := start(t, func(o *Options) {
		o.Log.Logger = slog.New(slog.NewTextHandler(log, nil))
		o.Filters = &sieve{stages: onConnect, answer: reply.New(550, "5.7.1", "filtered", "A filter said no")}
	})
	from := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 66)}}
	c, err := from.Dial("tcp", h.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	dialogue.Eventually(t, "the refusal is counted", func() bool { return h.Stats().Refused["filtered"] == 1 })
	for _, want := range []string{"filter sieve at the beginning", "CONNECT 127.0.0.66 refused with 554 5.7.1: A filter said no"} {
		if text := log.String(); !strings.Contains(text, want) {
			t.Errorf("%q is not in the log: %s", want, text)
		}
	}
}
