//go:build !wasip1

package main

import (
	"testing"

	"hauspost/plugins/sdk/sdktest"
)

func TestCheck(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, subject string
		settings      map[string][]string
		want          float64
	}{
		{"shouts", "LAST CHANCE TO BUY", nil, 2},
		{"shouts in another script", "=?utf-8?q?=D0=9A=D0=A3=D0=9F=D0=98=D0=A2=D0=95_=D0=A1=D0=95=D0=99=D0=A7=D0=90=D0=A1?=", nil, 2},
		{"mostly calm", "LAST chance to buy", nil, 0},
		{"too short", "RE: FAQ", nil, 0},
		{"short, but the owner wants it", "RE: FAQ", map[string][]string{"letters": {"4"}}, 2},
		{"the owner's points", "LAST CHANCE TO BUY", map[string][]string{"points": {"4.5"}}, 4.5},
		{"nothing", "", nil, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			box := &sdktest.Box{Raw: "Subject: " + c.subject + "\r\n\r\nHello.\r\n", Settings: c.settings}
			got := box.Run(check)
			if got.Err != nil {
				t.Fatal(got.Err)
			}
			if e, _ := got.Find("SUBJECT_SHOUTS"); e.Points != c.want {
				t.Errorf("%g points, want %g: %+v", e.Points, c.want, got.Effects)
			}
		})
	}
}
