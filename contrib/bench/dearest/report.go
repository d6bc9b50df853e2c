package main

import (
	"fmt"
	"strings"
	"time"

	"mailseal/contrib/bench/measure"
)

// finding is the dearest message that was found for a method.
type finding struct {
	method method
	recipe recipe
	text   letter
	cost   time.Duration // in this process
	base   time.Duration // what an ordinary message of its size costs there

	served, servedBase time.Duration // the same by the daemon, 0 when it was not asked
}

func (f finding) ratio() float64 { return ratio(f.cost, f.base) }

func ratio(a, b time.Duration) float64 {
	if b == 0 {
		return 0
	}
	return float64(a) / float64(b)
}

func (f finding) String() string {
	return fmt.Sprintf("%s: %d octets, %v, %.1f times an ordinary one: %s", f.method.name,
		len(f.text.raw), f.cost, f.ratio(), f.recipe.describe(f.method.among))
}

// goal is how many times the cost of an ordinary message of its size a message may cost.
const goal = 20

const head = `# The dearest messages

Made by ` + "`make bench-dearest`" + `; do not edit. %s

For each method the message of at most 1 MB that costs most for its size, found by search: a small grammar of messages
(contrib/bench/dearest/recipe.go), %d messages tried for each method, one to three choices changed at a time, the dearer one
kept; seed %d. The goal: no message costs more than %d times what an ordinary one of its size does. An ordinary
one is that of ` + "`make bench`" + `: a short header, text, one RSA-2048 signature.

"Daemon" is what counts: processor time of a daemon with all methods on, as ` + "`make bench`" + ` takes it, the least of five rounds.
"Alone" is the judging without sockets and logging, by which the search goes: an ordinary small message costs half
as much there, and every ratio is larger. All names are in the DNS cache.

* machine: %s

| method | octets | daemon, ms | ordinary, ms | ratio | | alone, ms | ratio alone | what the message is |
|---|---|---|---|---|---|---|---|---|
`

// why says where the cost is, and which bounds hold it there.
const why = `
## What holds them there

The search found these. Each is bounded, and a test holds the bound by counting.

| what a message had | ratio alone, before | with the bound | bound |
|---|---|---|---|
| 100 Authentication-Results fields, each with a U-label of 1 KB for a name | 697 | 2.7 | 100 fields and 64 KiB are read, octets above 126 count 256 times more; the rest is taken for forged (TestForgedWithoutEnd). What two readers see alike is looked at once |
| 10,000 From fields | 124 | 4.9 | 100 fields, 16 KiB and 400 addresses are read; more is policy.many_authors (TestFromWithoutEnd) |
| ten SPF includes of 57 KB each | 110 | 14 | 64 KiB of records for one check, then permerror (TestManyLongRecords) |
| ten broken signatures, in two forms each, over 900 KB of header | 89 | 6.9 | a field is canonicalized once (TestCanonicalOnce); hashing a header spends the message's units, one for 32 KiB (TestHeaderOctets) |
| ten RSA-8192 signatures | 76 | 27 | units as measured: getting ready counts, and moduli that crypto/rsa has no code of its own for count 2.5 times: RSA-2048 takes 0.030 ms, RSA-3072 0.16, RSA-4096 0.28, and counts as 1, 5.6 and 10. By bits squared alone RSA-4096 would count as 4, and a message of 24 such signatures and seals would cost 28 times an ordinary one (TestCost) |
| key records padded to 60 KB | 45 | 5.4 | 4 KiB a record (TestLongRecord) |
| ten broken signatures that name 9,990 fields each | 37 | 12 | a name in h= counts as 64 octets of header (TestHeaderOctets) |
| From with 100,000 quoted words | 30 | 7.2 | as for many From fields |

What is left is mostly the 96 units of arithmetic that a message has (` + "`dkim.EffortUnits`" + `).
`

func report(o options, all []finding) []byte {
	var b strings.Builder
	fmt.Fprintf(&b, head, time.Now().UTC().Format("2006-01-02 15:04 MST"), o.count, o.seed, goal,
		measure.Machine())
	for _, f := range all {
		b.WriteString(f.row())
	}
	b.WriteString(why)
	return []byte(b.String())
}

func (f finding) row() string {
	served := ratio(f.served, f.servedBase)
	verdict := "met"
	switch {
	case served == 0:
		verdict = "not measured"
	case served > goal:
		verdict = "**not met**"
	}
	return fmt.Sprintf("| %s | %d | %s | %s | **%.1f** | %s | %s | %.1f | %s |\n", f.method.name,
		len(f.text.raw), milliseconds(f.served),
		milliseconds(f.servedBase), served, verdict, milliseconds(f.cost), f.ratio(),
		f.recipe.describe(f.method.among))
}

func milliseconds(d time.Duration) string {
	return fmt.Sprintf("%.2f", float64(d)/float64(time.Millisecond))
}
