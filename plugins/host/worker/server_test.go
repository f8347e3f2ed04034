package worker

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"

	"hauspost/plugins/abi"
	"hauspost/plugins/host/jail"
	"hauspost/plugins/host/link"
)

// parent is the other end of a worker.
type parent struct {
	t     testing.TB
	conn  *link.Conn
	ready *link.Ready
	ended chan error
	// answer answers questions; what comes besides is given back by result.
	answer func(*link.Ask) *link.Answer
	more   []*link.More
}

// inside runs a worker in this process, without walls and without touching its
// collector.
func inside(t testing.TB, config link.Configure, loads []*link.Load, wasm [][]byte) *parent {
	t.Helper()
	conn, theirs, err := link.Pair()
	if err != nil {
		t.Fatal(err)
	}
	worker, err := link.Open(theirs)
	if err != nil {
		t.Fatal(err)
	}
	p := &parent{t: t, conn: conn, ended: make(chan error, 1)}
	none := walls{enter: func(jail.Limits) (jail.Walls, error) { return jail.Walls{Standing: []string{"paper"}}, nil }, seal: func() error { return nil }}
	go func() { p.ended <- serve(context.Background(), worker, none) }()
	p.setUp(config, loads, wasm)
	return p
}

func (p *parent) setUp(config link.Configure, loads []*link.Load, wasm [][]byte) {
	p.t.Helper()
	p.t.Cleanup(func() {
		_ = p.conn.Close()
		select {
		case err := <-p.ended:
			if err != nil {
				p.t.Error("the worker ended:", err)
			}
		case <-time.After(20 * time.Second):
			p.t.Error("the worker does not end")
		}
	})
	config.Plugins = len(loads)
	p.send(&config)
	for i, l := range loads {
		f := fileOf(p.t, string(wasm[i]))
		p.send(l, f)
		_ = f.Close()
	}
	for p.ready == nil {
		switch f := p.receive().(type) {
		case *link.Loading:
			if f.Plugin < 0 || f.Plugin >= len(loads) {
				p.t.Fatalf("%+v", f)
			}
		case *link.Ready:
			p.ready = f
		default:
			p.t.Fatalf("the worker is not ready: %T came", f)
		}
	}
}

func (p *parent) send(f link.Frame, files ...*os.File) {
	p.t.Helper()
	if err := p.conn.Send(f, files...); err != nil {
		p.t.Fatal(err)
	}
}

func (p *parent) receive() link.Frame {
	p.t.Helper()
	f, files, err := p.conn.Receive()
	if err != nil {
		p.t.Fatal(err)
	}
	closeAll(files)
	return f
}

// result waits for the next result and answers questions until then.
func (p *parent) result() *link.Result {
	p.t.Helper()
	for {
		switch f := p.receive().(type) {
		case *link.Result:
			return f
		case *link.More:
			p.more = append(p.more, f)
		case *link.Ask:
			a := p.answer(f)
			a.ID = f.ID
			p.send(a)
		default:
			p.t.Fatalf("%T came", f)
		}
	}
}

func (p *parent) run(id uint64, event abi.Event, message string, chain ...int) {
	p.t.Helper()
	r := &link.Run{ID: id, Event: event.Append(nil)}
	for _, n := range chain {
		r.Chain = append(r.Chain, link.Step{Plugin: n, Time: 1e18, Seed: [32]byte{byte(n)}})
	}
	if message == "" {
		p.send(r)
		return
	}
	r.HasFile = true
	f := fileOf(p.t, message)
	defer f.Close()
	p.send(r, f)
}

// proposing is a guest that proposes one score of n points.
func proposing(n float64) []byte {
	b := newBuilder()
	effects := b.host("effects")
	b.data = (&abi.Effects{List: []abi.Effect{{Kind: abi.Score, Symbol: "S", Points: n}, {Kind: abi.Tag, Argument: "t"}}}).Append(nil)
	return b.stage(callOp(effects, 0, int32(len(b.data)))).bytes()
}

// checking is a guest that succeeds where its event is as long as that.
func checking(length int) []byte {
	b := newBuilder()
	event := b.host("event")
	return b.stage(append(append(callOp(event, 0, 0), i32const(int32(length))...), 0x6b)).bytes()
}

func loads(wasm ...[]byte) []*link.Load {
	var list []*link.Load
	for i, w := range wasm {
		l := loadOf(w)
		l.ID = fmt.Sprint("plugin", i)
		list = append(list, l)
	}
	return list
}

func TestChain(t *testing.T) {
	t.Parallel()
	event := abi.Event{Stage: abi.OnMessage, ID: "m1"}
	after := event
	after.Findings = []abi.Finding{{By: "plugin0", Kind: abi.Score, Symbol: "S", Points: 2.5}}
	wasm := [][]byte{proposing(2.5), newBuilder().stage(op(0)).bytes(), checking(len(after.Append(nil))), []byte("no module")}
	p := inside(t, link.Configure{Parallel: 2}, loads(wasm...), wasm)
	if r := p.ready; !reflect.DeepEqual(r.Walls, []string{"paper"}) || !r.Plugins[0].Pooled || r.Plugins[0].Memory != pageSize || r.Plugins[3].Error == "" || r.Plugins[1].Error != "" {
		t.Errorf("%+v", r)
	}
	for id := uint64(1); id < 20; id++ {
		p.run(id, event, "Subject: x\r\n\r\n", 0, 1, 3, 2)
		var got []string
		for n := range 4 {
			r := p.result()
			if r.Run != id || r.Position != n || r.Last != (n == 3) {
				t.Fatalf("%+v", r)
			}
			got = append(got, r.Failure)
			if n == 0 {
				var e abi.Effects
				if err := e.Decode(r.Effects); err != nil || len(e.List) != 2 || e.List[0].Points != 2.5 || r.Memory != pageSize {
					t.Errorf("%+v", r)
				}
			}
		}
		if want := []string{"", link.FailTrap, link.FailLoad, ""}; !reflect.DeepEqual(got, want) {
			t.Fatalf("%q", got)
		}
	}
}

// asking is a guest that asks for the key "k" and proposes nothing.
func asking() []byte {
	b := newBuilder()
	get := b.host("keys_get")
	b.data = (&abi.KeysRequest{Keys: [][]byte{[]byte("k")}}).Append(nil)
	return b.stage(append(append(callOp(get, 0, int32(len(b.data)), 100, 1000), i32const(2)...), 0x6b)).bytes() // a reply of one empty value has 2 octets
}

func TestQuestionsAndCancel(t *testing.T) {
	t.Parallel()
	wasm := asking()
	p := inside(t, link.Configure{Parallel: 1}, loads(wasm), [][]byte{wasm})
	event := abi.Event{Stage: abi.OnMessage}
	p.answer = func(a *link.Ask) *link.Answer {
		if a.Run != 1 || a.Position != 0 || a.Kind != link.AskKeys {
			t.Errorf("%+v", a)
		}
		return &link.Answer{Data: (&abi.KeysReply{Values: make([]abi.Value, 1)}).Append(nil)}
	}
	p.run(1, event, "", 0)
	if r := p.result(); r.Failure != "" || !r.Last {
		t.Errorf("%+v", r)
	}
	// One waits for an answer that does not come, one for its turn.
	p.run(2, event, "", 0, 0)
	p.run(3, event, "", 0, 0)
	for p.receive() == nil {
	}
	p.send(&link.Cancel{ID: 3})
	p.send(&link.Cancel{ID: 2})
	p.send(&link.Cancel{ID: 99})
	p.send(&link.Answer{ID: 99})
	last := map[uint64]bool{}
	for len(last) < 2 {
		r := p.result()
		if last[r.Run] {
			t.Fatal("a result after the last")
		}
		if r.Last {
			last[r.Run] = true
			if r.Failure == "" {
				t.Errorf("%+v", r)
			}
		}
	}
	p.run(4, event, "", 0)
	p.answer = func(*link.Ask) *link.Answer { return &link.Answer{Errno: abi.ErrIO} }
	if r := p.result(); r.Run != 4 || r.Failure != link.FailTrap {
		t.Errorf("%+v", r)
	}
}

func TestLargeResult(t *testing.T) {
	t.Parallel()
	b := newBuilder()
	change := b.host("keys_change")
	var request abi.KeysChange
	for n := range 10 {
		request.Changes = append(request.Changes, abi.Change{Op: abi.OpSet, Key: fmt.Appendf(nil, "key %d", n), Bytes: bytes.Repeat([]byte{byte(n)}, abi.MaxValue)})
	}
	b.data = request.Append(nil)
	var code []byte
	for range 10 {
		code = append(append(code, callOp(change, 0, int32(len(b.data)))...), 0x1a)
	}
	wasm := b.stage(code, ok).bytes()
	p := inside(t, link.Configure{Parallel: 1}, loads(wasm), [][]byte{wasm})
	p.run(1, abi.Event{Stage: abi.OnMessage}, "", 0)
	r := p.result()
	if r.Failure != "" {
		t.Fatal(r.Text)
	}
	var all []byte
	for _, m := range p.more {
		all = append(all, m.Changes...)
	}
	var got abi.KeysChange
	if err := got.Decode(append(all, r.Changes...)); err != nil || len(got.Changes) != 100 || !reflect.DeepEqual(got.Changes[90:], request.Changes) {
		t.Error(err, len(got.Changes))
	}
}

func TestMissingFile(t *testing.T) {
	t.Parallel()
	wasm := newBuilder().stage(ok).bytes()
	p := inside(t, link.Configure{Parallel: 1}, loads(wasm), [][]byte{wasm})
	p.send(&link.Run{ID: 1, Event: (&abi.Event{Stage: abi.OnMessage}).Append(nil), Chain: make([]link.Step, 1), HasFile: true})
	if r := p.result(); r.Failure != link.FailWorker || !r.Last {
		t.Errorf("%+v", r)
	}
	p.send(&link.Run{ID: 2, Event: []byte{0xff}, Chain: make([]link.Step, 1)})
	if r := p.result(); r.Failure != link.FailWorker || !r.Last {
		t.Errorf("%+v", r)
	}
	p.run(3, abi.Event{Stage: abi.OnMail}, "", 0)
	if r := p.result(); r.Failure != link.FailLoad || !strings.Contains(r.Text, "on_mail") {
		t.Errorf("%+v", r)
	}
}
