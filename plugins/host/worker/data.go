package worker

// maxGap is how many zeros are written between two pieces of data to make them
// one.
const maxGap = 64

// mergeData gives the content of a data section with fewer, larger segments.
// The linker of Go makes tens of thousands, one for each few words that are not
// zero, and wazero keeps each with a hundred octets and again in each instance.
// It gives false where the section has to stay: segments that are not copied to
// fixed places in ascending order, or that instructions speak of.
func (m *module) mergeData(content []byte) ([]byte, bool) {
	if m.namesData || !m.poolable() {
		return nil, false
	}
	type piece struct {
		at   uint64
		data []byte
	}
	var pieces []piece
	r := reader{b: content}
	end := uint64(0)
	for range r.count() {
		active, constant := r.u32() == 0, r.byte() == 0x41
		at := uint64(r.s32())
		closed := r.byte() == 0x0b
		data := r.bytes(r.u32())
		if r.bad || !active || !constant || !closed || at < end {
			return nil, false
		}
		last := len(pieces) - 1
		if end+maxGap >= at && last >= 0 {
			p := &pieces[last]
			p.data = append(append(p.data, make([]byte, at-end)...), data...)
		} else {
			pieces = append(pieces, piece{at: at, data: append([]byte(nil), data...)})
		}
		end = at + uint64(len(data))
	}
	if r.left() > 0 {
		return nil, false
	}
	out := appendU32(nil, uint32(len(pieces)))
	for _, p := range pieces {
		out = appendS32(append(out, 0, 0x41), int32(uint32(p.at)))
		out = append(appendU32(append(out, 0x0b), uint32(len(p.data))), p.data...)
	}
	return out, true
}
