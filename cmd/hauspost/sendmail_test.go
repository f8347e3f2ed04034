package main

import (
	"slices"
	"testing"
)

func TestArguments(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ argv, want []string }{
		{[]string{"/usr/bin/hauspost", "status"}, []string{"status"}},
		{[]string{"/usr/sbin/sendmail", "-t", "-i"}, []string{"sendmail", "-t", "-i"}},
		{[]string{"sendmail"}, []string{"sendmail"}},
		{[]string{"/usr/bin/mailq"}, []string{"sendmail", "-bp"}},
		{[]string{"newaliases"}, []string{"sendmail", "-bi"}},
		{nil, nil},
	} {
		if got := arguments(c.argv); !slices.Equal(got, c.want) {
			t.Errorf("%q means %q, want %q", c.argv, got, c.want)
		}
	}
}

func TestCutData(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		args, rest []string
		data       string
	}{
		{[]string{"-t"}, []string{"-t"}, "box"},
		{[]string{"--data", "d", "-t"}, []string{"-t"}, "d"},
		{[]string{"--data=d", "root"}, []string{"root"}, "d"},
		{[]string{"-t", "root", "--data", "d"}, []string{"-t", "root"}, "d"},
		{[]string{"-i", "--", "--data", "d"}, []string{"-i", "--", "--data", "d"}, "box"},
		{[]string{"--data"}, []string{"--data"}, "box"},
	} {
		a := &app{data: "box"}
		if rest := a.cutData(c.args); !slices.Equal(rest, c.rest) || a.data != c.data {
			t.Errorf("%q leaves %q and the folder %s", c.args, rest, a.data)
		}
	}
}
