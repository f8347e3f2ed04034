package worker

import (
	"context"
	"fmt"

	"github.com/tetratelabs/wazero/api"

	"hauspost/plugins/abi"
	"hauspost/plugins/host/link"
)

// hostFunction is one function of the module abi.Module: its type, and the
// grant without which it cannot be imported, in the words of a manifest.
type hostFunction struct {
	typ   signature
	grant string
	do    func(c *call, m api.Memory, a []uint64) int64
}

const (
	i32 = "\x7f"
	i64 = "\x7e"
)

// hostFunctions are the host calls of plugins/abi.
var hostFunctions = map[string]hostFunction{
	"event":       {signature{i32 + i32, i32}, "", hostEvent},
	"settings":    {signature{i32 + i32, i32}, "", hostSettings},
	"header":      {signature{i32 + i32, i32}, "header", hostHeader},
	"parts":       {signature{i32 + i32, i32}, "body", hostParts},
	"part_read":   {signature{i32 + i32 + i64 + i32 + i32, i32}, "body", hostPartRead},
	"keys_get":    {signature{i32 + i32 + i32 + i32, i32}, "keys", hostKeysGet},
	"keys_change": {signature{i32 + i32, i32}, "keys", hostKeysChange},
	"dns":         {signature{i32 + i32 + i32 + i32, i32}, "dns", hostDNS},
	"service":     {signature{i32 + i32 + i32 + i32, i32}, "services", hostService},
	"reply":       {signature{i32 + i32, i32}, "", hostReply},
	"effects":     {signature{i32 + i32, i32}, "", hostEffects},
	"log":         {signature{i32 + i32 + i32, i32}, "", hostLog},
	"clock":       {signature{"", i64}, "", hostClock},
	"random":      {signature{i32 + i32, i32}, "", hostRandom},
}

// serve makes of f what wazero calls. After the budget is used up, and after
// the end of the run, a call does nothing.
func (f hostFunction) serve() api.GoModuleFunc {
	return func(ctx context.Context, mod api.Module, stack []uint64) {
		c := callOf(ctx)
		if c.cancelled != nil && c.cancelled() {
			panic(errCancelled)
		}
		result := int64(abi.ErrBudget)
		if c.calls < abi.MaxCalls {
			c.calls++
			result = f.do(c, mod.Memory(), stack)
		}
		if f.typ.results == i32 {
			stack[0] = api.EncodeI32(int32(result))
		} else {
			stack[0] = uint64(result)
		}
	}
}

// give writes b where a guest wants it, if it fits, and gives its length.
func give(m api.Memory, ptr, size uint64, b []byte) int64 {
	to, ok := m.Read(uint32(ptr), uint32(size))
	if !ok {
		return int64(abi.ErrFault)
	}
	if len(b) <= len(to) {
		copy(to, b)
	}
	return int64(len(b))
}

// take gives a request as it lies in the guest's memory.
func take(m api.Memory, ptr, size uint64) ([]byte, abi.Errno) {
	b, ok := m.Read(uint32(ptr), uint32(size))
	if !ok {
		return nil, abi.ErrFault
	}
	if len(b) > abi.MaxRequest {
		return nil, abi.ErrTooBig
	}
	return b, 0
}

// respond keeps b for reply, and writes it.
func (c *call) respond(m api.Memory, ptr, size uint64, b []byte) int64 {
	c.reply, c.hasReply = b, true
	return give(m, ptr, size, b)
}

func hostEvent(c *call, m api.Memory, a []uint64) int64 {
	if c.event == nil {
		return int64(abi.ErrStage)
	}
	return give(m, a[0], a[1], c.event)
}

func hostSettings(c *call, m api.Memory, a []uint64) int64 { return give(m, a[0], a[1], c.settings) }

func hostHeader(c *call, m api.Memory, a []uint64) int64 {
	return giveContent(c, m, a, (*content).header)
}

func hostParts(c *call, m api.Memory, a []uint64) int64 {
	return giveContent(c, m, a, (*content).parts)
}

// giveContent gives what is made of the message, where there is one.
func giveContent(c *call, m api.Memory, a []uint64, of func(*content) ([]byte, abi.Errno)) int64 {
	if c.content == nil {
		return int64(abi.ErrStage)
	}
	b, errno := of(c.content)
	if errno != 0 {
		return int64(errno)
	}
	return give(m, a[0], a[1], b)
}

func hostPartRead(c *call, m api.Memory, a []uint64) int64 {
	if c.content == nil {
		return int64(abi.ErrStage)
	}
	to, ok := m.Read(uint32(a[3]), uint32(a[4]))
	if !ok {
		return int64(abi.ErrFault)
	}
	offset := int64(a[2])
	if offset < 0 {
		return int64(abi.ErrInvalid)
	}
	view, errno := c.content.view(api.DecodeI32(a[0]), abi.View(api.DecodeI32(a[1])))
	if errno != 0 {
		return int64(errno)
	}
	if offset >= int64(len(view)) {
		return 0
	}
	return int64(copy(to[:min(len(to), abi.MaxRead)], view[offset:]))
}

func hostKeysGet(c *call, m api.Memory, a []uint64) int64 {
	b, errno := take(m, a[0], a[1])
	if errno != 0 {
		return int64(errno)
	}
	var req abi.KeysRequest
	if req.Decode(b) != nil {
		return int64(abi.ErrInvalid)
	}
	if len(req.Keys) > abi.MaxKeys {
		return int64(abi.ErrTooBig)
	}
	for _, k := range req.Keys {
		switch {
		case len(k) == 0:
			return int64(abi.ErrInvalid)
		case len(k) > abi.MaxKey:
			return int64(abi.ErrTooBig)
		}
	}
	var stored abi.KeysReply
	if missing := c.keys.missing(req.Keys); len(missing) > 0 {
		ask := abi.KeysRequest{Keys: missing}
		reply, errno := c.outside(link.AskKeys, ask.Append(nil), nil)
		if errno != 0 {
			return int64(errno)
		}
		if stored.Decode(reply) != nil || len(stored.Values) != len(missing) {
			return int64(abi.ErrIO)
		}
	}
	merged := abi.KeysReply{Values: c.keys.merge(req.Keys, stored.Values)}
	out := merged.Append(nil)
	if len(out) > abi.MaxReply {
		return int64(abi.ErrTooBig)
	}
	return c.respond(m, a[2], a[3], out)
}

func hostKeysChange(c *call, m api.Memory, a []uint64) int64 {
	b, errno := take(m, a[0], a[1])
	if errno != 0 {
		return int64(errno)
	}
	if c.event == nil {
		return int64(abi.ErrStage)
	}
	var req abi.KeysChange
	if req.Decode(b) != nil {
		return int64(abi.ErrInvalid)
	}
	return int64(c.keys.change(req.Changes))
}

func hostDNS(c *call, m api.Memory, a []uint64) int64 {
	b, errno := take(m, a[0], a[1])
	if errno != 0 {
		return int64(errno)
	}
	var req abi.DNSRequest
	if req.Decode(b) != nil {
		return int64(abi.ErrInvalid)
	}
	if len(req.Questions) > abi.MaxQuestions {
		return int64(abi.ErrTooBig)
	}
	n := min(len(req.Questions), abi.MaxLookups-c.lookups)
	c.lookups += n
	var reply abi.DNSReply
	if n > 0 {
		ask := abi.DNSRequest{Questions: req.Questions[:n]}
		b, errno := c.outside(link.AskDNS, ask.Append(nil), nil)
		if errno != 0 {
			return int64(errno)
		}
		if reply.Decode(b) != nil || len(reply.Answers) != n {
			return int64(abi.ErrIO)
		}
	}
	for range len(req.Questions) - n {
		reply.Answers = append(reply.Answers, abi.Answer{Status: int32(abi.ErrBudget)})
	}
	return c.respond(m, a[2], a[3], reply.Append(nil))
}

func hostService(c *call, m api.Memory, a []uint64) int64 {
	b, errno := take(m, a[0], a[1])
	if errno != 0 {
		return int64(errno)
	}
	var req abi.ServiceRequest
	if req.Decode(b) != nil {
		return int64(abi.ErrInvalid)
	}
	if c.services >= abi.MaxServices {
		return int64(abi.ErrBudget)
	}
	if !req.With {
		c.services++
		return c.serviceReply(m, a, b, nil)
	}
	if c.content == nil {
		return int64(abi.ErrStage)
	}
	view, errno := c.content.view(req.Part, req.View)
	if errno != 0 {
		return int64(errno)
	}
	c.services++
	file, err := newImage(view)
	if err != nil {
		return int64(abi.ErrIO)
	}
	defer file.close()
	return c.serviceReply(m, a, b, file)
}

func (c *call) serviceReply(m api.Memory, a []uint64, request []byte, part *image) int64 {
	var b []byte
	var errno abi.Errno
	if part != nil {
		b, errno = c.outside(link.AskService, request, part.file)
	} else {
		b, errno = c.outside(link.AskService, request, nil)
	}
	if errno != 0 {
		return int64(errno)
	}
	return c.respond(m, a[2], a[3], b)
}

func hostReply(c *call, m api.Memory, a []uint64) int64 {
	if !c.hasReply {
		return int64(abi.ErrNotFound)
	}
	return give(m, a[0], a[1], c.reply)
}

func hostEffects(c *call, m api.Memory, a []uint64) int64 {
	b, errno := take(m, a[0], a[1])
	if errno != 0 {
		return int64(errno)
	}
	if c.event == nil {
		return int64(abi.ErrStage)
	}
	var req abi.Effects
	if req.Decode(b) != nil {
		return int64(abi.ErrInvalid)
	}
	for i := range req.List {
		e := &req.List[i]
		for _, text := range []*string{&e.Symbol, &e.Detail, &e.Argument, &e.Name, &e.Recipient} {
			*text = cut(*text, abi.MaxText)
		}
		size := len(e.Symbol) + len(e.Detail) + len(e.Argument) + len(e.Name) + len(e.Recipient) + 64
		if len(c.effects) == abi.MaxEffects || c.effectsSize+size > effectsBudget {
			if !c.effectsCut {
				c.effectsCut = true
				c.log.add(2, fmt.Sprintf("only the first %d effects were taken", len(c.effects)))
			}
			return int64(abi.ErrTooBig)
		}
		c.effectsSize += size
		c.effects = append(c.effects, *e)
	}
	return 0
}

func hostLog(c *call, m api.Memory, a []uint64) int64 {
	level := api.DecodeI32(a[0])
	if level < 0 || int(level) >= len(levels) {
		return int64(abi.ErrInvalid)
	}
	b, ok := m.Read(uint32(a[1]), uint32(a[2]))
	if !ok {
		return int64(abi.ErrFault)
	}
	if len(b) > abi.MaxLog {
		b = b[:abi.MaxLog]
	}
	c.log.add(int(level), string(b))
	return 0
}

func hostClock(c *call, _ api.Memory, _ []uint64) int64 { return c.clock() }

func hostRandom(c *call, m api.Memory, a []uint64) int64 {
	b, ok := m.Read(uint32(a[0]), uint32(a[1]))
	if !ok {
		return int64(abi.ErrFault)
	}
	if len(b) > abi.MaxRead {
		return int64(abi.ErrTooBig)
	}
	_, _ = c.random.Read(b)
	return 0
}
