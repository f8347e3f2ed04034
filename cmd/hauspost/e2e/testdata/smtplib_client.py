"""Sends with Python's smtplib: STARTTLS, 8-bit text, refusals."""
import email.message
import email.policy
import smtplib
import ssl
import sys

ca, host, smtp, imap, imaps, user, password = sys.argv[1:]
context = ssl.create_default_context(cafile=ca)
context.check_hostname = False  # it connects by address

s = smtplib.SMTP("127.0.0.1", int(smtp), local_hostname="client.sender.test", timeout=30)
s.starttls(context=context)
s.ehlo()
for extension in ("pipelining", "8bitmime", "size", "chunking", "enhancedstatuscodes", "smtputf8"):
    assert s.has_extn(extension), extension
assert not s.has_extn("starttls"), "STARTTLS inside TLS"


def letter(subject, text):
    m = email.message.EmailMessage()
    m["From"], m["To"], m["Subject"] = "anna@sender.test", user, subject
    m["X-Marker"] = subject
    m.set_content(text, cte="8bit")
    return m


assert s.send_message(letter("by smtplib", "Line\n.\n..dots\nend\n")) == {}
assert s.send_message(letter("Grüße", "Schöne Grüße aus Köln\n")) == {}
refused = s.sendmail("anna@sender.test", [user, "nobody@example.test"], letter("partly", "x\n").as_bytes(policy=email.policy.SMTP))
assert list(refused) == ["nobody@example.test"] and refused["nobody@example.test"][0] == 550, refused
try:
    s.sendmail("anna@sender.test", ["someone@elsewhere.test"], letter("relay", "x\n").as_bytes(policy=email.policy.SMTP))
    raise AssertionError("relayed")
except smtplib.SMTPRecipientsRefused as e:
    code, text = e.recipients["someone@elsewhere.test"]
    assert code == 550 and text.startswith(b"5.7.1"), (code, text)
assert s.verify("python")[0] in (252, 502), "VRFY"
s.quit()
print("done")
