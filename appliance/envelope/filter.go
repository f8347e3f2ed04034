package envelope

import (
	"encoding/json"
	"time"
)

// EffectKind says what a filter proposes.
type EffectKind string

// The effects that a filter may propose. The host decides which it takes.
const (
	EffectScore      EffectKind = "score"
	EffectReject     EffectKind = "reject"
	EffectTempfail   EffectKind = "tempfail"
	EffectQuarantine EffectKind = "quarantine"
	EffectDiscard    EffectKind = "discard"
	EffectFileInto   EffectKind = "fileinto"
	EffectTag        EffectKind = "tag"
	EffectAddHeader  EffectKind = "addheader"
	EffectCopy       EffectKind = "copy"
	EffectRedirect   EffectKind = "redirect"
	EffectRequireTLS EffectKind = "requiretls"
	EffectExempt     EffectKind = "exempt"
)

// Effect is one proposal of one filter.
type Effect struct {
	Kind EffectKind `json:"kind"`
	// By is the filter that proposes it.
	By string `json:"by"`
	// Symbol names the finding; Points is its weight where Kind is EffectScore.
	Symbol string  `json:"symbol,omitempty"`
	Points float64 `json:"points,omitempty"`
	// Argument is the mailbox, tag, address or value, as Kind needs it; Name the
	// name of a header field.
	Argument string `json:"argument,omitempty"`
	Name     string `json:"name,omitempty"`
	// Detail is a reason in words that a person understands.
	Detail string `json:"detail,omitempty"`
	// Malware marks a stop that no exemption takes back.
	Malware bool `json:"malware,omitempty"`
	// Recipient limits the effect to one recipient of the envelope; empty means
	// all of them.
	Recipient string `json:"recipient,omitempty"`
}

// Run is what one filter did about one message at one stage.
type Run struct {
	Filter  string `json:"filter"`
	Version string `json:"version,omitempty"`
	// Stage is "on_message" and the like.
	Stage        string   `json:"stage"`
	Milliseconds float64  `json:"ms"`
	Effects      []Effect `json:"effects,omitempty"`
	// Dropped says in words what it proposed without a grant, or wrongly.
	Dropped []string `json:"dropped,omitempty"`
	// Failure is empty where the filter did its work; otherwise its stable name
	// ("timeout", "trap", "breaker" …), with Problem for people. Its effects
	// are none then.
	Failure string `json:"failure,omitempty"`
	Problem string `json:"problem,omitempty"`
	// Failing is since when it failed without a success between.
	Failing time.Time `json:"failing,omitzero"`
	// Log are the lines that the filter wrote.
	Log []string `json:"log,omitempty"`
	// Record is what the filter was told from outside (DNS, services, clock),
	// by which the run can be done again.
	Record json.RawMessage `json:"record,omitempty"`
}
