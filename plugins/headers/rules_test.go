package headers

import (
	"fmt"
	"strings"
	"testing"

	"hauspost/plugins/abi"
	"hauspost/plugins/sdk"
)

const letter = "Received: from a.example\r\n\tby b.example\r\n" +
	"From: \"The Shop\" <News@Shop.Example>\r\n" +
	"To: Anna <anna@example.org>, undisclosed:;, ben@example.org (Ben)\r\n" +
	"Subject: =?utf-8?Q?Ihre_Rechnung_f=C3=BCr?=\r\n =?utf-8?B?IE3DpHJ6?= and\r\n  more\r\n" +
	"Reply-To: \"boss@home.example\" <evil@x.example>, =?utf-8?q?boss=40home.example?= <evil@x.example> (a@home.example)\r\n" +
	"X-Weight : 5\r\n" +
	"X-Twice: one\r\n" +
	"X-Twice: two\r\n" +
	"X-Empty:\r\n" +
	"\r\n" +
	"Subject: not in the header\r\n"

func event() *abi.Event {
	return &abi.Event{
		Stage: abi.OnMessage, Sender: "Bounce@shop.example", Recipients: []string{"anna@example.org", "Ben@example.org"}, Size: 20 << 20,
		Client: abi.Client{Address: "192.0.2.7", Hostname: "mx.shop.example", HELO: "mx"},
		Facts:  []abi.Fact{{Name: "dmarc", Value: "fail"}, {Name: "dkim", Value: "none"}, {Name: "dkim", Value: "pass"}},
	}
}

// TestConditions: what is true of the letter, and what is not.
func TestConditions(t *testing.T) {
	t.Parallel()
	for _, truth := range []struct {
		want bool
		list []string
	}{
		{true, []string{
			`Subject contains "rechnung für März and more"`, `subject: is "ihre rechnung für märz and more"`,
			`Subject begins with "IHRE"`, `Subject starts with "Ihre "`, `Subject ends with "and more"`,
			`Subject matches "ihre*f?r*more"`, `Subject does not contain "invoice"`, `not Subject contains "invoice"`,
			`Subject contains one of "invoice", "Rechnung"`, `Subject contains any of ("Rechnung", "invoice")`,
			`From ends with "@shop.example"`, `From is "the shop"`, `From is "news@shop.example"`, `From begins with "the"`,
			`From name is "the shop"`, `From address ends with ".example"`, `From contains "shop.example"`, `From matches "*@shop.*"`,
			`To ends with "@example.org"`, `To is "ben@example.org"`, `To is "anna"`,
			`Received contains "a.example by b.example"`, `header "X-Weight" is "5"`, `X-WEIGHT exists`,
			`X-Twice is "one"`, `X-Twice is "two"`, `not X-Twice is "three"`, `X-Twice does not begin with "three"`,
			`Reply-To name is "boss@home.example"`, `Reply-To name contains "home.example"`, `Reply-To address is "evil@x.example"`, `X-Empty exists`, `X-Empty is present`, `X-None is missing`, `X-None does not exist`, `X-None is not present`, `From is not missing`,
			`sender is "bounce@shop.example"`, `sender exists`, `recipient is "anna@example.org"`, `recipient is "ben@example.org"`,
			`client is "192.0.2.7"`, `client is "192.0.2.0/24"`, `client is one of "10.0.0.0/8", "192.0.0.0/16"`,
			`client ends with ".shop.example"`, `helo is "mx"`, `fact dmarc is "fail"`, `fact DKIM is "pass"`, `fact dkim is "none"`, `fact spf is missing`,
			`size is larger than 10 MB`, `size is smaller than 1GB`, `size is larger than 20971519`,
			`(Subject exists or Nothing exists) and not (Nothing exists or Neither exists)`,
			`From exists and To exists and Subject exists`, `not not From exists`,
		}},
		{false, []string{
			`Subject contains "not in the header"`, `Subject is "ihre rechnung"`, `Subject matches "rechnung*"`, `Subject matches "*f?"`,
			`From ends with "@shop"`, `From is missing`, `From address contains "the"`, `From name ends with "example"`, `header Sender name exists`,
			`Reply-To ends with "@home.example"`, `Reply-To is "boss@home.example"`, `Reply-To address contains "boss"`, `X-Twice is "three"`, `X-Twice is not "one"`, `X-Empty contains "a"`,
			`sender is missing`, `sender ends with "example.org"`, `recipient is "carla@example.org"`, `client is "192.0.3.0/24"`, `client is "2001:db8::/32"`,
			`fact dmarc is "pass"`, `size is larger than 20971520`, `size is smaller than 20 MB`, `not (From exists)`,
			`From exists and Nothing exists`, `Nothing exists or Neither exists`,
		}},
	} {
		for _, condition := range truth.list {
			r, err := Parse("if "+condition+" then exempt", Incoming)
			if err != nil {
				t.Errorf("%s: %v", condition, err)
				continue
			}
			effects, err := r.Apply(event(), sdk.ParseHeader([]byte(letter)))
			if err != nil || len(effects) != 0 != truth.want {
				t.Errorf("%s is not %v (%v, %v)", condition, truth.want, effects, err)
			}
		}
	}
}

// say puts an effect into a line.
func say(e abi.Effect) string {
	s := e.Kind.String()
	if e.Kind == abi.Stop {
		s = e.Stop.String()
	}
	for _, part := range []string{e.Name, e.Argument} {
		if part != "" {
			s += " " + part
		}
	}
	if e.Points != 0 {
		s += fmt.Sprintf(" %g", e.Points)
	}
	if e.Recipient != "" {
		s += " for " + e.Recipient
	}
	return s + " [" + e.Symbol + ": " + e.Detail + "]"
}

func TestActions(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, rules string
		way         Way
		want        []string
	}{
		{name: "all kinds", rules: `
always then file into "Shops/Books", tag "$shop" and score -1.5 as GOOD_SHOP, add field X-Rule-A: "yes"
always quarantine "looks odd", discard and exempt, reject
"my friends": always reject "Go away", copy to "a@example.net", redirect to "b@example.net"`,
			want: []string{
				"fileinto Shops/Books [RULE_1: rule 1 in line 2]", "tag $shop [RULE_1: rule 1 in line 2]",
				"score -1.5 [GOOD_SHOP: rule 1 in line 2]", "addheader X-Rule-A yes [RULE_1: rule 1 in line 2]",
				"quarantine [RULE_2: looks odd]", "discard [RULE_2: rule 2 in line 3]", "exempt [RULE_2: rule 2 in line 3]",
				"reject [RULE_2: rule 2 in line 3]",
				"reject [RULE_MY_FRIENDS: Go away]", `copy a@example.net [RULE_MY_FRIENDS: rule 3 "my friends" in line 4]`,
				`redirect b@example.net [RULE_MY_FRIENDS: rule 3 "my friends" in line 4]`,
			}},
		{name: "going out", way: Outgoing, rules: `if recipient exists then require TLS, copy to "boss@example.org", add field "x-rule-a" "b" and stop`,
			want: []string{"requiretls [RULE_1: rule 1 in line 1]", "copy boss@example.org [RULE_1: rule 1 in line 1]", "addheader x-rule-a b [RULE_1: rule 1 in line 1]"}},
		{name: "one recipient", rules: `
			if recipient is "ben@example.org"
			  then file into "Ben", score 1, copy to "c@example.net", reject "no" # only the mailbox and the copy are his
			if not recipient is "ben@example.org" then tag "other"`,
			want: []string{
				"fileinto Ben for Ben@example.org [RULE_1: rule 1 in line 2]", "score 1 [RULE_1: rule 1 in line 2]",
				"copy c@example.net for Ben@example.org [RULE_1: rule 1 in line 2]", "reject [RULE_1: no]",
				"tag other for anna@example.org [RULE_2: rule 2 in line 4]",
			}},
		{name: "the first mailbox counts", rules: "always file into \"A\"\nalways file into \"B\" and tag \"b\"",
			want: []string{"fileinto A [RULE_1: rule 1 in line 1]", "tag b [RULE_2: rule 2 in line 2]"}},
		{name: "the first mailbox of each", rules: "if recipient begins with \"anna\" then file into \"A\"\nalways file into \"B\"",
			want: []string{"fileinto A for anna@example.org [RULE_1: rule 1 in line 1]", "fileinto B for Ben@example.org [RULE_2: rule 2 in line 2]"}},
		{name: "stop", rules: "if Nothing exists then stop\nif From exists then score 1 and stop\nalways score 2",
			want: []string{"score 1 [RULE_2: rule 2 in line 2]"}},
		{name: "stop for one", rules: "if recipient begins with \"anna\" then stop\nalways tag \"b\", score 2",
			want: []string{"tag b for Ben@example.org [RULE_2: rule 2 in line 2]", "score 2 [RULE_2: rule 2 in line 2]"}},
		{name: "nothing", rules: "# if From exists then exempt\n\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r, err := Parse(c.rules, c.way)
			if err != nil {
				t.Fatal(err)
			}
			effects, err := r.Apply(event(), sdk.ParseHeader([]byte(letter)))
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, e := range effects {
				got = append(got, say(e))
			}
			if strings.Join(got, "\n") != strings.Join(c.want, "\n") {
				t.Errorf("it proposes\n%s\nand not\n%s", strings.Join(got, "\n"), strings.Join(c.want, "\n"))
			}
		})
	}
}

// TestTooMuch: nobody gets half of what the rules say.
func TestTooMuch(t *testing.T) {
	t.Parallel()
	ev := event()
	for i := range abi.MaxEffects + 1 {
		ev.Recipients = append(ev.Recipients, fmt.Sprintf("ben%d@example.org", i))
	}
	r, err := Parse(`if recipient begins with "ben" then tag "a"`, Incoming)
	if err != nil {
		t.Fatal(err)
	}
	if effects, err := r.Apply(ev, sdk.ParseHeader(nil)); err != errTooMuch || effects != nil {
		t.Errorf("it gives %d effects, %v", len(effects), err)
	}
}

// TestFaults: what is wrong is named with its rule and place, and with what
// could be there instead.
func TestFaults(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ rules, want string }{
		{`fi From exists then exempt`, `line 1, column 1: a rule begins with if or always on a new line, found "fi"`},
		{`if From contain "a" then exempt`, `rule 1, line 1, column 9: expected contains, is, begins with, ends with, matches, exists, is missing, found "contain"`},
		{"if A exists then exempt\n\n  \"Shops\": if Subject contains invoice then exempt", `rule 2 "Shops", line 3, column 32: expected a text in quotes, found "invoice"`},
		{`if From contains “a” then exempt`, `rule 1, line 1, column 18: texts stand in straight quotes: "like this"`},
		{`if From contains "a then exempt`, `rule 1, line 1, column 18: the text has no closing quote on its line`},
		{`if From is "" then exempt`, `rule 1, line 1, column 12: the text is empty; use "is missing" or "exists"`},
		{`if A exists and B exists or C exists then exempt`, `rule 1, line 1, column 26: "and" and "or" are mixed: put parentheses around what belongs together`},
		{`if (A exists then exempt`, `rule 1, line 1, column 14: expected and, or or a closing parenthesis, found "then"`},
		{"if A exists\nalways exempt", `rule 1, line 2, column 1: the rule before ends here, but and, or or then after the condition is missing in it`},
		{"if A exists then\nalways exempt", `rule 1, line 2, column 1: the rule before ends here, but an action: file into, tag, score, add field, quarantine, reject, discard, copy to, redirect to, require TLS, exempt or stop is missing in it`},
		{`if A exists then file "B"`, `rule 1, line 1, column 18: expected an action: file into, tag, score, add field, quarantine, reject, discard, copy to, redirect to, require TLS, exempt or stop, found "file"`},
		{`if A exists then exempt tag "b"`, `rule 1, line 1, column 25: expected and or a comma before another action, or a new rule on a new line, found "tag"`},
		{`if A exists then stop and tag "b"`, `rule 1, line 1, column 23: stop is the last action of a rule, found "and" after it`},
		{`if A exists then`, `rule 1, line 1, column 17: expected an action: file into, tag, score, add field, quarantine, reject, discard, copy to, redirect to, require TLS, exempt or stop, found the end of the rules`},
		{`always score much`, `rule 1, line 1, column 14: expected points, such as 2.5 or -3, after score, found "much"`},
		{`always score 101`, `rule 1, line 1, column 14: points are from -100 to 100`},
		{`always score NaN`, `rule 1, line 1, column 14: points are from -100 to 100`},
		{`always score 1 as odd`, `rule 1, line 1, column 19: the name of a score has capitals, digits and underscores, such as LOOKS_ODD`},
		{`always add field Subject "x"`, `rule 1, line 1, column 18: the name of a field that is added begins with X-Rule- and goes on with letters, digits and -, found "Subject"`},
		{`always add field "X-Rule-a b" "x"`, `rule 1, line 1, column 18: the name of a field that is added begins with X-Rule- and goes on with letters, digits and -, found the text "X-Rule-a b"`},
		{`always add field X-Rule- "x"`, `rule 1, line 1, column 18: the name of a field that is added begins with X-Rule- and goes on with letters, digits and -, found "X-Rule-"`},
		{`always add field X-Rule-A "a	b"`, "rule 1, line 1, column 27: the text \"a\tb\" has characters that cannot be written"},
		{`always tag "two words"`, `rule 1, line 1, column 12: the text "two words" is no tag: tags are one word of letters, digits and signs like $ and -, at most 60`},
		{`always tag "\Seen"`, `rule 1, line 1, column 12: the text "\Seen" is no tag: tags are one word of letters, digits and signs like $ and -, at most 60`},
		{`always copy to "nobody"`, `rule 1, line 1, column 16: the text "nobody" is no mail address`},
		{`always redirect to "a@b, c@d"`, `rule 1, line 1, column 20: the text "a@b, c@d" is no mail address`},
		{`always file into "/A"`, `rule 1, line 1, column 18: the text "/A" is no mailbox; write mailboxes in others like "Shops/Books"`},
		{`always reject "a	b"`, `rule 1, line 1, column 15: expected and or a comma before another action, or a new rule on a new line, found the text "a	b"`},
		{`always require TLS`, `rule 1, line 1, column 8: only mail that goes out can be made to require TLS`},
		{`if size contains "5" then exempt`, `rule 1, line 1, column 9: size is larger than or smaller than something`},
		{`if Subject is larger than 5 then exempt`, `rule 1, line 1, column 12: only size can be larger or smaller than something`},
		{`if size is larger than big then exempt`, `rule 1, line 1, column 24: expected a size such as 500 KB or 10 MB, found "big"`},
		{`if size is larger than 5 miles then exempt`, `rule 1, line 1, column 26: expected and, or or then after the condition, found "miles"`},
		{`if client is "192.0.2.0/33" then exempt`, `rule 1, line 1, column 14: the text "192.0.2.0/33" is no network; write it like "192.0.2.0/24"`},
		{`if header exists then exempt`, `rule 1, line 1, column 18: expected contains, is, begins with, ends with, matches, exists, is missing, found "then"`},
		{`if Täg exists then exempt`, `rule 1, line 1, column 4: "Täg" cannot be the name of a header field`},
		{`if then exempt`, `rule 1, line 1, column 4: expected a header field, sender, recipient, client, helo, fact or size, found "then"`},
		{`"named" exempt`, `line 1, column 1: a rule begins with if or always on a new line, found the text "named"`},
		{`"named": exempt`, `rule 1 "named", line 1, column 10: expected if or always after the name of the rule, found "exempt"`},
		{"if A exist then exempt\nalways exempt\nif B is missing then\n\ttag it", `rule 1, line 1, column 6: expected contains, is, begins with, ends with, matches, exists, is missing, found "exist"` + "\n" +
			`rule 3, line 4, column 6: expected the tag in quotes, found "it"`},
		{"if " + strings.Repeat("(", 30) + "A exists then exempt", `rule 1, line 1, column 24: conditions lie too deep in each other`},
		{"if " + strings.Repeat("not ", 30) + "A exists then exempt", `rule 1, line 1, column 84: conditions lie too deep in each other`},
		{strings.Repeat("always exempt\n", MaxRules+1), `rule 501, line 501, column 1: there are more than 500 rules`},
		{"if A contains \"" + strings.Repeat("x", MaxText+1) + `" then exempt`, `rule 1, line 1, column 15: the text is longer than 400 octets`},
		{"if A matches \"" + strings.Repeat("x", MaxGlob+1) + `" then exempt`, `rule 1, line 1, column 14: the text is longer than 200 octets`},
	} {
		r, err := Parse(c.rules, Incoming)
		if err == nil {
			t.Errorf("%.80s: nothing is wrong with it: %+v", c.rules, r)
		} else if err.Error() != c.want {
			t.Errorf("%.80s:\n%s\nand not\n%s", c.rules, err, c.want)
		}
	}
	for _, rules := range []string{`always file into "A"`, `always tag "a"`, `always discard`} {
		if _, err := Parse(rules, Outgoing); err == nil || !strings.Contains(err.Error(), "column 8: mail that goes out is not filed, tagged or discarded") {
			t.Errorf("%s gives %v", rules, err)
		}
	}
	many := "if " + strings.Repeat("A exists and ", MaxTests) + "A exists then exempt"
	if _, err := Parse(many, Incoming); err == nil || !strings.Contains(err.Error(), "there are more than 2000 tests in all rules") {
		t.Errorf("too many tests give %v", err)
	}
}

// TestAddresses: what a sender writes into a name makes no address of it.
func TestAddresses(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ in, want string }{
		{`a@b.example`, `[{ a@b.example}]`},
		{`"<boss@home.example>" <evil@x.example>`, `[{<boss@home.example> evil@x.example}]`},
		{`=?utf-8?q?=3Cboss=40home.example=3E?= <evil@x.example>`, `[{=?utf-8?q?=3Cboss=40home.example=3E?= evil@x.example}]`},
		{`boss@home.example <evil@x.example>`, `[{boss@home.example evil@x.example}]`},
		{`(boss@home.example (nested\)) ,) evil@x.example`, `[{ evil@x.example}]`},
		{`friends: a@b, "c, d" <c@d>;, e@f`, `[{ a@b} {c, d c@d} { e@f}]`},
		{`Nobody`, `[{Nobody }]`},
		{`"unclosed <a@b>`, `[{ unclosed <a@b>}]`},
		{`<a@b`, `[{ a@b}]`},
		{`(`, `[]`},
		{`"a\`, `[{a }]`},
	} {
		if got := fmt.Sprint(addresses(c.in)); got != c.want {
			t.Errorf("%q has %s, want %s", c.in, got, c.want)
		}
	}
}

func TestGlob(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		pattern, s string
		want       bool
	}{
		{"abc", "abc", true}, {"abc", "abcd", false}, {"a?c", "aöc", true}, {"?", "", false}, {"*", "", true}, {"**", "x", true},
		{"a*", "abc", true}, {"*c", "abc", true}, {"a*c", "ac", true}, {"a*b*c", "aXbYc", true}, {"a*b*c", "aXcYb", false},
		{"ab*ba", "aba", false}, {"*a?", "aab", true}, {"*ö?*", "xöy", true}, {"*?b*", "b", false}, {"*[a]*", "x[a]y", true},
		{"a*a*a*a*a*b", strings.Repeat("a", 1000), false},
	} {
		if got := glob(c.pattern, c.s); got != c.want {
			t.Errorf("%q matches %q: %v", c.pattern, c.s, got)
		}
	}
}

// FuzzParse: no text makes the parser fail otherwise than by naming places in
// it, and what it takes can be applied.
func FuzzParse(f *testing.F) {
	f.Add(`"a": if (Subject contains one of "b", "c" or not size is larger than 5 MB) and sender is missing then file into "D", stop`)
	f.Add("if From matches \"*?@x\" then add field X-Rule-A: \"b\" and score -2.5 as C\n# e\nalways redirect to \"a@b\"")
	f.Add("if recipient does not end with \"x\"\n then tag \"a\"\nif client is \"::/0\" then quarantine")
	f.Add("if \x00 is \"\\")
	f.Fuzz(func(t *testing.T, in string) {
		for _, way := range []Way{Incoming, Outgoing} {
			r, err := Parse(in, way)
			if err == nil {
				if effects, err := r.Apply(event(), sdk.ParseHeader([]byte(letter))); err == nil && len(effects) > abi.MaxEffects {
					t.Errorf("%d effects", len(effects))
				}
				continue
			}
			lines := strings.Count(in, "\n") + 1
			for _, fault := range err.(Faults) {
				if fault.Line < 1 || fault.Line > lines || fault.Column < 1 || fault.Column > len(in)+1 || fault.Text == "" {
					t.Errorf("%+v is nowhere in %q", fault, in)
				}
			}
		}
	})
}

// FuzzApply: no header makes the rules fail.
func FuzzApply(f *testing.F) {
	r, err := Parse(`if Subject matches "*a?b*" and To is "x" or From contains "b" and X-A is missing then tag "a"`, Incoming)
	if err == nil {
		f.Fatal("mixed")
	}
	if r, err = Parse(`if (Subject matches "*a?b*" and To is "x") or (From contains "b" and X-A is missing) then tag "a"`, Incoming); err != nil {
		f.Fatal(err)
	}
	f.Add([]byte(letter))
	f.Add([]byte("To: \"\\\nFrom: (((<,:;=?\nSubject: =?a?q?=?= =?u*?B?====?="))
	f.Fuzz(func(t *testing.T, header []byte) {
		effects, err := r.Apply(event(), sdk.ParseHeader(header))
		if err != nil || len(effects) > 1 {
			t.Errorf("it gives %v, %v", effects, err)
		}
	})
}
