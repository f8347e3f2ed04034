package abi

import (
	"bytes"
	"os"
	"path/filepath"
	"reflect"
	"testing"
	"unicode/utf8"
)

// FuzzDecode gives hostile octets to every message.
func FuzzDecode(f *testing.F) {
	for _, folder := range []string{"golden", "later"} {
		files, err := filepath.Glob("testdata/" + folder + "/*.bin")
		if err != nil {
			f.Fatal(err)
		}
		for _, file := range files {
			b, err := os.ReadFile(file)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(b)
		}
	}
	f.Add(bytes.Repeat([]byte{1<<3 | octets, 0}, 100))
	f.Add([]byte("\x0a\xff\xff\xff\xff\x0f"))
	f.Fuzz(func(t *testing.T, b []byte) {
		kept := bytes.Clone(b)
		for _, m := range blank() {
			err := m.Decode(b)
			if n := memory(reflect.ValueOf(m).Elem()); n > 60*len(b) {
				t.Fatalf("%s: %d octets of memory for %d", name(m), n, len(b))
			}
			if err != nil {
				continue
			}
			once := m.Append(nil)
			again := fresh(m)
			if err := again.Decode(once); err != nil {
				t.Fatalf("%s: %v for what Append made: % x", name(m), err, once)
			}
			if twice := again.Append(nil); !bytes.Equal(once, twice) {
				t.Fatalf("%s: % x became % x", name(m), once, twice)
			}
		}
		if !bytes.Equal(b, kept) {
			t.Fatal("Decode changed its input")
		}
	})
}

// memory is what v refers to in octets, but for the texts, which are all in one
// copy of the input.
func memory(v reflect.Value) int {
	n := 0
	switch v.Kind() {
	case reflect.Slice:
		n = v.Cap() * int(v.Type().Elem().Size())
		for i := range v.Len() {
			n += memory(v.Index(i))
		}
	case reflect.Struct:
		for i := range v.NumField() {
			n += memory(v.Field(i))
		}
	}
	return n
}

// FuzzRoundTrip makes messages of all kinds of values and wants them back.
func FuzzRoundTrip(f *testing.F) {
	f.Add("anna@example.org", "", []byte("\x00\xff"), int64(-1), 1.5, uint8(3), true)
	f.Add("\xff", "ü", []byte(nil), int64(1)<<62, -2.25, uint8(0), false)
	f.Fuzz(func(t *testing.T, s, u string, b []byte, n int64, d float64, count uint8, yes bool) {
		if len(b) == 0 {
			b = nil
		}
		i := int32(n)
		event := Event{Stage: Stage(i), ID: s, Time: n, Hostname: u, Client: Client{s, i, u, s, u, s}, Sender: s, Size: -n,
			Account: u, Mailbox: s, From: u, Junk: yes, Action: s, Score: d}
		var settings Settings
		var parts Parts
		var request KeysRequest
		var reply KeysReply
		var change KeysChange
		var questions DNSRequest
		var answers DNSReply
		var effects Effects
		for range count {
			event.Recipients = append(event.Recipients, s)
			event.Facts = append(event.Facts, Fact{s, u, s})
			event.Findings = append(event.Findings, Finding{s, Kind(i), u, d})
			settings.List = append(settings.List, Setting{s, []string{u, s}})
			parts.List = append(parts.List, Part{i, -i, s, u, s, u, s, u, n})
			request.Keys = append(request.Keys, b)
			reply.Values = append(reply.Values, Value{yes, b, n, -n})
			change.Changes = append(change.Changes, Change{Op(i), b, b, n, -n})
			questions.Questions = append(questions.Questions, Question{s, u})
			answers.Answers = append(answers.Answers, Answer{i, []string{s, u}, yes})
			effects.List = append(effects.List, Effect{Kind(i), s, d, u, s, u, Action(-i), yes, s})
		}
		clean := utf8.ValidString(s) && utf8.ValidString(u)
		for _, m := range []message{&event, &settings, &parts, &request, &reply, &change, &questions, &answers, &effects,
			&ServiceRequest{s, b, yes, i, View(-i)}, &ServiceReply{b}} {
			got := fresh(m)
			if err := got.Decode(m.Append(nil)); err != nil {
				t.Fatalf("%s: %v", name(m), err)
			}
			if clean && d == d && !reflect.DeepEqual(got, m) {
				t.Fatalf("%s: %+v became %+v", name(m), m, got)
			}
		}
	})
}
