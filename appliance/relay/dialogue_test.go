package relay

import (
	"context"
	"crypto/tls"
	"flag"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"hauspost/appliance/envelope"
	"hauspost/appliance/relay/testnet"
	"hauspost/appliance/transfer"
)

var update = flag.Bool("update", false, "write the dialogues anew")

func rootsOf(n *testnet.Net) *tls.Config { return &tls.Config{RootCAs: n.Roots()} }

// scene is one attempt against hosts with given behaviours. The first is
// preferred.
type scene struct {
	name  string
	hosts []testnet.Behaviour
	to    []string
	edit  func(r *rig, m *transfer.Message)
	// again is how many more attempts follow.
	again int
}

type steps = map[string]testnet.Step

func at(verb string, st testnet.Step) testnet.Behaviour {
	return testnet.Behaviour{Steps: steps{verb: st}}
}

func says(verb, reply string) testnet.Behaviour { return at(verb, testnet.Step{Reply: reply}) }

var good = testnet.Behaviour{}

func alone(b testnet.Behaviour) []testnet.Behaviour { return []testnet.Behaviour{b} }

// route makes everything go through the first host by the owner's will.
func route(edit func(*Route)) func(*rig, *transfer.Message) {
	return func(r *rig, _ *transfer.Message) {
		route := Route{To: []string{"*"}, Host: "mx1.example", Port: r.net.Port(), Security: Verified}
		edit(&route)
		r.o.Routes = []Route{route}
	}
}

func secured(s Security) func(*rig, *transfer.Message) {
	return func(r *rig, _ *transfer.Message) { r.o.Routes = []Route{{To: []string{"far.example"}, Security: s}} }
}

var three = []string{"one@far.example", "two@far.example", "three@far.example"}

var scenes = []scene{
	{name: "good", hosts: alone(good)},
	{name: "good-three", hosts: alone(good), to: three},
	{name: "no-pipelining", hosts: alone(testnet.Behaviour{Without: []string{"PIPELINING"}}), to: three},
	{name: "no-extensions", hosts: alone(testnet.Behaviour{Without: []string{"PIPELINING", "SIZE", "8BITMIME", "SMTPUTF8", "STARTTLS"}}),
		edit: func(_ *rig, m *transfer.Message) { m.Body = "8BITMIME" }},
	{name: "eight-bit", hosts: alone(good), edit: func(_ *rig, m *transfer.Message) { m.Body = "8BITMIME" }},
	{name: "chunking", hosts: alone(testnet.Behaviour{With: []string{"CHUNKING"}}), again: 1},
	{name: "chunking-refused", hosts: alone(testnet.Behaviour{With: []string{"CHUNKING"}, Recipients: map[string]string{"one@far.example": "550 5.1.1 no such user"}}), again: 1},
	{name: "chunking-no-pipelining", hosts: alone(testnet.Behaviour{With: []string{"CHUNKING"}, Without: []string{"PIPELINING"}})},
	{name: "null-sender", hosts: alone(good), edit: func(_ *rig, m *transfer.Message) { m.Sender = envelope.Address{} }},
	{name: "dsn", hosts: alone(testnet.Behaviour{With: []string{"DSN"}}), to: []string{"one@far.example", "a+b@far.example"},
		edit: func(_ *rig, m *transfer.Message) {
			m.Ret, m.EnvID = "HDRS", "QQ314159"
			m.Recipients[0].Notify, m.Recipients[0].ORcpt = "SUCCESS,FAILURE", "rfc822;first@else.example"
		}},
	{name: "dsn-not-offered", hosts: alone(good), edit: func(_ *rig, m *transfer.Message) {
		m.Ret, m.EnvID, m.Recipients[0].Notify = "FULL", "x", "NEVER"
	}},
	{name: "helo", hosts: alone(says("EHLO", "502 5.5.1 not here"))},
	{name: "reuse", hosts: alone(good), again: 2},

	{name: "greylist", hosts: alone(testnet.Behaviour{Greylist: true}), again: 1},
	{name: "one-of-three-refused", hosts: alone(testnet.Behaviour{Recipients: map[string]string{"two@far.example": "550 5.1.1 <two@far.example>: no such user"}}), to: three},
	{name: "one-of-three-deferred", hosts: alone(testnet.Behaviour{Recipients: map[string]string{"two@far.example": "452 4.2.2 mailbox full"}}), to: three},
	{name: "one-of-three-refused-slowly", hosts: alone(testnet.Behaviour{Without: []string{"PIPELINING"}, Recipients: map[string]string{"two@far.example": "550-5.1.1 nobody\r\n550 5.1.1 of that name"}}), to: three},
	{name: "all-refused", hosts: alone(says("RCPT", "550 5.7.1 listed at zen.spamhaus.org")), again: 1},
	{name: "all-refused-354", hosts: alone(testnet.Behaviour{Steps: steps{"RCPT": {Reply: "550 5.1.1 nobody", Times: 1}, "DATA": {Reply: "354 go ahead", Times: 1}}}), again: 1},
	{name: "recipient-limit", hosts: alone(testnet.Behaviour{RecipientLimit: 2}), to: three},
	{name: "rcptmax", hosts: alone(testnet.Behaviour{With: []string{"LIMITS RCPTMAX=2 MAILMAX=1"}}), to: three, again: 1},
	{name: "mail-refused", hosts: alone(says("MAIL", "550 5.1.8 no such sender domain")), again: 1},
	{name: "mail-421", hosts: []testnet.Behaviour{says("MAIL", "421 4.3.2 closing"), good}},
	{name: "mail-deferred", hosts: []testnet.Behaviour{says("MAIL", "451 4.3.0 local trouble"), good}},
	{name: "rcpt-421", hosts: []testnet.Behaviour{{Recipients: map[string]string{"two@far.example": "421 4.7.0 too many errors"}}, good}, to: three},
	{name: "data-refused", hosts: alone(says("DATA", "451 4.3.0 try later"))},
	{name: "content-refused", hosts: alone(says("content", "554 5.7.1 this is spam")), again: 1},
	{name: "content-deferred", hosts: alone(says("content", "451 4.7.1 not yet"))},
	{name: "content-refused-chunking", hosts: alone(testnet.Behaviour{With: []string{"CHUNKING"}, Steps: steps{"content": {Reply: "552 5.2.2 full"}}}), again: 1},

	{name: "no-starttls", hosts: alone(testnet.Behaviour{Without: []string{"STARTTLS"}})},
	{name: "no-starttls-required", hosts: alone(testnet.Behaviour{Without: []string{"STARTTLS"}}), edit: secured(Required)},
	{name: "starttls-454", hosts: alone(says("STARTTLS", "454 4.7.0 not available"))},
	{name: "starttls-454-required", hosts: []testnet.Behaviour{says("STARTTLS", "454 4.7.0 not available"), good}, edit: secured(Required)},
	{name: "handshake-broken", hosts: alone(testnet.Behaviour{BadHandshake: true})},
	{name: "handshake-broken-verified", hosts: alone(testnet.Behaviour{BadHandshake: true}), edit: secured(Verified)},
	{name: "security-none", hosts: alone(good), edit: secured(None)},
	{name: "old-tls", hosts: alone(testnet.Behaviour{MaxTLS: tls.VersionTLS10})},
	{name: "old-tls-required", hosts: alone(testnet.Behaviour{MaxTLS: tls.VersionTLS11}), edit: secured(Required)},
	{name: "wrong-name", hosts: alone(testnet.Behaviour{Certificate: testnet.WrongName})},
	{name: "wrong-name-required", hosts: alone(testnet.Behaviour{Certificate: testnet.WrongName}), edit: secured(Required)},
	{name: "wrong-name-verified", hosts: []testnet.Behaviour{{Certificate: testnet.WrongName}, good}, edit: secured(Verified)},
	{name: "expired", hosts: alone(testnet.Behaviour{Certificate: testnet.Expired})},
	{name: "expired-verified", hosts: alone(testnet.Behaviour{Certificate: testnet.Expired}), edit: secured(Verified)},
	{name: "self-signed", hosts: alone(testnet.Behaviour{Certificate: testnet.SelfSigned})},
	{name: "self-signed-verified", hosts: alone(testnet.Behaviour{Certificate: testnet.SelfSigned}), edit: secured(Verified)},

	{name: "greeting-421", hosts: []testnet.Behaviour{says("connect", "421 4.3.2 too busy"), good}},
	{name: "greeting-554", hosts: []testnet.Behaviour{says("connect", "554 5.7.1 go away"), good}},
	{name: "greeting-550-all", hosts: []testnet.Behaviour{says("connect", "550 5.7.1 go away"), says("connect", "550 no")}},
	{name: "greeting-554-all", hosts: []testnet.Behaviour{says("connect", "554 5.7.1 go away"), says("connect", "554 no")}},
	{name: "greeting-521-and-dead", hosts: []testnet.Behaviour{says("connect", "521 no mail here"), at("connect", testnet.Step{Drop: true})}},
	{name: "ehlo-refused", hosts: []testnet.Behaviour{says("EHLO", "550 5.7.1 bad name"), good}},

	{name: "size", hosts: alone(testnet.Behaviour{MaxSize: 20})},
	{name: "smtputf8", hosts: alone(good), to: []string{"jürgen@far.example"}},
	{name: "smtputf8-missing", hosts: alone(testnet.Behaviour{Without: []string{"SMTPUTF8"}}), to: []string{"jürgen@far.example", "one@far.example"}},
	{name: "smtputf8-needless", hosts: alone(testnet.Behaviour{Without: []string{"SMTPUTF8"}}), edit: func(_ *rig, m *transfer.Message) { m.SMTPUTF8 = true }},
	{name: "smtputf8-header", hosts: alone(testnet.Behaviour{Without: []string{"SMTPUTF8"}}), edit: func(_ *rig, m *transfer.Message) {
		const content = "Subject: grün\r\n\r\nx\r\n"
		m.SMTPUTF8, m.Size = true, int64(len(content))
		m.Open = func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(content)), nil }
	}},

	{name: "auth-plain", hosts: alone(testnet.Behaviour{Users: map[string]string{"anna": "secret"}}), again: 1,
		edit: route(func(r *Route) { r.User, r.Password = "anna", "secret" })},
	{name: "auth-login", hosts: alone(testnet.Behaviour{Users: map[string]string{"anna": "secret"}, Mechanisms: []string{"LOGIN"}}),
		edit: route(func(r *Route) { r.User, r.Password = "anna", "secret" })},
	{name: "auth-wrong", hosts: alone(testnet.Behaviour{Users: map[string]string{"anna": "secret"}}),
		edit: route(func(r *Route) { r.User, r.Password = "anna", "guess" })},
	{name: "auth-without-tls", hosts: alone(testnet.Behaviour{Users: map[string]string{"anna": "secret"}, Without: []string{"STARTTLS"}}),
		edit: route(func(r *Route) { r.User, r.Password, r.Security = "anna", "secret", Opportunistic })},
	{name: "auth-not-offered", hosts: alone(good), edit: route(func(r *Route) { r.User, r.Password = "anna", "secret" })},
	{name: "auth-wanted", hosts: alone(testnet.Behaviour{Users: map[string]string{"anna": "secret"}})},
	{name: "auth-wanted-by-route", hosts: alone(testnet.Behaviour{Users: map[string]string{"anna": "secret"}}), edit: route(func(*Route) {})},
	{name: "auth-scram", hosts: alone(testnet.Behaviour{Users: map[string]string{"anna": "secret"}, Mechanisms: []string{"PLAIN", "SCRAM-SHA-256"}, Certificate: testnet.SelfSigned}),
		edit: route(func(r *Route) { r.User, r.Password, r.Security = "anna", "secret", Required })},
	{name: "auth-scram-wrong", hosts: alone(testnet.Behaviour{Users: map[string]string{"anna": "secret"}, Mechanisms: []string{"SCRAM-SHA-256"}}),
		edit: route(func(r *Route) { r.User, r.Password = "anna", "guess" })},
	{name: "implicit", hosts: alone(testnet.Behaviour{Implicit: true, Users: map[string]string{"anna": "secret"}}),
		edit: route(func(r *Route) { r.Implicit, r.User, r.Password = true, "anna", "secret" })},
	{name: "implicit-wrong-name", hosts: alone(testnet.Behaviour{Implicit: true, Certificate: testnet.WrongName}),
		edit: route(func(r *Route) { r.Implicit = true })},

	{name: "greeting-is-us", hosts: []testnet.Behaviour{says("connect", "220 box.example ESMTP"), good}},
	{name: "route-is-us", hosts: alone(says("connect", "220 box.example ESMTP")), edit: route(func(*Route) {})},
	{name: "requiretls-route", hosts: alone(testnet.Behaviour{With: []string{"REQUIRETLS"}}),
		edit: both(route(func(r *Route) { r.Security = None }), requireTLS)},
	{name: "requiretls-missing", hosts: alone(good), edit: both(route(func(*Route) {}), requireTLS)},
	{name: "requiretls-no-tls", hosts: alone(testnet.Behaviour{Without: []string{"STARTTLS"}}), edit: both(route(func(*Route) {}), requireTLS)},
	{name: "requiretls-expired", hosts: alone(testnet.Behaviour{With: []string{"REQUIRETLS"}, Certificate: testnet.Expired}), edit: both(route(func(*Route) {}), requireTLS)},
	{name: "requiretls-no-dnssec", hosts: alone(testnet.Behaviour{With: []string{"REQUIRETLS"}}), edit: requireTLS},
	{name: "tls-optional", hosts: alone(testnet.Behaviour{Certificate: testnet.Expired}),
		edit: both(secured(Verified), func(_ *rig, m *transfer.Message) { m.TLSOptional = true })},
}

func requireTLS(_ *rig, m *transfer.Message) { m.RequireTLS = true }

func both(a, b func(*rig, *transfer.Message)) func(*rig, *transfer.Message) {
	return func(r *rig, m *transfer.Message) { a(r, m); b(r, m) }
}

// breakable are the verbs at which every host can go silent or away.
var breakable = []string{"connect", "EHLO", "STARTTLS", "MAIL", "RCPT", "DATA", "content"}

func init() {
	for _, verb := range breakable {
		name := strings.ToLower(verb)
		scenes = append(scenes,
			scene{name: "silent-" + name, hosts: []testnet.Behaviour{at(verb, testnet.Step{Silent: true}), good}},
			scene{name: "drop-" + name, hosts: []testnet.Behaviour{at(verb, testnet.Step{Drop: true}), good}})
	}
	scenes = append(scenes,
		scene{name: "drop-all", hosts: []testnet.Behaviour{at("MAIL", testnet.Step{Drop: true}), at("RCPT", testnet.Step{Drop: true})}},
		scene{name: "drop-in-content", hosts: []testnet.Behaviour{{DropAfter: 30}, good}},
		scene{name: "drop-in-chunk", hosts: []testnet.Behaviour{{DropAfter: 30, With: []string{"CHUNKING"}}, good}},
		scene{name: "drop-slowly", hosts: []testnet.Behaviour{{Without: []string{"PIPELINING"}, Steps: steps{"DATA": {Drop: true}}}, good}})
	tarpit := steps{}
	for _, verb := range []string{"connect", "EHLO", "STARTTLS", "MAIL", "RCPT", "DATA", "content"} {
		tarpit[verb] = testnet.Step{Before: linger}
	}
	scenes = append(scenes, scene{name: "tarpit", hosts: alone(testnet.Behaviour{Steps: tarpit}), to: three, again: 1})
	for name, reply := range map[string]string{
		"no-code": "hello there", "wrong-code": "999 what", "one-code": "199 what", "short": "25", "glued": "250x", "two-codes": "250-a\r\n550 b", "latin": "\xff\xfe\xfd",
	} {
		scenes = append(scenes, scene{name: "garbage-" + name, hosts: []testnet.Behaviour{says("MAIL", reply+"\n"), good}})
	}
	for _, verb := range []string{"connect", "EHLO", "RCPT", "DATA", "content"} {
		scenes = append(scenes, scene{name: "garbage-at-" + strings.ToLower(verb), hosts: []testnet.Behaviour{says(verb, "<html>\n"), good}})
	}
	scenes = append(scenes,
		scene{name: "garbage-354-at-mail", hosts: []testnet.Behaviour{says("MAIL", "354 go ahead"), good}},
		scene{name: "garbage-250-at-data", hosts: []testnet.Behaviour{says("DATA", "250 ok\n"), good}},
		scene{name: "garbage-nul", hosts: alone(says("RCPT", "550 5.1.1 no\x00body \x1b[31m here"))},
		scene{name: "garbage-long", hosts: []testnet.Behaviour{at("EHLO", testnet.Step{Write: func(w io.Writer) {
			io.WriteString(w, "250 "+strings.Repeat("x", 200<<10)+"\r\n")
		}}), good}},
		scene{name: "garbage-endless", hosts: []testnet.Behaviour{at("EHLO", testnet.Step{Write: func(w io.Writer) {
			for {
				if _, err := io.WriteString(w, "250-and so on\r\n"); err != nil {
					return
				}
			}
		}}), good}})
}

// linger is how a tarpit answers: late each time, and within the time that it
// has for one answer.
func linger(ctx context.Context) {
	select {
	case <-time.After(5 * time.Millisecond):
	case <-ctx.Done():
	}
}

var (
	dates   = regexp.MustCompile(`\d{4}-\d\d-\d\d`)
	ciphers = regexp.MustCompile(`TLS_[A-Z0-9_]+`)
	// scramLines have nonces.
	scramLines = regexp.MustCompile(`(?m)^((?:C: AUTH SCRAM-SHA-256 |C: |S: 334 ))[A-Za-z0-9+/]{24,}=*$`)
	// ehlos are answers to EHLO, which are written in one line.
	ehlos = regexp.MustCompile(`(?m)^S: 250-[a-z0-9.]+ at your service\n(S: 250-.*\n)*S: 250 .*\n`)
)

// TestDialogues compares what was said and what came of it with testdata.
func TestDialogues(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for _, sc := range scenes {
		if seen[sc.name] {
			t.Fatalf("two scenes named %s", sc.name)
		}
		seen[sc.name] = true
		t.Run(sc.name, func(t *testing.T) {
			t.Parallel()
			got := play(t, sc)
			file := filepath.Join("testdata", "dialogues", sc.name+".txt")
			if *update {
				if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			want, err := os.ReadFile(file)
			if err != nil || got != string(want) {
				t.Errorf("%v\ngot:\n%s\nwant:\n%s", err, got, want)
			}
		})
	}
}

// play runs a scene and writes down what happened.
func play(t *testing.T, sc scene) string {
	r := newRig(t)
	var hosts []*testnet.Host
	w := newWatch(&r.o)
	for i, b := range sc.hosts {
		b.Steps = maps.Clone(b.Steps)
		for verb, st := range b.Steps {
			if st.Silent {
				st.Before = func(context.Context) { w.expire() }
				b.Steps[verb] = st
			}
		}
		hosts = append(hosts, r.host(fmt.Sprintf("mx%d.example", i+1), b))
	}
	r.domain("far.example", hosts...)
	m := message(text, sc.to...)
	if sc.edit != nil {
		sc.edit(r, m)
	}
	var b strings.Builder
	for range sc.again + 1 {
		writeResult(&b, m, r.client().Attempt(t.Context(), m))
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	r.must(r.c.Close(ctx))
	for _, h := range hosts {
		eventually(t, "all connections are over", func() bool { return h.Open() == 0 })
		for _, d := range h.Dialogues() {
			fmt.Fprintf(&b, "\n== %s\n%s", h.Name(), d)
		}
		for _, kept := range h.Messages() {
			if kept.Content != text {
				t.Errorf("%s got %q", h.Name(), kept.Content)
			}
		}
		if n := h.Count(); n > 0 {
			fmt.Fprintf(&b, "-- took %d\n", n)
		}
	}
	s := strings.ReplaceAll(b.String(), fmt.Sprintf(":%d", r.net.Port()), ":PORT")
	s = scramLines.ReplaceAllString(s, "${1}RESPONSE")
	s = ehlos.ReplaceAllStringFunc(s, func(block string) string {
		lines := strings.Split(strings.TrimRight(block, "\n"), "\n")
		for i := range lines {
			lines[i] = lines[i][len("S: 250-"):]
		}
		return "S: 250 [" + strings.Join(lines, " | ") + "]\n"
	})
	return ciphers.ReplaceAllString(dates.ReplaceAllString(s, "DATE"), "CIPHER")
}

func writeResult(b *strings.Builder, m *transfer.Message, res transfer.Result) {
	for i, o := range res.Outcomes {
		fmt.Fprintf(b, "%s: %s", m.Recipients[i].Address, brief(o))
		if o.Code != 0 {
			fmt.Fprintf(b, " code %d", o.Code)
		}
		if o.RelaysDSN {
			b.WriteString(" relays-dsn")
		}
		if o.Verb != "" {
			fmt.Fprintf(b, " at %s", o.Verb)
		}
		fmt.Fprintf(b, ": %s\n", o.Answer)
	}
	fmt.Fprintf(b, "  host %q [%v] greeting %q tls %q reused %v\n", res.Host, res.Addr.Addr(), res.Greeting, res.TLS, res.Reused)
	if res.Note != "" {
		fmt.Fprintf(b, "  note: %s\n", res.Note)
	}
}
