package host

import (
	"context"
	"encoding/hex"
	"errors"
	"io"
	"os"
	"reflect"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"hauspost/plugins/abi"
)

// fakeDNS has an answer for names with "good" in them; those with "slow" take
// their time, those with "never" have none.
type fakeDNS struct {
	asked    atomic.Int32
	together atomic.Int32
	most     atomic.Int32
}

func (d *fakeDNS) Lookup(ctx context.Context, q abi.Question) abi.Answer {
	d.asked.Add(1)
	n := d.together.Add(1)
	defer d.together.Add(-1)
	for most := d.most.Load(); n > most && !d.most.CompareAndSwap(most, n); most = d.most.Load() {
	}
	switch {
	case strings.Contains(q.Name, "slow"):
		select {
		case <-time.After(300 * time.Millisecond):
		case <-ctx.Done():
		}
	case strings.Contains(q.Name, "never"):
		<-ctx.Done()
	case strings.Contains(q.Name, "huge"):
		return abi.Answer{Records: []string{strings.Repeat("x", 64<<10)}}
	}
	if strings.Contains(q.Name, "good") || strings.Contains(q.Name, "slow") {
		return abi.Answer{Records: []string{"127.0.0.2", q.Type}, Secure: true}
	}
	return abi.Answer{Status: abi.DNSNone}
}

// serviceFunc is a service in a function.
type serviceFunc func(ctx context.Context, request []byte, content *os.File) ([]byte, error)

func (f serviceFunc) Call(ctx context.Context, request []byte, content *os.File) ([]byte, error) {
	return f(ctx, request, content)
}

// scan answers with the request and the content.
func scan(_ context.Context, request []byte, content *os.File) ([]byte, error) {
	if string(request) == "fail" {
		return nil, errors.New("it is not there")
	}
	if content == nil {
		return append([]byte("request "), request...), nil
	}
	b, err := io.ReadAll(io.NewSectionReader(content, 0, 100))
	return append(append(request, ' '), b...), err
}

type message interface{ Append([]byte) []byte }

// asked lets a plugin ask something, and gives the run, the errno and the
// reply.
func asked(t *testing.T, h *Host, plugin, how string, m message, replay map[string]*Record) (Run, abi.Errno, []byte) {
	t.Helper()
	runs := h.Call(bgCtx, Call{Event: doing(plugin, how, hex.EncodeToString(m.Append(nil))), Only: []string{plugin}, Replay: replay})
	if len(runs) != 1 || runs[0].Failure != nil || len(runs[0].Log) != 2 {
		t.Fatalf("%+v", runs)
	}
	var errno abi.Errno
	for e := abi.Errno(0); e >= abi.ErrIO; e-- {
		if e := abi.Errno(e); runs[0].Log[0] == map[bool]string{true: "0"}[e == 0] || e != 0 && runs[0].Log[0] == "-"+string(rune('0'-e)) {
			errno = e
		}
	}
	b, err := hex.DecodeString(runs[0].Log[1])
	if err != nil {
		t.Fatal(err)
	}
	return runs[0], errno, b
}

// brokers makes a host with everything, and a plugin that may nothing.
func brokers(t *testing.T, dns *fakeDNS) *Host {
	poor := Plugin{ID: "poor", Stages: abi.Stages(), Wasm: fakePlugin("").Wasm}
	slow := fakePlugins(100*time.Millisecond, "hasty")
	return newHost(t, Options{Keys: &fakeKeys{}, DNS: dns, Services: map[string]Service{"scan": serviceFunc(scan)}}, fakePlugin("a"), poor, slow[0])
}

func TestKeysBroker(t *testing.T) {
	t.Parallel()
	h := brokers(t, &fakeDNS{})
	_, errno, b := asked(t, h, "a", "keys", &abi.KeysRequest{Keys: [][]byte{[]byte("x"), []byte("y")}}, nil)
	var reply abi.KeysReply
	if errno != 0 || reply.Decode(b) != nil || len(reply.Values) != 2 || string(reply.Values[1].Bytes) != "a/y" {
		t.Errorf("%v, %+v", errno, reply)
	}
	many := make([][]byte, abi.MaxKeys+1)
	for i := range many {
		many[i] = []byte("k")
	}
	for name, c := range map[string]struct {
		plugin, how string
		m           message
		want        abi.Errno
	}{
		"without a grant":   {"poor", "keys", &abi.KeysRequest{}, abi.ErrDenied},
		"an empty key":      {"a", "keys", &abi.KeysRequest{Keys: [][]byte{{}}}, abi.ErrInvalid},
		"a long key":        {"a", "keys", &abi.KeysRequest{Keys: [][]byte{make([]byte, abi.MaxKey+1)}}, abi.ErrInvalid},
		"too many":          {"a", "keys", &abi.KeysRequest{Keys: many}, abi.ErrTooBig},
		"garbage":           {"a", "keys", garbage{}, abi.ErrInvalid},
		"with a file":       {"a", "keys-file", &abi.KeysRequest{}, abi.ErrInvalid},
		"a service, poor":   {"poor", "service", &abi.ServiceRequest{Name: "scan"}, abi.ErrDenied},
		"another service":   {"a", "service", &abi.ServiceRequest{Name: "other"}, abi.ErrDenied},
		"one that is gone":  {"a", "service", &abi.ServiceRequest{Name: "gone"}, abi.ErrNotFound},
		"a missing part":    {"a", "service", &abi.ServiceRequest{Name: "scan", With: true}, abi.ErrInvalid},
		"a part too many":   {"a", "service-file", &abi.ServiceRequest{Name: "scan"}, abi.ErrInvalid},
		"a pipe as a part":  {"a", "service-pipe", &abi.ServiceRequest{Name: "scan", With: true}, abi.ErrInvalid},
		"one that fails":    {"a", "service", &abi.ServiceRequest{Name: "scan", Request: []byte("fail")}, abi.ErrAgain},
		"a lookup, poor":    {"poor", "dns", &abi.DNSRequest{}, abi.ErrDenied},
		"garbage questions": {"a", "dns", garbage{}, abi.ErrInvalid},
		"many questions":    {"a", "dns", &abi.DNSRequest{Questions: make([]abi.Question, abi.MaxQuestions+1)}, abi.ErrTooBig},
	} {
		if _, errno, _ := asked(t, h, c.plugin, c.how, c.m, nil); errno != c.want {
			t.Errorf("%s: %v, want %v", name, errno, c.want)
		}
	}
}

type garbage struct{}

func (garbage) Append(b []byte) []byte { return append(b, 0xff, 0xff, 0xff) }

func TestDNSBroker(t *testing.T) {
	t.Parallel()
	dns := &fakeDNS{}
	h := brokers(t, dns)
	request := &abi.DNSRequest{Questions: []abi.Question{
		{Name: "good.dnsbl.example.org", Type: "A"},
		{Name: "none.DNSBL.example.org.", Type: "txt"},
		{Name: "good.example.org", Type: "A"},
		{Name: "a b.dnsbl.example.org", Type: "A"},
		{Name: "good.dnsbl.example.org", Type: "ANY"},
	}}
	_, errno, b := asked(t, h, "a", "dns", request, nil)
	var reply abi.DNSReply
	if errno != 0 || reply.Decode(b) != nil || len(reply.Answers) != len(request.Questions) {
		t.Fatal(errno, reply)
	}
	if a := reply.Answers[0]; a.Status != abi.DNSFound || !a.Secure || !reflect.DeepEqual(a.Records, []string{"127.0.0.2", "A"}) {
		t.Errorf("%+v", a)
	}
	for i, want := range map[int]int32{1: abi.DNSNone, 2: int32(abi.ErrDenied), 3: int32(abi.ErrInvalid), 4: int32(abi.ErrInvalid)} {
		if got := reply.Answers[i].Status; got != want {
			t.Errorf("question %d: %d, want %d", i, got, want)
		}
	}
	if n := dns.asked.Load(); n != 2 {
		t.Errorf("%d questions were asked", n)
	}
}

func TestDNSBudget(t *testing.T) {
	t.Parallel()
	h := brokers(t, &fakeDNS{})
	b := &broker{h: h, step: &step{plugin: &plugin{Plugin: fakePlugin("a")}}}
	ask := func(name string, n int) (reply abi.DNSReply) {
		request := &abi.DNSRequest{Questions: make([]abi.Question, n)}
		for i := range request.Questions {
			request.Questions[i] = abi.Question{Name: name, Type: "TXT"}
		}
		data, errno := b.lookups(bgCtx, request.Append(nil))
		if errno != 0 || len(data) > abi.MaxReply || reply.Decode(data) != nil || len(reply.Answers) != n {
			t.Fatalf("%v, %d octets, %d answers", errno, len(data), len(reply.Answers))
		}
		return reply
	}
	// Answers that do not fit say so, the others are there.
	reply := ask("huge.dnsbl.example.org", 2)
	if reply.Answers[0].Status != abi.DNSFound || reply.Answers[1].Status != int32(abi.ErrTooBig) {
		t.Errorf("%d, %d", reply.Answers[0].Status, reply.Answers[1].Status)
	}
	for b.asks.lookups < abi.MaxLookups {
		ask("good.dnsbl.example.org", 14)
	}
	if reply = ask("good.dnsbl.example.org", 1); reply.Answers[0].Status != int32(abi.ErrBudget) {
		t.Errorf("one lookup too many: %+v", reply)
	}
}

// TestWaitingIsFree: the time that an answer takes is not the plugin's, and
// questions are asked at the same time.
func TestWaitingIsFree(t *testing.T) {
	t.Parallel()
	dns := &fakeDNS{}
	h := brokers(t, dns)
	request := &abi.DNSRequest{}
	for range 10 {
		request.Questions = append(request.Questions, abi.Question{Name: "slow.dnsbl.example.org", Type: "A"})
	}
	r, errno, _ := asked(t, h, "hasty", "dns", request, nil)
	if errno != 0 || r.Took < 300*time.Millisecond || dns.most.Load() < 2 {
		t.Errorf("%v, %v, %d at the same time", errno, r.Took, dns.most.Load())
	}
	if n := h.Status().Restarts; n != 0 {
		t.Errorf("%d workers ended", n)
	}
}

func TestCancelEndsWaiting(t *testing.T) {
	t.Parallel()
	dns := &fakeDNS{}
	h := brokers(t, dns)
	ctx, cancel := context.WithCancel(bgCtx)
	done := make(chan []Run, 1)
	request := &abi.DNSRequest{Questions: []abi.Question{{Name: "never.dnsbl.example.org", Type: "A"}}}
	go func() {
		done <- h.Call(ctx, Call{Event: doing("a", "dns", hex.EncodeToString(request.Append(nil))), Only: []string{"a"}})
	}()
	wait(t, "the DNS is asked", func() bool { return dns.asked.Load() == 1 })
	cancel()
	expect(t, <-done, "a:cancelled")
	wait(t, "its place is free again", func() bool { return h.Status().Workers[0].Busy == 0 })
}

func TestReplay(t *testing.T) {
	t.Parallel()
	dns := &fakeDNS{}
	h := brokers(t, dns)
	good := &abi.DNSRequest{Questions: []abi.Question{{Name: "good.dnsbl.example.org", Type: "A"}}}
	first, _, answered := asked(t, h, "a", "dns", good, nil)
	if len(first.Record.DNS) != 1 || first.Record.Cut {
		t.Fatalf("%+v", first.Record)
	}
	calls := h.Status().Plugins[0].Calls
	again, errno, b := asked(t, h, "a", "dns", good, map[string]*Record{"a": &first.Record})
	if errno != 0 || string(b) != string(answered) || dns.asked.Load() != 1 || !reflect.DeepEqual(again.Record, first.Record) {
		t.Errorf("%v, %d lookups, %+v against %+v", errno, dns.asked.Load(), again.Record, first.Record)
	}
	other := &abi.DNSRequest{Questions: []abi.Question{{Name: "better.dnsbl.example.org", Type: "A"}}}
	_, _, b = asked(t, h, "a", "dns", other, map[string]*Record{"a": &first.Record})
	var reply abi.DNSReply
	if reply.Decode(b) != nil || reply.Answers[0].Status != int32(abi.ErrAgain) || dns.asked.Load() != 1 {
		t.Errorf("what was not asked then: %+v", reply)
	}

	service := &abi.ServiceRequest{Name: "scan", Request: []byte("q"), With: true, Part: 2}
	first, _, answered = asked(t, h, "a", "service-file", service, nil)
	if len(first.Record.Services) != 1 || !strings.HasSuffix(string(answered), "q the part") {
		t.Fatalf("%+v, %q", first.Record, answered)
	}
	if _, _, b = asked(t, h, "a", "service-file", service, map[string]*Record{"a": &first.Record}); string(b) != string(answered) {
		t.Errorf("%q against %q", b, answered)
	}
	service.Part = 3
	if _, errno, _ = asked(t, h, "a", "service-file", service, map[string]*Record{"a": &first.Record}); errno != abi.ErrAgain {
		t.Errorf("another part: %v", errno)
	}
	if n := h.Status().Plugins[0].Calls; n != calls+1 {
		t.Errorf("replaying counts: %d after %d", n, calls)
	}
}

func TestRecordIsBounded(t *testing.T) {
	t.Parallel()
	var r Record
	for range 100 {
		r.addDNS(abi.Question{Name: "a.example.org", Type: "A"}, abi.Answer{Records: []string{strings.Repeat("x", 500)}})
	}
	r.addService(ServiceRecord{Reply: make([]byte, MaxRecord)})
	if !r.Cut || len(r.DNS) > 14 || len(r.DNS) < 10 || len(r.Services) != 0 {
		t.Errorf("%d answers, cut %v", len(r.DNS), r.Cut)
	}
}

func TestContent(t *testing.T) {
	t.Parallel()
	h := newHost(t, Options{}, fakePlugin("a"))
	runs := h.Call(bgCtx, Call{Event: doing("a", "read", ""), Content: sealed("Subject: hello\r\n")})
	if len(runs[0].Log) != 1 || runs[0].Log[0] != "Subject: hello  " {
		t.Errorf("%+v", runs[0])
	}
	var given *os.File
	runs = h.Call(bgCtx, Call{Event: doing("a", "read", ""), Content: func() (*os.File, error) {
		var err error
		given, err = os.CreateTemp(t.TempDir(), "")
		return given, err
	}})
	expect(t, runs, "a:worker")
	if _, err := given.Stat(); !errors.Is(err, os.ErrClosed) {
		t.Errorf("the file is not closed: %v", err)
	}
	runs = h.Call(bgCtx, Call{Event: doing("a", "read", ""), Content: func() (*os.File, error) { return nil, errors.New("the disk is full") }})
	expect(t, runs, "a:worker")
	if s := h.Status().Plugins[0]; s.Calls != 1 || !s.Failing.IsZero() {
		t.Errorf("it is not the plugin's fault: %+v", s)
	}
}
