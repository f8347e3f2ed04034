package headers

import (
	"strings"
	"testing"

	"hauspost/plugins/abi"
	"hauspost/plugins/pack/casetest"
	"hauspost/plugins/sdk"
	"hauspost/plugins/sdk/sdktest"
)

// TestCases runs the cases of the package.
func TestCases(t *testing.T) {
	t.Parallel()
	casetest.Run(t, map[abi.Stage]func(*sdk.Call) error{abi.OnMessage: OnMessage, abi.OnSubmit: OnSubmit})
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
