package worker

import (
	"context"
	"encoding/binary"
	"math"
	"strings"

	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/sys"
)

// The errors of WASI that are given.
const (
	wasiOK    = 0
	wasiBadF  = 8
	wasiFault = 21
	wasiInval = 28
	wasiNoSys = 52
)

// wasiFunction is one function of WASI. It has no state: all that it knows is
// in the call.
type wasiFunction struct {
	typ signature
	do  func(c *call, m api.Memory, a []uint64) uint32
}

// wasiFunctions are those that do something. Of the others, those on file
// descriptors give EBADF and the rest ENOSYS.
var wasiFunctions = map[string]wasiFunction{
	"args_get":          {signature{i32 + i32, i32}, func(*call, api.Memory, []uint64) uint32 { return wasiOK }},
	"environ_get":       {signature{i32 + i32, i32}, func(*call, api.Memory, []uint64) uint32 { return wasiOK }},
	"args_sizes_get":    {signature{i32 + i32, i32}, wasiNone},
	"environ_sizes_get": {signature{i32 + i32, i32}, wasiNone},
	"clock_time_get":    {signature{i32 + i64 + i32, i32}, wasiClock},
	"clock_res_get":     {signature{i32 + i32, i32}, wasiResolution},
	"random_get":        {signature{i32 + i32, i32}, wasiRandom},
	"fd_write":          {signature{i32 + i32 + i32 + i32, i32}, wasiWrite},
	"proc_exit":         {signature{i32, ""}, wasiExit},
	"sched_yield":       {signature{"", i32}, func(*call, api.Memory, []uint64) uint32 { return wasiOK }},
	"poll_oneoff":       {signature{i32 + i32 + i32 + i32, i32}, wasiPoll},
}

// wasi gives the function for an import, whatever it is.
func wasi(i imported) api.GoModuleFunc {
	f, known := wasiFunctions[i.name]
	errno := uint64(wasiNoSys)
	if strings.HasPrefix(i.name, "fd_") {
		errno = wasiBadF
	}
	return func(ctx context.Context, mod api.Module, stack []uint64) {
		if c := callOf(ctx); known {
			if c.cancelled != nil && c.cancelled() {
				panic(errCancelled)
			}
			errno := f.do(c, mod.Memory(), stack)
			if i.typ.results != "" {
				stack[0] = uint64(errno)
			}
			return
		}
		for r := range len(i.typ.results) {
			stack[r] = 0
		}
		if i.typ.results == i32 {
			stack[0] = errno
		}
	}
}

func wasiNone(_ *call, m api.Memory, a []uint64) uint32 {
	if !m.WriteUint32Le(uint32(a[0]), 0) || !m.WriteUint32Le(uint32(a[1]), 0) {
		return wasiFault
	}
	return wasiOK
}

// wasiClock serves all clocks with the one of the call.
func wasiClock(c *call, m api.Memory, a []uint64) uint32 {
	if uint32(a[0]) > 3 {
		return wasiInval
	}
	if !m.WriteUint64Le(uint32(a[2]), uint64(c.clock())) {
		return wasiFault
	}
	return wasiOK
}

func wasiResolution(_ *call, m api.Memory, a []uint64) uint32 {
	if uint32(a[0]) > 3 {
		return wasiInval
	}
	if !m.WriteUint64Le(uint32(a[1]), uint64(tick)) {
		return wasiFault
	}
	return wasiOK
}

func wasiRandom(c *call, m api.Memory, a []uint64) uint32 {
	b, ok := m.Read(uint32(a[0]), uint32(a[1]))
	if !ok {
		return wasiFault
	}
	_, _ = c.random.Read(b)
	return wasiOK
}

// maxVectors is how many pieces one fd_write may have.
const maxVectors = 1024

func wasiWrite(c *call, m api.Memory, a []uint64) uint32 {
	fd := uint32(a[0])
	if fd != 1 && fd != 2 {
		return wasiBadF
	}
	if uint32(a[2]) > maxVectors {
		return wasiInval
	}
	vectors, ok := m.Read(uint32(a[1]), uint32(a[2])*8)
	if !ok {
		return wasiFault
	}
	total := uint32(0)
	for ; len(vectors) > 0; vectors = vectors[8:] {
		b, ok := m.Read(binary.LittleEndian.Uint32(vectors), binary.LittleEndian.Uint32(vectors[4:]))
		if !ok {
			return wasiFault
		}
		c.log.write(b, fd == 2)
		total += uint32(len(b))
	}
	if !m.WriteUint32Le(uint32(a[3]), total) {
		return wasiFault
	}
	return wasiOK
}

func wasiExit(_ *call, _ api.Memory, a []uint64) uint32 {
	panic(sys.NewExitError(uint32(a[0])))
}

// The layout of poll_oneoff, in octets.
const (
	subscriptionSize = 48
	eventSize        = 32
	maxSubscriptions = 1024
)

// wasiPoll waits, which only moves the clock. What waits for a file gets EBADF
// at once.
func wasiPoll(c *call, m api.Memory, a []uint64) uint32 {
	n := uint32(a[2])
	if n == 0 || n > maxSubscriptions {
		return wasiInval
	}
	in, ok := m.Read(uint32(a[0]), n*subscriptionSize)
	if !ok {
		return wasiFault
	}
	out, ok := m.Read(uint32(a[1]), n*eventSize)
	if !ok {
		return wasiFault
	}
	// The events may lie over the subscriptions.
	in = append([]byte(nil), in...)
	first, files := int64(math.MaxInt64), false
	spans := make([]int64, n)
	for i := range spans {
		s := in[i*subscriptionSize:][:subscriptionSize]
		if s[8] != 0 {
			files, spans[i] = true, -1
			continue
		}
		spans[i] = c.until(s)
		first = min(first, spans[i])
	}
	if files {
		first = -1
	} else {
		c.pass(first)
	}
	events := uint32(0)
	for i, span := range spans {
		if span > first {
			continue
		}
		errno := uint16(wasiOK)
		if files {
			errno = wasiBadF
		}
		s := in[i*subscriptionSize:]
		e := out[events*eventSize:][:eventSize]
		clear(e)
		copy(e, s[:8])
		binary.LittleEndian.PutUint16(e[8:], errno)
		e[10] = s[8]
		events++
	}
	if !m.WriteUint32Le(uint32(a[3]), events) {
		return wasiFault
	}
	return wasiOK
}

// until tells how long the clock of a subscription has to go, in nanoseconds.
func (c *call) until(s []byte) int64 {
	timeout := binary.LittleEndian.Uint64(s[24:])
	if timeout > 1<<62 {
		timeout = 1 << 62
	}
	d := int64(timeout)
	if binary.LittleEndian.Uint16(s[40:])&1 != 0 { // a time, not a span
		d -= c.now
	}
	return max(d, 0)
}
