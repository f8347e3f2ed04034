"""Verifies every DKIM signature of a message with dkimpy, by the records that
the box wants to see in the DNS."""
import json
import sys

import dkim

message, records = sys.argv[1:]
data = open(message, "rb").read()
zone = {r["name"].rstrip("."): r["value"].encode() for r in json.load(open(records))["records"] if r["type"] == "TXT"}


def txt(name, timeout=5):
    return zone.get(name.decode().rstrip("."))


algorithms = []
d = dkim.DKIM(data, minkey=1024)
for i in range(len([h for h in d.headers if h[0].lower() == b"dkim-signature"])):
    d = dkim.DKIM(data, minkey=1024)
    assert d.verify(idx=i, dnsfunc=txt), i
    algorithms.append(d.signature_fields[b"a"].decode())
    assert d.domain == b"example.test", d.domain
    signed = [h.strip().lower() for h in d.signature_fields[b"h"].split(b":")]
    for name in (b"from", b"to", b"subject", b"date", b"message-id"):
        assert signed.count(name) >= 2, (name, signed)
    broken = data.replace(b"\nSubject: ", b"\nSubject: not ", 1)
    assert not dkim.DKIM(broken).verify(idx=i, dnsfunc=txt), "a changed subject is still signed"
assert sorted(algorithms) == ["ed25519-sha256", "rsa-sha256"], algorithms
print("done")
