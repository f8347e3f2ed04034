package config

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"reflect"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

const filtered = `version = 1
hostname = "a.example"

[filters]
junk_at = 4.5
reject_at = 0

[[plugin]]
id = "hello"
settings = { greeting = "Guten \"Tag\"", limits.size = 1_000, names = ["a", "b"] }

[[plugin]] # the rules
id = "headers"
weight = 0.5
max_points = 7
on_failure = "tempfail"

[plugin.settings]
strict = true
token = "streng geheim"
share = +2.5e1
day = 2026-05-17
none = []

[[plugin.settings.rule]]
field = "Subject"
"example.org" = 0x10

[[plugin.settings.rule]]
field = "From"
words = [1, 2.5, "three"]
[[plugin.settings.rule.when]]
hour = 7
[plugin.settings.rule.then]
points = -3

[[service]]
name = "clamav"
address = "unix:/run/clamd.ctl"

[[service]]
name = "look"
kind = "http"
address = "http://127.0.0.1:8080/look"
timeout = "5s"
max_size = "1MiB"
`

func TestPlugins(t *testing.T) {
	t.Parallel()
	c, err := Parse("x", []byte(filtered))
	if err != nil {
		t.Fatal(err)
	}
	if f := c.Filters; f.JunkAt != 4.5 || f.RejectAt != 0 || f.Time != 10*second {
		t.Errorf("filters %+v", f)
	}
	var got []string
	for _, p := range c.Plugins {
		got = append(got, fmt.Sprintf("%s %v %v %q", p.ID, p.Weight, p.MaxPoints, p.OnFailure))
		for _, s := range p.Settings {
			got = append(got, fmt.Sprintf("%s %q", s.Name, s.Values))
		}
	}
	want := []string{
		`hello 1 0 ""`, `greeting ["Guten \"Tag\""]`, `limits.size ["1000"]`, `names ["a" "b"]`,
		`headers 0.5 7 "tempfail"`, `strict ["true"]`, `token ["streng geheim"]`, `share ["2.5e1"]`, `day ["2026-05-17"]`, `none []`,
		`rule.0.field ["Subject"]`, `rule.0.example.org ["16"]`, `rule.1.field ["From"]`, `rule.1.words ["1" "2.5" "three"]`,
		`rule.1.when.0.hour ["7"]`, `rule.1.then.points ["-3"]`,
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	services := []Service{
		{"clamav", ServiceClamd, "unix:/run/clamd.ctl", 30 * second, 25 << 20},
		{"look", ServiceHTTP, "http://127.0.0.1:8080/look", 5 * second, 1 << 20},
	}
	if !reflect.DeepEqual(c.Services, services) {
		t.Errorf("services %+v", c.Services)
	}
	_, rest, _ := bytes.Cut(c.Write(), []byte("[filters]\n"))
	part, _, _ := bytes.Cut(rest, []byte("[submission]\n"))
	golden(t, "testdata/plugins.toml", part)
	back, err := Parse("y", c.Write())
	if err != nil || !reflect.DeepEqual(back, c) {
		t.Errorf("%v: it reads back as\n%s", err, back.Write())
	}
}

// TestSettingsComeBack holds that what is written of any settings is read as the
// same.
func TestSettingsComeBack(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		c := Default("a.example")
		p := Plugin{ID: "hello", Weight: rapid.Float64Range(0, 100).Draw(t, "weight")}
		for i := range rapid.IntRange(0, 5).Draw(t, "settings") {
			p.Settings = append(p.Settings, Setting{
				Name:   fmt.Sprintf("%c%s", 'a'+i, rapid.StringMatching(`[^.\x00]*(\.[a-z "]+)?`).Draw(t, "name")),
				Values: rapid.SliceOf(rapid.String()).Draw(t, "values"),
			})
		}
		c.Plugins = []Plugin{p}
		back, err := Parse("x", c.Write())
		if err != nil || len(back.Plugins) != 1 || back.Plugins[0].Weight != p.Weight || len(back.Plugins[0].Settings) != len(p.Settings) {
			t.Fatalf("%v: wrote\n%s", err, c.Write())
		}
		for i, s := range back.Plugins[0].Settings {
			if want := p.Settings[i]; s.Name != want.Name || fmt.Sprint(s.Values) != fmt.Sprint(want.Values) {
				t.Fatalf("%q %q came back as %q %q", want.Name, want.Values, s.Name, s.Values)
			}
		}
	})
}

// TestSettingsStayHidden holds that a secret of a plugin shows in the file alone.
func TestSettingsStayHidden(t *testing.T) {
	t.Parallel()
	c, err := Parse("x", []byte(filtered))
	if err != nil {
		t.Fatal(err)
	}
	js, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	mapped, err := json.Marshal(c.Map())
	if err != nil {
		t.Fatal(err)
	}
	one, err := json.Marshal(c.Plugins[1].Settings[1])
	if err != nil {
		t.Fatal(err)
	}
	var logged bytes.Buffer
	log := slog.New(slog.NewTextHandler(&logged, nil))
	log.Info("x", "config", c, "plugins", c.Plugins, "settings", c.Plugins[1].Settings, "setting", c.Plugins[1].Settings[1])
	out := logged.String() + string(js) + string(mapped) + string(one) + string(c.Show())
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		out += fmt.Sprintf(verb, c.Plugins) + fmt.Sprintf(verb, c.Plugins[1].Settings) + fmt.Sprintf(verb, c.Plugins[1].Settings[1])
	}
	for _, file := range []string{"plugins", "plugin_settings", "plugin_alone", "plugin_rows"} {
		want, err := os.ReadFile("testdata/bad/" + file + ".want")
		if err != nil {
			t.Fatal(err)
		}
		out += string(want)
	}
	for _, leak := range []string{"geheim", "67656865696d"} {
		if i := strings.Index(out, leak); i >= 0 {
			t.Errorf("the secret is in %q", out[max(0, i-60):i+6])
		}
	}
	if !bytes.Contains(c.Write(), []byte(`token = "streng geheim"`)) || !bytes.Contains(c.Show(), []byte(`token = "***"`)) ||
		!bytes.Contains(mapped, []byte(`"token":"***"`)) {
		t.Error("the file lacks the secret, or what is shown does not tell that there is one")
	}
}

// TestValues: a setting has the type that it has in the file.
func TestValues(t *testing.T) {
	t.Parallel()
	got, err := ParseSettings("s.toml", []byte("a = \"1\"\nb = 1\nc = 1.5\nd = true\ne = [\"x\", 2]\nf = 2026-05-17\ng = []\n"))
	if err != nil {
		t.Fatal(err)
	}
	got = append(got, Setting{Name: "h", Values: []string{"x"}}, Setting{Name: "i", Values: []string{"x", "y"}})
	want := []any{"1", int64(1), 1.5, true, []any{"x", int64(2)}, "2026-05-17", []any{}, "x", []string{"x", "y"}}
	for i, s := range got {
		if v := s.Value(); !reflect.DeepEqual(v, want[i]) {
			t.Errorf("%v: %#v, want %#v", s, v, want[i])
		}
	}
}

func TestSettingsOfAFile(t *testing.T) {
	t.Parallel()
	got, err := ParseSettings("s.toml", []byte("strict = true\nnames = [\"a\", \"b\"]\n[[rule]]\nfield = \"Subject\"\n[limits]\nsize = 5\n"))
	want := Settings{{"strict", []string{"true"}, "true"}, {"names", []string{"a", "b"}, `["a", "b"]`},
		{"rule.0.field", []string{"Subject"}, `"Subject"`}, {"limits.size", []string{"5"}, "5"}}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%v, %v", got, err)
	}
	for doc, fault := range map[string]string{
		"a = ":                  "s.toml:1: this is not TOML",
		"x = 1\na = [[1], [2]]": "s.toml:2: a: a list cannot have lists in it; give each list a name of its own",
		"\"a.b\" = 1\na = 2":    "s.toml:2: a = 2: line 1 gives it already, as a.b; remove one of the two",
		"a = [1, {b = 2}]":      "s.toml:1: a: a list has either values or tables in it; give the values a name of their own",
		"\"\" = 1":              "s.toml:1: a name is empty",
		"a = \"" + strings.Repeat("x", maxSettings) + "\"": "have more than 48KiB in all; shorten them",
	} {
		if _, err := ParseSettings("s.toml", []byte(doc)); err == nil || !strings.Contains(err.Error(), fault) {
			t.Errorf("%.40s: %v; want %s", doc, err, fault)
		}
	}
}
