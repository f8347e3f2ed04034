package abi

import (
	"math"
	"unicode/utf8"
)

// WireError is the type of ErrWire.
type WireError string

// Error implements error.
func (e WireError) Error() string { return string(e) }

// ErrWire is what every Decode gives for octets that are no message of
// plugin_v1.proto. What was decoded up to there is left in the receiver.
const ErrWire = WireError("the octets are no message of the plugin interface")

// The wire types of the fields, in the lowest three bits of a tag. The groups
// of old (3 and 4) cannot be in messages of proto3 and are refused.
const (
	varint  = 0
	fixed64 = 1
	octets  = 2
	fixed32 = 5
)

// A field whose tag is below 128 and whose value is the default of proto3 is
// left out by all of these.

func appendVarint(b []byte, v uint64) []byte {
	for v >= 0x80 {
		b = append(b, byte(v)|0x80)
		v >>= 7
	}
	return append(b, byte(v))
}

// appendInt appends an int32 or int64; negative ones take ten octets.
func appendInt(b []byte, field byte, v int64) []byte {
	if v == 0 {
		return b
	}
	return appendVarint(append(b, field<<3|varint), uint64(v))
}

func appendBool(b []byte, field byte, v bool) []byte {
	if !v {
		return b
	}
	return append(b, field<<3|varint, 1)
}

func appendDouble(b []byte, field uint32, v float64) []byte {
	u := math.Float64bits(v)
	if u == 0 {
		return b
	}
	b = appendVarint(b, uint64(field<<3|fixed64))
	return append(b, byte(u), byte(u>>8), byte(u>>16), byte(u>>24), byte(u>>32), byte(u>>40), byte(u>>48), byte(u>>56))
}

func appendText(b []byte, field byte, s string) []byte {
	if s == "" {
		return b
	}
	return appendElement(b, field, s)
}

// appendElement appends s also where it is empty. What is not UTF-8 in it
// becomes U+FFFD, because other implementations refuse whole messages for that.
func appendElement(b []byte, field byte, s string) []byte {
	if utf8.ValidString(s) {
		b = appendVarint(append(b, field<<3|octets), uint64(len(s)))
		return append(b, s...)
	}
	b, at := begin(b, field)
	for _, c := range s {
		b = utf8.AppendRune(b, c)
	}
	return end(b, at)
}

func appendTexts(b []byte, field byte, list []string) []byte {
	for _, s := range list {
		b = appendElement(b, field, s)
	}
	return b
}

func appendBytes(b []byte, field byte, v []byte) []byte {
	if len(v) == 0 {
		return b
	}
	b = appendVarint(append(b, field<<3|octets), uint64(len(v)))
	return append(b, v...)
}

// begin leaves one octet for the length of what is appended next, and end
// makes more room where one is not enough: almost all messages within others
// are shorter than 128 octets, so this is cheaper than to measure first.
func begin(b []byte, field byte) ([]byte, int) {
	b = append(b, field<<3|octets, 0)
	return b, len(b)
}

func end(b []byte, at int) []byte {
	n := len(b) - at
	if n < 0x80 {
		b[at-1] = byte(n)
		return b
	}
	more := 0
	for v := n >> 7; v > 0; v >>= 7 {
		more++
		b = append(b, 0)
	}
	copy(b[at+more:], b[at:at+n])
	appendVarint(b[:at-1], uint64(n))
	return b
}

// reader goes through the fields of a message. Texts and octets that it gives
// are parts of the one copy of the message that newReader made.
type reader struct {
	s string
	// own has the octets of s where the message has fields of octets.
	own []byte
	pos int
	bad bool
	// tag, number and the limits of the field that next found.
	tag        uint32
	number     uint64
	start, end int
}

func newReader(b []byte) reader { return reader{s: string(b)} }

// newOctetReader is for messages with fields of the type bytes.
func newOctetReader(b []byte) reader {
	return reader{s: string(b), own: append([]byte(nil), b...)}
}

// next goes to the next field; it is false at the end and at a fault.
func (r *reader) next() bool {
	if r.bad || r.pos == len(r.s) {
		return false
	}
	tag := r.varint()
	if tag>>3 == 0 || tag>>32 != 0 {
		r.bad = true
		return false
	}
	r.tag = uint32(tag)
	switch tag & 7 {
	case varint:
		r.number = r.varint()
	case fixed64:
		r.number = r.fixed(8)
	case fixed32:
		r.number = r.fixed(4)
	case octets:
		n := r.varint()
		if r.bad || n > uint64(len(r.s)-r.pos) {
			r.bad = true
			return false
		}
		r.start = r.pos
		r.pos += int(n)
		r.end = r.pos
	default:
		r.bad = true
	}
	return !r.bad
}

func (r *reader) varint() uint64 {
	var v uint64
	for shift := 0; shift < 70 && r.pos < len(r.s); shift += 7 {
		c := r.s[r.pos]
		r.pos++
		if shift == 63 && c > 1 {
			break
		}
		v |= uint64(c&0x7f) << shift
		if c < 0x80 {
			return v
		}
	}
	r.bad = true
	return 0
}

func (r *reader) fixed(n int) uint64 {
	if len(r.s)-r.pos < n {
		r.bad = true
		return 0
	}
	var v uint64
	for i := range n {
		v |= uint64(r.s[r.pos+i]) << (8 * i)
	}
	r.pos += n
	return v
}

// int32 cuts longer numbers, as all implementations do.
func (r *reader) int32() int32    { return int32(r.number) }
func (r *reader) int64() int64    { return int64(r.number) }
func (r *reader) bool() bool      { return r.number != 0 }
func (r *reader) double() float64 { return math.Float64frombits(r.number) }

func (r *reader) text() string {
	s := r.s[r.start:r.end]
	if !utf8.ValidString(s) {
		r.bad = true
		return ""
	}
	return s
}

func (r *reader) bytes() []byte {
	if r.start == r.end {
		return nil
	}
	return r.own[r.start:r.end:r.end]
}

// message gives a reader for the message within the field.
func (r *reader) message() reader {
	m := reader{s: r.s[r.start:r.end]}
	if r.own != nil {
		m.own = r.own[r.start:r.end:r.end]
	}
	return m
}

// done takes the outcome of a message within this one.
func (r *reader) done(err error) {
	if err != nil {
		r.bad = true
	}
}

func (r *reader) err() error {
	if r.bad {
		return ErrWire
	}
	return nil
}

// more makes list longer by one. The first time it makes room for as many as
// will come, so that a list takes no more memory than its elements.
func more[T any](r *reader, list []T) ([]T, *T) {
	if list == nil {
		n := 1
		for ahead := *r; ahead.next(); {
			if ahead.tag == r.tag {
				n++
			}
		}
		list = make([]T, 0, n)
	}
	var zero T
	list = append(list, zero)
	return list, &list[len(list)-1]
}
