package config

import "testing"

// TestTrusted: no list makes an open relay of the box, and none names a network
// in which nobody can be.
func TestTrusted(t *testing.T) {
	t.Parallel()
	for network, ok := range map[string]bool{
		"192.168.1.0/24": true, "10.0.0.0/8": true, "203.0.113.7/32": true, "fc00::/7": true, "2001:db8::/32": true,
		"0.0.0.0/0": false, "0.0.0.0/1": false, "128.0.0.0/7": false, "::/0": false, "2000::/3": false,
		"::ffff:10.0.0.0/104": false, "::ffff:0.0.0.0/96": false, "10.0.0.1": false, "fe80::1%eth0/64": false,
	} {
		if list := []string{"192.168.1.0/24", network}; validTrusted(&list) != ok {
			t.Errorf("%s: %v", network, !ok)
		}
	}
}
