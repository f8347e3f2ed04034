package imapd

import (
	"slices"

	"hauspost/appliance/imapd/wire"
)

// span is a run of messages by index into selected.uids, hi excluded.
type span struct{ lo, hi int }

// spans are ascending and do not touch.
type spans []span

func (sp spans) count() int {
	n := 0
	for _, s := range sp {
		n += s.hi - s.lo
	}
	return n
}

// resolve finds the messages that a set names. A sequence number that no
// message has is an error; UIDs that are not there are passed over (RFC 9051,
// section 6.4.9). "*" and ranges up to it are nothing in an empty mailbox.
func (s *session) resolve(set wire.Set, byUID bool) (spans, error) {
	uids := s.box.uids
	switch {
	case set.Saved:
		return spansOf(uids, s.saved), nil
	case byUID:
		return uidSpans(uids, set), nil
	}
	var out spans
	n := uint32(len(uids))
	for _, r := range set.Ranges {
		if r.First > n || r.Last > n {
			// With "*" at the other end an empty or shorter mailbox is no fault.
			if r.First != 0 && r.Last != 0 {
				return nil, bad("There is no message %d", max(r.First, r.Last))
			}
		}
	}
	if n == 0 {
		return nil, nil
	}
	for _, r := range set.Resolve(n) {
		if r.First <= n {
			out = append(out, span{int(r.First) - 1, int(min(r.Last, n))})
		}
	}
	return out, nil
}

func uidSpans(uids []uint32, set wire.Set) spans {
	if len(uids) == 0 {
		return nil
	}
	var out spans
	for _, r := range set.Resolve(uids[len(uids)-1]) {
		lo, _ := slices.BinarySearch(uids, r.First)
		hi, found := slices.BinarySearch(uids, r.Last)
		if found {
			hi++
		}
		if lo < hi {
			out = append(out, span{lo, hi})
		}
	}
	return out
}

// spansOf finds ascending UIDs among those of a session.
func spansOf(uids, wanted []uint32) spans {
	var out spans
	at := 0
	for _, u := range wanted {
		j, found := slices.BinarySearch(uids[at:], u)
		at += j
		if !found {
			continue
		}
		if n := len(out); n > 0 && out[n-1].hi == at {
			out[n-1].hi++
		} else {
			out = append(out, span{at, at + 1})
		}
		at++
	}
	return out
}

// pick gives the UIDs in sp, ascending. The result may be part of uids and must
// not be changed or kept.
func pick(uids []uint32, sp spans) []uint32 {
	switch len(sp) {
	case 0:
		return []uint32{}
	case 1:
		return uids[sp[0].lo:sp[0].hi:sp[0].hi]
	}
	out := make([]uint32, 0, sp.count())
	for _, s := range sp {
		out = append(out, uids[s.lo:s.hi]...)
	}
	return out
}

// chunks calls fn for runs of at most size messages.
func (sp spans) chunks(size int, fn func(lo, hi int) error) error {
	for _, s := range sp {
		for lo := s.lo; lo < s.hi; lo += size {
			if err := fn(lo, min(lo+size, s.hi)); err != nil {
				return err
			}
		}
	}
	return nil
}

// wants reads a set and resolves it.
func (s *session) wants(c *call) (spans, error) {
	set, err := c.Set()
	if err != nil {
		return nil, err
	}
	return s.resolve(set, c.byUID)
}
