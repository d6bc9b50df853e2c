package incoming

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"mailseal/cmd/mailseal/answer"
	"mailseal/milter/report"
	"mailseal/milter/report/intake"
	"mailseal/milter/report/store"
)

// others is "mailseal reports received --kind tls" and "--kind failure".
func (b *Box) others(ctx context.Context, kind string, f store.Filter, out io.Writer) error {
	return b.with(ctx, func(i *intake.Intake) error {
		list, err := i.Store.Others(ctx, kind, f)
		if err != nil {
			return answered(err)
		}
		t := table{head: []string{"number", "day", "reporter", "domain", "successful", "failed",
			"authenticated", "what"}, from: 4, to: 5}
		for _, o := range list {
			t.rows = append(t.rows, []string{
				strconv.FormatInt(o.ID, 10), o.Begin.Format("2006-01-02"), o.Reporter, o.Domain,
				strconv.FormatInt(o.Good, 10),
				strconv.FormatInt(o.Bad, 10), cmp.Or(o.TrustDomain, "no"), what(o),
			})
		}
		return b.print(out, map[string]any{"reports": append([]store.Other{}, list...)}, t)
	})
}

// other is "mailseal reports received --kind tls NUMBER", and the same for a failure report.
func (b *Box) other(ctx context.Context, kind string, id int64, out io.Writer) error {
	return b.with(ctx, func(i *intake.Intake) error {
		o, err := i.Store.Other(ctx, kind, id)
		if err != nil {
			return answered(err)
		}
		if b.CSV {
			return answer.NewUsage(errors.New("--csv works for lists and aggregate reports only; " +
				"use --json"))
		}
		if b.JSON {
			return b.print(out, map[string]any{"report": o}, table{})
		}
		return showOther(o, out)
	})
}

func showOther(o store.Other, out io.Writer) error {
	w := bufio.NewWriter(out)
	screen := &Read{out: w}
	if o.Kind == "tls" {
		t := &report.TLSReport{Org: o.Reporter, Begin: o.Begin, End: o.End,
			Policies: make([]report.TLSPolicy, 1)}
		if err := json.Unmarshal(o.Content, &t.Policies[0]); err != nil {
			return fmt.Errorf("report %d in the store: %w", o.ID, err)
		}
		screen.tlsScreen(t)
	} else {
		f := &report.Failure{}
		if err := json.Unmarshal(o.Content, f); err != nil {
			return fmt.Errorf("report %d in the store: %w", o.ID, err)
		}
		screen.failureScreen(f)
	}
	proof := "its mail is not authenticated: any sender can have written it"
	if o.TrustDomain != "" {
		proof = "its mail was authenticated for " + clean(o.TrustDomain)
	}
	screen.say(0, "Received "+stamp(o.Received)+" from "+cmp.Or(clean(o.Reporter),
		"a reporter without a name")+"; "+proof+".")
	return w.Flush()
}

// what describes a report in a phrase.
func what(o store.Other) string {
	if o.Kind == "tls" {
		var p report.TLSPolicy
		if json.Unmarshal(o.Content, &p) != nil {
			return ""
		}
		words := []string{p.Type}
		for _, f := range p.Failures {
			words = append(words, strings.TrimSpace(fmt.Sprintf("%d %s %s", f.Sessions, f.Result,
				f.Host)))
		}
		return strings.Join(words, "; ")
	}
	var f report.Failure
	if json.Unmarshal(o.Content, &f) != nil {
		return ""
	}
	return strings.TrimSpace(fmt.Sprintf("%s %s from %s, of %s", f.Type, f.Failed, f.Source,
		f.From))
}
