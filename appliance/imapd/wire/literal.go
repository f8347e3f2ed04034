package wire

import "bytes"

// Literal is the announcement of a literal at the end of a line:
// {n}, {n+}, ~{n} or ~{n+} (RFC 9051, section 4.3).
type Literal struct {
	// Size is in octets; a number too large for 62 bits is MaxLiteral.
	Size int64
	// NonSync tells that the octets come without waiting for a continuation.
	NonSync bool
	// Binary tells that they may hold NUL (literal8).
	Binary bool
}

// MaxLiteral stands for every size that is larger.
const MaxLiteral = 1<<62 - 1

// TrailingLiteral finds the literal that a line announces at its end. Whatever
// stands before it, also a quote that was never closed, the octets that follow
// belong to the literal and must not be taken for commands.
func TrailingLiteral(line []byte) (Literal, bool) {
	var l Literal
	n := len(line)
	if n < 3 || line[n-1] != '}' {
		return l, false
	}
	open := bytes.LastIndexByte(line, '{')
	if open < 0 {
		return l, false
	}
	digits := line[open+1 : n-1]
	if k := len(digits); k > 0 && digits[k-1] == '+' {
		l.NonSync, digits = true, digits[:k-1]
	}
	if len(digits) == 0 {
		return l, false
	}
	for _, c := range digits {
		if c < '0' || c > '9' {
			return Literal{}, false
		}
		if l.Size > (MaxLiteral-9)/10 {
			l.Size = MaxLiteral
			continue
		}
		l.Size = l.Size*10 + int64(c-'0')
	}
	l.Binary = open > 0 && line[open-1] == '~'
	return l, true
}
