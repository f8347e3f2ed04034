"""Reads with Python's imaplib, over implicit TLS and over STARTTLS."""
import imaplib
import re
import ssl
import sys
import time

ca, host, smtp, imap, imaps, user, password = sys.argv[1:]
context = ssl.create_default_context(cafile=ca)
context.check_hostname = False  # it connects by address


def ok(answer):
    typ, data = answer
    assert typ == "OK", answer
    return data


def no(answer, code):
    typ, data = answer
    assert typ == "NO" and data[0].startswith(b"[" + code + b"]"), answer


plain = imaplib.IMAP4("127.0.0.1", int(imap), timeout=30)
assert "LOGINDISABLED" in plain.capabilities and "STARTTLS" in plain.capabilities, plain.capabilities
try:
    plain.login(user, password)
    raise AssertionError("signed in without encryption")
except imaplib.IMAP4.error:
    pass
ok(plain.starttls(context))
try:
    plain.login(user, "wrong password")
    raise AssertionError("signed in with a wrong password")
except imaplib.IMAP4.error as e:
    assert "AUTHENTICATIONFAILED" in str(e), e
ok(plain.authenticate("PLAIN", lambda _: b"\0" + user.encode() + b"\0" + password.encode()))
assert plain.logout()[0] == "BYE"

c = imaplib.IMAP4_SSL("127.0.0.1", int(imaps), ssl_context=context, timeout=30)
ok(c.login(user, password))
capabilities = ok(c.capability())[0].decode().split()  # there are more now
for name in ("IMAP4REV1", "IMAP4REV2", "IDLE", "NAMESPACE", "UIDPLUS", "MOVE", "SPECIAL-USE", "CONDSTORE", "ESEARCH", "ENABLE", "UNSELECT"):
    assert name in [x.upper() for x in capabilities], (name, capabilities)
assert b'(("" "/"))' in ok(c.namespace())[0]
names = b"\n".join(ok(c.list()))
for use in (b"\\Sent", b"\\Trash", b"\\Junk", b"\\Drafts", b"\\Archive"):
    assert use in names, (use, names)

# Mailboxes.
ok(c.create("Kept"))
no(c.create("Kept"), b"ALREADYEXISTS")
ok(c.create("Old/Deep"))
ok(c.rename("Old/Deep", "New/Deeper"))
no(c.select("Old/Deep"), b"NONEXISTENT")
ok(c.subscribe("New/Deeper"))
assert any(b"New/Deeper" in x for x in ok(c.lsub()))
ok(c.unsubscribe("New/Deeper"))
ok(c.delete("New/Deeper"))
ok(c.delete("New"))

# What smtplib sent.
assert ok(c.select("INBOX")) == [b"3"]
assert ok(c.search(None, "SUBJECT", '"by smtplib"')) == [b"1"]
c.literal = "GR\u00dc\u00dfE".encode()  # with a literal, in other case
assert ok(c.uid("SEARCH", "CHARSET", "UTF-8", "BODY")) == [b"2"]
assert ok(c.search(None, "UNSEEN", "NOT", "DELETED")) == [b"1 2 3"]
data = ok(c.fetch("1", "(UID FLAGS RFC822.SIZE BODY.PEEK[])"))
raw = data[0][1]
assert raw.endswith(b"Line\r\n.\r\n..dots\r\nend\r\n"), raw
assert int(re.search(rb"RFC822.SIZE (\d+)", data[0][0]).group(1)) == len(raw)
assert ok(c.search(None, "UNSEEN")) == [b"1 2 3"], "PEEK set the flag"
ok(c.fetch("1", "(BODY[TEXT])"))
assert ok(c.search(None, "SEEN")) == [b"1"]
assert b"ENVELOPE" in ok(c.fetch("2", "(ENVELOPE BODYSTRUCTURE INTERNALDATE)"))[0]

# Flags.
assert b"\\Flagged" in ok(c.store("3", "+FLAGS", "(\\Flagged $Work)"))[0]
assert ok(c.search(None, "KEYWORD", "$Work")) == [b"3"]
assert b"$Work" not in ok(c.store("3", "-FLAGS", "($Work)"))[0]
ok(c.store("3", "+FLAGS.SILENT", "(\\Deleted)"))
assert ok(c.expunge()) == [b"3"]
assert ok(c.search(None, "ALL")) == [b"1 2"]

# APPEND, COPY, MOVE, STATUS.
message = b"X-Marker: appended\r\nFrom: a@sender.test\r\nSubject: appended\r\n\r\nText\r\n"
data = ok(c.append("Archive", "(\\Flagged $Label1)", imaplib.Time2Internaldate(time.time()), message))
assert data[0].startswith(b"[APPENDUID ") and data[0].split()[2] == b"1]", data
no(c.append("Nowhere", "", imaplib.Time2Internaldate(time.time()), message), b"TRYCREATE")
status = ok(c.status("Archive", "(MESSAGES UNSEEN UIDNEXT UIDVALIDITY)"))[0]
assert b"MESSAGES 1" in status and b"UNSEEN 1" in status and b"UIDNEXT 2" in status, status
assert ok(c.select("Archive")) == [b"1"]
data = ok(c.uid("FETCH", "1", "(FLAGS BODY[])"))
assert data[0][1] == message and b"$Label1" in data[0][0], data
ok(c.uid("COPY", "1", "Trash"))
copied = c.response("COPYUID")[1]
assert re.fullmatch(rb"\d+ 1 1", copied[0]), copied
imaplib.Commands["MOVE"] = ("SELECTED",)
ok(c.uid("MOVE", "1", "Kept"))
assert ok(c.search(None, "ALL")) == [b""], "moved away"
for name, n in (("Archive", 0), ("Trash", 1), ("Kept", 1)):
    assert ok(c.status(name, "(MESSAGES)"))[0].endswith(b"(MESSAGES %d)" % n), name

# EXAMINE is read only.
ok(c.select("Kept", readonly=True))
assert c.store("1", "+FLAGS", "(\\Deleted)")[0] == "NO"
ok(c.unselect())

# IDLE, which imaplib has no command for: a second connection adds mail.
ok(c.select("Trash"))
tag = c._new_tag()
c.send(tag + b" IDLE\r\n")
assert c.readline().startswith(b"+ ")
d = imaplib.IMAP4_SSL("127.0.0.1", int(imaps), ssl_context=context, timeout=30)
ok(d.login(user, password))
ok(d.append("Trash", "", imaplib.Time2Internaldate(time.time()), message))
line = c.readline()
assert line == b"* 2 EXISTS\r\n", line
c.send(b"DONE\r\n")
while not line.startswith(tag):
    line = c.readline()
assert line.startswith(tag + b" OK"), line
assert d.logout()[0] == "BYE"

# NOOP tells of what is new; CLOSE expunges.
ok(c.noop())
ok(c.store("1:2", "+FLAGS.SILENT", "(\\Deleted)"))
ok(c.close())
assert ok(c.status("Trash", "(MESSAGES)"))[0].endswith(b"(MESSAGES 0)")
assert c.logout()[0] == "BYE"
print("done")
