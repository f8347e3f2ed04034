package headers

import (
	"os"
	"strings"
	"testing"

	"hauspost/plugins/abi"
	"hauspost/plugins/pack"
	"hauspost/plugins/sdk"
	"hauspost/plugins/sdk/sdktest"
)

// TestCases runs the cases of the package natively, where a debugger can see
// them; `hauspost plugin test` runs them in WebAssembly.
func TestCases(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("plugin.toml")
	if err != nil {
		t.Fatal(err)
	}
	manifest, err := pack.ParseManifest(text)
	if err != nil {
		t.Fatal(err)
	}
	cases, err := pack.Cases(os.DirFS("tests"))
	if err != nil || len(cases) == 0 {
		t.Fatalf("%d cases, %v", len(cases), err)
	}
	for _, c := range cases {
		t.Run(c.Name, func(t *testing.T) {
			t.Parallel()
			settings, err := manifest.Resolve(c.Settings)
			if err != nil {
				t.Fatal(err)
			}
			box := &sdktest.Box{Event: c.Event, Raw: string(c.Message), Settings: map[string][]string{}}
			for _, s := range settings.List {
				box.Settings[s.Name] = s.Values
			}
			check := map[abi.Stage]func(*sdk.Call) error{abi.OnMessage: OnMessage, abi.OnSubmit: OnSubmit}[c.Event.Stage]
			got := box.Run(check)
			if c.Fails != (got.Err != nil) {
				t.Fatalf("its failure is %v", got.Err)
			}
			for _, diff := range c.Check(got.Effects) {
				t.Error(diff)
			}
			for _, e := range got.Effects {
				if err := manifest.Needs.Allows(e); err != nil {
					t.Error(err)
				}
			}
		})
	}
}

// TestBrokenRulesAreTold: each fault is in the log, the first one in the failure.
func TestBrokenRulesAreTold(t *testing.T) {
	t.Parallel()
	box := &sdktest.Box{Raw: letter, Settings: map[string][]string{
		"rules": {"always exempt\n" + strings.Repeat("if Subject is then exempt\n", 12)},
	}}
	got := box.Run(OnMessage)
	if got.Err == nil || !strings.Contains(got.Err.Error(), "rules that cannot be read: rule 2, line 2, column 15: expected a text in quotes") {
		t.Errorf("the failure is %v", got.Err)
	}
	if len(got.Effects) != 0 || len(got.Log) != 12 || got.Log[9].Text != `rules: rule 11, line 11, column 15: expected a text in quotes, found "then"` {
		t.Errorf("it says %q and proposes %v", got.Log, got.Effects)
	}
}
