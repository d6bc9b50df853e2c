package advice

import "strconv"

// Cause is why mail of a source fails, or why its pass is fragile.
type Cause struct {
	Code     string // stable: "spf-only", "not-aligned", …
	Word     string // for a badge
	Severity Severity
	Text     string // two sentences: what happens, and what to do
	Fix      string // begins with a verb; "" if there is nothing to do
}

// Severity is how much a cause matters.
type Severity int

// Severities.
const (
	Harmless Severity = iota
	Warning
	Fault
)

// Diagnose returns the cause that explains most of s. Rules are tried in order, from the one that
// is most certain. No rule ever recommends an SPF include where the envelope domain is not the
// domain's own: it could not align.
func Diagnose(s *Source, domain string) Cause {
	for _, rule := range rules {
		if rule.holds(s) {
			c := rule.cause
			c.Text = rule.text(s, domain)
			return c
		}
	}
	return Cause{Code: "mixed", Word: "fails", Severity: Warning, Fix: "Look at the identifiers",
		Text: Count(s.Fail()) + " of " + Plural(s.Messages, "message", "messages") +
			" fail, for several reasons. The list of identifiers shows each " +
			"combination of From, envelope and signature."}
}

type rule struct {
	cause Cause
	holds func(*Source) bool
	text  func(*Source, string) string
}

// most reports whether n is more than half of what fails. Nothing is where all passes: a service
// that signs for the domain has an envelope of its own, and that is right.
func most(n int64, s *Source) bool { return n > 0 && !negligible(s) && n*2 > s.Fail() }

// negligible reports whether so little fails that nothing needs to be done: one message of own
// hosts in a hundred is lost on the way.
func negligible(s *Source) bool {
	return s.Fail() == 0 || s.Class.IsOwn() && s.Fail()*100 <= s.Messages
}

// badDKIM reports whether broken signatures are the trouble: of most of what fails, or of most
// messages, which pass by SPF alone then.
func badDKIM(s *Source) bool { return most(s.BadDKIM, s) || s.BadDKIM*2 > s.Messages }

var rules = []rule{
	{Cause{Code: "scanner", Word: "scanner", Severity: Harmless},
		func(s *Source) bool { return s.Class == Scanner },
		func(s *Source, _ string) string {
			return "This is a scanner that tests mail. Its failures mean nothing: it causes no " +
				"alert, and the pass rate does not include it."
		}},
	{Cause{Code: "spoof", Word: "spoof", Severity: Harmless},
		func(s *Source) bool { return s.Class == NotOurs || s.Class == Spoof },
		func(s *Source, domain string) string {
			return "No message of this source passes, and nothing connects it with " + domain +
				": it is a " +
				"forgery. There is nothing to correct; with a stricter policy receivers hold or " +
				"refuse it."
		}},
	{Cause{Code: "no-address", Word: "no address", Severity: Warning},
		func(s *Source) bool { return s.NoAddress && s.Pass == 0 },
		func(s *Source, domain string) string {
			return "The report has " + quoted(s.Name) +
				" in place of an address, so nothing can say " +
				"which host sent this mail as " + domain +
				". It counts; other reports of the same " +
				"days may name the host."
		}},
	{Cause{Code: "list", Word: "mailing list", Severity: Harmless},
		func(s *Source) bool { return most(s.Listed, s) },
		func(s *Source, domain string) string {
			return "Receivers report that a mailing list changed the mail, which breaks the " +
				"signature. That is how lists work: people write to lists from " + domain +
				", so p=reject would lose their mail."
		}},
	{Cause{Code: "forwarding", Word: "forwarded", Severity: Harmless},
		func(s *Source) bool {
			return most(s.Forwarded, s) || s.Class == Forwarding && s.DKIM*2 >= s.Messages
		},
		func(s *Source, _ string) string {
			return "This is your mail, forwarded by another host. SPF always fails for forwarded " +
				"mail, so it passes only by a signature that is still valid."
		}},
	{Cause{Code: "key-missing", Word: "key missing", Severity: Fault, Fix: "Publish the key"},
		func(s *Source) bool { return s.KeyMissing && badDKIM(s) },
		func(s *Source, domain string) string {
			return "Mail is signed with selector " + s.BadSelector +
				", and DNS has no key there. " +
				"Publish the key at " + s.BadSelector + "._domainkey." + domain +
				", or sign with one that is published."
		}},
	{Cause{Code: "dns-trouble", Word: "DNS trouble", Severity: Warning, Fix: "Check the DNS"},
		func(s *Source) bool { return most(s.TempError, s) },
		func(s *Source, domain string) string {
			return "Receivers could not look up a record: temperror for " + Plural(s.TempError,
				"message", "messages") + ". See whether every name server of " + domain +
				" answers, also by TCP."
		}},
	{Cause{Code: "record-broken", Word: "record broken", Severity: Fault, Fix: "Check the DNS"},
		func(s *Source) bool { return most(s.PermError, s) },
		func(s *Source, domain string) string {
			return "Receivers could not use a DNS record of " + domain + ": permerror for " +
				Plural(s.PermError, "message", "messages") + ". " +
				"The usual causes are more than 10 SPF lookups, two SPF records, or a damaged key."
		}},
	{Cause{Code: "strict", Word: "strict alignment", Severity: Fault, Fix: "Relax the alignment"},
		func(s *Source) bool { return most(s.Strict, s) },
		func(s *Source, domain string) string {
			return "Its identifiers are below " + domain + ", but strict alignment requires " +
				"equal ones. Remove adkim=s or aspf=s from the DMARC record, or sign with d= of " +
				"the From domain."
		}},
	{Cause{Code: "not-aligned", Word: "not aligned", Severity: Fault, Fix: "Set a signing domain"},
		func(s *Source) bool { return most(s.OtherDKIM, s) && most(s.OtherSPF, s) },
		func(s *Source, domain string) string {
			return "SPF passes for " + or(s.Envelope, "another domain") +
				" and DKIM is signed by " +
				or(s.Signer, "another domain") + ". Neither is " + domain +
				". Set up a signing domain at the service; adding its include to your SPF record " +
				"would not help."
		}},
	{Cause{Code: "dkim-not-aligned", Word: "not aligned", Severity: Fault,
		Fix: "Set a signing domain"},
		func(s *Source) bool { return most(s.OtherDKIM, s) },
		func(s *Source, domain string) string {
			return "DKIM is signed by " + or(s.Signer, "another domain") +
				", which does not align with " + domain +
				", and SPF does not pass. Sign with d=" + domain + "."
		}},
	{Cause{Code: "spf-not-aligned", Word: "not aligned", Severity: Fault, Fix: "Sign with DKIM"},
		func(s *Source) bool { return most(s.OtherSPF, s) },
		func(s *Source, domain string) string {
			return "SPF passes for " + or(s.Envelope, "another domain") +
				", which does not align with " + domain +
				", and nothing is signed for it. Sign with d=" + domain +
				"; adding its include to your SPF record would not help."
		}},
	{Cause{Code: "one-receiver", Word: "one receiver", Severity: Warning},
		func(s *Source) bool { return s.FailReceivers == 1 && s.Receivers >= 3 && s.Pass > 0 },
		func(s *Source, _ string) string {
			return "It fails at one of " + Count(int64(s.Receivers)) + " receivers, " +
				or(s.FailReceiver, "always the same") + ", and passes at the others. " +
				"That one changes mail or cannot look up your records; ask its postmaster."
		}},
	{Cause{Code: "signature-broken", Word: "signature broken", Severity: Fault,
		Fix: "Check the key"},
		badDKIM,
		func(s *Source, domain string) string {
			return "Signatures of " + domain + " with selector " + or(s.BadSelector, "–") +
				" do not verify. Either the key in DNS is not the one that signs, or a " +
				"program changes mail after it is signed."
		}},
	{Cause{Code: "subdomain", Word: "subdomain unsigned", Severity: Fault, Fix: "Sign with DKIM"},
		func(s *Source) bool {
			return s.Class.IsOwn() && s.Fail() > 0 && s.From != "" && most(s.NoDKIM, s) &&
				s.DKIM > 0
		},
		func(s *Source, _ string) string {
			return "Mail from " + s.From + " leaves unsigned while other mail of the source is " +
				"signed. Add " + s.From + " to the signing rule."
		}},
	{Cause{Code: "own-host", Word: "not in SPF", Severity: Fault, Fix: "Sign with DKIM"},
		func(s *Source) bool {
			return s.Class.IsOwn() && s.Fail()*100 > s.Messages && s.DKIM == 0 && s.SPF == 0
		},
		func(s *Source, domain string) string {
			return "A host of yours sends as " + domain + ", unsigned, and the SPF record does " +
				"not name it. Sign its mail; then add its address to the SPF record."
		}},
	{Cause{Code: "spf-only", Word: "SPF alone", Severity: Warning, Fix: "Sign with DKIM"},
		func(s *Source) bool { return s.Class.IsOwn() && s.SPFOnly()*100 > s.Messages },
		func(s *Source, _ string) string {
			return Plural(s.SPFOnly(), "message passes", "messages pass") +
				" by SPF alone. A message that is forwarded loses SPF and then fails. Sign on " +
				"this host before the policy becomes stricter."
		}},
	{Cause{Code: "fine", Word: "fine", Severity: Harmless},
		func(s *Source) bool { return s.Class.IsOwn() && negligible(s) },
		func(s *Source, _ string) string {
			return "Nothing to do: its mail passes by aligned DKIM."
		}},
	{Cause{Code: "few", Word: "few", Severity: Harmless},
		func(s *Source) bool { return s.Messages < fewMessages },
		func(s *Source, _ string) string {
			return "There are too few messages to judge: " + Plural(s.Messages, "message",
				"messages") +
				" in this period."
		}},
	{Cause{Code: "unknown", Word: "unknown", Severity: Warning, Fix: "Judge the source"},
		func(s *Source) bool { return s.Class == Unknown },
		func(s *Source, _ string) string {
			return "This is a forgery, or a host of yours that is not known here. Set who it " +
				"belongs to, so that its mail is counted accordingly."
		}},
}

// quoted returns a text as a sentence can name it.
func quoted(s string) string {
	if s == "" || s == NoName {
		return "nothing"
	}
	return strconv.Quote(s)
}

func or(s, other string) string {
	if s == "" {
		return other
	}
	return s
}
