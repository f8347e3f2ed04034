package smtpd

import (
	"strings"
	"sync"

	"hauspost/appliance/envelope"
	"hauspost/appliance/maillog"
)

// keeper collects the traces of transactions that were not stored.
type keeper struct {
	mu     sync.Mutex
	traces [][]maillog.Entry
	ids    []envelope.ID
}

func (k *keeper) keep(id envelope.ID, entries []maillog.Entry) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.traces = append(k.traces, entries)
	k.ids = append(k.ids, id)
}

// last gives the steps of the last trace.
func (k *keeper) last() string {
	k.mu.Lock()
	defer k.mu.Unlock()
	if len(k.traces) == 0 {
		return ""
	}
	return steps(k.traces[len(k.traces)-1])
}

func steps(entries []maillog.Entry) string {
	var s []string
	for _, e := range entries {
		s = append(s, e.Step)
	}
	return strings.Join(s, " ")
}
