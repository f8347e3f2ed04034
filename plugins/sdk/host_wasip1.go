package sdk

import "unsafe"

// The functions of the module hauspost_v1; plugins/abi says what they do. Only
// those that are reached from the guest's exports become imports of it.

//go:wasmimport hauspost_v1 event
//go:noescape
func hostEvent(buf unsafe.Pointer, room uint32) int32

//go:wasmimport hauspost_v1 settings
//go:noescape
func hostSettings(buf unsafe.Pointer, room uint32) int32

//go:wasmimport hauspost_v1 header
//go:noescape
func hostHeader(buf unsafe.Pointer, room uint32) int32

//go:wasmimport hauspost_v1 parts
//go:noescape
func hostParts(buf unsafe.Pointer, room uint32) int32

//go:wasmimport hauspost_v1 part_read
//go:noescape
func hostPartRead(part, view int32, offset int64, buf unsafe.Pointer, room uint32) int32

//go:wasmimport hauspost_v1 keys_get
//go:noescape
func hostKeysGet(request unsafe.Pointer, length uint32, buf unsafe.Pointer, room uint32) int32

//go:wasmimport hauspost_v1 keys_change
//go:noescape
func hostKeysChange(request unsafe.Pointer, length uint32) int32

//go:wasmimport hauspost_v1 dns
//go:noescape
func hostDNS(request unsafe.Pointer, length uint32, buf unsafe.Pointer, room uint32) int32

//go:wasmimport hauspost_v1 service
//go:noescape
func hostService(request unsafe.Pointer, length uint32, buf unsafe.Pointer, room uint32) int32

//go:wasmimport hauspost_v1 reply
//go:noescape
func hostReply(buf unsafe.Pointer, room uint32) int32

//go:wasmimport hauspost_v1 effects
//go:noescape
func hostEffects(request unsafe.Pointer, length uint32) int32

//go:wasmimport hauspost_v1 log
//go:noescape
func hostLog(level int32, text unsafe.Pointer, length uint32) int32

//go:wasmimport hauspost_v1 clock
func hostClock() int64

//go:wasmimport hauspost_v1 random
//go:noescape
func hostRandom(buf unsafe.Pointer, length uint32) int32

// backend is the host that runs the guest.
type backend struct{}

func at(b []byte) (unsafe.Pointer, uint32) {
	return unsafe.Pointer(unsafe.SliceData(b)), uint32(len(b))
}

func (backend) Event(buf []byte) int32 {
	p, n := at(buf)
	return hostEvent(p, n)
}

func (backend) Settings(buf []byte) int32 {
	p, n := at(buf)
	return hostSettings(p, n)
}

func (backend) Header(buf []byte) int32 {
	p, n := at(buf)
	return hostHeader(p, n)
}

func (backend) Parts(buf []byte) int32 {
	p, n := at(buf)
	return hostParts(p, n)
}

func (backend) PartRead(part, view int32, offset int64, buf []byte) int32 {
	p, n := at(buf)
	return hostPartRead(part, view, offset, p, n)
}

func (backend) KeysGet(request, buf []byte) int32 {
	r, length := at(request)
	p, n := at(buf)
	return hostKeysGet(r, length, p, n)
}

func (backend) KeysChange(request []byte) int32 {
	p, n := at(request)
	return hostKeysChange(p, n)
}

func (backend) DNS(request, buf []byte) int32 {
	r, length := at(request)
	p, n := at(buf)
	return hostDNS(r, length, p, n)
}

func (backend) Service(request, buf []byte) int32 {
	r, length := at(request)
	p, n := at(buf)
	return hostService(r, length, p, n)
}

func (backend) Reply(buf []byte) int32 {
	p, n := at(buf)
	return hostReply(p, n)
}

func (backend) Effects(request []byte) int32 {
	p, n := at(request)
	return hostEffects(p, n)
}

func (backend) Log(level int32, text []byte) int32 {
	p, n := at(text)
	return hostLog(level, p, n)
}

func (backend) Clock() int64 { return hostClock() }

func (backend) Random(buf []byte) int32 {
	p, n := at(buf)
	return hostRandom(p, n)
}

// Run is the body of a function that a guest exports: it has check look at the
// event, sends the effects that check proposed and gives what the function is
// to return. If check returns an error, the error goes to the log, the effects
// and changes are dropped, and the call counts as failed.
func Run(check func(*Call) error) int32 {
	code, _ := run(backend{}, check)
	return code
}
