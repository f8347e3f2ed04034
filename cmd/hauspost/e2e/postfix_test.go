//go:build clients

package e2e

import (
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-smtp"
)

// postfix is a mail server of others: Debian's Postfix with a configuration of
// its own, as the house of peer.test.
type postfix struct {
	t    *testing.T
	dir  string
	addr string
}

const postfixMain = `compatibility_level = 3.6
myhostname = mx.peer.test
mydestination =
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
mynetworks = 127.0.0.0/8
queue_directory = %[1]s/queue
data_directory = %[1]s/data
maillog_file = %[1]s/log/postfix
maillog_file_prefixes = %[1]s
alias_maps =
alias_database =
disable_dns_lookups = yes
smtpd_peername_lookup = no
smtputf8_enable = yes
virtual_mailbox_domains = peer.test
virtual_mailbox_base = %[1]s/mail
virtual_mailbox_maps = texthash:%[1]s/etc/people
virtual_uid_maps = static:%[2]d
virtual_gid_maps = static:%[2]d
virtual_minimum_uid = 1
transport_maps = inline:{ { %[3]s = smtp:[127.0.0.1]:%[4]s } }
smtpd_tls_cert_file = %[1]s/etc/cert.pem
smtpd_tls_key_file = %[1]s/etc/key.pem
smtpd_tls_security_level = may
smtpd_tls_received_header = yes
smtp_tls_security_level = encrypt
smtpd_relay_restrictions = permit_mynetworks, reject_unauth_destination
smtpd_recipient_restrictions = check_recipient_access texthash:%[1]s/etc/access, permit
smtpd_delay_reject = yes
`

const postfixServices = `%[1]s inet n - n - - smtpd
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
flush unix n - n 1000? 0 flush
proxymap unix - - n - - proxymap
proxywrite unix - - n - 1 proxymap
smtp unix - - n - - smtp
relay unix - - n - - smtp
error unix - - n - - error
retry unix - - n - - error
discard unix - - n - - discard
virtual unix - n n - - virtual
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
postlog unix-dgram n - n - 1 postlogd
`

// newPostfix makes and starts one that hands mail for the box's people to port
// 25 of the box.
func newPostfix(t *testing.T, b *box) *postfix {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Fatal("Postfix is started by root alone")
	}
	dir := folder(t)
	p := &postfix{t: t, dir: dir, addr: freeAddress(t)}
	for _, sub := range []string{"etc", "queue", "data", "mail", "log"} {
		if err := os.Mkdir(filepath.Join(dir, sub), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	command(t, "chmod", "755", dir)
	command(t, "chown", "postfix", filepath.Join(dir, "data"))
	command(t, "chown", "nobody", filepath.Join(dir, "mail"))
	cert := selfSigned(t, "mx.peer.test", time.Now().AddDate(1, 0, 0))
	key, err := x509.MarshalPKCS8PrivateKey(cert.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	etc := filepath.Join(dir, "etc")
	write(t, filepath.Join(etc, "cert.pem"), string(pemOf(cert)))
	write(t, filepath.Join(etc, "key.pem"), string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key})))
	write(t, filepath.Join(etc, "main.cf"), fmt.Sprintf(postfixMain, dir, 65534, domain, port(b.smtp)))
	write(t, filepath.Join(etc, "master.cf"), fmt.Sprintf(postfixServices, p.addr))
	write(t, filepath.Join(etc, "people"), "bob@peer.test bob/\nlate@peer.test late/\ngrün@peer.test gruen/\n")
	write(t, filepath.Join(etc, "access"), "late@peer.test 450 4.2.0 Greylisted, see you later\n")
	command(t, "sh", "-c", "chmod 644 "+etc+"/*")
	t.Cleanup(func() {
		p.run("stop")
		if t.Failed() {
			log, _ := os.ReadFile(filepath.Join(dir, "log", "postfix"))
			t.Logf("the end of Postfix's log:\n%s", tail(string(log)))
		}
	})
	if out, err := p.run("start"); err != nil {
		t.Fatalf("starting Postfix: %v\n%s", err, out)
	}
	until(t, "Postfix to greet", func() bool {
		conn, err := net.Dial("tcp", p.addr)
		if err == nil {
			conn.Close()
		}
		return err == nil
	})
	return p
}

func (p *postfix) run(verb string) (string, error) {
	cmd := exec.Command("postfix", "-c", filepath.Join(p.dir, "etc"), verb)
	cmd.Env = append(os.Environ(), "PATH="+os.Getenv("PATH")+":/usr/sbin:/sbin")
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// freeAddress gives a loopback address with a port that is free.
func freeAddress(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// mail waits until a mailbox has n messages and gives them.
func (p *postfix) mail(mailbox string, n int) []string {
	p.t.Helper()
	var files []string
	until(p.t, fmt.Sprintf("%d messages in %s at Postfix", n, mailbox), func() bool {
		files, _ = filepath.Glob(filepath.Join(p.dir, "mail", mailbox, "new", "*"))
		return len(files) >= n
	})
	var all []string
	for _, f := range files {
		data, err := os.ReadFile(f)
		if err != nil {
			p.t.Fatal(err)
		}
		all = append(all, string(data))
	}
	if len(all) != n {
		p.t.Errorf("%s has %d messages at Postfix, want %d", mailbox, len(all), n)
	}
	return all
}

// TestPostfix has the box and Postfix send to each other.
func TestPostfix(t *testing.T) {
	t.Parallel()
	b := newBox(t, unlimited(), "anna")
	p := newPostfix(t, b)
	b.appendSettings(fmt.Sprintf("\n[[route]]\nto = [\"peer.test\"]\nhost = \"127.0.0.1\"\nport = %s\nsecurity = \"required\"\n", port(p.addr)))
	b.start()

	m, content := composeFrom(addressOf("anna"), "large", 3<<20, chance("postfix"))
	b.mustSubmit("anna", content, "bob@peer.test")
	raw := p.mail("bob", 1)[0]
	if _, sum, _, ok := identify([]byte(strings.ReplaceAll(raw, "\n", "\r\n"))); !ok || sum != m.sum {
		t.Errorf("a letter of %d octets came out of Postfix otherwise", m.size)
	}
	if !strings.Contains(raw, "with ESMTPS id ") || !strings.Contains(raw, "using TLSv1.3") {
		t.Errorf("it was not encrypted: %.2000s", raw)
	}

	submitUTF8(t, b, note("anna", "utf8", "grün@peer.test"), "grün@peer.test")
	if raw := p.mail("gruen", 1)[0]; !strings.Contains(raw, "with UTF8SMTPS id ") {
		t.Errorf("an address in UTF-8: %s", raw)
	}
	b.mustSubmit("anna", note("anna", "r1", "nobody@peer.test"), "nobody@peer.test")
	if r := b.reports("anna", 1)[0]; !strings.Contains(r.status, "Status: 5.1.1") || !strings.Contains(r.status, "nobody@peer.test") {
		t.Errorf("the report is %+v", r)
	}
	if err := b.empty("anna"); err != nil {
		t.Fatal(err)
	}
	greylisted(t, b, p)
	notifies(t, b)
	inbound(t, b, p)
	b.drain()
	b.stop()
	b.mustVerify()
}

// submitUTF8 has anna send to an address in UTF-8.
func submitUTF8(t *testing.T, b *box, content []byte, to string) {
	t.Helper()
	s, err := b.submit("anna")
	if err != nil {
		t.Fatal(err)
	}
	defer s.close()
	c := s.(byData).c
	if err := c.Mail(addressOf("anna"), &smtp.MailOptions{UTF8: true, Body: smtp.Body8BitMIME}); err != nil {
		t.Fatal(err)
	}
	if err := c.Rcpt(to, nil); err != nil {
		t.Fatal(err)
	}
	w, err := c.Data()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(content); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
}

// greylisted waits in the queue until Postfix takes it.
func greylisted(t *testing.T, b *box, p *postfix) {
	b.mustSubmit("anna", note("anna", "g1", "late@peer.test"), "late@peer.test")
	until(t, "an attempt", func() bool { return b.rowFor("late@peer.test").Attempts > 0 })
	if r := b.rowFor("late@peer.test"); !strings.Contains(r.Answer, "Greylisted, see you later") || !strings.Contains(r.Reading, "asks new senders to wait") {
		t.Errorf("the row says %+v", r)
	}
	write(t, filepath.Join(p.dir, "etc", "access"), "")
	if out, err := p.run("reload"); err != nil {
		t.Fatalf("reload: %v, %s", err, out)
	}
	// A process of Postfix has the old list as long as its connection lives.
	b.stop()
	b.start()
	b.must("queue", "retry", "--all")
	if raw := p.mail("late", 1)[0]; !strings.Contains(raw, "Subject: g1\n") {
		t.Errorf("it got %s", raw)
	}
}

// notifies holds that Postfix, which can, reports success, and the box does not
// as well.
func notifies(t *testing.T, b *box) {
	s, err := b.submitChunks("anna")
	if err != nil {
		t.Fatal(err)
	}
	defer s.close()
	c := s.(byBdat)
	content := note("anna", "success", "bob@peer.test")
	for _, line := range []string{
		"MAIL FROM:<" + addressOf("anna") + "> RET=HDRS ENVID=QQ314159",
		"RCPT TO:<bob@peer.test> NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;Bob@peer.test",
		fmt.Sprintf("BDAT %d LAST\r\n%s", len(content), strings.TrimSuffix(string(content), "\r\n")),
	} {
		if err := c.ask(250, "%s", line); err != nil {
			t.Fatal(err)
		}
	}
	r := b.reports("anna", 1)[0]
	for _, want := range []string{"Action: delivered", "Original-Envelope-Id: QQ314159", "Reporting-MTA: dns; mx.peer.test"} {
		if !strings.Contains(r.status, want) {
			t.Errorf("Postfix's report lacks %q:\n%s", want, r.status)
		}
	}
	b.drain()
	b.reports("anna", 1)
	if err := b.empty("anna"); err != nil {
		t.Fatal(err)
	}
}

// inbound has Postfix hand a letter to the box.
func inbound(t *testing.T, b *box, p *postfix) {
	m, content := compose("inbound", 200<<10, chance("inbound"))
	if err := sendOne(p.addr, content, "anna"); err != nil {
		t.Fatal(err)
	}
	until(t, "a letter from Postfix", func() bool { return len(b.show("anna", "INBOX")) > 0 })
	mail, err := b.read("anna")
	if err != nil {
		t.Fatal(err)
	}
	if list := mail["inbound"]; len(list) != 1 || list[0].sum != m.sum {
		t.Errorf("Postfix brought %+v", mail)
	}
	if raw := b.show("anna", "INBOX")[0].raw; !strings.Contains(raw, "(mx.peer.test") && !strings.Contains(raw, "from mx.peer.test") || !strings.Contains(raw, "with ESMTPS id ") {
		t.Errorf("it came as %.1000s", raw)
	}
}
