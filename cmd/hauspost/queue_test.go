package main

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"hauspost/appliance/config"
	"hauspost/appliance/control"
)

// post is a box of which only the queue, the keys and the status are there.
type post struct {
	control.Admin
	list  control.QueueList
	asked control.QueueQuery
	deed  control.QueueDeed
	done  control.QueueDone
}

func (p *post) Queue(_ context.Context, q control.QueueQuery) (control.QueueList, error) {
	p.asked = q
	return p.list, nil
}

func (p *post) QueueShow(_ context.Context, ref string) (control.QueueItem, error) {
	if ref != "7" {
		return control.QueueItem{}, &control.Error{Kind: control.KindNotFound, Text: "nothing in the queue has the number " + ref}
	}
	return control.QueueItem{Rows: p.list.Rows[:1], Trace: []control.TraceStep{
		{At: time.Date(2026, 5, 17, 8, 30, 0, 0, time.Local), Step: "queued", Say: "queued for ben@example.org"},
	}}, nil
}

func (p *post) QueueDo(_ context.Context, d control.QueueDeed) (control.QueueDone, error) {
	p.deed = d
	return p.done, nil
}

func (p *post) DKIMKeys(context.Context, string) ([]control.DKIMKey, error) {
	day := time.Date(2026, 5, 17, 8, 30, 0, 0, time.Local)
	return []control.DKIMKey{
		{Domain: "example.test", Selector: "ed", Algorithm: "ed25519", Created: day, Active: true, Record: control.DNSRecord{
			Name: "ed._domainkey.example.test", Type: "TXT", Value: "v=DKIM1; k=ed25519; p=c2hvcnQ=",
			Zone: `ed._domainkey.example.test. IN TXT "v=DKIM1; k=ed25519; p=c2hvcnQ="`}},
		{Domain: "example.test", Selector: "rsa", Algorithm: "rsa", Created: day, Record: control.DNSRecord{
			Name: "rsa._domainkey.example.test", Type: "TXT", Value: "v=DKIM1; k=rsa; p=bG9uZw==",
			Zone: `rsa._domainkey.example.test. IN TXT "v=DKIM1; k=rsa; " "p=bG9uZw=="`}},
	}, nil
}

func (p *post) Status(context.Context) (control.Status, error) {
	now := time.Now()
	return control.Status{Hostname: "mail.example.test", Data: "/d", TLS: control.TLSStatus{Mode: "self-signed"}, Queue: control.QueueStatus{
		Waiting: 3, Active: 1, Held: 2, Dropped: 1, Oldest: now.Add(-150 * time.Minute), Next: now.Add(270 * time.Second), Failing: p.list.Failing,
	}}, nil
}

func newPost() *post {
	now := time.Now()
	return &post{list: control.QueueList{Total: 9,
		Failing: []control.QueueDestination{{Destination: "broken.example", Via: "smarthost", Since: now.Add(-150 * time.Minute), Next: now.Add(90 * time.Second),
			Reading: "none of their servers answers", Waiting: 1}},
		Rows: []control.QueueEntry{
			{Number: 7, Message: "06h00cjwmcgqq3q32kf3pz7bkw", Sender: "anna@example.test", Recipient: "ben@example.org", Destination: "example.org",
				Kind: "submission", State: control.QueueWaiting, Size: 4321, Added: now.Add(-10 * time.Minute), LastTry: now.Add(-30 * time.Second),
				Next: now.Add(270 * time.Second), Expires: now.Add(47*time.Hour + time.Minute), Attempts: 1, Host: "mx.example.org", TLS: "TLS1.3",
				Answer: "451 4.7.1 come back", Reading: "their server asks new senders to wait: this is normal"},
			{Number: 8, Recipient: "carol@broken.example", Destination: "broken.example", Kind: "report", State: control.QueueHeld,
				Added: now.Add(-73 * time.Hour), Attempts: 5, Via: "smarthost"},
			{Number: 9, Sender: "anna@example.test", Recipient: "a-longer-name@example.org", Destination: "example.org",
				State: control.QueueActive, Added: now.Add(-5 * time.Minute)},
			{Number: 10, Sender: "anna@example.test", Recipient: "dora@broken.example", Destination: "broken.example", Via: "smarthost",
				State: control.QueueWaiting, Added: now.Add(-3 * time.Hour), Attempts: 1, What: "nothing gets through; next try in 1 min",
				Reading: "none of their servers answers"},
			{Number: 12, Sender: "anna@example.test", Recipient: "ben@example.org", Destination: "example.org",
				State: control.QueueDropped, Added: now.Add(-3 * time.Hour), Attempts: 2, What: "gone for good in 20 h"},
		}}}
}

// served runs the command line on a folder behind whose socket p answers.
func served(t *testing.T, p control.Admin) func(args ...string) (out, errs string, code int) {
	t.Helper()
	dir, err := os.MkdirTemp("", "hp") // short: the path of a socket is limited
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := config.Default("mail.example.test").Save(dir); err != nil {
		t.Fatal(err)
	}
	l, err := control.Listen(dir)
	if err != nil {
		t.Fatal(err)
	}
	server := control.NewServer(p)
	go server.Serve(l)
	t.Cleanup(func() { server.Shutdown(context.Background()) })
	return func(args ...string) (string, string, int) {
		var out, errs bytes.Buffer
		code := run(t.Context(), append(args, "--data", dir), strings.NewReader(""), &out, &errs)
		return out.String(), errs.String(), code
	}
}

// inWords holds that a command says what stands in the golden file of a name.
func inWords(t *testing.T, hauspost func(args ...string) (out, errs string, code int), name, args string) {
	t.Helper()
	out, errs, code := hauspost(strings.Fields(args)...)
	if code != exitOK || errs != "" {
		t.Errorf("%s: exit code %d, %s", args, code, errs)
	}
	file := filepath.Join("testdata", "words", name+".txt")
	if *update {
		if err := os.WriteFile(file, []byte(out), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if want, err := os.ReadFile(file); err != nil || out != string(want) {
		t.Errorf("%s (%v): got\n%s", args, err, out)
	}
}

// TestQueueInWords holds what people read of queue, keys and status.
func TestQueueInWords(t *testing.T) {
	t.Parallel()
	hauspost := served(t, newPost())
	for name, args := range map[string]string{
		"list": "queue list", "keys": "dkim list", "dns": "dkim dns", "zone": "dkim dns --zone", "status": "status",
	} {
		inWords(t, hauspost, name, args)
	}
	out, _, code := hauspost("queue", "show", "7")
	for _, want := range []string{"Number    7, message 06h00cjwmcgqq3q32kf3pz7bkw\n", "From      anna@example.test\n", "(in 4 min)\n", "Tries     1\n",
		"Meaning   their server asks new senders to wait: this is normal\n", "(in 47 h)\n", "queued  queued for ben@example.org\n"} {
		if code != exitOK || !strings.Contains(out, want) {
			t.Errorf("queue show lacks %q:\n%s", want, out)
		}
	}
}

// TestQueueDeeds holds what each command asks of the box, and what it says.
func TestQueueDeeds(t *testing.T) {
	t.Parallel()
	p := newPost()
	hauspost := served(t, p)
	all := func(deed string) control.QueueDeed { return control.QueueDeed{Deed: deed, All: true} }
	for args, c := range map[string]struct {
		want control.QueueDeed
		says string
	}{
		"retry --all":   {all("retry"), "To be tried again now: 2 recipients."},
		"hold --all":    {all("hold"), "Held until `hauspost queue release`: 2 recipients."},
		"release --all": {all("release"), "Released: 2 recipients."},
		"drop --all":    {all("drop"), "Taken out of the queue: 2 recipients. `hauspost queue undo` brings back what was dropped."},
		"undo":          {control.QueueDeed{Deed: "undo"}, "As before again: 2 recipients."},
		"retry 7 06h00cjwmcgqq3q32kf3pz7bkw --destination example.org --from anna --to ben --age 2d --error wait --state waiting": {
			control.QueueDeed{Deed: "retry", Query: control.QueueQuery{Refs: []string{"7", "06h00cjwmcgqq3q32kf3pz7bkw"}, Destination: "example.org",
				Sender: "anna", Recipient: "ben", OlderThan: 48 * time.Hour, Error: "wait", State: "waiting"}}, "To be tried again now: 2 recipients."},
		"reroute 7 --via mx.example.org:2525": {control.QueueDeed{Deed: "reroute", Via: "mx.example.org:2525",
			Query: control.QueueQuery{Refs: []string{"7"}}}, "To be sent by mx.example.org:2525: 2 recipients."},
		"reroute 7 --via settings": {control.QueueDeed{Deed: "reroute", Via: "settings",
			Query: control.QueueQuery{Refs: []string{"7"}}}, "To be sent as the settings say: 2 recipients."},
	} {
		p.done = control.QueueDone{Changed: 2}
		out, errs, code := hauspost(append([]string{"queue"}, strings.Fields(args)...)...)
		if code != exitOK || out != c.says+"\n" || !reflect.DeepEqual(p.deed, c.want) {
			t.Errorf("queue %s: exit code %d, asked %+v, said %q %s", args, code, p.deed, out, errs)
		}
	}
	p.done, p.deed = control.QueueDone{}, control.QueueDeed{}
	if out, _, code := hauspost("queue", "hold", "--to", "nobody"); code != exitOK || out != "Nothing is in the queue that fits; nothing was changed.\n" {
		t.Errorf("a deed on nothing: exit code %d, %q", code, out)
	}
	p.deed = control.QueueDeed{}
	for args, says := range map[string]string{
		"retry":                "hauspost: say which: numbers, IDs of messages, a filter such as --destination, or --all\n",
		"drop":                 "hauspost: say which: ",
		"hold --age long":      "hauspost: --age long is no duration: write for example 30m, 2h or 3d\n",
		"release --state gone": "hauspost: --state gone is none: write waiting, active, held or dropped\n",
		"reroute 7":            "hauspost: required flag(s) \"via\" not set\n",
		"list --limit few":     "hauspost: invalid argument",
		"show":                 "hauspost: accepts 1 arg(s), received 0\n",
		"":                     "hauspost: say what to do: one of drop, hold, list, release, reroute, retry, show, undo\n",
	} {
		out, errs, code := hauspost(append([]string{"queue"}, strings.Fields(args)...)...)
		if code != exitUsage || out != "" || !strings.HasPrefix(errs, says) || !reflect.DeepEqual(p.deed, control.QueueDeed{}) {
			t.Errorf("queue %s: exit code %d, asked %+v, %q", args, code, p.deed, errs)
		}
	}
	if _, errs, code := hauspost("queue", "show", "99"); code != exitFailure || errs != "hauspost: nothing in the queue has the number 99\n" {
		t.Errorf("showing what is not there: exit code %d, %q", code, errs)
	}
	if _, _, code := hauspost("queue", "list", "--limit", "5", "--state", "held"); code != exitOK || p.asked.Limit != 5 || p.asked.State != "held" {
		t.Errorf("queue list asked %+v", p.asked)
	}
}

func TestTimesInWords(t *testing.T) {
	t.Parallel()
	now := time.Now()
	for d, want := range map[time.Duration]string{
		0: "now", 500 * time.Millisecond: "now", -500 * time.Millisecond: "now", 5 * time.Second: "in 5 s", -59 * time.Second: "59 s ago",
		time.Minute: "in 1 min", -61 * time.Minute: "1 h ago", 47 * time.Hour: "in 47 h", -72 * time.Hour: "3 days ago",
	} {
		if got := relative(now.Add(d), now); got != want {
			t.Errorf("%v: %q, want %q", d, got, want)
		}
	}
}
