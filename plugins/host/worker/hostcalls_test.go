package worker

import (
	"encoding/binary"
	"fmt"
	"math"
	"os"
	"reflect"
	"strings"
	"testing"

	"github.com/tetratelabs/wazero/api"

	"hauspost/plugins/abi"
	"hauspost/plugins/host/link"
)

// guestMemory is the memory of a guest that does nothing, for host calls made
// from here.
func guestMemory(t testing.TB) api.Memory {
	t.Helper()
	p := started(t, newBuilder().stage(ok).bytes())
	i, err := p.get(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(i.close)
	return i.mod.Memory()
}

// oracle answers questions.
type oracle func(kind link.Kind, data []byte, file *os.File) ([]byte, abi.Errno)

func (o oracle) ask(kind link.Kind, data []byte, file *os.File) ([]byte, abi.Errno) {
	return o(kind, data, file)
}

// do makes a host call with a request at 0 and room of the given size at 32768.
func do(name string, c *call, m api.Memory, request []byte, room int) (int64, []byte) {
	m.Write(0, request)
	n := hostFunctions[name].do(c, m, []uint64{0, uint64(len(request)), 32768, uint64(room)})
	if n < 0 || n > int64(room) {
		return n, nil
	}
	b, _ := m.Read(32768, uint32(n))
	return n, b
}

func TestOutOfRange(t *testing.T) {
	t.Parallel()
	m := guestMemory(t)
	far := uint64(math.MaxUint32)
	for name, f := range hostFunctions {
		if len(f.typ.params) == 0 {
			continue
		}
		c := withMessage(t, "Subject: x\r\n\r\ny")
		c.reply, c.hasReply = []byte("r"), true
		for _, a := range [][]uint64{{far, 8, far, 8, 8}, {8, far, 8, far, far}, {far, far, far, far, far}, {pageSize - 1, 2, pageSize, 1, 1}} {
			a = append([]uint64(nil), a...)
			switch name {
			case "part_read":
				a = []uint64{0, 0, 0, a[0], a[1]}
			case "log":
				a = []uint64{0, a[0], a[1]}
			}
			if n := f.do(c, m, a); n != int64(abi.ErrFault) {
				t.Errorf("%s%v gives %d", name, a, n)
			}
		}
	}
}

func TestResultsThatDoNotFit(t *testing.T) {
	t.Parallel()
	m := guestMemory(t)
	c := testCall()
	m.Write(100, []byte("untouched"))
	if n := hostEvent(c, m, []uint64{100, 3}); n != int64(len(c.event)) {
		t.Error(n)
	}
	if b, _ := m.Read(100, 9); string(b) != "untouched" {
		t.Errorf("%q was written", b)
	}
	if n := hostEvent(c, m, []uint64{100, uint64(len(c.event))}); n != int64(len(c.event)) {
		t.Error(n)
	}
	if b, _ := m.Read(100, uint32(len(c.event))); string(b) != string(c.event) {
		t.Errorf("%q", b)
	}
}

func TestStagesWithoutMessage(t *testing.T) {
	t.Parallel()
	m := guestMemory(t)
	for _, name := range []string{"header", "parts", "part_read"} {
		if n := hostFunctions[name].do(testCall(), m, make([]uint64, 5)); n != int64(abi.ErrStage) {
			t.Errorf("%s gives %d", name, n)
		}
	}
	start := newCall(bootTime, [32]byte{})
	for _, name := range []string{"event", "keys_change", "effects"} {
		if n := hostFunctions[name].do(start, m, make([]uint64, 5)); n != int64(abi.ErrStage) {
			t.Errorf("%s at the start gives %d", name, n)
		}
	}
	if n, _ := do("dns", start, m, (&abi.DNSRequest{Questions: make([]abi.Question, 1)}).Append(nil), 10); n != int64(abi.ErrStage) {
		t.Errorf("dns at the start gives %d", n)
	}
}

func TestKeys(t *testing.T) {
	t.Parallel()
	m := guestMemory(t)
	c := testCall()
	asked := 0
	c.parent = oracle(func(kind link.Kind, data []byte, _ *os.File) ([]byte, abi.Errno) {
		var req abi.KeysRequest
		if kind != link.AskKeys || req.Decode(data) != nil {
			t.Error("a strange question")
		}
		var reply abi.KeysReply
		for _, k := range req.Keys {
			asked++
			v := abi.Value{}
			if string(k) == "seen" || string(k) == "gone" {
				v = abi.Value{Found: true, Bytes: []byte("old"), Number: 5, Expires: 99}
			}
			reply.Values = append(reply.Values, v)
		}
		return reply.Append(nil), 0
	})
	change := func(list ...abi.Change) int64 {
		n, _ := do("keys_change", c, m, (&abi.KeysChange{Changes: list}).Append(nil), 0)
		return n
	}
	if n := change(
		abi.Change{Op: abi.OpAdd, Key: []byte("seen"), Delta: 2, TTL: 60},
		abi.Change{Op: abi.OpSet, Key: []byte("new"), Bytes: []byte("x")},
		abi.Change{Op: abi.OpAdd, Key: []byte("new"), Delta: math.MaxInt64},
		abi.Change{Op: abi.OpAdd, Key: []byte("new"), Delta: math.MaxInt64},
		abi.Change{Op: abi.OpDelete, Key: []byte("gone")},
	); n != 0 {
		t.Fatal(n)
	}
	keys := [][]byte{[]byte("gone"), []byte("seen"), []byte("new"), []byte("other"), []byte("seen")}
	_, b := do("keys_get", c, m, (&abi.KeysRequest{Keys: keys}).Append(nil), 4096)
	var got abi.KeysReply
	if err := got.Decode(b); err != nil {
		t.Fatal(err)
	}
	seen := abi.Value{Found: true, Bytes: []byte("old"), Number: 7, Expires: 1e9 + 60}
	want := []abi.Value{{}, seen, {Found: true, Bytes: []byte("x"), Number: math.MaxInt64}, {}, seen}
	if !reflect.DeepEqual(got.Values, want) {
		t.Errorf("%+v", got.Values)
	}
	if asked != 3 {
		t.Errorf("the store was asked for %d keys", asked)
	}
	if n := hostReply(c, m, []uint64{0, 9000}); n != int64(len(b)) {
		t.Error("the reply is not kept:", n)
	}
	if len(c.keys.changes) != 5 {
		t.Error(c.keys.changes)
	}
	for want, bad := range map[abi.Errno]abi.Change{
		abi.ErrInvalid: {Op: 9, Key: []byte("k")},
		abi.ErrTooBig:  {Op: abi.OpSet, Key: make([]byte, abi.MaxKey+1)},
	} {
		if n := change(abi.Change{Op: abi.OpSet, Key: []byte("whole")}, bad); n != int64(want) {
			t.Errorf("%d instead of %d", n, want)
		}
	}
	if len(c.keys.changes) != 5 {
		t.Error("a change with a fault was taken in part")
	}
	var last int64
	for range 1000 {
		last = change(abi.Change{Op: abi.OpSet, Key: []byte("big"), Bytes: make([]byte, abi.MaxValue)})
	}
	if last != int64(abi.ErrBudget) || c.keys.size > link.MaxResult {
		t.Error(last, c.keys.size)
	}
}

func TestEffectsAreBounded(t *testing.T) {
	t.Parallel()
	m := guestMemory(t)
	c := testCall()
	long := strings.Repeat("ü", abi.MaxText)
	e := abi.Effect{Kind: abi.Score, Symbol: "X", Detail: long, Argument: long, Name: long, Recipient: long, Points: math.NaN()}
	one := (&abi.Effects{List: []abi.Effect{e}}).Append(nil)
	bad := 0
	for range 10_000 {
		if n, _ := do("effects", c, m, one, 0); n == int64(abi.ErrTooBig) {
			bad++
		}
	}
	if len(c.effects) != abi.MaxEffects || bad != 10_000-abi.MaxEffects {
		t.Error(len(c.effects), bad)
	}
	if len(c.log.lines) != 1 || c.log.lines[0] != "warning: only the first 100 effects were taken" {
		t.Errorf("the log says %q", c.log.lines)
	}
	if d := c.effects[0].Detail; len(d) != abi.MaxText {
		t.Error(len(d))
	}
	for _, garbage := range []string{"\xff", "\x0a\x05a", "\x0a\xff\xff\xff\xff\x0f", "\x08"} {
		if n, _ := do("effects", testCall(), m, []byte(garbage), 0); n != int64(abi.ErrInvalid) {
			t.Errorf("%q gives %d", garbage, n)
		}
	}
}

func TestDNSBudget(t *testing.T) {
	t.Parallel()
	m := guestMemory(t)
	c := testCall()
	asked := 0
	c.parent = oracle(func(_ link.Kind, data []byte, _ *os.File) ([]byte, abi.Errno) {
		var req abi.DNSRequest
		if err := req.Decode(data); err != nil {
			t.Error(err)
		}
		asked += len(req.Questions)
		return (&abi.DNSReply{Answers: make([]abi.Answer, len(req.Questions))}).Append(nil), 0
	})
	request := (&abi.DNSRequest{Questions: make([]abi.Question, 30)}).Append(nil)
	var reply abi.DNSReply
	for n := range 5 {
		_, b := do("dns", c, m, request, 8192)
		if err := reply.Decode(b); err != nil || len(reply.Answers) != 30 {
			t.Fatal(err, len(reply.Answers))
		}
		for i, a := range reply.Answers {
			if denied := a.Status == int32(abi.ErrBudget); denied != (n*30+i >= abi.MaxLookups) {
				t.Fatalf("answer %d of request %d has status %d", i, n, a.Status)
			}
		}
	}
	if asked != abi.MaxLookups {
		t.Error(asked)
	}
	if n, _ := do("dns", c, m, (&abi.DNSRequest{Questions: make([]abi.Question, 33)}).Append(nil), 0); n != int64(abi.ErrTooBig) {
		t.Error(n)
	}
}

func TestServiceGetsThePart(t *testing.T) {
	t.Parallel()
	m := guestMemory(t)
	c := withMessage(t, "Content-Transfer-Encoding: base64\r\n\r\naGVsbG8=\r\n")
	c.parent = oracle(func(kind link.Kind, data []byte, file *os.File) ([]byte, abi.Errno) {
		b := make([]byte, 20)
		n, _ := file.ReadAt(b, 0)
		if _, err := file.Write([]byte("x")); err == nil {
			t.Error("the file can be changed")
		}
		return (&abi.ServiceReply{Reply: b[:n]}).Append(nil), 0
	})
	request := (&abi.ServiceRequest{Name: "clamd", With: true, View: abi.Decoded}).Append(nil)
	_, b := do("service", c, m, request, 100)
	var reply abi.ServiceReply
	if err := reply.Decode(b); err != nil || string(reply.Reply) != "hello" {
		t.Errorf("%v %q", err, reply.Reply)
	}
	bad := (&abi.ServiceRequest{Name: "clamd", With: true, Part: 9}).Append(nil)
	if n, _ := do("service", c, m, bad, 0); n != int64(abi.ErrNotFound) {
		t.Error(n)
	}
	for range abi.MaxServices - 1 {
		do("service", c, m, request, 0)
	}
	if n, _ := do("service", c, m, request, 0); n != int64(abi.ErrBudget) {
		t.Error(n)
	}
}

// A guest that calls clock for ever is stopped by the parent; here it is seen
// that it gets ErrBudget after its budget.
func TestHostCallStorm(t *testing.T) {
	t.Parallel()
	b := newBuilder()
	settings := b.host("settings")
	// loop: if settings(0, 0) >= 0 go on; then return settings(0, 0) - ErrBudget.
	code := append(append(op(0x03, 0x40), callOp(settings, 0, 0)...), i32const(0)...)
	code = append(code, 0x4e, 0x0d, 0, 0x0b)
	code = append(append(append(code, callOp(settings, 0, 0)...), i32const(int32(abi.ErrBudget))...), 0x6b)
	p := started(t, b.stage(code).bytes())
	c := testCall()
	if f := once(t, p, c); f != nil {
		t.Error(f.text)
	}
	if c.calls != abi.MaxCalls {
		t.Error(c.calls)
	}
}

func TestLog(t *testing.T) {
	t.Parallel()
	m := guestMemory(t)
	c := testCall()
	for level, text := range []string{"a", "b\r\nc", "\x1b[2Jd", "e\xff"} {
		m.WriteString(0, text)
		if n := hostLog(c, m, []uint64{uint64(level), 0, uint64(len(text))}); n != 0 {
			t.Error(n)
		}
	}
	c.log.write([]byte("one\n\ntw"), false)
	c.log.write([]byte("err\n"), true)
	c.log.write([]byte("o"), false)
	c.log.end()
	want := []string{"debug: a", "b  c", "warning: \uFFFD[2Jd", "error: e\uFFFD", "one", "err", "two"}
	if !reflect.DeepEqual(c.log.lines, want) {
		t.Errorf("%q", c.log.lines)
	}
	if n := hostLog(c, m, []uint64{4, 0, 0}); n != int64(abi.ErrInvalid) {
		t.Error(n)
	}
	for i := range 100_000 {
		c.log.write(fmt.Appendf(nil, "line %d\n", i), true)
		hostLog(c, m, []uint64{1, 0, pageSize})
	}
	c.log.write(make([]byte, 1<<20), false)
	c.log.end()
	total := 0
	for _, l := range c.log.lines {
		total += len(l)
	}
	if last := c.log.lines[len(c.log.lines)-1]; total > abi.MaxLog || last != "the log was cut here" {
		t.Error(total, last)
	}
}

func TestClockAndChanceReplay(t *testing.T) {
	t.Parallel()
	m := guestMemory(t)
	record := func() []uint64 {
		c := testCall()
		var got []uint64
		for range 3 {
			got = append(got, uint64(hostClock(c, m, nil)))
			hostRandom(c, m, []uint64{0, 8})
			wasiRandom(c, m, []uint64{8, 8})
			wasiClock(c, m, []uint64{1, 0, 16})
			for at := range uint32(3) {
				v, _ := m.ReadUint64Le(at * 8)
				got = append(got, v)
			}
		}
		return got
	}
	first := record()
	if !reflect.DeepEqual(first, record()) {
		t.Error("it is not the same again")
	}
	if first[0] != 1e18+uint64(tick) || first[3] != first[0]+uint64(tick) || first[1] == first[2] {
		t.Error(first)
	}
}

// subscribe writes a subscription of poll_oneoff.
func subscribe(m api.Memory, at uint32, data uint64, kind byte, timeout uint64, flags uint16) {
	b := make([]byte, subscriptionSize)
	binary.LittleEndian.PutUint64(b, data)
	b[8] = kind
	binary.LittleEndian.PutUint64(b[24:], timeout)
	binary.LittleEndian.PutUint16(b[40:], flags)
	m.Write(at, b)
}

func TestWaitingMovesTheClock(t *testing.T) {
	t.Parallel()
	m := guestMemory(t)
	c := testCall()
	subscribe(m, 0, 11, 0, 5e9, 0)
	subscribe(m, 48, 12, 0, 1e18+2e9, 1) // an absolute time
	subscribe(m, 96, 13, 0, 2e9, 0)
	if e := wasiPoll(c, m, []uint64{0, 1000, 3, 2000}); e != wasiOK {
		t.Fatal(e)
	}
	n, _ := m.ReadUint32Le(2000)
	first, _ := m.ReadUint64Le(1000)
	second, _ := m.ReadUint64Le(1032)
	if n != 2 || first != 12 || second != 13 || c.now != 1e18+2e9 {
		t.Error(n, first, second, c.now)
	}
	subscribe(m, 48, 14, 1, 0, 0)
	if e := wasiPoll(c, m, []uint64{0, 1000, 3, 2000}); e != wasiOK || c.now != 1e18+2e9 {
		t.Error(e, c.now)
	}
	n, _ = m.ReadUint32Le(2000)
	first, _ = m.ReadUint64Le(1000)
	if errno, _ := m.ReadUint16Le(1008); n != 1 || first != 14 || errno != wasiBadF {
		t.Error(n, first, errno)
	}
	subscribe(m, 0, 1, 0, math.MaxUint64, 0)
	for range 10 {
		wasiPoll(c, m, []uint64{0, 1000, 1, 2000})
	}
	if c.now < 0 {
		t.Error("the clock went round")
	}
	for _, bad := range [][]uint64{{0, 0, 0, 0}, {0, 0, math.MaxUint32, 0}, {pageSize - 4, 0, 1, 0}, {0, pageSize - 4, 1, 0}} {
		if e := wasiPoll(c, m, bad); e == wasiOK {
			t.Error(bad)
		}
	}
}

// All other functions of WASI can be imported, with any type, and do nothing.
func TestWasiHasNoFiles(t *testing.T) {
	t.Parallel()
	b := newBuilder()
	open := b.imp(abi.WASI, "path_open", signature{i32 + i32 + i32 + i32 + i32 + i64 + i64 + i32 + i32, i32})
	read := b.imp(abi.WASI, "fd_read", signature{i32 + i32 + i32 + i32, i32})
	odd := b.imp(abi.WASI, "sock_future", signature{"", i64 + i64})
	args := []byte{0x42, 0, 0x42, 0, 0x41, 0, 0x41, 0}
	code := append(append(append(i32const(3), i32const(0)...), i32const(0)...), append(i32const(0), i32const(0)...)...)
	code = appendU32(append(append(code, args...), 0x10), open)
	code = append(append(append(code, i32const(wasiNoSys)...), 0x6b), callOp(read, 0, 0, 0, 0)...)
	code = append(append(append(code, i32const(wasiBadF)...), 0x6b), 0x6a)
	code = append(appendU32(append(code, 0x10), odd), 0x1a, 0x1a)
	p := started(t, b.stage(code).bytes())
	if f := once(t, p, testCall()); f != nil {
		t.Error(f.text)
	}
}

func FuzzHostCalls(f *testing.F) {
	f.Add([]byte("\x0a\x03abc"), uint32(0), uint32(5), uint32(100), uint32(100), int64(0))
	f.Add([]byte("\xff\xff"), uint32(math.MaxUint32), uint32(math.MaxUint32), uint32(1), uint32(pageSize), int64(math.MinInt64))
	m := guestMemory(f)
	f.Fuzz(func(t *testing.T, memory []byte, a, b, x, y uint32, z int64) {
		if len(memory) > pageSize {
			return
		}
		m.Write(0, memory)
		c := withMessage(t, "Content-Type: text/html\r\n\r\n<p>x")
		c.parent = oracle(func(_ link.Kind, data []byte, _ *os.File) ([]byte, abi.Errno) { return data, 0 })
		for name, h := range hostFunctions {
			args := []uint64{uint64(a), uint64(b), uint64(x), uint64(y), uint64(y)}
			if name == "part_read" {
				args = []uint64{uint64(a % 3), uint64(b % 5), uint64(z), uint64(x), uint64(y)}
			}
			if n := h.do(c, m, args); h.typ.results == i32 && n != int64(int32(n)) {
				t.Errorf("%s gives %d", name, n)
			}
		}
		for name, w := range wasiFunctions {
			if name != "proc_exit" {
				w.do(c, m, []uint64{uint64(a), uint64(b), uint64(x), uint64(y)})
			}
		}
		c.log.end()
		if len(c.effects) > abi.MaxEffects || c.keys.size > changesBudget {
			t.Error("over the limits")
		}
	})
}
