package pack

import (
	"slices"

	"hauspost/plugins/abi"
)

// together faults values that do not fit each other.
func (p *parser) together() {
	m := p.manifest
	has := func(name string) bool {
		_, ok := p.seen[name]
		return ok
	}
	for _, o := range []struct {
		wrong           bool
		key             string
		problem, remedy string
	}{
		{slices.Contains(m.Stages, abi.OnTimer) && !has("timer"), "timer",
			"missing; the stage on_timer needs the time between two calls", `add for example timer = "1h"`},
		{has("timer") && has("stages") && !slices.Contains(m.Stages, abi.OnTimer), "timer",
			"has no meaning without the stage on_timer", "add on_timer to stages, or remove the line"},
		{slices.Contains(m.Needs.Effects, abi.Score) && !has("needs.points"), "needs.points",
			"missing; the effect score needs the most that one score may have", "add for example points = 5"},
		{has("needs.points") && !slices.Contains(m.Needs.Effects, abi.Score), "needs.points",
			"has no meaning without the effect score", "add score to effects, or remove the line"},
		{slices.Contains(m.Needs.Effects, abi.Stop) && len(m.Needs.Stops) == 0, "needs.stops",
			"missing; the effect stop needs a list of the stops", `add for example stops = ["quarantine"]`},
		{len(m.Needs.Stops) > 0 && !slices.Contains(m.Needs.Effects, abi.Stop), "needs.stops",
			"has no meaning without the effect stop", "add stop to effects, or remove the line"},
		{slices.Contains(m.Needs.Effects, abi.AddHeader) && len(m.Needs.FieldNames) == 0, "needs.fields",
			"missing; the effect addheader needs a list of the header fields", `add for example fields = ["X-Hello"]`},
		{len(m.Needs.FieldNames) > 0 && !slices.Contains(m.Needs.Effects, abi.AddHeader), "needs.fields",
			"has no meaning without the effect addheader", "add addheader to effects, or remove the line"},
	} {
		if o.wrong {
			p.fault(o.key, p.seen[o.key], o.problem, o.remedy)
		}
	}
}
