package wire

import "strings"

// MaxPattern is the longest LIST pattern in octets.
const MaxPattern = 4096

// Pattern reads a mailbox name with wildcards, as LIST has it.
func (p *Parser) Pattern() (string, error) {
	switch p.Peek() {
	case '"', '{':
		return p.String()
	}
	s := p.span(func(c byte) bool { return isAStringChar(c) || c == '*' || c == '%' })
	if len(s) == 0 {
		return "", syntax("expected a mailbox name")
	}
	return string(s), nil
}

// Pattern is a LIST pattern made ready by CompilePattern. It is matched as a
// set of positions, one bit each, that moves along the name: the time is
// linear in the length of the name, whatever the pattern is. It is not safe
// for concurrent use.
type Pattern struct {
	length int
	// any and level have the bits of the steps that are "*" and "%".
	any, level bits
	// steps has the bits of the steps that match an octet.
	steps [256]bits
	// now and next are the sets while a name is matched.
	now, next bits
}

// bits is a set of positions in a pattern.
type bits []uint64

func (b bits) add(i int)      { b[i/64] |= 1 << (i % 64) }
func (b bits) has(i int) bool { return b[i/64]&(1<<(i%64)) != 0 }

// CompilePattern makes a LIST pattern, in UTF-8, ready for Match. A pattern
// longer than MaxPattern matches nothing.
func CompilePattern(s string) *Pattern {
	pt := &Pattern{length: len(s)}
	words := min(len(s), MaxPattern)/64 + 1
	for _, b := range []*bits{&pt.any, &pt.level, &pt.now, &pt.next} {
		*b = make(bits, words)
	}
	if len(s) > MaxPattern {
		return pt
	}
	// Of neighbouring wildcards one is enough, and "*" is the wider one; so no
	// two are neighbours, which advance relies on.
	n, wild := 0, false
	for i := range len(s) {
		c := s[i]
		isWild := c == '*' || c == '%'
		if isWild && wild {
			if c == '*' {
				pt.level[(n-1)/64] &^= 1 << ((n - 1) % 64)
				pt.any.add(n - 1)
			}
			continue
		}
		switch wild = isWild; c {
		case '*':
			pt.any.add(n)
		case '%':
			pt.level.add(n)
		default:
			if pt.steps[c] == nil {
				pt.steps[c] = make(bits, words)
			}
			pt.steps[c].add(n)
		}
		n++
	}
	pt.length = n
	return pt
}

// Match tells whether the pattern matches the whole of name, whose levels are
// separated by "/". INBOX and its children match in any case.
func (pt *Pattern) Match(name string) bool {
	if pt.length > MaxPattern {
		return false
	}
	inbox := 0
	if name == "INBOX" || strings.HasPrefix(name, "INBOX/") {
		inbox = 5
	}
	clear(pt.now)
	pt.now[0] = 1
	pt.skipWildcards()
	for i := range len(name) {
		c := name[i]
		var folded bits
		if i < inbox {
			folded = pt.steps[c+'a'-'A']
		}
		if !pt.advance(pt.steps[c], folded, c != '/') {
			return false
		}
	}
	return pt.now.has(pt.length)
}

// advance moves the set over one octet and tells whether anything is left.
func (pt *Pattern) advance(match, folded bits, inLevel bool) bool {
	var carry, left uint64
	for w, s := range pt.now {
		var m uint64
		if match != nil {
			m = match[w]
		}
		if folded != nil {
			m |= folded[w]
		}
		stay := pt.any[w]
		if inLevel {
			stay |= pt.level[w]
		}
		step := s & m
		pt.next[w] = step<<1 | carry | s&stay
		carry = step >> 63
		left |= pt.next[w]
	}
	pt.now, pt.next = pt.next, pt.now
	pt.skipWildcards()
	return left != 0
}

// skipWildcards adds the positions after wildcards, which may match nothing.
func (pt *Pattern) skipWildcards() {
	var carry uint64
	for w, s := range pt.now {
		wild := s & (pt.any[w] | pt.level[w])
		pt.now[w] = s | wild<<1 | carry
		carry = wild >> 63
	}
}
