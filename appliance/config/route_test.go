package config

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

const routed = `version = 1
hostname = "a.example"

[[route]]
to = ["*"]
host = "smtp.example.net"
user = "anna@example.net"
password = "streng \"geheim\""

[relay]
per_host = 3

[[route]] # the office
to = ["Example.ORG", ".bücher.example"]
host = "192.0.2.1"
port = 465
connections = 2
pace = "2s"

[[route]]
to = ["b.example"]
security = "required"

[[route]]
to = ["c.example"]
host = "smtp.example.net"
implicit_tls = true
`

func TestRoutes(t *testing.T) {
	t.Parallel()
	c, err := Parse("x", []byte(routed))
	if err != nil {
		t.Fatal(err)
	}
	want := []Route{
		{To: []string{"*"}, Host: "smtp.example.net", Port: 587, Security: "verified", User: "anna@example.net", Password: `streng "geheim"`},
		{To: []string{"example.org", ".xn--bcher-kva.example"}, Host: "192.0.2.1", Port: 465, Security: "opportunistic", ImplicitTLS: true,
			Connections: 2, Pace: 2 * second},
		{To: []string{"b.example"}, Security: "required"},
		{To: []string{"c.example"}, Host: "smtp.example.net", Port: 465, ImplicitTLS: true, Security: "opportunistic"},
	}
	if fmt.Sprintf("%#v", c.Routes) != fmt.Sprintf("%#v", want) || c.Routes[0].Password != want[0].Password || c.Relay.PerHost != 3 {
		t.Errorf("got %+v\nwant %+v", c.Routes, want)
	}
	_, rest, _ := bytes.Cut(c.Write(), []byte("[relay]\n"))
	part, _, _ := bytes.Cut(rest, []byte("[dkim]\n"))
	golden(t, "testdata/routes.toml", part)
}

// TestRoutesComeBack holds that Save keeps every route as it is.
func TestRoutesComeBack(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		c := Default("a.example")
		for i := range rapid.IntRange(0, 4).Draw(t, "routes") {
			r := Route{To: []string{fmt.Sprintf("d%d.example", i)}, Connections: rapid.IntRange(0, 9).Draw(t, "connections")}
			if rapid.Bool().Draw(t, "host") {
				r.Host = "smtp.example.net"
				r.Port = rapid.SampledFrom([]int{25, 465, 587, 2525}).Draw(t, "port")
				r.ImplicitTLS = rapid.Bool().Draw(t, "implicit")
				if rapid.Bool().Draw(t, "user") {
					r.User, r.Password = "u", Secret(rapid.StringMatching(`[^\x00\r\n]+`).Draw(t, "password"))
				}
			}
			words := []string{SecurityOpportunistic, SecurityRequired, SecurityVerified}
			if r.User == "" && !r.ImplicitTLS {
				words = append(words, SecurityNone)
			}
			r.Security = rapid.SampledFrom(words).Draw(t, "security")
			c.Routes = append(c.Routes, r)
		}
		back, err := Parse("x", c.Write())
		if err != nil || !reflect.DeepEqual(back.Routes, c.Routes) {
			t.Fatalf("%v: wrote\n%s", err, c.Write())
		}
	})
}

// TestPasswordsStayHidden holds that no way of printing settings shows a
// password, but for the file itself.
func TestPasswordsStayHidden(t *testing.T) {
	t.Parallel()
	c, err := Parse("x", []byte(routed))
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Contains(c.Write(), []byte("geheim")) {
		t.Error("the file lacks the password")
	}
	js, err := json.Marshal(c.Map())
	if err != nil {
		t.Fatal(err)
	}
	whole, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	var logged bytes.Buffer
	slog.New(slog.NewTextHandler(&logged, nil)).Info("x", "password", c.Routes[0].Password, "config", c, "routes", c.Routes)
	out := logged.String() + string(js) + string(whole) + string(c.Show())
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d", "%t", "%10.3s"} {
		out += fmt.Sprintf(verb, c) + fmt.Sprintf(verb, c.Routes) + fmt.Sprintf(verb, c.Routes[0].Password) + fmt.Sprintf(verb, &c.Routes[0].Password)
	}
	for _, leak := range []string{"geheim", "67656865696d"} {
		if i := strings.Index(out, leak); i >= 0 {
			t.Errorf("the password is in %q", out[max(0, i-60):i+6])
		}
	}
	if !strings.Contains(string(js), `"password":"***"`) || !strings.Contains(string(c.Show()), `password = "***"`) {
		t.Error("it does not show that there is a password")
	}
	files, err := filepath.Glob("testdata/bad/route*.toml")
	if err != nil || len(files) < 4 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		_, err = Parse(file, data)
		var faults Faults
		if !errors.As(err, &faults) {
			t.Fatalf("%s: %v", file, err)
		}
		if strings.Contains(fmt.Sprintf("%+v", faults), "geheim") || strings.Contains(err.Error(), "12345") {
			t.Errorf("%s: a fault tells a password: %v", file, err)
		}
	}
}

func TestPasswordFiles(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for name, content := range map[string]string{"good": "streng geheim \r\nmore\n", "empty": "\nx"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		r    Route
		want Secret
		bad  string
	}{
		{Route{Password: "p"}, "p", ""},
		{Route{PasswordFile: "good"}, "streng geheim ", ""},
		{Route{PasswordFile: filepath.Join(dir, "good")}, "streng geheim ", ""},
		{Route{Host: "smtp.example.net", PasswordFile: "empty"}, "", "reading the password for smtp.example.net: the first line of " + dir + "/empty is empty"},
		{Route{Host: "smtp.example.net", PasswordFile: "none"}, "", "no such file"},
	} {
		got, err := c.r.ReadPassword(dir)
		if got != c.want || (err != nil) != (c.bad != "") || err != nil && !strings.Contains(err.Error(), c.bad) {
			t.Errorf("%+v: %q, %v", c.r, got.Reveal(), err)
		}
	}
}
