package appliance

import (
	"context"
	"encoding/json"
	"os"
	"slices"
	"time"

	"hauspost/appliance/deliver"
	"hauspost/appliance/envelope"
	"hauspost/appliance/reply"
	"hauspost/plugins/abi"
	"hauspost/plugins/host"
	"hauspost/store"
)

// filters shows the plugins to deliver as its Scanner and to smtpd as its
// Filters: neither knows plugins.
type filters struct{ *pluginChain }

// Filters implements deliver.Scanner.
func (f filters) Filters(outgoing bool) int { return f.serves(scanStage(outgoing)) }

func scanStage(outgoing bool) abi.Stage {
	if outgoing {
		return abi.OnSubmit
	}
	return abi.OnMessage
}

// Scan implements deliver.Scanner.
func (f filters) Scan(ctx context.Context, m *deliver.Message) (*deliver.Scan, error) {
	e := f.event(scanStage(m.Outgoing), m.Envelope)
	e.Size, e.Account = m.Size, m.Account
	now := time.Unix(0, e.Time)
	runs := f.call(ctx, host.Call{Event: e, Content: func() (*os.File, error) { return contentFile(f.dir, m.Size, m.Content) }})
	scan := &deliver.Scan{Runs: toRuns(e.Stage, runs)}
	if changed(runs) {
		scan.With = func(tx *store.Tx) error { return f.keepKeys(tx, runs, now) }
	}
	return scan, nil
}

func changed(runs []host.Run) bool {
	for i := range runs {
		if len(runs[i].Changes) > 0 {
			return true
		}
	}
	return false
}

// Asks implements smtpd.Filters.
func (f filters) Asks(stage string) bool {
	s, ok := abi.ParseStage(stage)
	return ok && f.serves(s) > 0
}

// Connect implements smtpd.Filters.
func (f filters) Connect(ctx context.Context, peer envelope.Client) ([]envelope.Run, *reply.Reply) {
	return f.early(ctx, f.event(abi.OnConnect, &envelope.Envelope{Client: peer}), nil)
}

// Mail implements smtpd.Filters.
func (f filters) Mail(ctx context.Context, env *envelope.Envelope) ([]envelope.Run, *reply.Reply) {
	return f.early(ctx, f.event(abi.OnMail, env), env.Runs)
}

// Rcpt implements smtpd.Filters.
func (f filters) Rcpt(ctx context.Context, env *envelope.Envelope, rcpt envelope.Recipient) ([]envelope.Run, *reply.Reply) {
	e := f.event(abi.OnRcpt, env)
	e.Recipients = append(e.Recipients, rcpt.Address.String())
	// What was said of other recipients says nothing of this one.
	before := slices.DeleteFunc(slices.Clone(env.Runs), func(r envelope.Run) bool { return r.Stage == abi.OnRcpt.String() })
	return f.early(ctx, e, before)
}

// early asks before there is a message, and tells whether the peer is refused,
// by what was said in the stages before as well: who was exempt there is not
// refused here.
func (f filters) early(ctx context.Context, e abi.Event, before []envelope.Run) ([]envelope.Run, *reply.Reply) {
	runs := toRuns(e.Stage, f.call(ctx, host.Call{Event: e}))
	return runs, deliver.DecideEarly(f.Policy(), slices.Concat(before, runs), f.now())
}

// event tells plugins what the box knows of a message.
func (p *pluginChain) event(stage abi.Stage, env *envelope.Envelope) abi.Event {
	c := env.Client
	e := abi.Event{
		Stage: stage, ID: string(env.ID), Time: p.now().UnixNano(), Hostname: p.config.Hostname,
		Client: abi.Client{HELO: c.HELO, Hostname: c.Hostname, Protocol: c.Protocol, TLS: c.TLS},
		Size:   env.Size,
	}
	if c.Addr.IsValid() {
		e.Client.Address, e.Client.Port = c.Addr.Addr().Unmap().String(), int32(c.Addr.Port())
	}
	if !env.From.IsNull() {
		e.Sender = env.From.String()
	}
	for _, r := range env.To {
		e.Recipients = append(e.Recipients, r.Address.String())
	}
	for _, fact := range env.Facts {
		e.Facts = append(e.Facts, abi.Fact(fact))
	}
	for _, r := range env.Runs {
		for _, effect := range r.Effects {
			e.Findings = append(e.Findings, toFinding(effect))
		}
	}
	return e
}

// effectKinds and effectStops are the effects of plugins in the words of the
// envelope.
var effectKinds = map[abi.Kind]envelope.EffectKind{
	abi.Score: envelope.EffectScore, abi.Tag: envelope.EffectTag, abi.AddHeader: envelope.EffectAddHeader,
	abi.FileInto: envelope.EffectFileInto, abi.Copy: envelope.EffectCopy, abi.Redirect: envelope.EffectRedirect,
	abi.RequireTLS: envelope.EffectRequireTLS, abi.Exempt: envelope.EffectExempt,
}

var effectStops = map[abi.Action]envelope.EffectKind{
	abi.Discard: envelope.EffectDiscard, abi.Quarantine: envelope.EffectQuarantine,
	abi.Tempfail: envelope.EffectTempfail, abi.Reject: envelope.EffectReject,
}

func toEffect(plugin string, e *abi.Effect) envelope.Effect {
	kind := effectKinds[e.Kind]
	if e.Kind == abi.Stop {
		kind = effectStops[e.Stop]
	}
	return envelope.Effect{Kind: kind, By: plugin, Symbol: e.Symbol, Points: e.Points, Argument: e.Argument, Name: e.Name,
		Detail: e.Detail, Malware: e.Malware, Recipient: e.Recipient}
}

// toFinding tells a plugin what another one found at an earlier stage.
func toFinding(e envelope.Effect) abi.Finding {
	f := abi.Finding{By: e.By, Kind: abi.Stop, Symbol: e.Symbol, Points: e.Points}
	for k, name := range effectKinds {
		if name == e.Kind {
			f.Kind = k
		}
	}
	return f
}

// toRuns puts what plugins did into the words of trace and decision.
func toRuns(stage abi.Stage, runs []host.Run) []envelope.Run {
	list := make([]envelope.Run, len(runs))
	for i := range runs {
		list[i] = toRun(stage, &runs[i])
	}
	return list
}

func toRun(stage abi.Stage, r *host.Run) envelope.Run {
	run := envelope.Run{Filter: r.Plugin, Version: r.Version, Stage: stage.String(), Milliseconds: milliseconds(r.Took),
		Dropped: r.Dropped, Log: r.Log}
	for i := range r.Effects {
		run.Effects = append(run.Effects, toEffect(r.Plugin, &r.Effects[i]))
	}
	if r.Failure != nil {
		run.Failure, run.Problem, run.Failing = r.Failure.Kind, r.Failure.Text, r.Failure.Since
	}
	// The record is data of this program: it always encodes.
	run.Record, _ = json.Marshal(r.Record)
	return run
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

var (
	_ deliver.Scanner = filters{}
)
