package abi

import (
	"bytes"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

func everyOctet() []byte {
	b := make([]byte, 256)
	for i := range b {
		b[i] = byte(i)
	}
	return b
}

// golden are the messages of testdata/golden as values.
var golden = map[string]message{
	"Event-full": &Event{
		Stage: OnMessage, ID: "0193a1b2-7c3d", Time: 1764000000123456789, Hostname: "mail.example.org",
		Client: Client{Address: "2001:db8::25", Port: 50123, HELO: "sender.example.net", Hostname: "out1.example.net",
			Protocol: "ESMTPS", TLS: "TLS 1.3, TLS_AES_128_GCM_SHA256"},
		Sender: "bounce+1@example.net", Recipients: []string{"anna@example.org", "", "jürgen@example.org"},
		Size: 7340032, Account: "anna@example.org",
		Facts: []Fact{{Name: "spf", Value: "pass", Detail: "192.0.2.0/24 is allowed by example.net, which has a record that names " +
			"all of its networks and those of its provider one by one"}, {Name: "dkim", Value: "fail"}, {}},
		Findings: []Finding{{By: "headers", Kind: Score, Symbol: "DATE_IN_FUTURE", Points: -2.5}, {By: "hello", Kind: Tag}},
		Mailbox:  "Junk", From: "INBOX/Été", Junk: true, Action: "quarantine", Score: 15.75,
	},
	"Event-negative": &Event{
		Stage: -1, Time: math.MinInt64, Client: Client{Port: math.MinInt32}, Size: math.MaxInt64,
		Findings: []Finding{{Kind: math.MaxInt32, Points: math.Copysign(0, -1)}}, Score: math.Inf(-1),
	},
	"Event-empty": &Event{},
	"Event-timer": &Event{Stage: OnTimer, Time: 1},
	"Settings-mixed": &Settings{List: []Setting{{Name: "greeting", Values: []string{"Grüß Gott"}},
		{Name: "limits.size", Values: []string{"10"}}, {Name: "words", Values: []string{"one", "", "three"}}, {Name: "none"}}},
	"Parts-attachment": &Parts{List: []Part{
		{Parent: -1, Type: "multipart/mixed", Size: 70000},
		{Index: 1, Type: "text/plain", Charset: "utf-8", Encoding: "quoted-printable", Size: 512},
		{Index: 2, Type: "application/pdf", Encoding: "base64", Disposition: "attachment", Filename: "Rechnung Nº 1.pdf",
			ContentID: "part2@example.net", Size: 69000},
	}},
	"KeysRequest-octets": &KeysRequest{Keys: [][]byte{[]byte("seen:anna@example.org"), everyOctet(), nil}},
	"KeysReply-mixed": &KeysReply{Values: []Value{{}, {Found: true, Bytes: []byte("\x00\x01\xff"), Expires: 1764000000},
		{Found: true, Number: -12}}},
	"KeysChange-all": &KeysChange{Changes: []Change{{Op: OpSet, Key: []byte("k\xff"), Bytes: []byte("value"), TTL: 86400},
		{Op: OpAdd, Key: []byte("counter"), Delta: -1}, {Op: OpDelete, Key: []byte("gone")}}},
	"DNSRequest-two": &DNSRequest{Questions: []Question{{Name: "2.0.0.127.dnsbl.example.org", Type: "A"}, {Name: "example.net", Type: "TXT"}}},
	"DNSReply-mixed": &DNSReply{Answers: []Answer{{Records: []string{"127.0.0.2", "127.0.0.4"}, Secure: true},
		{Status: DNSNone}, {Status: int32(ErrAgain)}}},
	"ServiceRequest-part": &ServiceRequest{Name: "clamd", Request: []byte{1, 2}, With: true, Part: 3, View: Decoded},
	"ServiceReply-octets": &ServiceReply{Reply: []byte("stream: OK\n\x00")},
	"Effects-all": &Effects{List: []Effect{
		{Kind: Score, Symbol: "DATE_IN_FUTURE", Points: 1.5, Detail: "the date is two days ahead"},
		{Kind: Stop, Symbol: "EICAR", Detail: "has malware in it", Stop: Reject, Malware: true},
		{Kind: Tag, Argument: "$Family", Recipient: "anna@example.org"},
		{Kind: AddHeader, Name: "X-Hello", Argument: "world"},
		{Kind: FileInto, Argument: "Bills/2025", Recipient: "anna@example.org"},
		{Kind: Copy, Argument: "copy@example.org"},
		{Kind: Redirect, Argument: "away@example.org"},
		{Kind: RequireTLS},
		{Kind: Exempt, Detail: "from the address book"},
	}},
}

// TestGolden compares with what protoc makes of the same messages.
func TestGolden(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/golden/*.bin")
	if err != nil || len(files) != len(golden) {
		t.Fatalf("%d files for %d values: %v", len(files), len(golden), err)
	}
	seen := map[string]bool{}
	for _, file := range files {
		want := golden[strings.TrimSuffix(filepath.Base(file), ".bin")]
		if want == nil {
			t.Errorf("%s has no value here", file)
			continue
		}
		seen[name(want)] = true
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if got := want.Append(nil); !bytes.Equal(got, b) {
			t.Errorf("%s: Append makes\n% x, protoc\n% x", file, got, b)
		}
		got := fresh(want)
		if err := got.Decode(b); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: Decode gives %+v, %v", file, got, err)
		}
	}
	// The others are within these.
	for _, m := range []string{"Event", "Settings", "Parts", "KeysRequest", "KeysReply", "KeysChange", "DNSRequest", "DNSReply", "ServiceRequest", "ServiceReply", "Effects"} {
		if !seen[m] {
			t.Errorf("no golden data for %s", m)
		}
	}
}

func fresh(m message) message {
	return reflect.New(reflect.TypeOf(m).Elem()).Interface().(message)
}

// TestLaterVersion reads what a host or guest of another day could send.
func TestLaterVersion(t *testing.T) {
	t.Parallel()
	for file, want := range map[string]message{
		"Event-more": &Event{Stage: OnMessage, ID: "m-1", Client: Client{Address: "192.0.2.7", Port: 4711},
			Recipients: []string{"anna@example.org"}, Facts: []Fact{{Name: "spf", Value: "pass"}}, Score: 1.25},
		"Effects-more": &Effects{List: []Effect{{Kind: Score, Symbol: "A", Points: 2}, {Kind: Exempt}}},
	} {
		b, err := os.ReadFile("testdata/later/" + file + ".bin")
		if err != nil {
			t.Fatal(err)
		}
		got := fresh(want)
		if err := got.Decode(b); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %+v, %v", file, got, err)
		}
	}
}

// TestSchema holds the published schema against the Go types: the same
// messages, with the same fields in the same order, but for letters' case.
func TestSchema(t *testing.T) {
	t.Parallel()
	schema, err := os.ReadFile("plugin_v1.proto")
	if err != nil {
		t.Fatal(err)
	}
	fields := map[string][]string{}
	var at string
	for line := range strings.Lines(string(schema)) {
		words := strings.Fields(strings.TrimPrefix(strings.TrimSpace(line), "repeated "))
		switch {
		case len(words) > 1 && words[0] == "message":
			at = words[1]
			fields[at] = nil
		case len(words) > 3 && words[2] == "=":
			fields[at] = append(fields[at], strings.ToLower(strings.ReplaceAll(words[1], "_", "")))
		}
	}
	if len(fields) != len(blank()) {
		t.Errorf("%d messages in the schema, %d here", len(fields), len(blank()))
	}
	for _, m := range blank() {
		var got []string
		for f := range reflect.TypeOf(m).Elem().Fields() {
			got = append(got, strings.ToLower(f.Name))
		}
		if !reflect.DeepEqual(got, fields[name(m)]) {
			t.Errorf("%s has %v, in the schema %v", name(m), got, fields[name(m)])
		}
	}
}
