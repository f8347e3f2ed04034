package appliance

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"hauspost/appliance/control"
	"hauspost/plugins/abi"
	"hauspost/plugins/pack"
)

var someNeeds = pack.Grants{Header: true, Body: true, DNS: []string{"a.example", "b.example"}, Effects: []abi.Kind{abi.Score, abi.Stop},
	Stops: []abi.Action{abi.Reject, abi.Quarantine}, Points: 5}

// TestChosenGrants: a choice leaves what it says and never gives more.
func TestChosenGrants(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		only, deny, want []string
		bad              string
	}{
		{want: []string{"body", "dns:a.example", "dns:b.example", "header", "points:5", "stop:quarantine", "stop:reject"}},
		{only: []string{"header", "dns"}, want: []string{"dns:a.example", "dns:b.example", "header"}},
		{only: []string{"dns", "header"}, deny: []string{"dns:b.example"}, want: []string{"dns:a.example", "header"}},
		{only: []string{"stop:reject", "points:3"}, want: []string{"points:3", "stop:reject"}},
		{only: []string{"score"}, want: []string{"points:5"}},
		{only: []string{"points:5"}, want: []string{"points:5"}},
		{only: []string{"points:9"}, want: []string{"points:5"}},
		{only: []string{"score", "header"}, deny: []string{"points:5"}, want: []string{"header"}},
		{deny: []string{"stop", "body", "body", "dns", "dns:a.example"}, want: []string{"header", "points:5"}},
		{deny: []string{"score", "points:2", "stop:reject"}, want: []string{"body", "dns:a.example", "dns:b.example", "header", "stop:quarantine"}},
		{only: []string{"keys"}, bad: `the plugin does not ask for "keys"`},
		{only: []string{"dns:c.example"}, bad: `the plugin does not ask for "dns:c.example"`},
		{deny: []string{"keys"}, bad: `there is no grant "keys"`},
		{deny: []string{"points:many"}, bad: `"points:many"`},
	} {
		g, err := chosenGrants(someNeeds, control.PluginChoice{Only: c.only, Deny: c.deny})
		if c.bad != "" {
			if !control.IsKind(err, control.KindInvalid) || !strings.Contains(err.Error(), c.bad) {
				t.Errorf("only %q, deny %q: %v, want %s", c.only, c.deny, err, c.bad)
			}
			continue
		}
		var got []string
		for _, term := range g.Terms() {
			got = append(got, term.Name)
		}
		slices.Sort(got)
		if err != nil || !slices.Equal(got, c.want) || !g.Beyond(someNeeds).IsZero() {
			t.Errorf("only %q, deny %q: %q, %v; want %q", c.only, c.deny, got, err, c.want)
		}
	}
}

func TestErrorsOfPluginsHaveKinds(t *testing.T) {
	t.Parallel()
	for err, kind := range map[error]control.Kind{
		pack.ErrNotInstalled: control.KindNotFound, pack.ErrInstalled: control.KindExists, pack.ErrBadPackage: control.KindInvalid,
		pack.ErrSigner: control.KindInvalid, pack.ErrChanged: control.KindInvalid, invalid("x"): control.KindInvalid,
	} {
		if got := pluginKinds(err); !control.IsKind(got, kind) {
			t.Errorf("%v is %v, want %s", err, got, kind)
		}
	}
	if err := errors.New("the disk is gone"); pluginKinds(err) != err {
		t.Error("an error inside has another kind")
	}
}
