# Verifies messages with dkimpy, for tests that want an implementation other than ours.
#
# Each line of standard input is a question: {"dns": {name: txt record}, "messages": [base64 of a message with CRLF line
# ends]}. Its answer is a line of standard output: for each message a list with an entry for each DKIM-Signature from the
# top, {"domain", "selector", "algorithm", "pass", "reason"}; and at the end of the list one for the ARC chain, if there is
# one, with the algorithm "arc".
import base64
import json
import sys

import dkim


def resolver(dns):
    def lookup(name, timeout=5):
        text = dns.get(name.decode().rstrip(".").lower())
        return text.encode() if text is not None else None

    return lookup


def verify(message, index, dns):
    verifier = dkim.DKIM(message)
    result = {"pass": False, "reason": "signature did not verify"}
    try:
        if verifier.verify(index, dnsfunc=resolver(dns)):
            result = {"pass": True, "reason": ""}
    except Exception as problem:  # dkimpy raises for what it cannot use, and sometimes trips over it
        result["reason"] = "%s: %s" % (type(problem).__name__, problem)
    for name, tag in (("domain", b"d"), ("selector", b"s"), ("algorithm", b"a")):
        fields = getattr(verifier, "signature_fields", None) or {}
        result[name] = fields.get(tag, b"").decode(errors="replace")
    return result


def chain(message, dns):
    try:
        value, _, reason = dkim.ARC(message).verify(dnsfunc=resolver(dns))
    except Exception as problem:
        value, reason = b"fail", "%s: %s" % (type(problem).__name__, problem)
    return {"domain": "", "selector": "", "algorithm": "arc", "pass": value == dkim.CV_Pass, "reason": reason}


def verdicts(message, dns):
    try:
        fields, _ = dkim.rfc822_parse(message)
    except dkim.MessageFormatError as problem:
        return [{"domain": "", "selector": "", "algorithm": "", "pass": False, "reason": str(problem)}]
    names = [name.lower().strip() for name, _ in fields]
    found = [verify(message, i, dns) for i in range(names.count(b"dkim-signature"))]
    if b"arc-seal" in names:
        found.append(chain(message, dns))
    return found


for line in sys.stdin:
    task = json.loads(line)
    answer = [verdicts(base64.b64decode(m), task["dns"]) for m in task["messages"]]
    print(json.dumps(answer), flush=True)
