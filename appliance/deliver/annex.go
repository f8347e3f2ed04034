package deliver

import (
	"encoding/json"
	"slices"

	"hauspost/appliance/envelope"
	"hauspost/appliance/maillog"
)

// maxTrace bounds the trace that is kept with a message, in octets. A peer with
// many refused recipients makes long ones, and so do talkative filters, and
// mail is never refused for that.
const maxTrace = 64 << 10

// annex encodes a trace. Of one that is too long the filters' records and logs
// go first, then most of their effects, then what is between the beginning and
// the end; what was decided stays.
func annex(entries []maillog.Entry) []byte {
	b := maillog.Encode(entries)
	for _, shorten := range shortenings {
		if len(b) <= maxTrace {
			return b
		}
		entries = shortened(entries, shorten)
		b = maillog.Encode(entries)
	}
	for keep := 100; len(b) > maxTrace && keep > 0; keep /= 2 {
		entries = ends(entries, keep)
		b = maillog.Encode(entries)
	}
	if len(b) > maxTrace {
		return maillog.Encode(nil)
	}
	return b
}

// ends gives keep entries of the beginning and of the end, and what was decided
// between them.
func ends(entries []maillog.Entry, keep int) []maillog.Entry {
	if len(entries) <= 2*keep {
		return entries
	}
	var short []maillog.Entry
	for i, e := range entries {
		if i < keep || i >= len(entries)-keep || e.Step == (maillog.Decided{}).Step() {
			short = append(short, e)
		}
	}
	return short
}

// shortenings of a filter's run, each done where the ones before were not
// enough.
var shortenings = []func(*envelope.Run){
	func(r *envelope.Run) { r.Record = nil },
	func(r *envelope.Run) { r.Log = r.Log[max(0, len(r.Log)-3):] },
	func(r *envelope.Run) {
		r.Log, r.Dropped = nil, r.Dropped[:min(len(r.Dropped), 3)]
		r.Effects = r.Effects[:min(len(r.Effects), 20)]
		for i := range r.Effects {
			e := &r.Effects[i]
			e.Detail, e.Argument = line(e.Detail, maxSaid), line(e.Argument, maxSaid)
		}
	},
}

// shortened gives entries with a shortening of all runs of filters.
func shortened(entries []maillog.Entry, shorten func(*envelope.Run)) []maillog.Entry {
	entries = slices.Clone(entries)
	for i := range entries {
		e := &entries[i]
		var ev maillog.Filtered
		if e.Step != ev.Step() || json.Unmarshal(e.Event, &ev) != nil {
			continue
		}
		shorten(&ev.Run)
		if raw, err := json.Marshal(ev); err == nil {
			e.Event = raw
		}
	}
	return entries
}
