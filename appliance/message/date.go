package message

import (
	"bytes"
	"time"
)

// maxDate is how much of a Date header is read.
const maxDate = 256

// date is a date of RFC 5322, section 3.3, offset in seconds east of UTC.
type date struct {
	year, month, day, hour, minute, second, offset int
}

func (d date) unix() int64 {
	t := time.Date(d.year, time.Month(d.month), d.day, d.hour, d.minute, d.second, 0, time.UTC)
	return t.Unix() - int64(d.offset)
}

func (d date) time() time.Time {
	zone := time.UTC
	if d.offset != 0 {
		zone = time.FixedZone("", d.offset)
	}
	return time.Date(d.year, time.Month(d.month), d.day, d.hour, d.minute, d.second, 0, zone)
}

// parseDate reads a Date header. It knows the order of RFC 5322 and that of
// ctime, hyphens in the date, obsolete years and zones, missing weekdays,
// seconds and zones, and comments.
func parseDate(v []byte) (date, bool) {
	v = v[:min(len(v), maxDate)]
	var d date
	var haveDay, haveMonth, haveYear, haveTime bool
	for {
		var tok []byte
		if tok, v = dateToken(v, !haveTime); tok == nil {
			break
		}
		switch c := tok[0]; {
		case bytes.IndexByte(tok, ':') > 0:
			if haveTime || !d.clock(tok) {
				return date{}, false
			}
			haveTime = true
		case haveTime && (c == '+' || c == '-'):
			d.offset = numericZone(tok)
		case '0' <= c && c <= '9':
			n, ok := number(tok)
			switch {
			case !ok:
				return date{}, false
			case !haveDay && len(tok) <= 2:
				d.day, haveDay = n, true
			case !haveYear:
				d.year, haveYear = fullYear(n, len(tok)), true
			}
		default:
			if m := monthOf(tok); m > 0 && !haveMonth {
				d.month, haveMonth = m, true
			} else if haveTime {
				d.offset = namedZone(tok, d.offset)
			}
		}
	}
	ok := haveDay && haveMonth && haveYear && 1 <= d.day && d.day <= 31 && d.year <= 9999
	if !ok {
		return date{}, false
	}
	return d, true
}

// dateToken takes the next word off v, nil at the end. Commas and comments part
// words; hyphens do so before the time, and begin a zone after it.
func dateToken(v []byte, hyphens bool) (tok, rest []byte) {
	for len(v) > 0 {
		c := v[0]
		if c == '(' {
			end := commentEnd(v, 0)
			if end < 0 {
				return nil, nil
			}
			v = v[end:]
			continue
		}
		if !isSpace(c) && c != ',' && (c != '-' || !hyphens) {
			break
		}
		v = v[1:]
	}
	for i, c := range v {
		if i > 0 && (isSpace(c) || c == ',' || c == '(' || c == '-' || c == '+') {
			return v[:i], v[i:]
		}
	}
	if len(v) == 0 {
		return nil, nil
	}
	return v, nil
}

func number(tok []byte) (int, bool) {
	n := 0
	for _, c := range tok {
		if c < '0' || c > '9' || n > 99999 {
			return 0, false
		}
		n = n*10 + int(c-'0')
	}
	return n, len(tok) > 0
}

// fullYear reads years of two and three digits as RFC 5322, section 4.3, says.
func fullYear(n, digits int) int {
	switch {
	case digits == 2 && n < 50:
		return 2000 + n
	case digits <= 3:
		return 1900 + n
	}
	return n
}

// clock reads hh:mm or hh:mm:ss.
func (d *date) clock(tok []byte) bool {
	parts := [3]int{}
	for i := range parts {
		piece, rest, more := bytes.Cut(tok, []byte{':'})
		n, ok := number(piece)
		if !ok {
			return false
		}
		parts[i] = n
		if !more {
			break
		}
		tok = rest
	}
	d.hour, d.minute, d.second = parts[0], parts[1], parts[2]
	return d.hour < 24 && d.minute < 60 && d.second <= 60
}

func monthOf(tok []byte) int {
	const months = "janfebmaraprmayjunjulaugsepoctnovdec"
	if len(tok) < 3 {
		return 0
	}
	name := [3]byte{tok[0] | 0x20, tok[1] | 0x20, tok[2] | 0x20}
	for m := range 12 {
		if months[3*m:3*m+3] == string(name[:]) {
			return m + 1
		}
	}
	return 0
}

// numericZone reads +hhmm; what it cannot read counts as UTC.
func numericZone(tok []byte) int {
	n, ok := number(tok[1:])
	if !ok || len(tok) != 5 || n%100 > 59 {
		return 0
	}
	offset := n/100*3600 + n%100*60
	if tok[0] == '-' {
		return -offset
	}
	return offset
}

// namedZone knows the zones of RFC 822 that RFC 5322 still gives a meaning; all
// others are UTC, unless a number told the zone before.
func namedZone(tok []byte, known int) int {
	if known != 0 || len(tok) != 3 {
		return known
	}
	switch string([]byte{tok[0] | 0x20, tok[1] | 0x20, tok[2] | 0x20}) {
	case "edt":
		return -4 * 3600
	case "est", "cdt":
		return -5 * 3600
	case "cst", "mdt":
		return -6 * 3600
	case "mst", "pdt":
		return -7 * 3600
	case "pst":
		return -8 * 3600
	}
	return 0
}
