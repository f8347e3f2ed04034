package wire

import (
	"strings"
	"time"
)

const months = "JanFebMarAprMayJunJulAugSepOctNovDec"

// Date reads a date such as 1-Feb-2025, quoted or not, and gives it as days
// since 1 January 1970.
func (p *Parser) Date() (int64, error) {
	quoted := p.Skip('"')
	day, err := p.Number64()
	if err != nil {
		return 0, syntax("expected a date")
	}
	t, err := p.monthYear(day)
	if err != nil {
		return 0, err
	}
	if quoted && !p.Skip('"') {
		return 0, syntax("expected a date")
	}
	return t.Unix() / 86400, nil
}

func (p *Parser) monthYear(day uint64) (time.Time, error) {
	if !p.Skip('-') || len(p.b)-p.i < 4 {
		return time.Time{}, syntax("expected a date")
	}
	month := -1
	for m := range 12 {
		if strings.EqualFold(months[3*m:3*m+3], string(p.b[p.i:p.i+3])) {
			month = m + 1
		}
	}
	p.i += 3
	if month < 0 || !p.Skip('-') {
		return time.Time{}, syntax("expected a date")
	}
	start := p.i
	year, err := p.Number64()
	if err != nil || p.i-start != 4 || day > 31 {
		return time.Time{}, syntax("expected a date")
	}
	t := time.Date(int(year), time.Month(month), int(day), 0, 0, 0, 0, time.UTC)
	if t.Day() != int(day) {
		return time.Time{}, syntax("no such day")
	}
	return t, nil
}

// DateTime reads a quoted date-time such as " 1-Feb-2025 09:00:00 +0100".
func (p *Parser) DateTime() (time.Time, error) {
	fail := func() (time.Time, error) { return time.Time{}, syntax("expected a date and time") }
	if !p.Skip('"') {
		return fail()
	}
	p.Skip(' ')
	day, err := p.Number64()
	if err != nil {
		return fail()
	}
	d, err := p.monthYear(day)
	if err != nil {
		return fail()
	}
	// What is left has a fixed form: " hh:mm:ss +zzzz" and the quote.
	const rest = len(` 09:00:00 +0100"`)
	if len(p.b)-p.i < rest || p.b[p.i+rest-1] != '"' {
		return fail()
	}
	clock, err := time.Parse(" 15:04:05 -0700", string(p.b[p.i:p.i+rest-1]))
	if err != nil {
		return fail()
	}
	p.i += rest
	h, m, s := clock.Clock()
	return time.Date(d.Year(), d.Month(), d.Day(), h, m, s, 0, clock.Location()), nil
}

// AppendDateTime appends t as a quoted date-time.
func AppendDateTime(dst []byte, t time.Time) []byte {
	year, month, day := t.Date()
	h, m, s := t.Clock()
	_, zone := t.Zone()
	year = min(max(year, 0), 9999)
	dst = append(dst, '"')
	if day < 10 {
		dst = append(dst, ' ', byte('0'+day))
	} else {
		dst = appendTwo(dst, day)
	}
	dst = append(dst, '-')
	dst = append(dst, months[3*month-3:3*month]...)
	dst = append(dst, '-')
	dst = appendTwo(dst, year/100)
	dst = appendTwo(dst, year%100)
	dst = append(dst, ' ')
	dst = appendTwo(dst, h)
	dst = append(dst, ':')
	dst = appendTwo(dst, m)
	dst = append(dst, ':')
	dst = appendTwo(dst, s)
	dst = append(dst, ' ')
	zone /= 60
	if zone < 0 {
		dst = append(dst, '-')
		zone = -zone
	} else {
		dst = append(dst, '+')
	}
	dst = appendTwo(dst, zone/60%100)
	dst = appendTwo(dst, zone%60)
	return append(dst, '"')
}

func appendTwo(dst []byte, n int) []byte { return append(dst, byte('0'+n/10), byte('0'+n%10)) }
