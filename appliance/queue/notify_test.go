package queue

import (
	"errors"
	"strings"
	"testing"
	"time"

	"hauspost/appliance/envelope"
	"hauspost/appliance/report"
	"hauspost/appliance/transfer"
	"hauspost/store"
)

func TestWhoIsTold(t *testing.T) {
	t.Parallel()
	sender := envelope.MustAddress("alice@box.example")
	for _, c := range []struct {
		kind, notify            string
		null                    bool
		failed, delayed, succes bool
		to                      string
	}{
		{kind: KindSubmission, failed: true, delayed: true, to: "alice@box.example"},
		{kind: KindSubmission, notify: "NEVER"},
		{kind: KindSubmission, notify: "FAILURE", failed: true, to: "alice@box.example"},
		{kind: KindSubmission, notify: "delay", delayed: true, to: "alice@box.example"},
		{kind: KindSubmission, notify: "SUCCESS", succes: true, to: "alice@box.example"},
		{kind: KindSubmission, notify: "SUCCESS,FAILURE,DELAY", failed: true, delayed: true, succes: true, to: "alice@box.example"},
		{kind: KindSubmission, null: true},
		{kind: KindSubmission, null: true, notify: "SUCCESS,FAILURE,DELAY"},
		{kind: KindForward, failed: true, to: "postmaster"},
		{kind: KindForward, notify: "SUCCESS,DELAY", failed: true, to: "postmaster"},
		{kind: KindForward, notify: "NEVER", failed: true, to: "postmaster"},
		{kind: KindReport},
		{kind: KindReport, notify: "SUCCESS,FAILURE,DELAY"},
		{kind: KindSent, notify: "SUCCESS,FAILURE,DELAY"},
	} {
		it := &Item{Kind: c.kind, Sender: sender, Recipient: envelope.Recipient{Address: envelope.MustAddress("bob@example.org"), Notify: c.notify}}
		if c.null {
			it.Sender = envelope.Address{}
		}
		for action, want := range map[report.Action]bool{report.Failed: c.failed, report.Delayed: c.delayed, report.Relayed: c.succes} {
			to, told, problem := addressee(it, action)
			if told != want || told && to.String() != c.to {
				t.Errorf("%+v: %s is told to <%s>: %v", c, action, to, told)
			}
			if action == report.Failed && c.kind != KindSent && !told && problem == "" {
				t.Errorf("%+v: nobody is told of a failure, and nothing says why", c)
			}
		}
	}
}

func TestOneReportForOneMessage(t *testing.T) {
	t.Parallel()
	p := newPost(t)
	p.wire.script(func(_ *transfer.Message, to string) transfer.Outcome {
		switch to[0] {
		case 'n':
			return refused
		case 'g':
			return greylisted
		case 's':
			return transfer.Outcome{Status: transfer.Delivered, Code: 250}
		}
		return deliveredOutcome
	})
	rows := p.accept(letter{to: []string{"n1@example.org", "bob@example.org", "g@example.org", "n2@example.org", "s@example.org"},
		content: "Subject: to all\r\n\r\nthe body of it\r\n",
		edit:    func(it *Item) { it.Recipient.Notify, it.EnvID = "SUCCESS,FAILURE", "QQ314159" }})
	p.work()
	rs := p.office.all()
	if len(rs) != 2 || rs[0].to != "alice@box.example" || rs[1].to != "alice@box.example" {
		t.Fatalf("%+v", rs)
	}
	for _, words := range []string{"Action: relayed", "s@example.org", "QQ314159"} {
		if !strings.Contains(rs[0].content, words) {
			t.Errorf("the report of success lacks %q:\n%s", words, rs[0].content)
		}
	}
	for _, words := range []string{sayFailed, "n1@example.org", "n2@example.org", "550 5.1.1 no such user", "the body of it", "QQ314159"} {
		if !strings.Contains(rs[1].content, words) {
			t.Errorf("the report of failure lacks %q:\n%s", words, rs[1].content)
		}
	}
	if strings.Contains(rs[0].content+rs[1].content, "Return-Path") {
		t.Error("a report returns the box's own Return-Path")
	}
	if left := p.rows(store.QueueFilter{}); len(left) != 1 || left[0].ID != rows[2].ID {
		t.Errorf("%+v", left)
	}
	trace := strings.Join(p.steps(rows[0].File), "\n")
	for _, words := range []string{
		"attempt 1 for n1@example.org: failed at mx.example.org", "it is not tried again",
		"next try in 4 min", "alice@box.example was told: failed for n1@example.org, n2@example.org (message ",
		"alice@box.example was told: relayed for s@example.org",
	} {
		if !strings.Contains(trace, words) {
			t.Errorf("the trace lacks %q:\n%s", words, trace)
		}
	}
}

func TestNobodyIsTold(t *testing.T) {
	t.Parallel()
	p := newPost(t)
	p.wire.script(always(refused))
	row := p.accept(letter{from: "<>", to: []string{"bob@example.org"}, edit: func(it *Item) { it.Kind = KindReport }})[0]
	p.work()
	if len(p.office.all()) != 0 || !p.gone(row.ID) {
		t.Error("a report was answered, or stays")
	}
	if s := strings.Join(p.steps(row.File), "\n"); !strings.Contains(s, "nobody is told of failed for bob@example.org: it is a report itself") {
		t.Error(s)
	}
	// Nobody is there: the failure is written down all the same.
	p.office.breakWith(ErrNobody)
	row = p.accept(letter{to: []string{"bob@example.org"}})[0]
	p.work()
	if s := strings.Join(p.steps(row.File), "\n"); !p.gone(row.ID) || !strings.Contains(s, "nobody can get this report") {
		t.Error(s)
	}
}

func TestForwardThatFails(t *testing.T) {
	t.Parallel()
	p := newPost(t)
	p.wire.script(always(refused))
	p.accept(letter{from: "stranger@remote.example", to: []string{"bob@example.org"}, edit: func(it *Item) {
		it.Kind, it.Alias = KindForward, envelope.MustAddress("sales@box.example")
		it.Recipient.Notify = "SUCCESS,FAILURE,DELAY"
	}})
	p.work()
	rs := p.office.all()
	if len(rs) != 1 || rs[0].to != "postmaster" || !strings.Contains(rs[0].content, "sales@box.example") {
		t.Fatalf("%+v", rs)
	}
	p.wire.script(always(putOff))
	p.accept(letter{from: "stranger@remote.example", to: []string{"bob@example.org"}, edit: func(it *Item) { it.Kind = KindForward }})
	p.pass(12 * time.Hour)
	if n := len(p.office.all()); n != 1 {
		t.Errorf("%d reports: a stranger was told of a delay", n)
	}
}

func TestReportOfLargeMessage(t *testing.T) {
	t.Parallel()
	p := newPost(t)
	p.wire.script(always(refused))
	p.accept(letter{to: []string{"bob@example.org"}, content: "Subject: a large one\r\nX-Mark: here\r\n\r\n" + strings.Repeat("0123456789abcdef\r\n", 50_000)})
	p.work()
	rs := p.office.all()
	if len(rs) != 1 || !strings.Contains(rs[0].content, "X-Mark: here") || strings.Contains(rs[0].content, "0123456789abcdef") || len(rs[0].content) > 20_000 {
		t.Errorf("%d reports", len(rs))
	}
}

// TestDeliveredDoesNotWaitForAReport holds that what was delivered is written
// down though the report about another recipient fails: a crash meanwhile must
// not send it again.
func TestDeliveredDoesNotWaitForAReport(t *testing.T) {
	t.Parallel()
	p := newPost(t)
	rows := p.accept(letter{to: []string{"a@example.org", "b@example.org"}})
	p.wire.script(func(_ *transfer.Message, to string) transfer.Outcome {
		if strings.HasPrefix(to, "a") {
			return refused
		}
		return deliveredOutcome
	})
	p.office.breakWith(errors.New("disk full"))
	waited := false
	p.q.o.After = func(d time.Duration) <-chan time.Time {
		waited = true
		if !p.gone(rows[1].ID) {
			t.Error("a crash now would send it twice")
		}
		return p.clock.After(d)
	}
	p.work()
	if !waited || p.gone(rows[0].ID) {
		t.Error("the failure went untold")
	}
}
