package incoming

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"

	"mailseal/milter/report"
	"mailseal/milter/report/intake"
	"mailseal/milter/report/store"
)

// Others is "mailseal reports received --kind tls" and "--kind failure".
func (b *Box) Others(ctx context.Context, kind string, f store.Filter, out io.Writer) error {
	return b.with(ctx, func(i *intake.Intake) error {
		list, err := i.Store.Others(ctx, kind, f)
		if err != nil {
			return answered(err)
		}
		t := table{head: []string{"day", "reporter", "domain", "successful", "failed", "authenticated", "what"}, from: 3, to: 4}
		for _, o := range list {
			proof := o.TrustDomain
			if proof == "" {
				proof = "no"
			}
			t.rows = append(t.rows, []string{
				o.Begin.Format("2006-01-02"), o.Reporter, o.Domain, strconv.FormatInt(o.Good, 10),
				strconv.FormatInt(o.Bad, 10), proof, what(o),
			})
		}
		return b.print(out, map[string]any{"reports": append([]store.Other{}, list...)}, t)
	})
}

// what says what a report is about in a phrase.
func what(o store.Other) string {
	if o.Kind == "tls" {
		var p report.TLSPolicy
		if json.Unmarshal(o.Content, &p) != nil {
			return ""
		}
		words := []string{p.Type}
		for _, f := range p.Failures {
			words = append(words, strings.TrimSpace(fmt.Sprintf("%d %s %s", f.Sessions, f.Result, f.Host)))
		}
		return strings.Join(words, "; ")
	}
	var f report.Failure
	if json.Unmarshal(o.Content, &f) != nil {
		return ""
	}
	return strings.TrimSpace(fmt.Sprintf("%s %s from %s, of %s", f.Type, f.Failed, f.Source, f.From))
}
