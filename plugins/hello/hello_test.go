package hello

import (
	"strings"
	"testing"

	"hauspost/plugins/abi"
	"hauspost/plugins/pack/casetest"
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

// TestCases runs the cases of the package.
func TestCases(t *testing.T) {
	t.Parallel()
	casetest.Run(t, map[abi.Stage]func(*sdk.Call) error{abi.OnMessage: OnMessage, abi.OnSubmit: OnSubmit})
}
