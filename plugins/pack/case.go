package pack

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"net/mail"
	"slices"
	"strings"
	"time"

	"github.com/pelletier/go-toml/v2"

	"hauspost/appliance/faults"
	"hauspost/plugins/abi"
)

// Case is one test of a plugin: what it is called for, and what it has to
// answer. It is written as tests/NAME.toml, with the message in tests/NAME.eml
// where the stage has one:
//
//	stage = "on_message"            # the only key that is needed
//	sender = "a@example.net"        # and recipients, account, hostname, id, time, size,
//	recipients = ["b@example.org"]  # mailbox, from, junk, action, score: see abi.Event
//	fails = false                   # true where the plugin must fail
//	[client]                        # address, port, helo, hostname, protocol, tls
//	address = "192.0.2.7"
//	[settings]                      # as the owner would write them
//	limit = 3
//	[[fact]]                        # name, value, detail
//	[[finding]]                     # by, kind, symbol, points
//	[[key]]                         # what is kept: key, value or number, expires
//	[[dns]]                         # name, type, records, secure, status = "none", "again"
//	[[service]]                     # name, reply, status = "again"; in the order of the calls
//	[[expect]]                      # all effects, in any order: kind, symbol, points, detail,
//	kind = "score"                  # argument, name, stop, malware, recipient
//	symbol = "SHOUTS"
//	points = 2
type Case struct {
	// Name is that of the files.
	Name  string
	Event abi.Event
	// Message is the content of NAME.eml, nil where there is none.
	Message []byte
	// Settings are for Manifest.Resolve.
	Settings map[string]any
	// Keys are what is kept at the beginning. DNS has the answers: what is not
	// in it is not there. Services are the replies, each for one call.
	Keys     map[string]abi.Value
	DNS      map[abi.Question]abi.Answer
	Services []CaseReply
	// Want are the effects that must come. Fails tells that the plugin must
	// fail instead.
	Want  []Expected
	Fails bool
}

// CaseReply is the reply to one call of a service.
type CaseReply struct {
	Name  string
	Reply []byte
	// Err is 0 for a reply, otherwise what the guest gets.
	Err abi.Errno
}

// Expected is an effect that must come.
type Expected struct {
	abi.Effect
	// AnyDetail tells that the Detail does not matter.
	AnyDetail bool
}

// caseForm is how a Case is written.
type caseForm struct {
	Stage      string         `toml:"stage"`
	Fails      bool           `toml:"fails"`
	ID         string         `toml:"id"`
	Time       time.Time      `toml:"time"`
	Hostname   string         `toml:"hostname"`
	Sender     string         `toml:"sender"`
	Recipients []string       `toml:"recipients"`
	Size       int64          `toml:"size"`
	Account    string         `toml:"account"`
	Mailbox    string         `toml:"mailbox"`
	From       string         `toml:"from"`
	Junk       bool           `toml:"junk"`
	Action     string         `toml:"action"`
	Score      float64        `toml:"score"`
	Client     clientForm     `toml:"client"`
	Settings   map[string]any `toml:"settings"`
	Facts      []abi.Fact     `toml:"fact"`
	Findings   []struct {
		By, Kind, Symbol string
		Points           float64
	} `toml:"finding"`
	Keys []struct {
		Key     string
		Value   string
		Number  int64
		Expires time.Time
	} `toml:"key"`
	DNS []struct {
		Name, Type, Status string
		Records            []string
		Secure             bool
	} `toml:"dns"`
	Services []struct {
		Name, Reply, Status string
	} `toml:"service"`
	Expect []expectForm `toml:"expect"`
}

type clientForm struct {
	Address, HELO, Hostname, Protocol, TLS string
	Port                                   int32
}

type expectForm struct {
	Kind, Symbol, Argument, Name, Stop, Recipient string
	Detail                                        *string
	Points                                        float64
	Malware                                       bool
}

// caseTime is the time of cases that name none: a fixed one, so that a plugin
// gives the same answer every day.
var caseTime = time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)

// Cases reads the cases of a tests folder, in the order of their names. What is
// wrong in them is an error of the type Faults.
func Cases(tests fs.FS) ([]Case, error) {
	names, err := fs.Glob(tests, "*.toml")
	if err != nil {
		return nil, fmt.Errorf("reading the tests: %w", err)
	}
	var cases []Case
	var faults Faults
	used := map[string]bool{}
	for _, name := range names {
		text, err := fs.ReadFile(tests, name)
		if err != nil {
			return nil, fmt.Errorf("reading the tests: %w", err)
		}
		message := strings.TrimSuffix(name, ".toml") + ".eml"
		eml, err := fs.ReadFile(tests, message)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("reading the tests: %w", err)
		}
		used[message] = true
		c, f := parseCase(name, text, eml)
		faults = append(faults, f...)
		cases = append(cases, c)
	}
	messages, _ := fs.Glob(tests, "*.eml")
	for _, m := range messages {
		if !used[m] {
			faults = append(faults, Fault{File: TestsFolder + "/" + m, Problem: "no test uses this message",
				Remedy: "write a file " + strings.TrimSuffix(m, ".eml") + ".toml beside it that says what has to come of it"})
		}
	}
	if len(faults) > 0 {
		return nil, faults
	}
	return cases, nil
}

func parseCase(name string, text, message []byte) (Case, Faults) {
	file := TestsFolder + "/" + name
	var form caseForm
	d := toml.NewDecoder(bytes.NewReader(text)).DisallowUnknownFields()
	if err := d.Decode(&form); err != nil {
		return Case{}, caseFaults(file, text, err)
	}
	b := caseBuilder{file: file, c: Case{Name: strings.TrimSuffix(name, ".toml"), Message: message, Settings: form.Settings, Fails: form.Fails}}
	b.event(form)
	b.outside(form)
	for i, e := range form.Expect {
		b.expect(i+1, e)
	}
	if form.Fails && len(form.Expect) > 0 {
		b.fault("fails", "true", "a plugin that fails has no effects", "remove fails, or the [[expect]] sections")
	}
	return b.c, b.faults
}

// caseFaults turns what the TOML library says into faults.
func caseFaults(file string, text []byte, err error) Faults {
	var unknown *toml.StrictMissingError
	if !errors.As(err, &unknown) {
		f := faults.OfForm(file, err)
		if toml.Unmarshal(text, &map[string]any{}) == nil {
			f.Problem, f.Remedy = "a value of this kind does not belong here", "compare it with the example in the guide"
		}
		return Faults{f}
	}
	var out Faults
	for _, e := range unknown.Errors {
		line, _ := e.Position()
		out = append(out, Fault{File: file, Line: line, Key: strings.Join(e.Key(), "."), Problem: "there is no such key", Remedy: "remove the line, or look for its right name in the guide"})
	}
	return out
}

// caseBuilder makes a Case from its form.
type caseBuilder struct {
	file   string
	c      Case
	faults Faults
}

func (b *caseBuilder) fault(key, value, problem, remedy string) {
	b.faults = append(b.faults, Fault{File: b.file, Key: key, Value: value, Problem: problem, Remedy: remedy})
}

func (b *caseBuilder) event(f caseForm) {
	stage, ok := abi.ParseStage(f.Stage)
	switch {
	case !ok:
		b.fault("stage", f.Stage, "must be one of "+namesOf(abi.Stages()), `write for example stage = "on_message"`)
	case stage.HasMessage() != (b.c.Message != nil):
		b.fault("stage", f.Stage, "the stages on_message, on_submit, on_delivery and on_feedback have a message, the others have none",
			"put the message into a file "+b.c.Name+".eml beside this one, or remove that file")
	}
	if f.Time.IsZero() {
		f.Time = caseTime
	}
	if f.Size == 0 {
		f.Size = int64(len(b.c.Message))
	}
	for _, a := range append(slices.Clone(f.Recipients), f.Sender) {
		if _, err := mail.ParseAddress(a); a != "" && err != nil {
			b.fault("recipients, sender", a, "is no mail address", `write for example "someone@example.org"`)
		}
	}
	e := abi.Event{Stage: stage, ID: f.ID, Time: f.Time.UnixNano(), Hostname: f.Hostname, Sender: f.Sender, Recipients: f.Recipients,
		Size: f.Size, Account: f.Account, Facts: f.Facts, Mailbox: f.Mailbox, From: f.From, Junk: f.Junk, Action: f.Action, Score: f.Score}
	e.Client = abi.Client{Address: f.Client.Address, Port: f.Client.Port, HELO: f.Client.HELO, Hostname: f.Client.Hostname,
		Protocol: f.Client.Protocol, TLS: f.Client.TLS}
	for _, g := range f.Findings {
		kind, ok := abi.ParseKind(g.Kind)
		if !ok {
			b.fault("finding.kind", g.Kind, "must be one of "+namesOf(kinds()), `write for example kind = "score"`)
		}
		e.Findings = append(e.Findings, abi.Finding{By: g.By, Kind: kind, Symbol: g.Symbol, Points: g.Points})
	}
	b.c.Event = e
}

// outside takes over what the plugin is told from elsewhere.
func (b *caseBuilder) outside(f caseForm) {
	b.c.Keys, b.c.DNS = map[string]abi.Value{}, map[abi.Question]abi.Answer{}
	for _, k := range f.Keys {
		v := abi.Value{Found: true, Bytes: []byte(k.Value), Number: k.Number}
		if !k.Expires.IsZero() {
			v.Expires = k.Expires.Unix()
		}
		b.c.Keys[k.Key] = v
	}
	for _, d := range f.DNS {
		a := abi.Answer{Records: d.Records, Secure: d.Secure}
		switch {
		case d.Status == "" && len(d.Records) > 0:
		case d.Status == "none" && len(d.Records) == 0:
			a.Status = abi.DNSNone
		case d.Status == "again" && len(d.Records) == 0:
			a.Status = int32(abi.ErrAgain)
		default:
			b.fault("dns.status", d.Status, `an answer has records, or the status "none" or "again"`, `write records = ["127.0.0.2"] or status = "none"`)
		}
		b.c.DNS[abi.Question{Name: plainName(d.Name), Type: strings.ToUpper(d.Type)}] = a
	}
	for _, s := range f.Services {
		r := CaseReply{Name: s.Name, Reply: []byte(s.Reply)}
		switch {
		case s.Status == "":
		case s.Status == "again" && s.Reply == "":
			r.Err = abi.ErrAgain
		default:
			b.fault("service.status", s.Status, `a service has a reply, or the status "again"`, `write reply = "OK" or status = "again"`)
		}
		b.c.Services = append(b.c.Services, r)
	}
}

func (b *caseBuilder) expect(n int, f expectForm) {
	where := fmt.Sprintf("expect (number %d)", n)
	kind, ok := abi.ParseKind(f.Kind)
	if !ok {
		b.fault(where+" kind", f.Kind, "must be one of "+namesOf(kinds()), `write for example kind = "score"`)
	}
	var action abi.Action
	if kind == abi.Stop || f.Stop != "" {
		if action, ok = abi.ParseAction(f.Stop); !ok {
			b.fault(where+" stop", f.Stop, "must be one of "+namesOf(actions()), `write for example stop = "quarantine"`)
		}
	}
	e := Expected{AnyDetail: f.Detail == nil, Effect: abi.Effect{Kind: kind, Symbol: f.Symbol, Points: f.Points, Argument: f.Argument,
		Name: f.Name, Stop: action, Malware: f.Malware, Recipient: f.Recipient}}
	if f.Detail != nil {
		e.Detail = *f.Detail
	}
	b.c.Want = append(b.c.Want, e)
}

// Answer gives what a case says to a question to the DNS.
func (c *Case) Answer(q abi.Question) abi.Answer {
	a, ok := c.DNS[abi.Question{Name: plainName(q.Name), Type: strings.ToUpper(q.Type)}]
	if !ok {
		return abi.Answer{Status: abi.DNSNone}
	}
	return a
}

// Check compares effects with those that must come, in any order. It gives a
// sentence for each that is missing or too many, none where all is as it must
// be.
func (c *Case) Check(effects []abi.Effect) []string {
	var diffs []string
	left := slices.Clone(effects)
	for _, w := range c.Want {
		i := slices.IndexFunc(left, w.matches)
		if i < 0 {
			diffs = append(diffs, "this effect did not come: "+describe(w.Effect))
			continue
		}
		left = slices.Delete(left, i, i+1)
	}
	for _, e := range left {
		diffs = append(diffs, "this effect came and was not expected: "+describe(e))
	}
	return diffs
}

func (w Expected) matches(e abi.Effect) bool {
	if math.Abs(w.Points-e.Points) > 1e-6 {
		return false
	}
	if w.AnyDetail {
		e.Detail = w.Detail
	}
	e.Points = w.Points
	return w.Effect == e
}

// describe writes an effect as people read it.
func describe(e abi.Effect) string {
	s := e.Kind.String()
	add := func(name, value string) {
		if value != "" {
			s += fmt.Sprintf(" %s=%q", name, value)
		}
	}
	add("symbol", e.Symbol)
	if e.Kind == abi.Score || e.Points != 0 {
		s += " points=" + points(e.Points)
	}
	if e.Stop != 0 {
		add("stop", e.Stop.String())
	}
	if e.Malware {
		s += " malware=true"
	}
	add("name", e.Name)
	add("argument", e.Argument)
	add("recipient", e.Recipient)
	add("detail", e.Detail)
	return s
}
