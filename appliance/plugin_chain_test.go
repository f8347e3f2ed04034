package appliance

import (
	"context"
	"testing"

	"hauspost/plugins/abi"
	"hauspost/plugins/host"
)

// While a chain gives way to another, each plugin either was asked or has
// failed.
func TestBrokenPluginsDuringAReload(t *testing.T) {
	t.Parallel()
	stages := []abi.Stage{abi.OnMessage}
	old := &chainState{broken: []broken{{id: "mended", stages: stages}, {id: "still", stages: stages, problem: "old"}}}
	next := &chainState{broken: []broken{{id: "still", stages: stages, problem: "new"}, {id: "damaged", stages: stages}}}
	p := &pluginChain{}
	p.state.Store(next.after(old))
	got := map[string]string{}
	for _, r := range p.call(context.Background(), host.Call{Event: abi.Event{Stage: abi.OnMessage}}) {
		if _, twice := got[r.Plugin]; twice || r.Failure.Kind != host.FailLoad {
			t.Errorf("%+v", r)
		}
		got[r.Plugin] = r.Failure.Text
	}
	if len(got) != 3 || got["still"] != "new" {
		t.Errorf("%q", got)
	}
	if runs := p.state.Load().addBroken([]host.Run{{Plugin: "mended"}, {Plugin: "still"}, {Plugin: "damaged"}}, abi.OnMessage); len(runs) != 3 {
		t.Errorf("what was asked has failed as well: %+v", runs)
	}
	if runs := p.state.Load().addBroken(nil, abi.OnSubmit); len(runs) != 0 {
		t.Errorf("%+v", runs)
	}
	if len(next.broken) != 2 || len(old.broken) != 2 {
		t.Error("the states changed")
	}
}
