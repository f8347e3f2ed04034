package relay

import (
	"encoding/base64"
	"errors"
	"slices"
	"strconv"
	"strings"

	"github.com/xdg-go/scram"

	"hauspost/appliance/transfer"
)

// The mechanisms that are known, each with its way.
const (
	mechPlain = "PLAIN"
	mechLogin = "LOGIN"
	mechSCRAM = "SCRAM-SHA-256"
)

// signIn signs in at the owner's server. Nothing that happens here fails a
// message for good: the owner can mend it.
func (k *conn) signIn(r *Route) *fault {
	refuse := func(name, enhanced, text string) *fault {
		return &fault{Outcome: *ours(transfer.Deferred, transfer.ScopeDestination, name, enhanced, "AUTH", text)}
	}
	if k.tls == "" {
		return refuse("tls-required", "4.7.11", "the password is sent over an encrypted connection only, and this one is not")
	}
	mech := k.mechanism()
	if mech == "" {
		return refuse("auth-failed", "4.7.4", "the server offers no way to sign in that is known here: "+strings.Join(k.ext.auth, " "))
	}
	rep, f := k.speak(mech, r)
	switch {
	case f != nil:
		return f
	case rep == nil:
		return refuse("auth-failed", "4.7.8", "the server could not prove that it knows the password")
	case rep.ok():
		return nil
	case rep.code/100 != 4 && rep.code/100 != 5:
		return unexpected("AUTH", rep)
	}
	o := theirs("AUTH", rep)
	o.Status, o.Scope, o.Name = transfer.Deferred, transfer.ScopeDestination, "auth-failed"
	return &fault{Outcome: o}
}

// mechanism chooses: over a connection that somebody in the middle could hold,
// SCRAM keeps the password from them; otherwise the simplest is the one that
// works everywhere.
func (k *conn) mechanism() string {
	order := []string{mechPlain, mechLogin, mechSCRAM}
	if !k.verified {
		order = []string{mechSCRAM, mechPlain, mechLogin}
	}
	for _, m := range order {
		if slices.Contains(k.ext.auth, m) {
			return m
		}
	}
	return ""
}

// speak runs one mechanism to its last reply; nil is a server that is not who
// it claims to be.
func (k *conn) speak(mech string, r *Route) (*reply, *fault) {
	encode := base64.StdEncoding.EncodeToString
	switch mech {
	case mechPlain:
		// Without an initial response where the line would be too long (RFC
		// 4954, section 4).
		response := encode([]byte("\x00" + r.User + "\x00" + r.Password))
		if line := "AUTH PLAIN " + response; len(line) <= 510 {
			return k.command("AUTH", k.c.l.Command, line)
		}
		return k.respond("AUTH PLAIN", response)
	case mechLogin:
		return k.respond("AUTH LOGIN", encode([]byte(r.User)), encode([]byte(r.Password)))
	}
	return k.scram(r)
}

// respond sends a command and, as long as the server asks, the responses.
func (k *conn) respond(lines ...string) (*reply, *fault) {
	var rep *reply
	for _, line := range lines {
		var f *fault
		if rep, f = k.command("AUTH", k.c.l.Command, line); f != nil || rep.code != 334 {
			return rep, f
		}
	}
	return rep, nil
}

// scram is RFC 7677, in the form of RFC 4954.
func (k *conn) scram(r *Route) (*reply, *fault) {
	client, err := scram.SHA256.NewClient(r.User, r.Password, "")
	if err != nil {
		return nil, &fault{Outcome: *ours(transfer.Deferred, transfer.ScopeDestination, "auth-failed", "4.7.8", "AUTH",
			"user or password have characters that cannot be used to sign in")}
	}
	conv := client.NewConversation()
	say, _ := conv.Step("") // the first step has nothing that could be wrong
	rep, f := k.command("AUTH", k.c.l.Command, "AUTH "+mechSCRAM+" ", base64.StdEncoding.EncodeToString([]byte(say)))
	for f == nil && rep.code == 334 {
		challenge, err := base64.StdEncoding.DecodeString(strings.TrimSpace(rep.words(0)))
		if err == nil && iterations(challenge) > maxIterations {
			return nil, &fault{Outcome: *ours(transfer.Deferred, transfer.ScopeDestination, "auth-failed", "4.7.8", "AUTH",
				"the server asks for more work on the password than anybody needs")}
		}
		if err == nil && !conv.Done() {
			say, err = conv.Step(string(challenge))
		} else if err == nil {
			err = errors.New("one challenge too many")
		}
		if err != nil {
			return nil, nil
		}
		rep, f = k.command("AUTH", k.c.l.Command, base64.StdEncoding.EncodeToString([]byte(say)))
	}
	if f == nil && rep.ok() && !conv.Valid() {
		return nil, nil
	}
	return rep, f
}

// maxIterations bounds the work that a server may ask for: some seconds on a
// small machine, and a hundred times what is usual.
const maxIterations = 1_000_000

// iterations gives the number in a challenge of SCRAM (RFC 5802, section 5.1),
// 0 where there is none.
func iterations(challenge []byte) int {
	for field := range strings.SplitSeq(string(challenge), ",") {
		if number, ok := strings.CutPrefix(field, "i="); ok {
			n, err := strconv.Atoi(number)
			if err != nil {
				return 0 // refused by who reads it
			}
			return n
		}
	}
	return 0
}

// secretsOf are the forms in which a server could repeat a password.
func secretsOf(r *Route) []string {
	if r.Password == "" {
		return nil
	}
	encode := base64.StdEncoding.EncodeToString
	return []string{
		encode([]byte("\x00" + r.User + "\x00" + r.Password)), encode([]byte(r.Password)), r.Password,
	}
}
