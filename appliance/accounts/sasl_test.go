package accounts

import (
	"context"
	"encoding/base64"
	"errors"
	"net/netip"
	"os"
	"strings"
	"testing"

	"github.com/xdg-go/scram"
)

// The example of RFC 7677, section 3, byte for byte.
func TestRFC7677(t *testing.T) {
	t.Parallel()
	raw, err := os.ReadFile("testdata/rfc7677.txt")
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(string(raw)), "\n")
	salt, err := base64.StdEncoding.DecodeString("W22ZaJ0SNY7soEsUEjb6gQ==")
	if err != nil {
		t.Fatal(err)
	}
	keys, err := deriveSCRAM("pencil", salt, 4096)
	if err != nil {
		t.Fatal(err)
	}
	b := newBox(t, nil)
	d, err := b.directory(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	d.logins[loginKey("user")] = &person{Account: Account{ID: "user"}, Credentials: credentials{SCRAM: keys}}
	ex, err := newScram(b.Accounts, home, func() string { return "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0" })
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(lines); i += 2 {
		got, done, err := ex.Next(t.Context(), []byte(lines[i]))
		if err != nil || done || string(got) != lines[i+1] {
			t.Fatalf("to %s\ngot  %s\nwant %s\n%v %v", lines[i], got, lines[i+1], done, err)
		}
	}
	if got, done, err := ex.Next(t.Context(), []byte{}); err != nil || !done || got != nil || ex.Account().ID != "user" {
		t.Errorf("at the end: %q %v %v %v", got, done, err, ex.Account())
	}
}

// talk runs a SCRAM client against the box and tells how it ended.
func (b *box) talk(user, password, as string, from netip.Addr) (Account, error) {
	b.t.Helper()
	client, err := scram.SHA256.NewClient(user, password, as)
	if err != nil {
		b.t.Fatal(err)
	}
	conv := client.NewConversation()
	ex, err := b.SASL("scram-sha-256", from)
	if err != nil {
		b.t.Fatal(err)
	}
	challenge, done, err := ex.Next(context.Background(), nil)
	for {
		if err != nil || done {
			return ex.Account(), err
		}
		if conv.Done() {
			challenge, done, err = ex.Next(context.Background(), []byte{})
			continue
		}
		answer, cerr := conv.Step(string(challenge))
		if cerr != nil {
			b.t.Fatalf("the client breaks off: %v", cerr)
		}
		challenge, done, err = ex.Next(context.Background(), []byte(answer))
	}
}

func TestSCRAM(t *testing.T) {
	t.Parallel()
	b := household(t, guesses)
	if acc, err := b.talk("Anna@Example.Test", secret, "", home); err != nil || acc.Address != anna {
		t.Fatalf("%v %v", acc, err)
	}
	if acc, err := b.talk(anna, secret, anna, home); err != nil || acc.Address != anna {
		t.Errorf("as herself: %v %v", acc, err)
	}
	if _, err := b.talk(anna, secret, "bob@example.test", home); !errors.Is(err, ErrCredentials) {
		t.Errorf("as somebody else: %v", err)
	}
	if err := b.SetDisabled(t.Context(), "bob@example.test", true); err != nil {
		t.Fatal(err)
	}
	if _, err := b.talk("bob@example.test", secret, "", home); !errors.Is(err, ErrCredentials) {
		t.Errorf("disabled: %v", err)
	}
	for _, user := range []string{anna, "nobody@example.test", "nobody"} {
		if _, err := b.talk(user, "not the password", "", thief); !errors.Is(err, ErrCredentials) {
			t.Errorf("wrong password of %s: %v", user, err)
		}
	}
	if _, err := b.talk(anna, secret, "", thief); !errors.Is(err, ErrTooManyGuesses) {
		t.Errorf("after three wrong ones: %v", err)
	}
	if _, err := b.talk(anna, secret, "", home); err != nil {
		t.Errorf("from home: %v", err)
	}
	if err := b.SetPassword(t.Context(), anna, "U\u0308bergro\u0308ßen"); err != nil {
		t.Fatal(err)
	}
	if _, err := b.talk(anna, "Übergrößen", "", home); err != nil {
		t.Errorf("a composed password: %v", err)
	}
}

// What a client sees before it proves anything does not tell whether the
// account exists: salts stay the same for a name, also after a restart, and
// differ between names.
func TestUnknownUserLooksKnown(t *testing.T) {
	t.Parallel()
	b := household(t, nil)
	first := func(b *box, user string) string {
		ex, err := b.SASL("SCRAM-SHA-256", home)
		if err != nil {
			t.Fatal(err)
		}
		answer, done, err := ex.Next(t.Context(), []byte("n,,n="+user+",r=abc"))
		if err != nil || done {
			t.Fatal(done, err)
		}
		_, rest, _ := strings.Cut(string(answer), ",")
		return rest
	}
	for _, user := range []string{anna, "nobody@example.test"} {
		s := first(b, user)
		if again := first(b.again(nil), strings.ToUpper(user)); again != s {
			t.Errorf("%s gets %s, then %s", user, s, again)
		}
		if !strings.HasSuffix(s, "==,i=4096") || len(s) != len("s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096") {
			t.Errorf("%s gets %s", user, s)
		}
		if s == first(b, "other@example.test") {
			t.Errorf("%s has the salt of another name", user)
		}
		if s == first(household(t, nil), user) {
			t.Errorf("%s has the same salt on every box", user)
		}
	}
}

func TestPlainAndLogin(t *testing.T) {
	t.Parallel()
	b := household(t, nil)
	for _, c := range []struct {
		mech      string
		responses []string // "-" is no initial response
		want      string
	}{
		{"PLAIN", []string{"\x00" + anna + "\x00" + secret}, "in"},
		{"plain", []string{"-", anna + "\x00" + anna + "\x00" + secret}, "in"},
		{"PLAIN", []string{"bob@example.test\x00" + anna + "\x00" + secret}, "wrong"},
		{"PLAIN", []string{"\x00" + anna + "\x00nope nope nope"}, "wrong"},
		{"PLAIN", []string{anna + "\x00" + secret}, "wrong"},
		{"PLAIN", []string{""}, "wrong"},
		{"PLAIN", []string{"\x00" + anna + "\x00" + secret + "\x00"}, "wrong"},
		{"PLAIN", []string{strings.Repeat("x", maxResponse) + "\x00\x00"}, "wrong"},
		{"LOGIN", []string{"-", anna, secret}, "in"},
		{"LOGIN", []string{anna, secret}, "in"},
		{"LOGIN", []string{anna, ""}, "wrong"},
		{"LOGIN", []string{strings.Repeat("x", maxResponse+1)}, "wrong"},
		{"SCRAM-SHA-256", []string{"-", "n,,n=" + anna}, "wrong"},
		{"SCRAM-SHA-256", []string{"y,,n=" + anna + ",r=x", "c=eSws,r=x,p=AAAA"}, "wrong"},
		{"SCRAM-SHA-256", []string{"n,,n=" + anna + ",r=x", ""}, "wrong"},
		{"SCRAM-SHA-256", []string{"p=tls-unique,,n=" + anna + ",r=x"}, "wrong"},
		{"SCRAM-SHA-256", []string{"n,,n=" + strings.Repeat("x", maxResponse) + ",r=x"}, "wrong"},
	} {
		ex, err := b.SASL(c.mech, home)
		if err != nil {
			t.Fatal(err)
		}
		got := "unfinished"
		for _, r := range c.responses {
			response := []byte(r)
			if r == "-" {
				response = nil
			}
			challenge, done, err := ex.Next(t.Context(), response)
			switch {
			case err == nil && done && challenge == nil && ex.Account().Address == anna:
				got = "in"
			case errors.Is(err, ErrCredentials) && ex.Account() == Account{}:
				got = "wrong"
			case err != nil || done:
				t.Errorf("%s %q: %q %v %v", c.mech, c.responses, challenge, done, err)
			}
		}
		if got != c.want {
			t.Errorf("%s %.60q: %s, want %s", c.mech, c.responses, got, c.want)
		}
	}
	if _, err := b.SASL("CRAM-MD5", home); !errors.Is(err, ErrMechanism) {
		t.Errorf("an unknown mechanism: %v", err)
	}
	for _, name := range Mechanisms() {
		if _, err := b.SASL(name, home); err != nil {
			t.Errorf("%s is named but not known: %v", name, err)
		}
	}
}
