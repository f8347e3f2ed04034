package appliance

import (
	"reflect"
	"testing"
	"time"

	"hauspost/appliance/config"
	"hauspost/appliance/esmtp"
)

// TestDefaultsAreThoseOfThePackages holds that a box with the default settings
// has the limits that the packages document as their defaults.
func TestDefaultsAreThoseOfThePackages(t *testing.T) {
	t.Parallel()
	got := engineLimits(config.Default("mail.example.test")).WithDefaults()
	want := esmtp.Limits{}.WithDefaults()
	if !reflect.DeepEqual(got, want) {
		t.Errorf("engine limits by the default config: %+v, want %+v", got, want)
	}
}

// TestEveryLimitIsCarried holds that no limit of a package is left out: with
// every number of the config changed, every field of the limits changes.
func TestEveryLimitIsCarried(t *testing.T) {
	t.Parallel()
	c := config.Default("mail.example.test")
	all := func() []any {
		smtp := smtpLimits(c)
		smtp.AuthFailures = submissionLimits(c).AuthFailures // nobody signs in at port 25
		return []any{smtp, imapLimits(c), loginLimits(c), smtpChecks(c), submissionLimits(c), relayLimits(c), queueLimits(c)}
	}
	before := all()
	c.SMTP.Exempt = []string{"192.0.2.0/24"}
	for _, section := range []any{&c.SMTP, &c.IMAP, &c.Logins, &c.Mail, &c.Checks, &c.Submission, &c.Relay, &c.Queue} {
		change(reflect.ValueOf(section).Elem())
	}
	c.Shutdown += 7
	c.Queue.Attempts, c.Relay.CommandTimeout = 1000, config.Duration(time.Second)
	after := all()
	for i := range before {
		same(t, reflect.TypeOf(before[i]).String(), reflect.ValueOf(before[i]), reflect.ValueOf(after[i]))
	}
}

// settled are limits that no setting changes: nobody would know better.
var settled = map[string]bool{
	"submit.Limits.Limits.Exempt": true, // people are limited by themselves
	"relay.Limits.DNS":            true, "relay.Limits.Farewell": true, "relay.Limits.Total": true, "relay.Limits.Rate": true,
	"relay.Limits.Grace": true, "relay.Limits.Stagger": true, "relay.Limits.Hosts": true, "relay.Limits.Addresses": true,
	"queue.Limits.Returned": true,
}

// change gives every number and switch of a struct another value.
func change(v reflect.Value) {
	for i := range v.NumField() {
		switch f := v.Field(i); f.Kind() {
		case reflect.Int, reflect.Int64:
			f.SetInt(f.Int() + 7)
		case reflect.Bool:
			f.SetBool(!f.Bool())
		}
	}
}

// same reports the fields that did not change.
func same(t *testing.T, name string, before, after reflect.Value) {
	t.Helper()
	for i := range before.NumField() {
		field := name + "." + before.Type().Field(i).Name
		if before.Type().Field(i).Anonymous {
			same(t, field, before.Field(i), after.Field(i))
			continue
		}
		if reflect.DeepEqual(before.Field(i).Interface(), after.Field(i).Interface()) {
			if !settled[field] {
				t.Errorf("no setting changes %s", field)
			}
		} else if settled[field] {
			t.Errorf("a setting changes %s", field)
		}
	}
}

func TestZeroInTheConfigMeansNone(t *testing.T) {
	t.Parallel()
	c := config.Default("mail.example.test")
	c.SMTP.TarpitStep, c.SMTP.ContentRate, c.SMTP.SenderRate, c.Logins.Remember = 0, 0, 0, 0
	l := smtpLimits(c)
	if l.TarpitStep >= 0 || l.ContentRate >= 0 || l.SenderRate >= 0 || loginLimits(c).Remember >= 0 {
		t.Errorf("0 became a default again: %+v", l)
	}
	if got := orNone(config.Duration(time.Second)); got != time.Second {
		t.Errorf("a second became %v", got)
	}
}
