package config

import (
	"errors"
	"math"
	"strconv"
	"strings"
	"time"
)

// Duration is a time.Duration that is written as in "90s", "1h30m" or "7d".
type Duration time.Duration

// Size is a number of octets that is written as in "50MiB" or "64KiB".
type Size int64

var errUnit = errors.New("malformed")

// ParseDuration reads a duration: Go's notation, with "d" for days of 24 hours
// as an additional unit at the front.
func ParseDuration(s string) (Duration, error) {
	var total time.Duration
	rest := strings.TrimSpace(s)
	if days, after, ok := strings.Cut(rest, "d"); ok {
		n, err := strconv.Atoi(days)
		if err != nil || n < 0 || n > 36500 {
			return 0, errUnit
		}
		total = time.Duration(n) * 24 * time.Hour
		if rest = after; rest == "" {
			return Duration(total), nil
		}
	}
	d, err := time.ParseDuration(rest)
	if err != nil || d < 0 {
		return 0, errUnit
	}
	return Duration(total + d), nil
}

// String writes d as ParseDuration reads it, without units that are zero.
func (d Duration) String() string {
	t := time.Duration(d)
	if t == 0 {
		return "0s"
	}
	var b strings.Builder
	if days := t / (24 * time.Hour); days > 0 {
		b.WriteString(strconv.Itoa(int(days)) + "d")
		t -= days * 24 * time.Hour
	}
	if t == 0 {
		return b.String()
	}
	s := t.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return b.String() + s
}

var sizeUnits = []struct {
	name  string
	value int64
}{
	{"TiB", 1 << 40}, {"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10},
	{"TB", 1e12}, {"GB", 1e9}, {"MB", 1e6}, {"KB", 1e3}, {"B", 1},
}

// ParseSize reads a size: a whole number and a unit (KiB, MiB, GiB, TiB of 1024,
// or KB, MB, GB, TB of 1000); no unit means octets.
func ParseSize(s string) (Size, error) {
	s = strings.TrimSpace(s)
	unit := int64(1)
	for _, u := range sizeUnits {
		if len(s) > len(u.name) && strings.EqualFold(s[len(s)-len(u.name):], u.name) {
			s, unit = strings.TrimSpace(s[:len(s)-len(u.name)]), u.value
			break
		}
	}
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n < 0 || n > math.MaxInt64/unit {
		return 0, errUnit
	}
	return Size(n * unit), nil
}

// String writes s with the largest unit that divides it.
func (s Size) String() string {
	if s == 0 {
		return "0"
	}
	for _, u := range sizeUnits {
		if int64(s)%u.value == 0 && (u.value > 1 || s < 1000) {
			return strconv.FormatInt(int64(s)/u.value, 10) + u.name
		}
	}
	return strconv.FormatInt(int64(s), 10)
}
