package control

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
)

func (b *box) Plugins(context.Context) ([]Plugin, error) {
	return []Plugin{samplePlugin}, b.note("plugins")
}
func (b *box) PluginReview(_ context.Context, r PluginRequest) (PluginReview, error) {
	return PluginReview{PluginFacts: samplePlugin.PluginFacts, Installed: "1.0.0", More: samplePlugin.Needs}, b.note("plugin-review", r)
}
func (b *box) PluginInstall(_ context.Context, r PluginRequest) (Plugin, error) {
	return samplePlugin, b.note("plugin-install", r)
}
func (b *box) PluginUpdate(_ context.Context, r PluginRequest) (Plugin, error) {
	return samplePlugin, b.note("plugin-update", r)
}
func (b *box) PluginBack(_ context.Context, id string) (Plugin, error) {
	return samplePlugin, b.note("plugin-back", id)
}
func (b *box) PluginRemove(_ context.Context, id string, forget bool) error {
	return b.note("plugin-remove", id, forget)
}
func (b *box) PluginEnable(_ context.Context, id string, on bool) (Plugin, error) {
	return samplePlugin, b.note("plugin-enable", id, on)
}
func (b *box) PluginOrder(_ context.Context, ids []string) ([]Plugin, error) {
	return []Plugin{samplePlugin}, b.note("plugin-order", ids)
}
func (b *box) PluginGrant(_ context.Context, g PluginGrants) (Plugin, error) {
	return samplePlugin, b.note("plugin-grant", g)
}
func (b *box) PluginReplay(_ context.Context, q ReplayQuery, fn func(ReplayRow) error) (ReplayTotals, error) {
	for _, row := range b.rows {
		if err := fn(row); err != nil {
			return ReplayTotals{}, err
		}
	}
	return ReplayTotals{Messages: len(b.rows), Changed: 1, Actions: map[string]int{"keep → reject": 1}}, b.note("plugin-replay", q)
}

var samplePlugin = Plugin{
	PluginFacts: PluginFacts{ID: "hello", Name: "Hello", Version: "1.2.3", Description: "Says hello.", Author: "Anna", Homepage: "https://example.org",
		License: "MIT", Signer: "c2lnbmVy", SHA256: "00ff", Digest: "ff00", Stages: []string{"on_message"}, Asked: []string{"It is asked about every message."},
		TimerSeconds: 60, Needs: []PluginTerm{{"body", "It can read."}, {"keys", "It can remember."}}, MemoryBytes: 32 << 20, TimeMilliseconds: 2000,
		OnFailure: "skip", Settings: []PluginSetting{{"greeting", "text", "What it says.", []string{"hello"}, []string{"moin"}}, {Name: "strange", Value: []string{"1", "2"}}}},
	Enabled: true, Granted: []PluginTerm{{"body", "It can read."}}, Denied: []PluginTerm{{"keys", "It can remember."}}, Source: "hello.hauspost",
	Installed: day, Before: "1.2.2", Weight: 0.5, MaxPoints: 7, Failing: "tempfail", Problem: "it is not asked",
	Run: &PluginRun{Calls: 100, P50Milliseconds: 0.1, P99Milliseconds: 2.5, MemoryBytes: 1 << 20, Failures: map[string]int64{"timeout": 5}, Effects: 80,
		Dropped: 3, Breaker: "open", BrokenSince: day, Retry: day, LoadMilliseconds: 20, Pooled: true},
}

var sampleRow = ReplayRow{ID: "x", Date: day, Sender: "anna@example.org", Before: ReplayVerdict{"keep", 1.5, "INBOX"}, After: ReplayVerdict{"reject", 16, ""},
	Changed: true, Differences: []string{"HELLO counts 14.5"}, Failure: "it took too long", Unrecorded: true}

// TestPackagesCrossTheSocket: the octets of a package arrive as they are,
// however large, and what is too large is refused.
func TestPackagesCrossTheSocket(t *testing.T) {
	t.Parallel()
	b := &box{}
	client, _, _ := serve(t, b)
	for _, pkg := range []string{"\n", "\n\nPK\x03\x04\x00{}\n", "{\"id\":\"x\"}", strings.Repeat("\x00\xff\n", 2<<20)} {
		b.asked = nil
		r := PluginRequest{PluginSource: PluginSource{Package: []byte(pkg), From: "f"}, PluginChoice: PluginChoice{Deny: []string{"body"}}}
		if _, err := client.PluginInstall(t.Context(), r); err != nil {
			t.Fatal(err)
		}
		got := b.asked[1].(PluginRequest)
		if string(got.Package) != pkg || got.From != "f" || len(got.Deny) != 1 {
			t.Errorf("%d octets came as %d", len(pkg), len(got.Package))
		}
	}
	resp, err := client.http.Post("http://hauspost/v1/plugin-install", "application/json",
		strings.NewReader("{}\n"+strings.Repeat("x", MaxPackage+maxRequest)))
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusUnprocessableEntity {
		t.Errorf("a package that is too large: %s", resp.Status)
	}
}

func TestReplayStreams(t *testing.T) {
	t.Parallel()
	b := &box{rows: make([]ReplayRow, 3)}
	client, _, _ := serve(t, b)
	var got int
	totals, err := client.PluginReplay(t.Context(), ReplayQuery{}, func(ReplayRow) error { got++; return nil })
	if err != nil || got != 3 || totals.Messages != 3 {
		t.Errorf("%d rows, %+v, %v", got, totals, err)
	}
	enough := errors.New("enough")
	if _, err := client.PluginReplay(t.Context(), ReplayQuery{}, func(ReplayRow) error { return enough }); !errors.Is(err, enough) {
		t.Errorf("an error of the caller came back as %v", err)
	}
	b.err = &Error{KindNotFound, "it is not there"}
	got = 0
	if _, err := client.PluginReplay(t.Context(), ReplayQuery{}, func(ReplayRow) error { got++; return nil }); !IsKind(err, KindNotFound) || got != 3 {
		t.Errorf("%d rows, and then %v", got, err)
	}
}
