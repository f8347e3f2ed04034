package worker

import (
	"cmp"
	"slices"
)

// maxGap is how many zeros are written between two pieces of data to make them
// one.
const maxGap = 64

// maxSegments is how many segments are looked at.
const maxSegments = 1 << 18

// mergeData gives the content of a data section with fewer, larger segments.
// The linker of Go makes tens of thousands, one for each few words that are not
// zero, and wazero keeps each with a hundred octets and again in each instance.
// It gives false where the section has to stay: segments that are not copied to
// fixed places, or over each other, or that instructions speak of.
func (m *module) mergeData(content []byte) ([]byte, bool) {
	if m.namesData || !m.poolable() {
		return nil, false
	}
	type piece struct {
		at   uint64
		data []byte
	}
	r := reader{b: content}
	n := r.count()
	if n > maxSegments {
		return nil, false
	}
	pieces := make([]piece, n)
	for i := range pieces {
		active, constant := r.u32() == 0, r.byte() == 0x41
		at := uint64(r.s32())
		closed := r.byte() == 0x0b
		data := r.bytes(r.u32())
		if r.bad || !active || !constant || !closed {
			return nil, false
		}
		pieces[i] = piece{at: at, data: data}
	}
	if r.left() > 0 {
		return nil, false
	}
	slices.SortStableFunc(pieces, func(a, b piece) int { return cmp.Compare(a.at, b.at) })
	var merged []piece
	end := uint64(0)
	for _, next := range pieces {
		if next.at < end {
			return nil, false
		}
		if last := len(merged) - 1; last >= 0 && next.at <= end+maxGap {
			p := &merged[last]
			p.data = append(append(p.data, make([]byte, next.at-end)...), next.data...)
		} else {
			merged = append(merged, piece{at: next.at, data: slices.Clone(next.data)})
		}
		end = next.at + uint64(len(next.data))
	}
	out := appendU32(nil, uint32(len(merged)))
	for _, p := range merged {
		out = appendS32(append(out, 0, 0x41), int32(uint32(p.at)))
		out = append(appendU32(append(out, 0x0b), uint32(len(p.data))), p.data...)
	}
	return out, true
}
