"""Has dkimpy validate the chain of the message on standard input: prints none, pass or fail.

The only argument is the text of the key record that it finds at every name.
"""
import sys

import dkim

record = sys.argv[1].encode()
cv, _, reason = dkim.ARC(sys.stdin.buffer.read()).verify(dnsfunc=lambda name, timeout=5: record)
print({dkim.CV_None: "none", dkim.CV_Pass: "pass", dkim.CV_Fail: "fail"}[cv])
print(reason, file=sys.stderr)
