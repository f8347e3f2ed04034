package sendmail

import (
	"fmt"
	"strings"
	"testing"
)

// words prints an invocation in one line.
func (inv *invocation) words() string {
	s := []string{[]string{"deliver", "smtp", "list", "nothing", "help"}[inv.mode]}
	if inv.ignoreDots {
		s = append(s, "i")
	}
	if inv.extract {
		s = append(s, "t")
	}
	if inv.sender != nil {
		s = append(s, "f="+*inv.sender)
	}
	for _, v := range []struct{ name, value string }{
		{"F", inv.name}, {"N", inv.notify}, {"R", inv.ret}, {"V", inv.envid}, {"B", inv.body}, {"to", strings.Join(inv.recipients, ",")},
	} {
		if v.value != "" {
			s = append(s, v.name+"="+v.value)
		}
	}
	return strings.Join(s, " ")
}

func TestParse(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ args, want string }{
		// As cron, PHP, mutt, git, mdadm and logwatch call it.
		{"-FCronDaemon -i -B8BITMIME -oem root", "deliver i F=CronDaemon B=8BITMIME to=root"},
		{"-t -i", "deliver i t"},
		{"-ti", "deliver i t"},
		{"-t -i -f www@example.org", "deliver i t f=www@example.org"},
		{"-t -fwww@example.org", "deliver t f=www@example.org"},
		{"-oem -oi -f anna@example.org -- ben@example.net cleo@example.net", "deliver i f=anna@example.org to=ben@example.net,cleo@example.net"},
		{"-i -f anna@example.org ben@example.net", "deliver i f=anna@example.org to=ben@example.net"},
		{"-oi -t -N failure,delay -R hdrs -V a+b -B 7bit", "deliver i t N=FAILURE,DELAY R=HDRS V=a+2Bb B=7BIT"},
		{"-bm root", "deliver to=root"},
		{"-bs", "smtp"},
		{"-v -bs", "smtp"},
		{"-bp", "list"},
		{"-bi", "nothing"},
		{"-I", "nothing"},
		{"-q", "nothing"},
		{"-q15m", "nothing"},
		{"-q root", "deliver to=root"},
		{"-q -t", "deliver t"},
		{"--help", "help"},
		{"-f <> root", "deliver f= to=root"},
		{"-f|| root", "deliver f= to=root"},
		{"-r root@example.org root", "deliver f=root@example.org to=root"},
		{"-f Anna|Smith|<anna@example.org> root", "deliver f=anna@example.org to=root"},
		{"-G -U -v -m -x -c -O DeliveryMode=b -o Q/tmp -L tag -X /tmp/log -h 5 -C /etc/x -A c -p smtp -d0.1 -em root", "deliver to=root"},
		{"-ti ben@example.net", "deliver i t to=ben@example.net"},
		{"a@b.test,c@d.test e@f.test", "deliver to=a@b.test,c@d.test,e@f.test"},
		{"Anna|<anna@example.org>,root", "deliver to=anna@example.org,root"},
		{"jürgen@müller.test", "deliver to=jürgen@müller.test"},
		// What comes after the first recipient is no option.
		{"root -t", "deliver to=root,-t"},
		{"-- -t", "deliver to=-t"},

		{"", "64 to whom"},
		{"-i", "64 to whom"},
		{"-f", "64 -f needs a value"},
		{"-tf", "64 -f needs a value"},
		{"-Z root", "64 -Z"},
		{"-n root", "64 -n"},
		{"--verbose root", "64 --"},
		{"-bd", "64 hauspost serve"},
		{"-bv root", "64 -bm"},
		{"-bt", "64 -bm"},
		{"-N sometimes root", "64 sometimes"},
		{"-N never,delay root", "64 never"},
		{"-R all root", "64 all"},
		{"-B BINARYMIME root", "64 BINARY"},
		{"-V \x01 root", "64 -V"},
		{"-f a@b.test,c@d.test root", "65 not one address"},
		{"-f a@ root", "65 not a mail address"},
		{"a@b@c.test", "65 not a mail address"},
		{"root@[192.0.2.1]", "65 not a mail address"},
		{"a@b.test\r\nBcc:c@d.test", "65 not a mail address"},
		{"<>", "65 not a mail address"},
		{",", "65 not a mail address"},
	} {
		args := strings.Fields(strings.ReplaceAll(c.args, "\r\n", "\\r\\n"))
		for i := range args {
			args[i] = strings.ReplaceAll(strings.ReplaceAll(args[i], "\\r\\n", "\r\n"), "|", " ")
			if args[i] == "-f  " {
				args[i] = "-f " // an empty value that is attached
			}
		}
		inv, err := parse(args)
		if err == nil {
			if got := inv.words(); got != c.want {
				t.Errorf("%s: %s, want %s", c.args, got, c.want)
			}
			continue
		}
		code, says, _ := strings.Cut(c.want, " ")
		if got := fmt.Sprint(err.code); got != code || !strings.Contains(err.text, says) {
			t.Errorf("%s: %s %s, want %s", c.args, got, err.text, c.want)
		}
	}
}

func TestParseEmptySender(t *testing.T) {
	t.Parallel()
	inv, err := parse([]string{"-f", "", "root"})
	if err != nil || inv.sender == nil || *inv.sender != "" {
		t.Errorf("-f '' is %v, %v; want the null sender", inv, err)
	}
}
