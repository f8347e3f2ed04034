"""Submits with Python's smtplib: TLS from the start and STARTTLS, 8-bit text,
addresses in UTF-8, refusals."""
import email.message
import email.policy
import smtplib
import ssl
import sys

ca, host, submission, submissions, user, password = sys.argv[1:]
context = ssl.create_default_context(cafile=ca)
context.check_hostname = False  # it connects by address


def letter(subject, text, to, sender=user):
    m = email.message.EmailMessage(policy=email.policy.SMTP)
    m["From"], m["To"], m["Subject"] = sender, to, subject
    m.set_content(text, cte="8bit")
    return m


def connect(cls=smtplib.SMTP_SSL):
    if cls is smtplib.SMTP_SSL:
        return smtplib.SMTP_SSL("127.0.0.1", int(submissions), local_hostname="client.test", timeout=30, context=context)
    s = smtplib.SMTP("127.0.0.1", int(submission), local_hostname="client.test", timeout=30)
    s.ehlo()
    assert not s.has_extn("auth"), "AUTH without TLS"
    try:
        s.sendmail(user, ["x@far.test"], b"Subject: x\r\n\r\nx\r\n")
        raise AssertionError("taken without TLS and password")
    except (smtplib.SMTPSenderRefused, smtplib.SMTPResponseException) as e:
        assert e.smtp_code == 530, e
    s.starttls(context=context)
    s.ehlo()
    assert not s.has_extn("starttls"), "STARTTLS inside TLS"
    return s


with connect() as s:
    s.login(user, password)
    for extension in ("pipelining", "8bitmime", "size", "chunking", "enhancedstatuscodes", "smtputf8", "dsn"):
        assert s.has_extn(extension), extension
    assert s.send_message(letter("Grüße", "Schöne Grüße aus Köln\n.\n..dots\n", "python-ssl@far.test")) == {}
    assert s.send_message(letter("utf8", "Hallo\n", "grüße@far.test")) == {}

with connect(smtplib.SMTP) as s:
    s.user, s.password = user, password
    s.ehlo()
    code, text = s.auth("LOGIN", s.auth_login)
    assert code == 235, (code, text)
    assert s.send_message(letter("starttls", "Hello\n", "python-tls@far.test, bob@example.test")) == {}
    refused = s.sendmail(user, ["bob@example.test", "nobody@example.test"], letter("partly", "x\n", "bob@example.test").as_bytes())
    assert list(refused) == ["nobody@example.test"] and refused["nobody@example.test"][0] == 550, refused
    try:
        s.sendmail("bob@example.test", ["python-tls@far.test"], b"Subject: x\r\n\r\nx\r\n")
        raise AssertionError("sent in the name of another")
    except smtplib.SMTPSenderRefused as e:
        assert e.smtp_code in (550, 553) and e.smtp_error.startswith(b"5.7.1"), e
    try:
        s.sendmail(user, ["python-tls@far.test"], letter("forged", "x\n", "x@far.test", "bob@example.test").as_bytes())
        raise AssertionError("From in the name of another")
    except smtplib.SMTPDataError as e:
        assert e.smtp_code in (550, 553) and e.smtp_error.startswith(b"5.7.1"), e

with connect() as s:
    try:
        s.login(user, "wrong " + password)
        raise AssertionError("signed in with a wrong password")
    except smtplib.SMTPAuthenticationError as e:
        assert e.smtp_code == 535 and e.smtp_error.startswith(b"5.7.8"), e
print("done")
