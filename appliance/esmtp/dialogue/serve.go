package dialogue

import (
	"context"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"hauspost/appliance/envelope"
	"hauspost/appliance/maillog"
)

// Server is a server under test.
type Server interface {
	Serve(ctx context.Context, ln net.Listener, implicitTLS bool) error
	Shutdown(ctx context.Context) error
}

// Serve runs a server on a loopback socket until the test ends, and gives its
// address. Then ended is called, to look at what is left.
func Serve(t testing.TB, s Server, implicitTLS bool, ended func()) (addr string) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- s.Serve(context.Background(), ln, implicitTLS) }()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		if err := s.Shutdown(ctx); err != nil {
			t.Errorf("Shutdown: %v", err)
		}
		if err := <-served; err != nil {
			t.Errorf("Serve: %v", err)
		}
		ended()
	})
	return ln.Addr().String()
}

// Keeper collects the traces of transactions that were not stored.
type Keeper struct {
	mu     sync.Mutex
	traces [][]maillog.Entry
	ids    []envelope.ID
}

// Keep takes one trace.
func (k *Keeper) Keep(id envelope.ID, entries []maillog.Entry) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.traces, k.ids = append(k.traces, entries), append(k.ids, id)
}

// IDs are those of the messages, in their order.
func (k *Keeper) IDs() []envelope.ID {
	k.mu.Lock()
	defer k.mu.Unlock()
	return append([]envelope.ID(nil), k.ids...)
}

// Traces are those that were kept, in their order.
func (k *Keeper) Traces() [][]maillog.Entry {
	k.mu.Lock()
	defer k.mu.Unlock()
	return append([][]maillog.Entry(nil), k.traces...)
}

// Last gives the steps of the last trace, empty where there is none.
func (k *Keeper) Last() string {
	traces := k.Traces()
	if len(traces) == 0 {
		return ""
	}
	return Steps(traces[len(traces)-1])
}

// Steps gives the names of events, with spaces between them.
func Steps(entries []maillog.Entry) string {
	var s []string
	for _, e := range entries {
		s = append(s, e.Step)
	}
	return strings.Join(s, " ")
}
