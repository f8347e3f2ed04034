package envelope

import (
	"reflect"
	"testing"
)

func TestStronger(t *testing.T) {
	t.Parallel()
	order := []Action{Keep, Discard, Quarantine, Tempfail, Reject}
	for i, a := range order {
		for j, b := range order {
			if a.Stronger(b) != (i > j) {
				t.Errorf("%s over %s", a, b)
			}
		}
		if Action("").Stronger(a) || a.Stronger("") != (a != Keep) {
			t.Errorf("%s and nothing", a)
		}
	}
}

func TestFor(t *testing.T) {
	t.Parallel()
	why, own := Reason{Name: "all"}, Reason{Name: "own"}
	v := Verdict{Action: Keep, Reason: why, Junk: true, Mailbox: "M", Tags: []string{"t"}, Copies: []string{"c@x.test"}, Redirects: []string{"r@x.test"},
		Recipients: []Disposition{
			{Recipient: "a@x.test", Mailbox: "A", Tags: []string{"T", "u"}, Copies: []string{"d@x.test"}, Redirects: []string{"R@x.test", "s@x.test"}},
			{Recipient: "b@x.test", Action: Discard, Reason: own, Copies: []string{"d@x.test"}},
		}}
	for rcpt, want := range map[string]Disposition{
		"A@x.test": {Recipient: "a@x.test", Action: Keep, Reason: why, Junk: true, Mailbox: "A", Tags: []string{"t", "u"}, Copies: []string{"d@x.test"}, Redirects: []string{"r@x.test", "s@x.test"}},
		"b@x.test": {Recipient: "b@x.test", Action: Discard, Reason: own, Junk: true, Mailbox: "M", Tags: []string{"t"}},
		"c@x.test": {Recipient: "c@x.test", Action: Keep, Reason: why, Junk: true, Mailbox: "M", Tags: []string{"t"}, Redirects: []string{"r@x.test"}},
	} {
		if got := v.For(MustAddress(rcpt)); !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %+v\nwant %+v", rcpt, got, want)
		}
	}
	v.Action = Quarantine
	if d := v.For(MustAddress("b@x.test")); d.Action != Quarantine || d.Reason != why || d.Redirects != nil {
		t.Errorf("%+v", d)
	}
}
