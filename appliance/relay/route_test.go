package relay

import (
	"fmt"
	"strings"
	"testing"

	"hauspost/appliance/transfer"
)

// TestWays: the most specific route wins, and the owner's word for one message
// over it.
func TestWays(t *testing.T) {
	t.Parallel()
	all := []Route{
		{To: []string{"*"}, Security: Required},
		{To: []string{".example"}, Host: "Below.example."},
		{To: []string{".far.example"}, Host: "farther.example", Port: 26},
		{To: []string{"far.example", "x.example"}, Host: "exact.example", Implicit: true, Security: Verified},
		{To: []string{"only.test"}, Security: Verified},
	}
	smart := &Route{Host: "smart.example", User: "anna", Password: "s3cret", Security: Verified}
	c := New(Options{Hostname: "box.example", Routes: all, Smarthost: smart})
	alone := New(Options{Hostname: "box.example", Routes: all, Port: 2525})
	for _, x := range []struct {
		c                 *Client
		domain, via, want string
	}{
		{c, "far.example", "", "exact.example port 465, verified"},
		{c, "sub.far.example", "", "farther.example port 26, opportunistic"},
		{c, "near.example", "", "below.example port 25, opportunistic"},
		{c, "else.test", "", "smart.example port 25, verified as anna"},
		{c, "only.test", "", "by MX, verified"},
		{alone, "else.test", "", "by MX, required"},
		{alone, "near.example", "", "below.example port 2525, opportunistic"},
		{c, "far.example", "direct", "by MX, verified"},
		{c, "else.test", "direct", "by MX, required"},
		{c, "far.example", "smarthost", "smart.example port 25, verified as anna"},
		{c, "far.example", "smart.example:25", "smart.example port 25, verified as anna"},
		{c, "far.example", "other.example:465", "other.example port 465, verified"},
		{c, "else.test", "192.0.2.1:587", "192.0.2.1 port 587, required"},
		{c, "else.test", "farther.example:26", "farther.example port 26, opportunistic"},
		{alone, "else.test", "smarthost", "deferred destination no-smarthost 4.3.5"},
		{c, "else.test", "nonsense", "deferred destination no-smarthost 4.3.5"},
	} {
		w, problem := x.c.wayOf(&transfer.Message{Domain: x.domain, Via: x.via})
		got := ""
		if problem != nil {
			got = brief(*problem)
		} else {
			got = w.route.String()
		}
		if got != x.want {
			t.Errorf("%s via %q: %s, want %s", x.domain, x.via, got, x.want)
		}
	}
	for _, format := range []string{"%v", "%+v", "%#v", "%s"} {
		if s := fmt.Sprintf(format, *smart); strings.Contains(s, "s3cret") {
			t.Errorf("%s prints the password: %s", format, s)
		}
	}
}

func TestLimitsDefaults(t *testing.T) {
	t.Parallel()
	l := Limits{PerHost: -1, Final: -1, Idle: -1, Hosts: -1}.WithDefaults()
	if l.PerHost < 1<<20 || l.Final != never || l.Idle >= 0 || l.Hosts != 5 || l.Rate <= 0 || l.Total <= 0 || l.Messages != 100 {
		t.Errorf("%+v", l)
	}
	if again := l.WithDefaults(); again != l {
		t.Errorf("%+v", again)
	}
}
