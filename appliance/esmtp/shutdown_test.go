package esmtp

import (
	"context"
	"errors"
	"net"
	"slices"
	"testing"
	"time"

	"hauspost/appliance/esmtp/dialogue"
	"hauspost/appliance/reply"
)

// TestShutdown: those who wait are told 421 at once, a transaction may end, and
// then its connection is told 421 too.
func TestShutdown(t *testing.T) {
	t.Parallel()
	r := &recorder{}
	s, addr := serve(t, r, false, nil)
	idle, busy := dial(t, addr), dial(t, addr)
	idle.hello()
	busy.hello()
	busy.transaction()
	done := make(chan error, 1)
	go func() { done <- s.Shutdown(context.Background()) }()
	idle.want("421 4.3.2 ")
	idle.wantEnd()
	if _, err := net.DialTimeout("tcp", addr, time.Second); err == nil {
		t.Error("the listener is open still")
	}
	busy.send("DATA\r\n")
	busy.want("354 ")
	busy.send("late\r\n.\r\n")
	busy.want("250 2.6.0 ")
	busy.want("421 4.3.2 ")
	busy.wantEnd()
	if err := <-done; err != nil {
		t.Errorf("Shutdown: %v", err)
	}
	if got := r.committed(); !slices.Equal(got, []string{"late\r\n"}) {
		t.Errorf("committed %q", got)
	}
}

// TestShutdownRunsOut: what is not over in time is closed, and Commit's context
// ends.
func TestShutdownRunsOut(t *testing.T) {
	t.Parallel()
	committing := make(chan struct{})
	r := &recorder{commit: func(ctx context.Context) *reply.Reply {
		close(committing)
		<-ctx.Done()
		return reply.LocalError
	}}
	s, addr := serve(t, r, false, nil)
	open, stuck := dial(t, addr), dial(t, addr)
	open.hello()
	open.transaction()
	stuck.hello()
	stuck.transaction()
	stuck.send("BDAT 2 LAST\r\n\r\n")
	<-committing
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := s.Shutdown(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("Shutdown: %v", err)
	}
	if s.Stats().Active != 0 {
		t.Errorf("%d connections are left", s.Stats().Active)
	}
	open.wantEnd()
}

func TestServeEndsWithItsContext(t *testing.T) {
	t.Parallel()
	s := New(Options{Name: "x", Backend: &recorder{}})
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Serve(ctx, ln, false) }()
	c := dial(t, ln.Addr().String())
	c.want("220 ")
	cancel()
	if err := <-done; err != nil {
		t.Errorf("Serve: %v", err)
	}
	if err := s.Serve(context.Background(), ln, true); err == nil {
		t.Error("implicit TLS without a configuration is served")
	}
	if err := s.Shutdown(context.Background()); err != nil {
		t.Error(err)
	}
	c.want("421 ")
	if err := s.Serve(context.Background(), ln, false); err != nil {
		t.Errorf("Serve after Shutdown: %v", err)
	}
	if err := s.Shutdown(context.Background()); err != nil {
		t.Error(err)
	}
}

// TestShutdownEndsTarpits: with the usual pause, for a peer that waits an hour
// for its answer.
func TestShutdownEndsTarpits(t *testing.T) {
	t.Parallel()
	paused := make(chan struct{})
	s, addr := serve(t, &recorder{}, false, func(o *Options) {
		o.Limits.TarpitAfter, o.Limits.TarpitStep, o.Limits.TarpitMax = 1, time.Hour, time.Hour
		o.Pause = func(ctx context.Context, d time.Duration) { close(paused); pause(ctx, d) }
	})
	c := dial(t, addr)
	c.want("220 ")
	c.send("FOO\r\n")
	c.want("500 ")
	c.send("FOO\r\n")
	<-paused
	if err := s.Shutdown(context.Background()); err != nil {
		t.Fatal(err)
	}
	c.want("500 ")
	c.want("421 ")
}

// TestShutdownIsPrompt: nobody who has nothing to hand over holds the server
// up, whatever the client leaves open.
func TestShutdownIsPrompt(t *testing.T) {
	t.Parallel()
	config, _ := dialogue.TLS()
	tests := []struct {
		name        string
		implicitTLS bool
		say         func(c *client)
		// most is well below what the next slower way of ending takes.
		most time.Duration
	}{
		{"idle", false, func(c *client) { c.hello() }, 700 * time.Millisecond},
		{"half a command", false, func(c *client) { c.hello(); c.send("NOO") }, 700 * time.Millisecond},
		{"TLS not begun", true, func(*client) {}, 10 * time.Second},
		{"STARTTLS not begun", false, func(c *client) { c.hello(); c.send("STARTTLS\r\n"); c.want("220 ") }, 10 * time.Second},
		{"between two commands", false, func(c *client) { c.hello(); c.transaction() }, 10 * time.Second},
		{"between two chunks", false, func(c *client) {
			c.hello()
			c.transaction()
			c.send("BDAT 2\r\n\r\n")
			c.want("250 ")
		}, 10 * time.Second},
		{"lingering", false, func(c *client) { c.hello(); c.send("BDAT x\r\n"); c.want("501 ") }, 700 * time.Millisecond},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			s, addr := serve(t, &recorder{}, test.implicitTLS, func(o *Options) { o.TLS = config })
			c := dial(t, addr)
			test.say(c)
			dialogue.Eventually(t, "the connection is in", func() bool { return s.Stats().Accepted == 1 })
			ctx, cancel := context.WithTimeout(context.Background(), test.most)
			defer cancel()
			if err := s.Shutdown(ctx); err != nil {
				t.Error(err)
			}
		})
	}
}
