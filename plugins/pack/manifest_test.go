package pack

import (
	"errors"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"hauspost/plugins/abi"
)

const full = `id = "all-of-it"
name = "All of it"
version = "1.2.3-beta.1+build.7"
description = "Uses every key."
author = "Erika Mustermann"
homepage = "https://example.org/all"
license = "MIT"
abi = 1
stages = ["on_message", "on_timer"]
timer = "90m"
on_failure = "tempfail"
limits = { memory = "64MB", time = "250ms" }

[needs]
header = true
body = true
keys = true
dns = ["dnsbl.example.org", "*"]
services = ["clamd"]
effects = ["score", "stop", "addheader"]
stops = ["quarantine", "reject"]
fields = ["X-Hello", "X-All-*"]
points = 7.5

[build]
command = ["make", "-s"]

[[setting]]
name = "words"
type = "list"
default = ["a", "b"]
doc = "The words."

[[setting]]
name = "limits.size"
type = "number"

[[setting]]
name = "password"
type = "text"
default = ""
secret = true
`

func TestParseManifest(t *testing.T) {
	t.Parallel()
	m, err := ParseManifest([]byte("\xef\xbb\xbf" + full))
	if err != nil {
		t.Fatal(err)
	}
	want := &Manifest{ID: "all-of-it", Name: "All of it", Version: "1.2.3-beta.1+build.7", Description: "Uses every key.",
		Author: "Erika Mustermann", Homepage: "https://example.org/all", License: "MIT", ABI: 1,
		Stages: []abi.Stage{abi.OnMessage, abi.OnTimer}, Timer: 90 * time.Minute, OnFailure: Tempfail,
		Needs: Grants{Header: true, Body: true, Keys: true, DNS: []string{"dnsbl.example.org", "*"}, Services: []string{"clamd"},
			Effects: []abi.Kind{abi.Score, abi.Stop, abi.AddHeader}, Stops: []abi.Action{abi.Quarantine, abi.Reject},
			FieldNames: []string{"X-Hello", "X-All-*"}, Points: 7.5},
		Limits: Limits{Memory: 977 * pageSize, Time: 250 * time.Millisecond},
		Settings: []SettingSpec{
			{Name: "words", Type: List, Default: []string{"a", "b"}, Doc: "The words."},
			{Name: "limits.size", Type: Number},
			{Name: "password", Type: Text, Default: "", Secret: true},
		},
		Build: []string{"make", "-s"}}
	if !reflect.DeepEqual(m, want) {
		t.Errorf("read  %+v\nwant %+v", m, want)
	}
	if m.FileName() != "all-of-it-1.2.3-beta.1+build.7.hauspost" || len(m.Words()) != 2 {
		t.Errorf("%s, %q", m.FileName(), m.Words())
	}
	small, err := ParseManifest([]byte(manifest))
	if err != nil || small.OnFailure != Skip || small.Limits != (Limits{Memory: DefaultMemory, Time: DefaultTime}) {
		t.Errorf("the defaults are %+v, %v", small, err)
	}
	for _, s := range abi.Stages() {
		if stageWords[s] == "" {
			t.Errorf("%s has no words", s)
		}
	}
}

// TestFaults changes one thing in the full manifest and looks at what is said,
// with line, key and value.
func TestFaults(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ old, new, want string }{
		{`id = "all-of-it"`, `id = "All"`, `plugin.toml:1: id = "All": must be 2 to 32 lower-case letters, digits and hyphens, the first one a letter; write for example id = "hello"`},
		{`id = "all-of-it"`, `id = 7`, `plugin.toml:1: id = 7: must be 2 to 32`},
		{"id = \"all-of-it\"\n", "", `plugin.toml: id: missing; it must be 2 to 32`},
		{`name = "All of it"`, `name = "A\u001b[31m"`, `plugin.toml:2: name = "A\u001b[31m": must be a line of text`},
		{`1.2.3-beta.1`, `1.2`, `plugin.toml:3: version = "1.2+build.7": must be a version of three numbers`},
		{`"1.2.3-beta.1+build.7"`, `"1.2.3-` + strings.Repeat("x", 70) + `"`, `plugin.toml:3: version`},
		{`https://`, `javascript:`, `plugin.toml:6: homepage`},
		{`abi = 1`, `abi = 2`, `plugin.toml:8: abi = 2: must be the version of the plugin interface, which is 1`},
		{`"on_timer"]`, `"on_monday"]`, `plugin.toml:9: stages = ["on_message", "on_monday"]: must be a list of stages`},
		{`["on_message", "on_timer"]`, `[]`, `plugin.toml:9: stages`},
		{`"on_timer"]`, `"on_message"]`, `plugin.toml:9: stages`},
		{`, "on_timer"]`, `]`, `plugin.toml:10: timer = "90m": has no meaning without the stage on_timer`},
		{"timer = \"90m\"\n", "", `plugin.toml: timer: missing; the stage on_timer needs`},
		{`"90m"`, `"1s"`, `plugin.toml:10: timer = "1s": must be a time from 1m to 720h`},
		{`"tempfail"`, `"explode"`, `plugin.toml:11: on_failure`},
		{`"64MB"`, `"1GB"`, `plugin.toml:12: limits.memory = "1GB": must be a size from 64KiB to 512MiB`},
		{`"64MB"`, `"63KB"`, `limits.memory`},
		{`"64MB"`, `"9223372036854775807MiB"`, `limits.memory`},
		{`"64MB"`, `64`, `limits.memory = 64`},
		{`"250ms"`, `"61s"`, `plugin.toml:12: limits.time = "61s"`},
		{`"250ms"`, `"0s"`, `limits.time`},
		{`memory =`, `memmory =`, `plugin.toml:12: limits.memmory = "64MB": there is no such key; remove the line, or choose among memory, time`},
		{`header = true`, `header = "yes"`, `plugin.toml:15: needs.header = "yes": must be true or false`},
		{`header = true`, `headers = true`, `plugin.toml:15: needs.headers = true: there is no such key; did you mean needs.header?`},
		{`"*"]`, `"a b"]`, `plugin.toml:18: needs.dns`},
		{`"*"]`, `"x..example"]`, `needs.dns`},
		{`"clamd"`, `"Clam D"`, `plugin.toml:19: needs.services`},
		{`"score", `, ``, `plugin.toml:23: needs.points = 7.5: has no meaning without the effect score`},
		{`"score", `, `"score", "score", `, `plugin.toml:20: needs.effects`},
		{`"stop", `, ``, `plugin.toml:21: needs.stops = ["quarantine", "reject"]: has no meaning without the effect stop`},
		{"stops = [\"quarantine\", \"reject\"]\n", "", `plugin.toml: needs.stops: missing; the effect stop needs`},
		{`, "addheader"`, ``, `plugin.toml:22: needs.fields`},
		{`"X-All-*"`, `"Received"`, `plugin.toml:22: needs.fields`},
		{`"X-All-*"`, `"X*-All"`, `needs.fields`},
		{`"X-All-*"`, `"*"`, `needs.fields`},
		{"points = 7.5\n", "", `plugin.toml: needs.points: missing; the effect score needs`},
		{`7.5`, `0`, `plugin.toml:23: needs.points = 0: must be a number above 0 and up to 100`},
		{`7.5`, `inf`, `needs.points = inf`},
		{`["make", "-s"]`, `"make"`, `plugin.toml:26: build.command = "make": must be a list`},
		{`["make", "-s"]`, `[]`, `build.command`},
		{`[build]`, `[built]`, `plugin.toml:25: [built]: there is no such section`},
		{`[build]`, `[[build]]`, `plugin.toml:25: [build]: this section is written otherwise`},
		{`name = "limits.size"`, `name = "Size"`, `plugin.toml:35: setting.name = "Size"`},
		{`name = "limits.size"`, `name = "words"`, `plugin.toml:35: setting.name = "words": there are two settings of this name; remove one of them`},
		{"name = \"limits.size\"\n", "", `plugin.toml:34: setting.name: missing`},
		{"type = \"number\"\n", "", `plugin.toml:34: setting.type: missing`},
		{`"number"`, `"integer"`, `plugin.toml:36: setting.type = "integer"`},
		{`["a", "b"]`, `"a"`, `plugin.toml:31: setting.default = "a": does not fit the type list; write a list of texts in square brackets`},
		{`["a", "b"]`, `["a", 1]`, `plugin.toml:31: setting.default`},
		{`["a", "b"]`, `{}`, `plugin.toml:31: setting.default`},
		{"[[setting]]\nname = \"words\"", "[setting]\nname = \"words\"", `plugin.toml`},
		{`abi = 1`, `abi = `, `plugin.toml:8: this is not TOML`},
		{`abi = 1`, "abi = 1\nabi = 1", `remove one of the two lines`},
		{`abi = 1`, "abi = 1\nsetting.name = 1", `plugin.toml`},
		{`abi = 1`, "abi = 1\ncolour = \"red\"", `plugin.toml:9: colour = "red": there is no such key; remove the line, or choose among id, name`},
	} {
		text := strings.Replace(full, c.old, c.new, 1)
		if text == full {
			t.Fatalf("%q is not in the manifest", c.old)
		}
		m, err := ParseManifest([]byte(text))
		var faults Faults
		if !errors.As(err, &faults) || m != nil {
			t.Errorf("%q: %v", c.new, err)
			continue
		}
		if !slices.ContainsFunc(faults, func(f Fault) bool {
			return strings.HasPrefix(f.String(), c.want) || strings.HasSuffix(f.String(), c.want) || f.Key == c.want || strings.Contains(f.String(), c.want)
		}) {
			t.Errorf("%q: %v\nwant %s", c.new, err, c.want)
		}
		for _, f := range faults {
			if f.Remedy == "" || f.Problem == "" || f.File != ManifestFile {
				t.Errorf("%q: a fault without problem or remedy: %+v", c.new, f)
			}
		}
	}
	// All faults at once, in the order of their lines.
	_, err := ParseManifest([]byte("id = 1\nname = 2\n"))
	if lines := strings.Split(err.Error(), "\n"); len(lines) != 6 || !strings.Contains(lines[5], ":2: name") {
		t.Errorf("%v", err)
	}
}

// TestExamples holds that each example of the table is allowed, so that a
// remedy never leads to the next fault.
func TestExamples(t *testing.T) {
	t.Parallel()
	for _, k := range keys {
		table, _, inTable := strings.Cut(k.name, ".")
		text := lastOf(k.name) + " = " + k.example + "\n"
		switch {
		case inTable && table == settingTable:
			text = "[[setting]]\n" + text
		case inTable:
			text = "[" + table + "]\n" + text
		}
		_, err := ParseManifest([]byte(text))
		var faults Faults
		if !errors.As(err, &faults) {
			t.Fatalf("%s: %v", k.name, err)
		}
		for _, f := range faults {
			if f.Key == k.name && strings.HasPrefix(f.Problem, "must be") {
				t.Errorf("%s: the example is not allowed: %v", k.name, f)
			}
		}
	}
}

func TestResolve(t *testing.T) {
	t.Parallel()
	m, err := ParseManifest([]byte(full))
	if err != nil {
		t.Fatal(err)
	}
	got, err := m.Resolve(map[string]any{"limits": map[string]any{"size": 2.5}, "words": []any{"x"}})
	want := abi.Settings{List: []abi.Setting{{Name: "words", Values: []string{"x"}}, {Name: "limits.size", Values: []string{"2.5"}}, {Name: "password", Values: []string{""}}}}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%+v, %v", got, err)
	}
	if got, err = m.Resolve(map[string]any{"limits.size": int64(7)}); err != nil || got.List[1].Values[0] != "7" || len(got.List[0].Values) != 2 {
		t.Errorf("%+v, %v", got, err)
	}
	for name, c := range map[string]struct {
		owner map[string]any
		want  string
	}{
		"missing":       {nil, "needs a value for its setting limits.size"},
		"type":          {map[string]any{"limits.size": "big"}, "limits.size of the plugin all-of-it must be a number"},
		"list":          {map[string]any{"limits.size": 1, "words": []any{1}}, "must be a list of texts"},
		"unknown":       {map[string]any{"limits.size": 1, "colour": "red"}, "has no setting colour; it has words, limits.size, password"},
		"unknown table": {map[string]any{"limits": map[string]any{"size": 1, "more": 1}}, "has no setting limits.more"},
		"a time":        {map[string]any{"limits.size": time.Now()}, "must be a number"},
	} {
		if got, err := m.Resolve(c.owner); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
}

func TestTemplatesAreSound(t *testing.T) {
	t.Parallel()
	for _, lang := range []string{"go", "c"} {
		text, err := os.ReadFile("../templates/" + lang + "/" + ManifestFile)
		if err != nil {
			t.Fatal(err)
		}
		if m, err := ParseManifest(text); err != nil || len(m.Build) == 0 {
			t.Errorf("%s: %v", lang, err)
		}
	}
}

func FuzzParseManifest(f *testing.F) {
	f.Add([]byte(full))
	f.Add([]byte(manifest))
	f.Add([]byte("[[setting]]\nname = \"a\"\n[setting.x]\ny = 1\n"))
	f.Add([]byte("setting = [{name = \"a\"}]\nneeds.header = true\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := ParseManifest(data)
		var faults Faults
		switch {
		case err == nil:
			if !idForm.MatchString(m.ID) || len(m.Stages) == 0 || m.Needs.sound() != nil || m.Limits.Memory < MinMemory || m.Limits.Memory > MaxMemory {
				t.Fatalf("taken: %+v", m)
			}
			for _, s := range m.Settings {
				if s.Name == "" || s.Type == "" {
					t.Fatalf("taken: %+v", m)
				}
			}
		case !errors.As(err, &faults) || len(faults) == 0:
			t.Fatalf("an error without faults: %v", err)
		}
	})
}
