"""Judges SPF cases with Debian's python3-spf: one JSON object a line in, one out.

In:  {"zone": {name: [[type, value], ...]}, "ip", "helo", "from"}; the type "FAIL" makes every look-up of a name fail.
Out: {"result", "text"}; text is the explanation of a fail, and says what is wrong of an error.
"""
import json
import socket
import sys

import spf

zone = {}


def rdata(rtype, value):
    if rtype == "TXT":
        return (value.encode("latin-1"),)
    if rtype == "MX":
        preference, host = value.split()
        return (int(preference), host)
    if rtype == "AAAA":
        return socket.inet_pton(socket.AF_INET6, value)
    return value


def look_up(name, qtype, strict=True, timeout=None):
    name = name.lower().rstrip(".")
    for rtype, value in zone.get(name, []):
        if rtype == "FAIL":
            raise spf.TempError("DNS failure")
        if rtype == qtype:
            yield (name, qtype), rdata(rtype, value)


spf.DNSLookup = look_up
# How void look-ups are counted differs; the limit is compared elsewhere.
spf.MAX_VOID_LOOKUPS = 1000

for line in sys.stdin:
    case = json.loads(line)
    zone = case["zone"]
    query = spf.query(i=case["ip"], s=case["from"], h=case["helo"], receiver="mx.example.net", strict=True)
    query.set_default_explanation("")
    try:
        result, _, text = query.check()
    except Exception as e:  # it has bugs of its own, which are to be seen
        result, text = "crash", repr(e)
    print(json.dumps({"result": result, "text": str(text)}), flush=True)
