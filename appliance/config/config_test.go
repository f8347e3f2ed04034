package config

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

var update = flag.Bool("update", false, "write the golden files anew")

func golden(t *testing.T, file string, got []byte) {
	t.Helper()
	if *update {
		if err := os.WriteFile(file, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s differs; got:\n%s", file, got)
	}
}

func TestDefaultFile(t *testing.T) {
	t.Parallel()
	c := Default("mail.example.test")
	golden(t, "testdata/default.toml", c.Write())
	js, err := json.MarshalIndent(c.Map(), "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "testdata/default.json", append(js, '\n'))
	back, err := Parse("x", c.Write())
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(back.Write(), c.Write()) {
		t.Error("the default file does not read back as the defaults")
	}
}

// TestBadFiles holds what is said of each bad file: x.toml and x.want.
func TestBadFiles(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/bad/*.toml")
	if err != nil || len(files) < 10 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		c, err := Parse("hauspost.toml", data)
		var faults Faults
		if !errors.As(err, &faults) || c != nil {
			t.Errorf("%s: config %v, error %v; want faults", file, c, err)
			continue
		}
		for _, f := range faults {
			if f.Problem == "" || f.Remedy == "" || f.File == "" {
				t.Errorf("%s: fault without problem, remedy or file: %+v", file, f)
			}
		}
		golden(t, strings.TrimSuffix(file, ".toml")+".want", []byte(err.Error()+"\n"))
	}
}

// companions are the lines without which a key of a list says nothing.
var companions = map[string]string{
	"host": "to = [\"*\"]\n", "security": "to = [\"*\"]\n", "connections": "to = [\"*\"]\n", "pace": "to = [\"*\"]\n",
	"port": "to = [\"*\"]\nhost = \"smtp.example.net\"\n", "implicit_tls": "to = [\"*\"]\nhost = \"smtp.example.net\"\n",
	"user":          "to = [\"*\"]\nhost = \"smtp.example.net\"\npassword = \"p\"\n",
	"password":      "to = [\"*\"]\nhost = \"smtp.example.net\"\nuser = \"u\"\n",
	"password_file": "to = [\"*\"]\nhost = \"smtp.example.net\"\nuser = \"u\"\n",
}

// TestEveryKey holds that each key has an explanation, that its example is
// allowed, and that a value other than the default comes back from the file.
func TestEveryKey(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for _, k := range keys {
		if seen[k.name] {
			t.Errorf("%s is there twice", k.name)
		}
		seen[k.name] = true
		if section, _ := split(k.name); !knownSection(section) {
			t.Errorf("%s is in no known section and would not be written", k.name)
		}
		if len(k.doc) < 10 || !strings.HasSuffix(k.doc, ".") || k.allowed == "" {
			t.Errorf("%s lacks an explanation", k.name)
		}
		section, last := split(k.name)
		doc := last + " = " + k.example + "\n"
		if isList(section) {
			companion := companions[last]
			if i := map[string]string{"plugin": "id = \"hello\"\n", "service": "name = \"a\"\naddress = \"127.0.0.1:1\"\n"}[section]; i != "" {
				companion = strings.Join(slices.DeleteFunc(strings.SplitAfter(i, "\n"), func(l string) bool { return strings.HasPrefix(l, last+" ") }), "")
			}
			doc = "[[" + section + "]]\n" + companion + doc
		} else if section != "" {
			doc = "[" + section + "]\n" + doc
		}
		for name, line := range map[string]string{"version": "version = 1\n", "hostname": "hostname = \"a.example\"\n"} {
			if k.name != name {
				doc = line + doc
			}
		}
		c, err := Parse("x", []byte(doc))
		if err != nil {
			t.Errorf("%s: its example is refused: %v", k.name, err)
			continue
		}
		back, err := Parse("y", c.Write())
		if err != nil || literal(k.field(back)) != k.example {
			t.Errorf("%s = %s came back as %s, %v", k.name, k.example, literal(k.field(back)), err)
		}
	}
}

func TestInlineTablesAndDottedKeys(t *testing.T) {
	t.Parallel()
	c, err := Parse("x", []byte("version = 1\nhostname = \"a.example\"\nlog = { level = \"debug\", memory_lines = 1_000 }\nsmtp.content_timeout = \"2m\"\nlisten = [\n  \"192.0.2.1\", # home\n  \"::1\",\n]\n"))
	if err != nil {
		t.Fatal(err)
	}
	if c.Log.Level != "debug" || c.Log.MemoryLines != 1000 || c.SMTP.ContentTimeout != Duration(2*time.Minute) || len(c.Listen) != 2 {
		t.Errorf("got %+v", c)
	}
}

func TestSave(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	c := Default("mail.example.test")
	c.PortOffset = 10000
	if err := c.Save(dir); err != nil {
		t.Fatal(err)
	}
	before, _ := os.ReadFile(Path(dir))
	if st, err := os.Stat(Path(dir)); err != nil || st.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v; want 0600", st.Mode(), err)
	}
	if back, err := Load(dir); err != nil || back.PortOffset != 10000 {
		t.Errorf("Load: %v, %v", back, err)
	}
	c.Hostname = "not a name"
	var faults Faults
	if err := c.Save(dir); !errors.As(err, &faults) {
		t.Errorf("saving a bad config: %v; want faults", err)
	}
	after, _ := os.ReadFile(Path(dir))
	names, _ := os.ReadDir(dir)
	if !bytes.Equal(before, after) || len(names) != 1 {
		t.Errorf("a refused save left %v behind", names)
	}
}

func TestMigrations(t *testing.T) {
	t.Parallel()
	steps := []migration{
		func(doc map[string]any) error {
			doc["hostname"] = doc["name"]
			delete(doc, "name")
			return nil
		},
		func(doc map[string]any) error {
			if _, ok := doc["old"]; ok {
				return errors.New("old cannot be carried over")
			}
			return nil
		},
	}
	c, err := parse("x", []byte("version = 1\nname = \"a.example\"\n"), steps)
	if err != nil || c.Hostname != "a.example" {
		t.Errorf("from version 1: %+v, %v", c, err)
	}
	if c, err = parse("x", []byte("version = 3\nhostname = \"b.example\"\n"), steps); err != nil || c.Hostname != "b.example" {
		t.Errorf("of version 3: %+v, %v", c, err)
	}
	for doc, want := range map[string]string{
		"old = 1\nversion = 2\n":          "x:2: version = 2: cannot be brought to version 3: old cannot be carried over; mend what the message names",
		"version = 4\n":                   "x:1: version = 4: this hauspost knows no version above 3; use the hauspost that wrote this file, or a newer one",
		"version = 1\nname = \"a b c\"\n": "x: hostname = \"a b c\": must be a lower-case domain name with at least one dot; write for example hostname = \"mail.example.org\"",
	} {
		if _, err := parse("x", []byte(doc), steps); err == nil || strings.ReplaceAll(err.Error(), "'", "\"") != want {
			t.Errorf("%q: %v; want %s", doc, err, want)
		}
	}
}

func TestUnitsReadBack(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		d := Duration(rapid.Int64Range(0, int64(400*24*time.Hour)).Draw(t, "d"))
		if back, err := ParseDuration(d.String()); err != nil || back != d {
			t.Fatalf("%d is written %s and read %d, %v", d, d, back, err)
		}
		s := Size(rapid.Int64Min(0).Draw(t, "s"))
		if back, err := ParseSize(s.String()); err != nil || back != s {
			t.Fatalf("%d is written %s and read %d, %v", s, s, back, err)
		}
	})
	for in, want := range map[string]Size{"50MiB": 50 << 20, "50 mb": 50e6, "0": 0, "7": 7, "1kib": 1024} {
		if got, err := ParseSize(in); err != nil || got != want {
			t.Errorf("ParseSize(%q) = %d, %v", in, got, err)
		}
	}
	for _, in := range []string{"", "-1", "1 parsec", "MiB", "9999999TiB", "1.5GB"} {
		if got, err := ParseSize(in); err == nil {
			t.Errorf("ParseSize(%q) = %d; want an error", in, got)
		}
	}
	for _, in := range []string{"", "5", "-5s", "d", "1.5d", "5 m", "5d-1h"} {
		if got, err := ParseDuration(in); err == nil {
			t.Errorf("ParseDuration(%q) = %d; want an error", in, got)
		}
	}
	for d, want := range map[time.Duration]string{5 * time.Minute: "5m", time.Hour: "1h", 90 * time.Second: "1m30s", 49 * time.Hour: "2d1h", 48 * time.Hour: "2d"} {
		if got := Duration(d).String(); got != want {
			t.Errorf("%v is written %s, want %s", d, got, want)
		}
	}
}

// FuzzParse holds that no file makes the parser panic, and that what it takes
// can be written and read again.
func FuzzParse(f *testing.F) {
	f.Add([]byte("version = 1\nhostname = \"a.example\"\n"))
	f.Add(Default("a.example").Write())
	f.Add([]byte(routed))
	f.Add([]byte(filtered))
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := Parse("f", data)
		if err != nil {
			return
		}
		if _, err := Parse("g", c.Write()); err != nil {
			t.Errorf("%q was taken, but what is written of it is not: %v", data, err)
		}
	})
}
