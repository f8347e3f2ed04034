package imapd

import (
	"net/netip"
	"strings"
	"testing"
)

func TestBlock(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"192.0.2.1": "192.0.2.1", "::ffff:192.0.2.1": "192.0.2.1",
		"2001:db8:1:2:3:4:5:6": "2001:db8:1:2::", "2001:db8:1:2::1": "2001:db8:1:2::", "fe80::1%eth0": "fe80::",
	} {
		if got := block(netip.MustParseAddr(in)); got.String() != want {
			t.Errorf("%s: %s", in, got)
		}
	}
	if got := block(netip.Addr{}); got.IsValid() {
		t.Error(got)
	}
}

func TestCheckName(t *testing.T) {
	t.Parallel()
	for _, good := range []string{"a", "a/b", "Entwürfe", "a b", strings.Repeat("x", maxNameLevel), "INBOX/x"} {
		if err := checkName(good); err != nil {
			t.Errorf("%q: %v", good, err)
		}
	}
	for _, bad := range []string{
		"", noName, "/a", "a//b", "a/", "a/ /b", "*", "a%", "#news", "a\tb", "a\u2028b", "a\ufffdb",
		strings.Repeat("x", maxNameLevel+1), strings.Repeat("x/", maxName/2) + "x",
	} {
		if err := checkName(bad); err == nil {
			t.Errorf("%q is a name", bad)
		}
	}
}

func TestStoreName(t *testing.T) {
	t.Parallel()
	old, rev2 := &session{}, &session{rev2: true}
	for _, test := range []struct {
		s        *session
		in, want string
	}{
		{old, "inBox", "INBOX"}, {old, "inbox/Sub", "INBOX/Sub"}, {old, "INBOXES", "INBOXES"},
		{old, "R&-D", "R&D"}, {rev2, "R&-D", "R&-D"}, {old, "&APw-", "ü"}, {old, "u\u0308", "ü"},
		{old, "&bogus", noName}, {rev2, "\xff", noName},
	} {
		if got := test.s.storeName(test.in); got != test.want {
			t.Errorf("%q: %q", test.in, got)
		}
	}
}
