package transfer

import (
	"errors"
	"net"
	"strconv"
	"strings"
	"unicode/utf8"

	"hauspost/appliance/envelope"
)

// maxAnswer bounds an answer as it is kept, in octets.
const maxAnswer = 1000

func sanitize(s string, limit int) string {
	var b strings.Builder
	for line := range strings.SplitSeq(strings.TrimRight(s, "\r\n"), "\n") {
		line = strings.TrimRight(line, "\r")
		if b.Len() > 0 {
			b.WriteString(" / ")
		}
		for _, r := range line {
			if r == utf8.RuneError || r < ' ' || r >= 0x7f && r < 0xa0 || r == 0x2028 || r == 0x2029 || r >= 0x202a && r <= 0x202e || r >= 0x2066 && r <= 0x2069 {
				r = '?'
			}
			if b.Len()+utf8.RuneLen(r) > limit {
				return b.String() + "…"
			}
			b.WriteRune(r)
		}
	}
	return b.String()
}

// The words of Message.Via beside "host:port".
const (
	ViaSettings  = ""
	ViaDirect    = "direct"
	ViaSmarthost = "smarthost"
)

// ErrVia is what ParseVia says to a way that is none.
var ErrVia = errors.New(`a way is "direct", "smarthost" or a server as "host:port"`)

// ParseVia checks a way that somebody typed and gives its canonical spelling.
// A host is a domain name or an IP address; without a port it is 25.
func ParseVia(s string) (string, error) {
	s = strings.TrimSpace(s)
	switch strings.ToLower(s) {
	case ViaSettings, "settings":
		return ViaSettings, nil
	case ViaDirect, ViaSmarthost:
		return strings.ToLower(s), nil
	}
	host, port, err := net.SplitHostPort(s)
	if err != nil {
		host, port = strings.Trim(s, "[]"), "25"
	}
	n, err := strconv.Atoi(port)
	if err != nil || n < 1 || n > 65535 {
		return "", ErrVia
	}
	if net.ParseIP(host) == nil {
		if host, err = envelope.NormalizeDomain(host); err != nil {
			return "", ErrVia
		}
	}
	return net.JoinHostPort(host, strconv.Itoa(n)), nil
}
