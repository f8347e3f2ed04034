//go:build !wasip1

// Package sdktest runs the logic of a plugin in a plain test, without
// WebAssembly: it plays the host, with a message, settings, keys, a DNS and
// services that the test makes up.
//
//	box := &sdktest.Box{
//		Event: abi.Event{Sender: "anna@example.org"},
//		Raw:   "Subject: hello\r\n\r\nworld\r\n",
//	}
//	got := box.Run(hello.Check)
//	if _, ok := got.Find("HELLO"); !ok {
//		t.Errorf("%+v", got)
//	}
//
// It grants everything. What the owner did not grant, and the limits of time
// and memory, are matters of the real host: `hauspost plugin test` runs the
// built plugin there.
//
// It imports plugins/abi, plugins/sdk and the standard library.
package sdktest

import (
	"math/rand/v2"
	"strings"

	"hauspost/plugins/abi"
	"hauspost/plugins/sdk"
)

// Box is the host. The zero value is of use. A Box keeps its keys from one Run
// to the next; it must not be used by two goroutines at a time.
type Box struct {
	// Event is what the plugin is asked about. Where they are not set, its
	// Stage is abi.OnMessage, its Time the beginning of 2026, and its Size that
	// of Raw.
	Event abi.Event
	// Raw is the message, its lines ended by CR LF or LF.
	Raw string
	// Settings are the owner's; a list has several values.
	Settings map[string][]string
	// Keys are the plugin's; changed by every Run without an error.
	Keys map[string]abi.Value
	// DNS has the answers; others are abi.DNSNone. Names are in lower case
	// without a dot at their end.
	DNS map[abi.Question]abi.Answer
	// Services answer requests. The content is that of the part, nil where none
	// is sent along. An error that is an abi.Errno is given to the plugin,
	// others are abi.ErrAgain to it.
	Services map[string]func(request, content []byte) ([]byte, error)
	// Seed makes other random octets.
	Seed uint64
}

// Line is one line of the log; Level is 0 debug, 1 info, 2 warning, 3 error.
type Line struct {
	Level int32
	Text  string
}

// Result is what came of a Run.
type Result struct {
	// Err is the error that the plugin returned, or a host call within the sdk.
	// Effects and Changes are none then.
	Err     error
	Effects []abi.Effect
	Changes []abi.Change
	Log     []Line
}

// Find gives the first effect with a symbol.
func (r Result) Find(symbol string) (abi.Effect, bool) {
	for _, e := range r.Effects {
		if e.Symbol == symbol {
			return e, true
		}
	}
	return abi.Effect{}, false
}

// Kind gives all effects of a kind.
func (r Result) Kind(kind abi.Kind) []abi.Effect {
	var list []abi.Effect
	for _, e := range r.Effects {
		if e.Kind == kind {
			list = append(list, e)
		}
	}
	return list
}

// Run has check look at the event.
func (b *Box) Run(check func(*sdk.Call) error) Result {
	event := b.Event
	if event.Stage == 0 {
		event.Stage = abi.OnMessage
	}
	if event.Time == 0 {
		event.Time = 1767225600e9
	}
	if event.Size == 0 {
		event.Size = int64(len(b.Raw))
	}
	var seed [32]byte
	for i := range 8 {
		seed[i] = byte(b.Seed >> (8 * i))
	}
	h := &host{box: b, event: event, clock: event.Time, random: rand.NewChaCha8(seed), keys: map[string]abi.Value{}}
	for key, v := range b.Keys {
		if v.Expires == 0 || v.Expires > h.seconds() {
			h.keys[key] = v
		}
	}
	_, err := sdk.RunWith(h, check)
	if err != nil {
		return Result{Err: err, Log: h.log}
	}
	b.Keys = h.keys
	return Result{Effects: h.effects, Changes: h.changes, Log: h.log}
}

// host is one call. It speaks the octets of the plugin interface, so that a
// test also goes through the codec.
type host struct {
	box     *Box
	event   abi.Event
	clock   int64
	random  *rand.ChaCha8
	keys    map[string]abi.Value
	parts   []*entity
	last    []byte
	effects []abi.Effect
	changes []abi.Change
	log     []Line
}

func (h *host) seconds() int64 { return h.event.Time / 1e9 }

// give is the rule of all results: what does not fit is not written.
func give(buf, result []byte) int32 {
	if len(result) <= len(buf) {
		copy(buf, result)
	}
	return int32(len(result))
}

func (h *host) reply(buf, result []byte) int32 {
	if len(result) > abi.MaxReply {
		return int32(abi.ErrTooBig)
	}
	h.last = result
	return give(buf, result)
}

func (h *host) Event(buf []byte) int32 { return give(buf, h.event.Append(nil)) }

func (h *host) Settings(buf []byte) int32 {
	var s abi.Settings
	for name, values := range h.box.Settings {
		s.List = append(s.List, abi.Setting{Name: name, Values: values})
	}
	return give(buf, s.Append(nil))
}

func (h *host) Header(buf []byte) int32 {
	if !h.event.Stage.HasMessage() {
		return int32(abi.ErrStage)
	}
	head, _ := split(h.box.Raw)
	return give(buf, []byte(head[:min(len(head), abi.MaxHeader)]))
}

func (h *host) Parts(buf []byte) int32 {
	if !h.event.Stage.HasMessage() {
		return int32(abi.ErrStage)
	}
	var p abi.Parts
	for _, e := range h.entities() {
		p.List = append(p.List, e.part)
	}
	return give(buf, p.Append(nil))
}

func (h *host) entities() []*entity {
	if h.parts == nil {
		h.parts = parse(nil, h.box.Raw, -1)
	}
	return h.parts
}

func (h *host) view(part, view int32) ([]byte, error) {
	if !h.event.Stage.HasMessage() {
		return nil, abi.ErrStage
	}
	if part < 0 || int(part) >= len(h.entities()) {
		return nil, abi.ErrNotFound
	}
	return h.entities()[part].view(abi.View(view))
}

func (h *host) PartRead(part, view int32, offset int64, buf []byte) int32 {
	b, err := h.view(part, view)
	if err != nil {
		return code(err)
	}
	if offset < 0 {
		return int32(abi.ErrInvalid)
	}
	return int32(copy(buf, b[min(offset, int64(len(b))):]))
}

func code(err error) int32 {
	if e, ok := err.(abi.Errno); ok {
		return int32(e)
	}
	return int32(abi.ErrAgain)
}

func (h *host) KeysGet(request, buf []byte) int32 {
	var r abi.KeysRequest
	if len(request) > abi.MaxRequest {
		return int32(abi.ErrTooBig)
	}
	if r.Decode(request) != nil {
		return int32(abi.ErrInvalid)
	}
	if len(r.Keys) > abi.MaxKeys {
		return int32(abi.ErrTooBig)
	}
	var reply abi.KeysReply
	for _, key := range r.Keys {
		if len(key) > abi.MaxKey {
			return int32(abi.ErrTooBig)
		}
		reply.Values = append(reply.Values, h.keys[string(key)])
	}
	return h.reply(buf, reply.Append(nil))
}

func (h *host) KeysChange(request []byte) int32 {
	var r abi.KeysChange
	if len(request) > abi.MaxRequest {
		return int32(abi.ErrTooBig)
	}
	if r.Decode(request) != nil {
		return int32(abi.ErrInvalid)
	}
	if len(r.Changes) > abi.MaxKeys || len(h.changes)+len(r.Changes) > abi.MaxChanges {
		return int32(abi.ErrTooBig)
	}
	for _, c := range r.Changes {
		switch {
		case len(c.Key) > abi.MaxKey || len(c.Bytes) > abi.MaxValue:
			return int32(abi.ErrTooBig)
		case len(c.Key) == 0 || c.TTL < 0 || c.Op < abi.OpSet || c.Op > abi.OpDelete:
			return int32(abi.ErrInvalid)
		}
	}
	for _, c := range r.Changes {
		h.change(c)
	}
	h.changes = append(h.changes, r.Changes...)
	return 0
}

func (h *host) change(c abi.Change) {
	v := h.keys[string(c.Key)]
	v.Found, v.Expires = true, 0
	if c.TTL > 0 {
		v.Expires = h.seconds() + c.TTL
	}
	switch c.Op {
	case abi.OpSet:
		v.Bytes = c.Bytes
	case abi.OpAdd:
		v.Number += c.Delta
	case abi.OpDelete:
		delete(h.keys, string(c.Key))
		return
	}
	h.keys[string(c.Key)] = v
}

func (h *host) DNS(request, buf []byte) int32 {
	var r abi.DNSRequest
	if r.Decode(request) != nil {
		return int32(abi.ErrInvalid)
	}
	if len(r.Questions) > abi.MaxQuestions {
		return int32(abi.ErrTooBig)
	}
	var reply abi.DNSReply
	for _, q := range r.Questions {
		q.Name = strings.TrimSuffix(strings.ToLower(q.Name), ".")
		a, ok := h.box.DNS[q]
		if !ok {
			a = abi.Answer{Status: abi.DNSNone}
		}
		reply.Answers = append(reply.Answers, a)
	}
	return h.reply(buf, reply.Append(nil))
}

func (h *host) Service(request, buf []byte) int32 {
	var r abi.ServiceRequest
	if len(request) > abi.MaxRequest {
		return int32(abi.ErrTooBig)
	}
	if r.Decode(request) != nil {
		return int32(abi.ErrInvalid)
	}
	service, ok := h.box.Services[r.Name]
	if !ok {
		return int32(abi.ErrNotFound)
	}
	var content []byte
	if r.With {
		b, err := h.view(r.Part, int32(r.View))
		if err != nil {
			return code(err)
		}
		content = b
	}
	b, err := service(r.Request, content)
	if err != nil {
		return code(err)
	}
	return h.reply(buf, (&abi.ServiceReply{Reply: b}).Append(nil))
}

func (h *host) Reply(buf []byte) int32 {
	if h.last == nil {
		return int32(abi.ErrNotFound)
	}
	return give(buf, h.last)
}

func (h *host) Effects(request []byte) int32 {
	var e abi.Effects
	if len(request) > abi.MaxRequest {
		return int32(abi.ErrTooBig)
	}
	if e.Decode(request) != nil {
		return int32(abi.ErrInvalid)
	}
	if len(h.effects)+len(e.List) > abi.MaxEffects {
		return int32(abi.ErrTooBig)
	}
	h.effects = append(h.effects, e.List...)
	return 0
}

func (h *host) Log(level int32, text []byte) int32 {
	h.log = append(h.log, Line{level, string(text)})
	return 0
}

func (h *host) Clock() int64 {
	h.clock += 1000
	return h.clock
}

func (h *host) Random(buf []byte) int32 {
	// ChaCha8 never fails.
	h.random.Read(buf)
	return 0
}
