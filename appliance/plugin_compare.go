package appliance

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"unicode"

	"hauspost/appliance/envelope"
	"hauspost/plugins/abi"
	"hauspost/plugins/host"
)

// record is what the plugin of run i was told from outside, and what others
// were told of the DNS about the same message: a new plugin may ask the same. i
// is negative for a plugin that did not run.
func (p *past) record(i int) *host.Record {
	all := &host.Record{Time: p.event.Time}
	for n, run := range p.runs {
		var r host.Record
		if len(run.Record) == 0 || json.Unmarshal(run.Record, &r) != nil {
			continue
		}
		if n == i {
			all.Time, all.Seed, all.Services = r.Time, r.Seed, r.Services
			all.DNS = append(slices.Clone(r.DNS), all.DNS...)
		} else {
			all.DNS = append(all.DNS, r.DNS...)
		}
	}
	return all
}

// unrecorded tells whether a run asked what then does not answer.
func unrecorded(run, then *host.Record) bool {
	missing := slices.ContainsFunc(run.DNS, func(d host.DNSRecord) bool {
		return !slices.ContainsFunc(then.DNS, func(t host.DNSRecord) bool { return t.Question == d.Question })
	})
	return missing || slices.ContainsFunc(run.Services, func(s host.ServiceRecord) bool {
		return s.Errno == abi.ErrAgain && !slices.ContainsFunc(then.Services, func(t host.ServiceRecord) bool { return t.Request == s.Request })
	})
}

// complaint is a problem of a plugin with what it wrote about it itself.
func complaint(problem string, log []string) string {
	if problem == "" || len(log) == 0 {
		return problem
	}
	said := log[0]
	for _, line := range slices.Backward(log) {
		if text, ok := strings.CutPrefix(line, "error: "); ok {
			said = text
			break
		}
	}
	said = strings.Join(strings.FieldsFunc(strings.ToValidUTF8(said, "?"), func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) }), " ")
	if r := []rune(said); len(r) > maxComplaint {
		said = string(r[:maxComplaint]) + "…"
	}
	return problem + ": " + said
}

// maxComplaint is how much of what a plugin wrote is repeated, in characters.
const maxComplaint = 300

// differences says in words what a plugin proposed then and does not now, and
// the other way round.
func differences(then, now *envelope.Run) []string {
	list := []string{}
	for _, e := range now.Effects {
		if !slices.ContainsFunc(then.Effects, func(t envelope.Effect) bool { return proposal(t) == proposal(e) }) {
			list = append(list, "now: "+proposal(e))
		}
	}
	for _, e := range then.Effects {
		if !slices.ContainsFunc(now.Effects, func(n envelope.Effect) bool { return proposal(n) == proposal(e) }) {
			list = append(list, "no longer: "+proposal(e))
		}
	}
	if then.Failure != now.Failure {
		if now.Failure != "" {
			list = append(list, "now it fails: "+complaint(now.Problem, now.Log))
		} else {
			list = append(list, "it failed then: "+complaint(then.Problem, then.Log))
		}
	}
	return list
}

// proposal says in words what an effect proposes; not why, which may hold parts
// of the mail.
func proposal(e envelope.Effect) string {
	parts := []string{string(e.Kind)}
	if e.Symbol != "" {
		parts = append(parts, e.Symbol)
	}
	if e.Kind == envelope.EffectScore {
		parts = append(parts, fmt.Sprintf("%+.4g", e.Points))
	}
	if e.Name != "" {
		parts = append(parts, e.Name+":")
	}
	if e.Argument != "" {
		parts = append(parts, e.Argument)
	}
	if e.Recipient != "" {
		parts = append(parts, "for "+e.Recipient)
	}
	return strings.Join(parts, " ")
}

// splitClient takes apart the client of a trace.
func splitClient(s string) (address string, port int32) {
	ap, err := netip.ParseAddrPort(s)
	if err != nil {
		return s, 0
	}
	return ap.Addr().Unmap().String(), int32(ap.Port())
}
