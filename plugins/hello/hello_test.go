package hello

import (
	"os"
	"strings"
	"testing"

	"hauspost/plugins/abi"
	"hauspost/plugins/pack"
	"hauspost/plugins/sdk"
	"hauspost/plugins/sdk/sdktest"
)

// TestAcquaintance: the first message is marked, the second one not, nor that
// of somebody to whom we wrote; in time everybody is forgotten.
func TestAcquaintance(t *testing.T) {
	t.Parallel()
	const day = sdk.Day * 1e9
	now := int64(1000 * day)
	box := &sdktest.Box{Raw: "Subject: hello\r\n\r\n"}
	box.Event = abi.Event{Stage: abi.OnSubmit, Time: now, Recipients: []string{"Dora@example.net", strings.Repeat("x", 300)}}
	if got := box.Run(OnSubmit); got.Err != nil || len(got.Changes) != 1 {
		t.Fatalf("%+v", got)
	}
	for i, step := range []struct {
		sender string
		after  int64
		want   int
	}{
		{"carla@example.net", 0, 2}, {"CARLA@example.net", 300, 0}, {"carla@example.net", 300, 0},
		{"carla@example.net", 366, 2}, {"dora@example.net", 0, 2}, {"dora@example.net", 1, 0}, {"", 0, 0},
		{strings.Repeat("x", 300), 0, 0},
	} {
		now += step.after * day
		box.Event = abi.Event{Sender: step.sender, Time: now}
		if got := box.Run(OnMessage); got.Err != nil || len(got.Effects) != step.want {
			t.Errorf("step %d: %+v, want %d effects", i, got, step.want)
		}
	}
}

// TestWhoWeWroteTo: an answer to our own mail is no first message.
func TestWhoWeWroteTo(t *testing.T) {
	t.Parallel()
	box := &sdktest.Box{Event: abi.Event{Stage: abi.OnSubmit, Sender: "anna@example.org", Recipients: []string{"Dora@example.net"}}, Raw: "\r\n"}
	if got := box.Run(OnSubmit); got.Err != nil || len(got.Effects) != 0 {
		t.Fatalf("%+v", got)
	}
	box.Event = abi.Event{Sender: "dora@EXAMPLE.net"}
	if got := box.Run(OnMessage); got.Err != nil || len(got.Effects) != 0 {
		t.Errorf("%+v", got)
	}
}

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
	stages := map[abi.Stage]func(*sdk.Call) error{abi.OnMessage: OnMessage, abi.OnSubmit: OnSubmit}
	for _, c := range cases {
		settings, err := manifest.Resolve(c.Settings)
		if err != nil {
			t.Fatal(err)
		}
		box := &sdktest.Box{Event: c.Event, Raw: string(c.Message), Settings: map[string][]string{}, Keys: c.Keys}
		for _, s := range settings.List {
			box.Settings[s.Name] = s.Values
		}
		got := box.Run(stages[c.Event.Stage])
		if got.Err != nil {
			t.Errorf("%s: %v", c.Name, got.Err)
		}
		for _, diff := range c.Check(got.Effects) {
			t.Errorf("%s: %s", c.Name, diff)
		}
		for _, e := range got.Effects {
			if err := manifest.Needs.Allows(e); err != nil {
				t.Errorf("%s: %v", c.Name, err)
			}
		}
	}
}
