package e2e

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// How many messages go over how many connections at a time, and which of them
// has the plugin hang for how long.
const (
	thousand    = 1000
	connections = 4
	every       = 10
	hangTime    = 200 * time.Millisecond
)

// sent is one message of a crowd.
type sent struct {
	id     string
	hangs  bool
	answer answer
	took   time.Duration
}

// crowd sends messages over several connections, of which each every-th has the
// plugin hang; 0 is none.
func (b *box) crowd(name string, n, every int) []sent {
	b.t.Helper()
	list := make([]sent, n)
	next := make(chan *sent)
	var senders sync.WaitGroup
	for range connections {
		senders.Go(func() {
			c, err := b.connect()
			if err != nil {
				b.t.Error(err)
				for range next { // so that nobody waits
				}
				return
			}
			defer c.Close()
			for s := range next {
				began := time.Now()
				deed := "none"
				if s.hangs {
					deed = "loop"
				}
				if s.answer, err = b.postBy(c, s.id, "X-Do: "+deed); err != nil {
					b.t.Errorf("sending %s: %v", s.id, err)
				}
				s.took = time.Since(began)
			}
		})
	}
	for i := range list {
		list[i].id, list[i].hangs = fmt.Sprint(name, i), every > 0 && i%every == every-1
		next <- &list[i]
	}
	close(next)
	senders.Wait()
	return list
}

// TestThousandWithHangingGuest sends a thousand messages through a plugin that
// hangs on every tenth: none is lost, none is there twice, all others are scored.
func TestThousandWithHangingGuest(t *testing.T) {
	b := newBox(t, map[string]string{"smtp.max_messages": "100000", "log.memory_lines": "20000"}, "anna")
	b.start()
	b.install(guest{id: "hangs", time: hangTime.String()})
	b.install(guest{id: "good", field: "X-Good"})
	calm := b.crowd("calm", thousand/4, 0)
	rough := b.crowd("rough", thousand, every)
	all := append(slices.Clone(calm), rough...)

	mail, err := b.read("anna")
	if err != nil {
		t.Fatal(err)
	}
	if len(mail) != len(all) {
		t.Errorf("%d messages are there, want %d", len(mail), len(all))
	}
	traces, late := b.logged(), 0
	for i, s := range all {
		if s.answer.code != 250 || len(mail[s.id]) != 1 {
			t.Errorf("%s got %d %s and is in %+v", s.id, s.answer.code, s.answer.text, mail[s.id])
			continue
		}
		tr := traces[s.answer.id]
		if tr == nil {
			t.Errorf("the log does not tell of %s", s.id)
			continue
		}
		tr.did("good", "SEEN")
		if s.hangs {
			tr.failed("hangs", "timeout", "it took longer than "+hangTime.String())
			if i%(10*every) == every-1 { // the log says the same as the trace
				b.trace(s.answer.id).failed("hangs", "timeout", "it took longer than "+hangTime.String())
			}
		} else if tr.run("hangs").Failure == "timeout" {
			late++
		} else {
			tr.did("hangs", "SEEN")
		}
	}
	// A machine with too much to do may not give an innocent message its turn in
	// the short time that it has.
	if late > thousand/50 {
		t.Errorf("for %d innocent messages the plugin had no time", late)
	}
	if p := b.plugin(t, "hangs"); p.Run.Failures["timeout"] != thousand/every+late || len(p.Run.Failures) != 1 {
		t.Errorf("the figures count %v, and %d innocent messages were late", p.Run.Failures, late)
	}
	innocent := slices.DeleteFunc(rough, func(s sent) bool { return s.hangs })
	for name, list := range map[string][]sent{"none hangs": calm, "every tenth hangs": innocent} {
		took := make([]time.Duration, len(list))
		for i, s := range list {
			took[i] = s.took
		}
		slices.Sort(took)
		t.Logf("innocent messages where %s: median %v, p90 %v, p99 %v, most %v", name,
			took[len(took)/2], took[len(took)*9/10], took[len(took)*99/100], took[len(took)-1])
	}
	t.Logf("%d workers were replaced, %d innocent messages were late", b.filters().Restarts, late)
	b.stop()
	b.mustVerify()
}

// logged gives what the log tells of plugins, by message.
func (b *box) logged() map[string]*tracing {
	b.t.Helper()
	all := map[string]*tracing{}
	for line := range strings.Lines(b.must("log", "--json")) {
		var l struct {
			ID     string
			Fields struct {
				Step  string
				Event struct{ Run *filterRun }
			}
		}
		if err := json.Unmarshal([]byte(line), &l); err != nil {
			b.t.Fatal(err)
		}
		if l.Fields.Step != "filtered" {
			continue
		}
		tr := all[l.ID]
		if tr == nil {
			tr = &tracing{t: b.t, id: l.ID, runs: map[string]*filterRun{}}
			all[l.ID] = tr
		}
		tr.text += line
		tr.runs[l.Fields.Event.Run.Filter] = l.Fields.Event.Run
	}
	return all
}
