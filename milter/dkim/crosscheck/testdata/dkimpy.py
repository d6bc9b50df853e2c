"""Has dkimpy judge and sign: one JSON object a line in, one out, in the same order.

{"Do": "verify", "Message": base64, "Records": {name: text}}        -> {"Result": "pass" or "fail", "Error": why}
{"Do": "sign", "Message": base64, "Selector", "Key", "Header", "Body", "Algorithm"} -> {"Result": base64 of the field}
"""
import base64
import json
import sys

import dkim


def verify(job):
    records = job["Records"]

    def txt(name, timeout=5):
        return records.get(name.decode(), "").encode()

    d = dkim.DKIM(base64.b64decode(job["Message"]))
    return "pass" if d.verify(dnsfunc=txt) else "fail"


def sign(job):
    field = dkim.sign(
        base64.b64decode(job["Message"]),
        job["Selector"].encode(),
        b"example.com",
        job["Key"].encode(),
        canonicalize=(job["Header"].encode(), job["Body"].encode()),
        signature_algorithm=job["Algorithm"].encode(),
    )
    return base64.b64encode(field).decode()


for line in sys.stdin:
    job = json.loads(line)
    try:
        answer = {"Result": {"verify": verify, "sign": sign}[job["Do"]](job), "Error": ""}
    except Exception as e:  # whatever it refuses is an answer
        answer = {"Result": "", "Error": "%s: %s" % (type(e).__name__, e)}
    print(json.dumps(answer))
