package link

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"hauspost/plugins/abi"
)

// ErrFrame is wrapped by every error of a frame that is not as it should be.
var ErrFrame = errors.New("malformed frame")

// The first octet of a frame.
const (
	kindConfigure = iota + 1
	kindLoad
	kindRun
	kindAnswer
	kindCancel
	kindReady
	kindResult
	kindMore
	kindAsk
	kindLoading
)

func (*Configure) kind() byte { return kindConfigure }
func (*Load) kind() byte      { return kindLoad }
func (*Run) kind() byte       { return kindRun }
func (*Answer) kind() byte    { return kindAnswer }
func (*Cancel) kind() byte    { return kindCancel }
func (*Ready) kind() byte     { return kindReady }
func (*Result) kind() byte    { return kindResult }
func (*More) kind() byte      { return kindMore }
func (*Ask) kind() byte       { return kindAsk }
func (*Loading) kind() byte   { return kindLoading }

// Append encodes f behind b.
func Append(b []byte, f Frame) []byte { return f.append(append(b, f.kind())) }

// Decode decodes one frame, which has to fill b. Octets of the frame lie in b;
// texts are copies. Errors wrap ErrFrame.
func Decode(b []byte) (Frame, error) {
	if len(b) == 0 || len(b) > MaxFrame {
		return nil, fmt.Errorf("%w: %d octets", ErrFrame, len(b))
	}
	f := empty(b[0])
	if f == nil {
		return nil, fmt.Errorf("%w: unknown kind %d", ErrFrame, b[0])
	}
	d := decoder{b: b[1:]}
	f.decode(&d)
	if d.bad || len(d.b) > 0 {
		return nil, fmt.Errorf("%w: kind %d of %d octets", ErrFrame, b[0], len(b))
	}
	return f, nil
}

func empty(kind byte) Frame {
	switch kind {
	case kindConfigure:
		return &Configure{}
	case kindLoad:
		return &Load{}
	case kindRun:
		return &Run{}
	case kindAnswer:
		return &Answer{}
	case kindCancel:
		return &Cancel{}
	case kindReady:
		return &Ready{}
	case kindResult:
		return &Result{}
	case kindMore:
		return &More{}
	case kindAsk:
		return &Ask{}
	case kindLoading:
		return &Loading{}
	}
	return nil
}

// decoder takes values from the front of b. After the first fault everything
// is zero and bad stays set.
type decoder struct {
	b   []byte
	bad bool
}

func (d *decoder) fail() { d.bad, d.b = true, nil }

func (d *decoder) uint() uint64 {
	v, n := binary.Uvarint(d.b)
	if n <= 0 {
		d.fail()
		return 0
	}
	d.b = d.b[n:]
	return v
}

// int takes a number that is not negative and fits into 31 bits.
func (d *decoder) int() int {
	v := d.uint()
	if v > 1<<31-1 {
		d.fail()
		return 0
	}
	return int(v)
}

func (d *decoder) int64() int64 {
	v, n := binary.Varint(d.b)
	if n <= 0 {
		d.fail()
		return 0
	}
	d.b = d.b[n:]
	return v
}

func (d *decoder) bool() bool {
	if len(d.b) == 0 || d.b[0] > 1 {
		d.fail()
		return false
	}
	v := d.b[0] == 1
	d.b = d.b[1:]
	return v
}

func (d *decoder) bytes() []byte {
	n := d.uint()
	if n > uint64(len(d.b)) {
		d.fail()
		return nil
	}
	v := d.b[:n:n]
	d.b = d.b[n:]
	if n == 0 {
		return nil
	}
	return v
}

func (d *decoder) string() string { return string(d.bytes()) }

func (d *decoder) array() (a [32]byte) {
	if len(d.b) < len(a) {
		d.fail()
		return a
	}
	copy(a[:], d.b)
	d.b = d.b[len(a):]
	return a
}

// count takes the length of a list, of which each element takes at least size
// octets: so no frame makes its reader allocate much more than it is long.
func (d *decoder) count(size int) int {
	n := d.uint()
	if n > uint64(len(d.b)/size) {
		d.fail()
		return 0
	}
	return int(n)
}

func (d *decoder) strings() []string {
	n := d.count(1)
	if n == 0 {
		return nil
	}
	list := make([]string, n)
	for i := range list {
		list[i] = d.string()
	}
	return list
}

func appendBytes(b, v []byte) []byte {
	return append(binary.AppendUvarint(b, uint64(len(v))), v...)
}

func appendString(b []byte, v string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(v))), v...)
}

func appendStrings(b []byte, list []string) []byte {
	b = appendInt(b, len(list))
	for _, s := range list {
		b = appendString(b, s)
	}
	return b
}

func appendInt(b []byte, v int) []byte { return binary.AppendUvarint(b, uint64(v)) }

func appendBool(b []byte, v bool) []byte {
	if v {
		return append(b, 1)
	}
	return append(b, 0)
}

func (f *Configure) append(b []byte) []byte {
	b = appendInt(b, f.Plugins)
	b = appendInt(b, f.Parallel)
	b = appendString(b, f.Cache)
	return binary.AppendVarint(b, f.Memory)
}

func (f *Configure) decode(d *decoder) {
	f.Plugins, f.Parallel, f.Cache, f.Memory = d.int(), d.int(), d.string(), d.int64()
}

func (f *Load) append(b []byte) []byte {
	b = appendString(b, f.ID)
	b = append(b, f.SHA256[:]...)
	b = appendInt(b, len(f.Stages))
	for _, s := range f.Stages {
		b = appendInt(b, int(s))
	}
	b = appendStrings(b, f.Imports)
	b = appendInt(b, len(f.Effects))
	for _, k := range f.Effects {
		b = appendInt(b, int(k))
	}
	b = binary.AppendVarint(b, f.Memory)
	b = appendBytes(b, f.Settings)
	return append(b, f.Seed[:]...)
}

func (f *Load) decode(d *decoder) {
	f.ID, f.SHA256 = d.string(), d.array()
	for range d.count(1) {
		f.Stages = append(f.Stages, abi.Stage(d.int()))
	}
	f.Imports = d.strings()
	for range d.count(1) {
		f.Effects = append(f.Effects, abi.Kind(d.int()))
	}
	f.Memory, f.Settings, f.Seed = d.int64(), d.bytes(), d.array()
}

func (f *Run) append(b []byte) []byte {
	b = binary.AppendUvarint(b, f.ID)
	b = appendBytes(b, f.Event)
	b = appendInt(b, len(f.Chain))
	for i := range f.Chain {
		s := &f.Chain[i]
		b = appendInt(b, s.Plugin)
		b = binary.AppendVarint(b, s.Time)
		b = append(b, s.Seed[:]...)
	}
	return appendBool(b, f.HasFile)
}

func (f *Run) decode(d *decoder) {
	f.ID, f.Event = d.uint(), d.bytes()
	if n := d.count(34); n > 0 {
		f.Chain = make([]Step, n)
	}
	for i := range f.Chain {
		f.Chain[i] = Step{Plugin: d.int(), Time: d.int64(), Seed: d.array()}
	}
	f.HasFile = d.bool()
}

func (f *Answer) append(b []byte) []byte {
	b = binary.AppendUvarint(b, f.ID)
	b = binary.AppendVarint(b, int64(f.Errno))
	return appendBytes(b, f.Data)
}

func (f *Answer) decode(d *decoder) {
	f.ID = d.uint()
	e := d.int64()
	if e > 0 || e < -1<<31 {
		d.fail()
	}
	f.Errno, f.Data = abi.Errno(e), d.bytes()
}

func (f *Cancel) append(b []byte) []byte { return binary.AppendUvarint(b, f.ID) }

func (f *Cancel) decode(d *decoder) { f.ID = d.uint() }

func (f *Loading) append(b []byte) []byte { return appendBool(appendInt(b, f.Plugin), f.Start) }

func (f *Loading) decode(d *decoder) { f.Plugin, f.Start = d.int(), d.bool() }

func (f *Ready) append(b []byte) []byte {
	b = appendInt(b, len(f.Plugins))
	for i := range f.Plugins {
		p := &f.Plugins[i]
		b = appendString(b, p.Error)
		b = binary.AppendVarint(b, int64(p.Took))
		b = appendBool(b, p.Pooled)
		b = binary.AppendVarint(b, p.Memory)
	}
	b = appendStrings(b, f.Walls)
	b = appendStrings(b, f.Missing)
	return appendBool(b, f.Compiler)
}

func (f *Ready) decode(d *decoder) {
	if n := d.count(4); n > 0 {
		f.Plugins = make([]Loaded, n)
	}
	for i := range f.Plugins {
		f.Plugins[i] = Loaded{Error: d.string(), Took: time.Duration(d.int64()), Pooled: d.bool(), Memory: d.int64()}
	}
	f.Walls, f.Missing, f.Compiler = d.strings(), d.strings(), d.bool()
}

func (f *Result) append(b []byte) []byte {
	b = binary.AppendUvarint(b, f.Run)
	b = appendInt(b, f.Position)
	b = appendString(b, f.Failure)
	b = appendString(b, f.Text)
	b = appendBytes(b, f.Effects)
	b = appendBytes(b, f.Changes)
	b = appendStrings(b, f.Log)
	b = binary.AppendVarint(b, f.Memory)
	b = binary.AppendVarint(b, int64(f.Took))
	return appendBool(b, f.Last)
}

func (f *Result) decode(d *decoder) {
	f.Run, f.Position, f.Failure, f.Text = d.uint(), d.int(), d.string(), d.string()
	f.Effects, f.Changes, f.Log = d.bytes(), d.bytes(), d.strings()
	f.Memory, f.Took, f.Last = d.int64(), time.Duration(d.int64()), d.bool()
}

func (f *More) append(b []byte) []byte {
	b = binary.AppendUvarint(b, f.Run)
	b = appendInt(b, f.Position)
	b = appendBytes(b, f.Effects)
	return appendBytes(b, f.Changes)
}

func (f *More) decode(d *decoder) {
	f.Run, f.Position, f.Effects, f.Changes = d.uint(), d.int(), d.bytes(), d.bytes()
}

func (f *Ask) append(b []byte) []byte {
	b = binary.AppendUvarint(b, f.ID)
	b = binary.AppendUvarint(b, f.Run)
	b = appendInt(b, f.Position)
	b = appendInt(b, int(f.Kind))
	b = appendBytes(b, f.Data)
	return appendBool(b, f.HasFile)
}

func (f *Ask) decode(d *decoder) {
	f.ID, f.Run, f.Position = d.uint(), d.uint(), d.int()
	k := d.int()
	if k < int(AskKeys) || k > int(AskService) {
		d.fail()
	}
	f.Kind, f.Data, f.HasFile = Kind(k), d.bytes(), d.bool()
}
