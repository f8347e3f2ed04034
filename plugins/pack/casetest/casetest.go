// Package casetest runs the cases of a plugin of this house natively, where a
// debugger can see them; `hauspost plugin test` runs them in WebAssembly.
//
// It may import plugins/abi, plugins/pack and plugins/sdk. Only tests import it.
package casetest

import (
	"os"
	"testing"

	"hauspost/plugins/abi"
	"hauspost/plugins/pack"
	"hauspost/plugins/sdk"
	"hauspost/plugins/sdk/sdktest"
)

// Run runs the cases in the folder tests of the working directory by what the
// plugin does at each stage, and holds that it proposes what it asks for in its
// plugin.toml and no more.
func Run(t *testing.T, stages map[abi.Stage]func(*sdk.Call) error) {
	t.Helper()
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
			box := &sdktest.Box{Event: c.Event, Raw: string(c.Message), Settings: map[string][]string{}, Keys: c.Keys}
			for _, s := range settings.List {
				box.Settings[s.Name] = s.Values
			}
			got := box.Run(stages[c.Event.Stage])
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
