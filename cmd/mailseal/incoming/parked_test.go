package incoming

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"mailseal/milter/report/intake"
	"mailseal/milter/report/store"
)

// TestParked holds that lists take a domain for parked where the pages do: by the configuration, or
// by its SPF record when it was looked at last.
func TestParked(t *testing.T) {
	b := &Box{Setting: "sqlite:" + filepath.Join(t.TempDir(), "reports.db"), CSV: true,
		Now:     time.Now,
		Domains: []string{"set.example", "spf.example", "open.example", "sends.example"},
		Parked:  []string{"set.example"}}
	for _, d := range []string{"set.example", "spf.example", "open.example", "sends.example"} {
		report := fmt.Sprintf(`<feedback><report_metadata><org_name>r.test</org_name><email>a@r.test</email><report_id>%s</report_id>`+
			`<date_range><begin>1700006400</begin><end>1700092799</end></date_range></report_metadata>`+
			`<policy_published><domain>%[1]s</domain><p>none</p></policy_published><record><row><source_ip>192.0.2.7</source_ip>`+
			`<count>60</count><policy_evaluated><disposition>none</disposition><dkim>fail</dkim><spf>fail</spf></policy_evaluated></row>`+
			`<identifiers><header_from>%[1]s</header_from></identifiers></record></feedback>`, d)
		if err := b.Import(t.Context(), []string{"-"}, strings.NewReader(report), io.Discard,
			io.Discard); err != nil {
			t.Fatal(err)
		}
	}
	err := b.with(t.Context(), func(i *intake.Intake) error {
		for d, state := range map[string]store.OwnState{
			"spf.example":   {SPF: "v=spf1  -ALL", All: "-all"},
			"open.example":  {SPF: "v=spf1 ~all", All: "~all"},
			"sends.example": {SPF: "v=spf1 mx -all", All: "-all", Terms: []store.OwnTerm{{Text: "mx"}}},
		} {
			if err := i.Store.SetOwnState(context.Background(), d, &state, time.Now()); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	var domains, sources bytes.Buffer
	if err := b.DomainList(t.Context(), store.Filter{}, &domains); err != nil {
		t.Fatal(err)
	}
	if err := b.Sources(t.Context(), store.Filter{}, &sources); err != nil {
		t.Fatal(err)
	}
	for d, want := range map[string]bool{"set.example": true, "spf.example": true,
		"open.example": false, "sends.example": false} {
		if got := strings.Contains(domains.String(), d) &&
			strings.Contains(lineOf(domains.String(), d), "parked"); got != want {
			t.Errorf("%s: parked %v, want %v: %s", d, got, want, lineOf(domains.String(), d))
		}
		if line := lineOf(sources.String(), d); !strings.Contains(line, "spoof") {
			t.Errorf("%s: its only source is %q", d, line)
		}
	}
}

func lineOf(text, word string) string {
	for line := range strings.Lines(text) {
		if strings.Contains(line, word) {
			return line
		}
	}
	return ""
}
