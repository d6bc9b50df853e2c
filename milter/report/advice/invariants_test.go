package advice

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"regexp"
	"slices"
	"strings"
	"testing"

	"mailseal/milter/dmarc"
)

// never are the words that no domain with mail by SPF alone, or with users of lists, may read.
const never = "ready for reject"

// tagsOf returns the tags of a record, with t=n where it has none: that is the default.
func tagsOf(record string) map[string]string {
	out := map[string]string{"t": "n"}
	for part := range strings.SplitSeq(record, ";") {
		name, value, _ := strings.Cut(part, "=")
		if name = strings.ToLower(strings.TrimSpace(name)); name != "" {
			out[name] = strings.TrimSpace(value)
		}
	}
	return out
}

var percentage = regexp.MustCompile(`[0-9]%`)

// keeps holds what is true of the advice for every history. It counts the sources on its own.
func keeps(t *testing.T, h History) {
	t.Helper()
	a := Judge(h)
	fail := func(format string, values ...any) {
		t.Helper()
		t.Errorf("%s for %s: %s\n%q\n%q", a.Kind, a.Next, fmt.Sprintf(format, values...),
			a.Sentence, a.Opposite)
	}
	if a.Title == "" || a.Sentence == "" || a.Opposite == "" {
		fail("without a title, a finding or a cost")
	}
	keepsLimits(fail, h, a)
	keepsProof(fail, h, a)
	keepsRecord(fail, h, a)
}

// keepsLimits holds RFC 9989 sections 7.4 and 8.
func keepsLimits(fail func(string, ...any), h History, a Advice) {
	var listed int64
	spfAlone, unsigned := false, false
	for _, s := range h.Sources {
		forged := s.Class == Spoof || s.Class == NotOurs || s.Class == Scanner
		if !forged {
			listed += s.Listed
		}
		spfAlone = spfAlone || s.Pass > s.DKIM && !s.SPFAccepted
		unsigned = unsigned || (s.Class == Ours || s.Class == Service) && 100*s.DKIM < 99*s.Messages
	}
	all := strings.ToLower(a.Title + a.Sentence)
	barred := spfAlone || unsigned || h.ToLists > 0 || listed > 0 || h.Use != UseMachines
	says := strings.Contains(strings.ReplaceAll(all, "not "+never, ""), never)
	if barred && !h.Parked && (says || a.Kind == Ready && a.Next >= RejectTest) {
		fail("reject is advised (SPF alone %v, unsigned %v, lists %d and %d, use %d)", spfAlone,
			unsigned, h.ToLists, listed, h.Use)
	}
	if a.Next >= RejectTest && a.Kind == Ready && !h.Parked && h.Policy.Step < Quarantine {
		fail("a step is skipped")
	}
	if a.Kind == Ready && !h.Parked && a.Next != h.Policy.Step+1 {
		fail("from %s to %s is more than a step", h.Policy.Step, a.Next)
	}
	if a.Kind == Ready && len(a.Blockers()) > 0 {
		fail("ready, with blockers %q", a.Blockers())
	}
}

// keepsProof recounts the numbers of the sentences.
func keepsProof(fail func(string, ...any), h History, a Advice) {
	var all, dkim, lost, forwarded, sources int64
	for _, s := range h.Sources {
		failed := s.Messages - s.Pass
		on := s.Forwarded + s.Listed
		if on > failed {
			on = failed
		}
		switch s.Class {
		case Ours, Service:
			if s.Messages > 0 {
				all, dkim, sources = all+s.Messages, dkim+s.DKIM, sources+1
			}
			lost, forwarded = lost+failed-on, forwarded+on
		case Unknown:
			lost, forwarded = lost+failed-on, forwarded+on
		case Forwarding:
			forwarded += failed
		}
	}
	if a.OwnLost != lost || a.Forwarded != forwarded {
		fail("lost %d and %d, want %d and %d", a.OwnLost, a.Forwarded, lost, forwarded)
	}
	if h.Parked {
		return
	}
	if a.Kind == TooLittle {
		text := a.Title + a.Sentence + a.Opposite
		for _, c := range a.Conditions {
			text += c.Found
		}
		if percentage.MatchString(text) || a.Record != "" {
			fail("a percentage or a record %q of too little", a.Record)
		}
		return
	}
	want := []string{Plural(int64(len(h.Reported)), "day", "days")}
	if all > 0 {
		want = append(want, Plural(all, "message", "messages")+" of "+
			Plural(sources, "own source", "own sources"))
	}
	if a.Kind == Ready {
		want = append(want, Rate(dkim, all)+"% by aligned DKIM")
	}
	for _, w := range want {
		if !strings.Contains(a.Sentence, w) {
			fail("without the proof %q", w)
		}
	}
	for _, n := range []int64{lost, forwarded} {
		if n > 0 && !strings.Contains(a.Opposite, Count(n)) {
			fail("the cost does not name %d", n)
		}
	}
}

// keepsRecord holds that what is to be published is a record, and that it changes the policy alone.
func keepsRecord(fail func(string, ...any), h History, a Advice) {
	if slices.Contains([]Kind{Ready, Retreat}, a.Kind) && (a.Record == "" || a.BackText == "") {
		fail("record %q, back %q", a.Record, a.BackText)
	}
	if h.Policy.Step > None && h.Policy.Text != "" && (a.Back == "" || a.BackText == "") {
		fail("no way back from %s", h.Policy.Step)
	}
	for _, text := range []string{a.Record, a.Back} {
		if text == "" {
			continue
		}
		r, err := dmarc.Parse(text)
		if err != nil {
			fail("record %q: %v", text, err)
			continue
		}
		if text == a.Record {
			p, testing := a.Next.policy()
			if string(r.Policy) != p || r.Testing != testing {
				fail("record %q is not %s", text, a.Next)
			}
		}
		was, is := tagsOf(h.Policy.Text), tagsOf(text)
		for tag := range maps.Keys(is) {
			if tag != "p" && tag != "t" && tag != "v" && was[tag] != is[tag] {
				fail("record %q changes %s, too", text, tag)
			}
		}
		for tag := range maps.Keys(was) {
			if _, has := is[tag]; !has {
				fail("record %q loses %s", text, tag)
			}
		}
		// Up the ladder p and t move together once, from none; after that one of them moves.
		if text == a.Record && a.Kind == Ready && !h.Parked && h.Policy.Text != "" {
			if both := was["p"] != is["p"] && was["t"] != is["t"]; both &&
				h.Policy.Step != None && h.Policy.Step != Quarantine {
				fail("record %q changes p and t", text)
			}
		}
	}
}

// randomHistory makes a history of anything, mostly of what is near a bound.
func randomHistory(r *rand.Rand) History {
	pick := func(list ...int64) int64 { return list[r.IntN(len(list))] }
	step := Step(r.IntN(5))
	texts := []string{"v=DMARC1; p=none; rua=mailto:d@shop.example", "v=DMARC1;p=none",
		"v=DMARC1; p=none; sp=reject; np=none; adkim=s; aspf=s; pct=20; fo=1; " +
			"rua=mailto:a@b.example!10m", ""}
	h := History{Domain: "shop.example", From: last - Day(pick(29, 59, 89)), To: last,
		Policy: Policy{Step: step, Since: last - Day(pick(0, 12, 13, 14, 28, 29, 30, 200)),
			Text: texts[r.IntN(len(texts))], SP: []string{"", "none", "reject"}[r.IntN(3)]},
		Parked: r.IntN(12) == 0, Use: Use(r.IntN(3)),
		SPFAll: []string{"", "-all", "~all", "+all"}[r.IntN(4)]}
	if h.Policy.Text != "" {
		h.Policy.Text = WithStep(h.Policy.Text, step)
	}
	if r.IntN(3) > 0 {
		h.Use, h.UseBy = UseMachines, "admin"
	}
	if r.IntN(6) == 0 {
		h.ToLists, h.Replies = pick(0, 1, 50), pick(0, 1, 9)
	}
	for _, d := range span(h.From, h.To-Day(pick(0, 0, 0, 5))) {
		if r.IntN(40) > 0 {
			h.Reported = append(h.Reported, d)
		}
	}
	for _, name := range []string{"google.com", "outlook.com", "gmx.net", "mail.ru"} {
		if r.IntN(12) > 0 {
			h.Receivers = append(h.Receivers, Receiver{name, pick(1, 1, 1, 0),
				last - Day(pick(0, 0, 0, 0, 0, 3, 4)), r.IntN(2) == 0})
		}
	}
	classes := []Class{Ours, Ours, Ours, Service, Forwarding, Unknown, Spoof, NotOurs, Scanner}
	for i := range r.IntN(5) {
		n := pick(0, 1, 19, 20, 99, 100, 5000, 10000, 1_000_000_000)
		s := Source{Name: fmt.Sprint("source-", i), Class: classes[r.IntN(len(classes))],
			Messages: n, Pass: n, DKIM: n,
			Judged: r.IntN(3) == 0, SPFAccepted: r.IntN(5) == 0,
			Days: span(last-Day(pick(0, 3, 30)), last)}
		switch r.IntN(8) {
		case 0:
			s.DKIM = n * pick(0, 98, 99) / 100
		case 1:
			s.Pass = n * pick(0, 98, 99) / 100
			s.DKIM = s.Pass
			s.Forwarded = (n - s.Pass) / pick(1, 2)
		}
		if s.Class == Spoof {
			s.Pass, s.DKIM = 0, 0
		}
		if r.IntN(12) == 0 {
			s.Listed = s.Messages / 7
		}
		h.Sources = append(h.Sources, s)
	}
	if r.IntN(6) == 0 {
		h.Selectors = []Selector{{"s1._domainkey.shop.example", 4, true}}
	}
	return h
}

// TestInvariants holds them for many random histories, and that these reach every kind of advice
// and every step.
func TestInvariants(t *testing.T) {
	r := rand.New(rand.NewPCG(17, 4))
	met := map[string]int{}
	for i := range 20000 {
		h := randomHistory(r)
		a := Judge(h)
		met[a.Kind.String()]++
		if a.Kind == Ready && !h.Parked {
			met["ready for "+a.Next.String()]++
		}
		keeps(t, h)
		if t.Failed() {
			t.Fatalf("history %d: %+v", i, h)
		}
	}
	for _, what := range []string{"too little", "stay", "ready", "done", "retreat",
		"ready for quarantine; t=y", "ready for quarantine", "ready for reject; t=y",
		"ready for reject"} {
		if met[what] < 10 {
			t.Errorf("only %d histories are %s", met[what], what)
		}
	}
	t.Log(met)
}

// TestSituations walks the further histories.
func TestSituations(t *testing.T) {
	if len(situations) < 60 {
		t.Fatalf("%d situations, want 60 or more", len(situations))
	}
	for _, c := range situations {
		t.Run(c.name, func(t *testing.T) {
			a := Judge(c.h)
			if a.Kind != c.kind || a.Next != c.next {
				t.Errorf("%s for %s, want %s for %s: %s", a.Kind, a.Next, c.kind, c.next,
					a.Sentence)
			}
			if got := strings.Join(a.Blockers(), " "); got != c.blockers {
				t.Errorf("blockers %q, want %q", got, c.blockers)
			}
			if !strings.Contains(a.Sentence, c.says) {
				t.Errorf("sentence %q does not say %q", a.Sentence, c.says)
			}
			if !strings.Contains(a.Opposite, c.cost) {
				t.Errorf("cost %q does not say %q", a.Opposite, c.cost)
			}
			var notes []string
			for _, n := range a.Notes {
				notes = append(notes, n.Code)
			}
			if got := strings.Join(notes, " "); got != c.notes {
				t.Errorf("notes %q, want %q", got, c.notes)
			}
			keeps(t, c.h)
		})
	}
}
