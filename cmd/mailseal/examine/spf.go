package examine

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"strings"
	"time"

	"mailseal/cmd/mailseal/answer"
	"mailseal/cmd/mailseal/publish"
	"mailseal/milter/dns"
	"mailseal/milter/domain"
	"mailseal/milter/spf"
)

// spfTime is how long a check may take (RFC 7208 section 4.6.4: at least 20 seconds).
const spfTime = 20 * time.Second

// SPF is a question to the SPF record of a domain.
type SPF struct {
	Resolver dns.Resolver
	Now      func() time.Time
	Receiver string // this host's name, for a domain's explanation
	Client   netip.Addr
	Helo     string
	From     string // envelope sender without angle brackets; empty for a bounce
	HasFrom  bool   // the sender is checked, which may be the null sender; else the name of HELO
	JSON     bool
}

// Check asks, and prints how the answer came about. It is good for pass, and unknown for temperror.
func (q SPF) Check(ctx context.Context, out io.Writer) error {
	ctx, cancel := context.WithTimeout(ctx, spfTime)
	defer cancel()
	checker := &spf.Checker{Resolver: q.Resolver, Receiver: q.Receiver, Now: q.Now}
	id := spf.Identity{IP: q.Client, Helo: q.Helo, MailFrom: q.From, Scope: spf.Helo}
	if q.HasFrom {
		id.Scope = spf.MailFrom
	}
	r := checker.Check(ctx, id)
	if err := q.print(out, r); err != nil {
		return err
	}
	switch r.Value {
	case spf.Pass:
		return nil
	case spf.Temperror:
		return answer.NewUnknown(nil)
	}
	return answer.NewBad(nil)
}

// Explore prints what the record of a domain allows, for any client. The answer is good if
// there is a usable record.
func (q SPF) Explore(ctx context.Context, name string, out io.Writer) error {
	d, err := domain.ParseNamed(name)
	if err != nil {
		return answer.NewUsage(err)
	}
	ctx, cancel := context.WithTimeout(ctx, spfTime)
	defer cancel()
	v := spf.Explore(ctx, q.Resolver, d)
	for _, text := range q.texts(ctx, d, v) {
		for _, f := range spf.Lint(text) {
			v.Flaws = append(v.Flaws, spf.Found{Code: f.Code, Text: f.Text, Domain: d.String()})
		}
	}
	if q.JSON {
		err = json.NewEncoder(out).Encode(v)
	} else {
		_, err = io.WriteString(out, publish.Wrapped(spfWords(d, v), publish.Columns(out)))
	}
	if err != nil {
		return answer.NewUnknown(err)
	}
	return surveyAnswer(v)
}

// texts are the record of a domain, or where it has none, the texts that may have been meant to be
// one.
func (q SPF) texts(ctx context.Context, d domain.Name, v spf.Survey) []string {
	if v.Root.Text != "" {
		return []string{v.Root.Text}
	}
	a, err := q.Resolver.Lookup(ctx, d.String(), dns.TXT)
	if err != nil || slices.ContainsFunc(a.Texts, spf.IsRecord) {
		return nil // the failure, or that there are several, is in the survey
	}
	return a.Texts
}

// spfWords prints the record, what it says in words, and what is wrong with it.
func spfWords(d domain.Name, v spf.Survey) string {
	var b strings.Builder
	if v.Root.Text != "" {
		fmt.Fprintf(&b, "%s\n\n", publish.Visible(v.Root.Text))
	}
	b.WriteString(v.Words())
	for _, f := range v.Flaws {
		fmt.Fprintf(&b, "%s: %s [%s]\n", publish.Visible(f.Domain), publish.Visible(f.Text), f.Code)
	}
	if len(v.Flaws) > 0 {
		fmt.Fprintf(&b, "\"mailseal domain %s\" explains why it matters, and what to publish.\n", d)
	}
	return b.String()
}

// surveyAnswer is unknown where a lookup failed, and bad where receivers would use no record or a
// broken one.
func surveyAnswer(v spf.Survey) error {
	isBroken := v.Root.Text == "" || v.Root.Broken != ""
	for _, f := range v.Flaws {
		switch f.Code {
		case spf.FlawUnanswered:
			return answer.NewUnknown(nil)
		case spf.FlawSeveral,
			spf.FlawSyntax,
			spf.FlawTwice,
			spf.FlawPasted,
			spf.FlawTooMany,
			spf.FlawVoids,
			spf.FlawMXMany,
			spf.FlawLoop,
			spf.FlawIncludeNone,
			spf.FlawIncludeGone,
			spf.FlawIncludeBad:
			isBroken = true
		}
	}
	if isBroken {
		return answer.NewBad(nil)
	}
	return nil
}

func (q SPF) print(out io.Writer, r spf.Result) error {
	if q.JSON {
		return json.NewEncoder(out).Encode(r)
	}
	_, err := fmt.Fprint(out, r)
	return err
}
