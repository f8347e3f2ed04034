package pack

import (
	"errors"
	"reflect"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"hauspost/plugins/abi"
)

const fullCase = `stage = "on_message"
id = "m1"
time = 2026-03-04T05:06:07Z
hostname = "box.example.org"
sender = "a@example.net"
recipients = ["b@example.org"]
[client]
address = "192.0.2.7"
port = 1234
helo = "mx.example.net"
tls = "TLS 1.3"
[settings]
limit = 3
words = ["a"]
[[fact]]
name = "spf"
value = "pass"
[[finding]]
by = "other"
kind = "score"
symbol = "X"
points = 1.5
[[key]]
key = "count"
number = 7
expires = 2026-03-05T00:00:00Z
[[dns]]
name = "DNSBL.example.org."
type = "a"
records = ["127.0.0.2"]
[[dns]]
name = "slow.example.org"
type = "TXT"
status = "again"
[[service]]
name = "clamd"
reply = "OK"
[[service]]
name = "clamd"
status = "again"
[[expect]]
kind = "score"
symbol = "LISTED"
points = 2
[[expect]]
kind = "stop"
stop = "quarantine"
symbol = "BAD"
detail = "it is bad"
malware = true
`

func TestCases(t *testing.T) {
	t.Parallel()
	cases, err := Cases(fstest.MapFS{
		"b.toml": {Data: []byte(fullCase)}, "b.eml": {Data: []byte("Subject: x\r\n\r\n")},
		"a.toml": {Data: []byte("stage = \"on_timer\"\nfails = true\n")},
	})
	if err != nil || len(cases) != 2 {
		t.Fatalf("%+v, %v", cases, err)
	}
	if a := cases[0]; a.Name != "a" || !a.Fails || a.Message != nil || a.Event.Stage != abi.OnTimer || a.Event.Time != caseTime.UnixNano() {
		t.Errorf("%+v", a)
	}
	b := cases[1]
	want := abi.Event{Stage: abi.OnMessage, ID: "m1", Time: time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC).UnixNano(), Hostname: "box.example.org",
		Client: abi.Client{Address: "192.0.2.7", Port: 1234, HELO: "mx.example.net", TLS: "TLS 1.3"}, Sender: "a@example.net",
		Recipients: []string{"b@example.org"}, Size: 14, Facts: []abi.Fact{{Name: "spf", Value: "pass"}},
		Findings: []abi.Finding{{By: "other", Kind: abi.Score, Symbol: "X", Points: 1.5}}}
	if !reflect.DeepEqual(b.Event, want) {
		t.Errorf("read %+v\nwant %+v", b.Event, want)
	}
	if v := b.Keys["count"]; v.Number != 7 || !v.Found || v.Expires != 1772668800 {
		t.Errorf("%+v", v)
	}
	if a := b.Answer(abi.Question{Name: "dnsbl.example.org", Type: "A"}); a.Status != abi.DNSFound || len(a.Records) != 1 {
		t.Errorf("%+v", a)
	}
	if a := b.Answer(abi.Question{Name: "slow.example.org.", Type: "txt"}); a.Status != int32(abi.ErrAgain) {
		t.Errorf("%+v", a)
	}
	if a := b.Answer(abi.Question{Name: "other.example.org", Type: "A"}); a.Status != abi.DNSNone {
		t.Errorf("%+v", a)
	}
	if s := b.Services; len(s) != 2 || string(s[0].Reply) != "OK" || s[1].Err != abi.ErrAgain {
		t.Errorf("%+v", s)
	}
}

func TestCheck(t *testing.T) {
	t.Parallel()
	cases, err := Cases(fstest.MapFS{"b.toml": {Data: []byte(fullCase)}, "b.eml": {Data: []byte("\r\n")}})
	if err != nil {
		t.Fatal(err)
	}
	score := abi.Effect{Kind: abi.Score, Symbol: "LISTED", Points: 2, Detail: "whatever"}
	stop := abi.Effect{Kind: abi.Stop, Stop: abi.Quarantine, Symbol: "BAD", Detail: "it is bad", Malware: true}
	with := func(e abi.Effect, change func(*abi.Effect)) abi.Effect { change(&e); return e }
	for name, c := range map[string]struct {
		effects []abi.Effect
		want    []string
	}{
		"all":          {[]abi.Effect{stop, score}, nil},
		"less":         {[]abi.Effect{stop}, []string{`did not come: score symbol="LISTED" points=2`}},
		"more":         {[]abi.Effect{stop, score, {Kind: abi.Tag, Argument: "x"}}, []string{`not expected: tag argument="x"`}},
		"twice":        {[]abi.Effect{stop, score, score}, []string{"not expected: score"}},
		"points":       {[]abi.Effect{stop, with(score, func(e *abi.Effect) { e.Points = 2.1 })}, []string{"did not come: score", "not expected: score"}},
		"detail":       {[]abi.Effect{score, with(stop, func(e *abi.Effect) { e.Detail = "?" })}, []string{"did not come: stop", `detail="?"`}},
		"malware":      {[]abi.Effect{score, with(stop, func(e *abi.Effect) { e.Malware = false })}, []string{"malware=true", "not expected: stop"}},
		"another stop": {[]abi.Effect{score, with(stop, func(e *abi.Effect) { e.Stop = abi.Reject })}, []string{`stop="quarantine"`, `stop="reject"`}},
		"for one":      {[]abi.Effect{stop, with(score, func(e *abi.Effect) { e.Recipient = "a@b" })}, []string{"did not come", `recipient="a@b"`}},
	} {
		got := cases[0].Check(c.effects)
		if len(got) != len(c.want) {
			t.Errorf("%s: %q, want %q", name, got, c.want)
			continue
		}
		for i, w := range c.want {
			if !strings.Contains(got[i], w) {
				t.Errorf("%s: %q, want %q", name, got[i], w)
			}
		}
	}
}

func TestCaseFaults(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ old, new, want string }{
		{`"on_message"`, `"on_monday"`, `tests/b.toml: stage = on_monday: must be one of on_connect`},
		{`"on_message"`, `"on_timer"`, `have a message, the others have none`},
		{"id =", "ids =", `tests/b.toml:2: ids: there is no such key`},
		{"port = 1234", "ports = 1234", `tests/b.toml:9: client.ports`},
		{"port = 1234", `port = "x"`, `tests/b.toml:9: client.port: a value of this kind does not belong here`},
		{"port = 1234", `port = `, `tests/b.toml:9: this is not TOML`},
		{`"a@example.net"`, `"nobody"`, `recipients, sender = nobody: is no mail address`},
		{`kind = "score"`, `kind = "points"`, `finding.kind = points`},
		{`status = "again"`, `status = "never"`, `dns.status = never`},
		{`status = "again"`, ``, `dns.status: an answer has records`},
		{`reply = "OK"`, `status = "no"`, `service.status = no`},
		{"kind = \"stop\"", "kind = \"stops\"", `expect (number 2) kind = stops`},
		{`stop = "quarantine"`, ``, `expect (number 2) stop: must be one of discard`},
		{`id = "m1"`, `fails = true`, `a plugin that fails has no effects`},
	} {
		text := strings.Replace(fullCase, c.old, c.new, 1)
		_, err := Cases(fstest.MapFS{"b.toml": {Data: []byte(text)}, "b.eml": {Data: []byte("\r\n")}})
		var faults Faults
		if !errors.As(err, &faults) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q: %v, want %q", c.new, err, c.want)
		}
	}
	if _, err := Cases(fstest.MapFS{"lone.eml": {}}); err == nil || !strings.Contains(err.Error(), "no test uses this message") {
		t.Errorf("%v", err)
	}
}
