//go:build clients

package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// submitting is the house in which people send, and the far end.
type submitting struct {
	*house
	far *sink
	// sendmail is a link to the program by that name, and what has to stand
	// before it.
	sendmail string
}

// TestSubmitters sends with real mail programs through one box. Each is looked
// at by what then arrives at the far end.
func TestSubmitters(t *testing.T) {
	programs := []struct {
		name string
		run  func(*testing.T, *submitting)
	}{
		{"swaks", swaksSubmits}, {"msmtp", msmtpSubmits}, {"curl", curlSubmits}, {"python", pythonSubmits},
		{"mutt", func(t *testing.T, h *submitting) { muttSubmits(t, h, "mutt") }},
		{"neomutt", func(t *testing.T, h *submitting) { muttSubmits(t, h, "neomutt") }},
		{"php", phpSubmits}, {"dkim", dkimVerifies},
	}
	people := []string{"bob"}
	for _, p := range programs {
		people = append(people, p.name)
	}
	h := &submitting{house: &house{box: newBox(t, unlimited(), people...), host: "mail." + domain}}
	h.far = newSink(t, selfSigned(t, "far.test", time.Now().AddDate(1, 0, 0)))
	h.route(h.far, []string{`security = "required"`}, "*")
	link := filepath.Join(folder(t), "sendmail")
	if err := os.Symlink(binary, link); err != nil {
		t.Fatal(err)
	}
	h.sendmail = "env HAUSPOST_DATA=" + h.dir + " " + link
	h.start()
	h.trust(t)
	t.Run("box", func(t *testing.T) {
		for _, p := range programs {
			t.Run(p.name, func(t *testing.T) {
				t.Parallel()
				p.run(t, h)
			})
		}
	})
	h.drain()
	h.stop()
	h.mustVerify()
	if h.far.plain > 0 {
		t.Errorf("%d letters went out without TLS", h.far.plain)
	}
}

// came waits until the far end has one letter for a recipient, and holds that
// it is from the person and in order.
func (h *submitting) came(t *testing.T, person, to string, has ...string) arrival {
	t.Helper()
	to += "@far.test"
	until(t, "mail for "+to, func() bool { return len(h.far.got(to)) > 0 })
	list := h.far.got(to)
	if len(list) != 1 {
		t.Errorf("%s got %d letters", to, len(list))
	}
	a := list[0]
	raw := string(a.raw)
	if a.from != person+"@"+domain {
		t.Errorf("%s got mail from <%s>", to, a.from)
	}
	for _, want := range append(has, "Message-ID: <", "Date: ", "DKIM-Signature: ", "From: ") {
		if !strings.Contains("\r\n"+strings.ReplaceAll(raw, "Message-Id", "Message-ID"), want) {
			t.Errorf("what %s got lacks %q:\n%s", to, want, raw)
		}
	}
	if strings.Contains(raw, "\r\nBcc:") || strings.Contains(strings.ReplaceAll(raw, "\r\n", ""), "\n") {
		t.Errorf("what %s got has Bcc or bare line feeds: %q", to, raw)
	}
	return a
}

func swaksSubmits(t *testing.T, h *submitting) {
	home := folder(t)
	base := []string{"--from", "swaks@" + domain, "--tls-verify", "--tls-ca-path", h.ca, "--auth-user", "swaks@" + domain}
	run := func(args ...string) ended {
		return client(t, home, "swaks", append(base[:len(base):len(base)], args...)...)
	}
	right := []string{"--auth-password", h.passwords["swaks"]}
	for _, c := range []struct{ name, server, tls, mechanism string }{
		{"plain587", h.submission, "--tls", "PLAIN"}, {"login587", h.submission, "--tls", "LOGIN"},
		{"plain465", h.submissions, "--tlsc", "PLAIN"}, {"login465", h.submissions, "--tlsc", "LOGIN"},
	} {
		to := "swaks-" + c.name
		e := run(append(right, "--server", c.server, c.tls, "--auth", c.mechanism, "--to", to+"@far.test", "--header", "Subject: "+to, "--body", "Hello")...)
		if e.code != 0 {
			t.Errorf("swaks %s: exit code %d\n%s", c.name, e.code, e.out)
			continue
		}
		h.came(t, "swaks", to, "\r\nSubject: "+to+"\r\n", "\r\n\r\nHello\r\n")
	}
	at := []string{"--server", h.submission, "--tls", "--auth", "PLAIN", "--to", "swaks-never@far.test"}
	if e := run(append(at, "--auth-password", "wrong")...); e.code != 28 || !strings.Contains(e.out, " 535 5.7.8 ") {
		t.Errorf("a wrong password: exit code %d, want 28 (no sign-in)\n%s", e.code, e.out)
	}
	if e := run(append(append(at, right...), "--from", "bob@"+domain)...); e.code != 23 || !strings.Contains(e.out, " 5.7.1 ") {
		t.Errorf("the address of another: exit code %d, want 23 (sender refused)\n%s", e.code, e.out)
	}
	if e := run(append(append(at, right...), "--from", "a@elsewhere.test")...); e.code != 23 || !strings.Contains(e.out, " 5.7.1 ") {
		t.Errorf("a foreign address: exit code %d, want 23 (sender refused)\n%s", e.code, e.out)
	}
	plain := []string{"--server", h.submission, "--to", "swaks-never@far.test", "--from", "swaks@" + domain}
	if e := client(t, home, "swaks", plain...); e.code != 23 || !strings.Contains(e.out, " 530 5.7.0 ") {
		t.Errorf("without TLS: exit code %d, want 23\n%s", e.code, e.out)
	}
	if e := run(append(append(at, right...), "--from", "swaks+shop@"+domain, "--to", "swaks-plus@far.test")...); e.code != 0 {
		t.Errorf("a plus-address: exit code %d\n%s", e.code, e.out)
	}
	if n := len(h.far.got("swaks-never")); n > 0 {
		t.Errorf("%d letters went out that were refused", n)
	}
}

func msmtpSubmits(t *testing.T, h *submitting) {
	home := folder(t)
	for _, c := range []struct{ name, address, starttls, mechanism string }{
		{"plain", h.submission, "on", "plain"}, {"login", h.submissions, "off", "login"}, {"scram", h.submissions, "off", "scram-sha-256"},
	} {
		rc := write(t, filepath.Join(home, c.name), fmt.Sprintf("defaults\nauth %s\ntls on\ntls_starttls %s\ntls_trust_file %s\ntls_host_override %s\n"+
			"account box\nhost 127.0.0.1\nport %s\nfrom msmtp@%s\nuser msmtp@%s\npassword %q\naccount default : box\n",
			c.mechanism, c.starttls, h.ca, h.host, port(c.address), domain, domain, h.passwords["msmtp"]))
		to := "msmtp-" + c.name
		mail := write(t, filepath.Join(home, "mail"), "From: msmtp@"+domain+"\nTo: "+to+"@far.test\nBcc: "+to+"-bcc@far.test\nSubject: "+to+"\n\nBefore\n.\nafter\n")
		well(t, home, "sh", "-c", "exec msmtp -C "+rc+" -t < "+mail)
		h.came(t, "msmtp", to, "\r\nSubject: "+to+"\r\n", "\r\n\r\nBefore\r\n.\r\nafter\r\n")
		h.came(t, "msmtp", to+"-bcc")
	}
}

func curlSubmits(t *testing.T, h *submitting) {
	home := folder(t)
	user := "curl@" + domain + ":" + h.passwords["curl"]
	mail := write(t, filepath.Join(home, "mail"), "From: curl@"+domain+"\r\nTo: curl@far.test\r\nSubject: by curl\r\n\r\nHello\r\n")
	for name, to := range map[string]string{"smtps": h.submissions, "smtp": h.submission} {
		server := h.host + ":" + port(to)
		well(t, home, "curl", "-sS", "--ssl-reqd", "--cacert", h.ca, "--resolve", server+":127.0.0.1", name+"://"+server+"/client.test",
			"-u", user, "--mail-from", "curl@"+domain, "--mail-rcpt", "curl-"+name+"@far.test", "--mail-rcpt", "bob@"+domain, "-T", mail)
		h.came(t, "curl", "curl-"+name, "\r\nSubject: by curl\r\n", "\r\n\r\nHello\r\n")
	}
	server := h.host + ":" + port(h.submissions)
	if e := client(t, home, "curl", "-sS", "--cacert", h.ca, "--resolve", server+":127.0.0.1", "smtps://"+server+"/client.test",
		"-u", "curl@"+domain+":wrong", "--mail-from", "curl@"+domain, "--mail-rcpt", "curl@far.test", "-T", mail); e.code != 67 {
		t.Errorf("a wrong password: exit code %d, want 67 (sign-in denied)\n%s", e.code, e.out)
	}
}

func pythonSubmits(t *testing.T, h *submitting) {
	path, err := filepath.Abs(filepath.Join("testdata", "submit_client.py"))
	if err != nil {
		t.Fatal(err)
	}
	out := well(t, folder(t), "python3", path, h.ca, h.host, port(h.submission), port(h.submissions), "python@"+domain, h.passwords["python"])
	if !strings.HasSuffix(out, "done\n") {
		t.Error(out)
	}
	h.came(t, "python", "python-ssl", "\r\n\r\nSchöne Grüße aus Köln\r\n.\r\n..dots\r\n")
	if a := h.came(t, "python", "grüße"); !strings.Contains(strings.ToUpper(a.mail), "SMTPUTF8") {
		t.Errorf("an address in UTF-8 came with MAIL %s", a.mail)
	}
	h.came(t, "python", "python-tls")
}

// muttSubmits sends by SMTP, and through the sendmail command.
func muttSubmits(t *testing.T, h *submitting, program string) {
	t.Helper()
	home := folder(t)
	body := write(t, filepath.Join(home, "body"), "Schöne Grüße\n.\n")
	common := fmt.Sprintf("set realname=\"Some One\"\nset from=\"%s@%s\"\nset use_envelope_from=yes\nset copy=no\nset send_charset=\"utf-8\"\nset smtp_authenticators=\"plain\"\n", program, domain)
	for name, how := range map[string]string{
		"smtps": fmt.Sprintf("set smtp_url=\"smtps://%s%%40%s@127.0.0.1:%s/\"\nset smtp_pass=\"%s\"\nset certificate_file=\"%s\"\nset ssl_verify_host=no\n",
			program, domain, port(h.submissions), h.passwords[program], h.ca),
		"smtp": fmt.Sprintf("set smtp_url=\"smtp://%s%%40%s@127.0.0.1:%s/\"\nset smtp_pass=\"%s\"\nset certificate_file=\"%s\"\nset ssl_verify_host=no\nset ssl_force_tls=yes\n",
			program, domain, port(h.submission), h.passwords[program], h.ca),
		"sendmail": fmt.Sprintf("set sendmail=\"%s -oem -oi\"\n", h.sendmail),
	} {
		rc := write(t, filepath.Join(home, name), common+how)
		to := program + "-" + name
		well(t, home, "sh", "-c", fmt.Sprintf("exec %s -n -F %s -s 'Grüße von %s' -b bob@%s -- %s@far.test < %s", program, rc, to, domain, to, body))
		a := h.came(t, program, to, "Some One")
		if raw := string(a.raw); !strings.Contains(raw, "\r\nContent-Type: text/plain") {
			t.Errorf("%s sent %s", program, raw)
		}
	}
}

func phpSubmits(t *testing.T, h *submitting) {
	code := fmt.Sprintf(`exit(mail("php-mail@far.test, bob@%s", "By PHP", "Hello\nfrom PHP", "From: php@%s\r\nReply-To: php@%s", "-fphp@%s") ? 0 : 1);`, domain, domain, domain, domain)
	well(t, folder(t), "php", "-n", "-d", `sendmail_path="`+h.sendmail+` -t -i"`, "-r", code)
	h.came(t, "php", "php-mail", "\r\nSubject: By PHP\r\n", "\r\nReply-To: php@"+domain+"\r\n", "\r\n\r\nHello\r\nfrom PHP\r\n")
}

// dkimVerifies has another program verify the signatures of what went out.
func dkimVerifies(t *testing.T, h *submitting) {
	home := folder(t)
	content := note("dkim", "dkim1", "dkim@far.test")
	if err := h.submitOne("dkim", content, "dkim@far.test"); err != nil {
		t.Fatal(err)
	}
	a := h.came(t, "dkim", "dkim")
	script, err := filepath.Abs(filepath.Join("testdata", "dkim_check.py"))
	if err != nil {
		t.Fatal(err)
	}
	mail := write(t, filepath.Join(home, "mail"), string(a.raw))
	records := write(t, filepath.Join(home, "records"), h.must("dkim", "dns", "--json"))
	// Debian's own Python has the module.
	if out := well(t, home, "/usr/bin/python3", script, mail, records); !strings.HasSuffix(out, "done\n") {
		t.Error(out)
	}
}
