package domains

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"mailseal/cmd/mailseal/answer"
	"mailseal/cmd/mailseal/check"
	"mailseal/milter/dkim"
	"mailseal/milter/dns"
)

// Key is a question for a DKIM key whose private key one need not hold.
type Key struct {
	Resolver         dns.Resolver
	Selector, Domain string
	JSON             bool
}

// keyJSON is the answer in the form of --json.
type keyJSON struct {
	Version   int           `json:"version"`
	Name      string        `json:"name"`
	Records   []string      `json:"records"`
	Algorithm string        `json:"algorithm,omitempty"`
	Bits      int           `json:"bits,omitempty"`
	Testing   bool          `json:"testing,omitempty"`
	Findings  []findingJSON `json:"findings"`
}

// Find looks at the key and prints what it is. It is good when signatures that name it can count,
// and unknown when the DNS did not answer.
func (q Key) Find(ctx context.Context, out io.Writer) error {
	names, err := parseAll([]string{q.Domain})
	if err != nil {
		return err
	}
	var r Result
	m := newMemory(q.Resolver)
	c := &checker{Options: Options{Resolver: m}, name: names[0].String(), result: &r, memory: m,
		publics: map[string]bool{}, said: map[string]bool{}}
	name := strings.ToLower(q.Selector) + "._domainkey." + c.name
	algorithms := c.key(ctx, name, true)
	c.unanswered(ctx)
	shown := keyJSON{Version: Version, Name: name, Records: []string{}, Findings: []findingJSON{}}
	a, _ := m.Lookup(ctx, name, dns.TXT) // a failure is among the findings
	shown.Records = append(shown.Records, a.Texts...)
	for _, t := range a.Texts {
		if k, err := dkim.ParseRecord(t); err == nil {
			shown.Algorithm, shown.Bits, shown.Testing = k.Key.Algorithm(), k.Key.Bits(), k.Testing
		}
	}
	if err := q.print(out, shown, r); err != nil {
		return answer.NewUnknown(err)
	}
	switch {
	case r.Count(check.Unknown) > 0:
		return answer.NewUnknown(nil)
	case len(algorithms) == 0, r.Count(check.Error) > 0:
		return answer.NewBad(nil)
	}
	return nil
}

func (q Key) print(out io.Writer, k keyJSON, r Result) error {
	if q.JSON {
		for _, f := range r.Findings {
			k.Findings = append(k.Findings, f.json())
		}
		return json.NewEncoder(out).Encode(k)
	}
	s := newScreen(out)
	switch {
	case k.Algorithm != "":
		fmt.Fprintf(s, "%s: a key for %s of %d bits\n", k.Name, k.Algorithm, k.Bits)
	case r.Count(check.Unknown) > 0:
		fmt.Fprintf(s, "%s: could not check\n", k.Name)
	default:
		fmt.Fprintf(s, "%s: no usable key\n", k.Name)
	}
	for _, t := range k.Records {
		for len(t) > 0 && s.width > 0 {
			n := chunk(t, s.columns-2)
			fmt.Fprintf(s, "  %s\n", visible(t[:n]))
			t = t[n:]
		}
		if t != "" {
			fmt.Fprintf(s, "  %s\n", visible(t))
		}
	}
	if err := s.findings(r); err != nil {
		return err
	}
	_, err := io.WriteString(out, s.String())
	return err
}
