package wire

import (
	"slices"
	"strconv"
)

// Range is one element of a sequence set; 0 stands for "*". First may be larger
// than Last.
type Range struct{ First, Last uint32 }

// Set is a set of sequence numbers or UIDs as it was written.
type Set struct {
	Ranges []Range
	// Saved tells that the set is "$", the result of the last search.
	Saved bool
}

// Set reads a sequence set or "$".
func (p *Parser) Set() (Set, error) {
	var s Set
	if p.Skip('$') {
		s.Saved = true
		return s, nil
	}
	for {
		first, err := p.setNumber()
		if err != nil {
			return s, err
		}
		r := Range{first, first}
		if p.Skip(':') {
			if r.Last, err = p.setNumber(); err != nil {
				return s, err
			}
		}
		s.Ranges = append(s.Ranges, r)
		if !p.Skip(',') {
			return s, nil
		}
	}
}

func (p *Parser) setNumber() (uint32, error) {
	if p.Skip('*') {
		return 0, nil
	}
	n, err := p.Number()
	if err != nil || n == 0 {
		return 0, syntax("expected a sequence set")
	}
	return n, nil
}

// IsSet tells whether a sequence set begins here.
func (p *Parser) IsSet() bool {
	c := p.Peek()
	return c >= '1' && c <= '9' || c == '*' || c == '$'
}

// Resolve gives the set as ascending ranges that do not touch, with "*" put in
// as largest. A Saved set gives nothing.
func (s Set) Resolve(largest uint32) []Range {
	out := make([]Range, 0, len(s.Ranges))
	for _, r := range s.Ranges {
		if r.First == 0 {
			r.First = largest
		}
		if r.Last == 0 {
			r.Last = largest
		}
		if r.First > r.Last {
			r.First, r.Last = r.Last, r.First
		}
		out = append(out, r)
	}
	slices.SortFunc(out, func(a, b Range) int {
		switch {
		case a.First < b.First:
			return -1
		case a.First > b.First:
			return 1
		}
		return 0
	})
	n := 0
	for _, r := range out {
		if n > 0 && (r.First <= out[n-1].Last || r.First == out[n-1].Last+1) {
			out[n-1].Last = max(out[n-1].Last, r.Last)
			continue
		}
		out[n] = r
		n++
	}
	return out[:n]
}

// AppendSet appends ascending numbers as a sequence set, runs as ranges.
func AppendSet(dst []byte, numbers []uint32) []byte {
	for i := 0; i < len(numbers); {
		j := i
		for j+1 < len(numbers) && numbers[j+1] == numbers[j]+1 {
			j++
		}
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = strconv.AppendUint(dst, uint64(numbers[i]), 10)
		if j > i {
			dst = append(dst, ':')
			dst = strconv.AppendUint(dst, uint64(numbers[j]), 10)
		}
		i = j + 1
	}
	return dst
}
