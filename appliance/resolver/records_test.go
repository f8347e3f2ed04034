package resolver

import (
	"errors"
	"slices"
	"testing"
)

func TestRecords(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	for _, c := range []struct {
		name, typ string
		want      []string
		err       error
	}{
		{"mx1.example.test", "A", []string{"192.0.2.1"}, nil},
		{"mx1.example.test", "AAAA", []string{"2001:db8::1"}, nil},
		{"www.example.test", "A", []string{"192.0.2.1"}, nil},
		{"www.example.test", "CNAME", []string{"alias.example.test"}, nil},
		{"example.test", "MX", []string{"10 mx1.example.test", "20 mx2.example.test"}, nil},
		{"null.example.test", "MX", []string{"0 ."}, nil},
		{"example.test", "TXT", []string{"quote \" back \\ byte \xc8 end", "v=spf1 mx -all"}, nil},
		{"1.2.0.192.in-addr.arpa", "PTR", []string{"mx1.example.test"}, nil},
		{"mx2.example.test", "AAAA", nil, ErrNoData},
		{"nobody.example.test", "A", nil, ErrNotFound},
		{"example.test", "SOA", nil, ErrType},
		{"example.test", "ANY", nil, ErrType},
	} {
		a, err := r.Records(t.Context(), c.name, c.typ)
		if !errors.Is(err, c.err) || !slices.Equal(a.Records, c.want) {
			t.Errorf("%s %s gives %q and %v, want %q and %v", c.typ, c.name, a.Records, err, c.want, c.err)
		}
	}
}
