package check

import (
	"slices"
	"strings"
	"testing"

	"mailseal/keys"
)

// TestReportingRecords holds what is said of the record that signatures with r=y lead to.
func TestReportingRecords(t *testing.T) {
	record, err := testKey().Record(keys.RecordOptions{})
	if err != nil {
		t.Fatal(err)
	}
	const name = "_report._domainkey.example.com. IN TXT "
	for _, tt := range []struct {
		name, zone, setting string
		want                []Code
		says                string
	}{
		{"not asked for", "", "false", []Code{}, ""},
		{"good", name + `"ra=dkim-errors"`, "true", []Code{}, ""},
		{"missing", "", "true", []Code{ReportsMissing}, "_report._domainkey.example.com has no TXT record"},
		{"without an address", name + `"rp=5"`, "true", []Code{ReportsUnusable}, "no ra"},
		{"invalid", name + `"ra=a@b"`, "true", []Code{ReportsUnusable}, "not the local part"},
		{"for none", name + `"ra=a; rp=0"`, "true", []Code{ReportsUnusable}, "rp=0"},
		{"two", name + "\"ra=a\"\n" + name + `"ra=b"`, "true", []Code{ReportsUnusable}, "more than one"},
		{"the DNS is silent", "$SERVFAIL _report._domainkey.example.com.", "true",
			[]Code{ReportsNoAnswer}, "where reports"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newSite(t, listen+"[signing]\nrequest_reports = "+tt.setting+"\n"+signing)
			s.zone = record.Line() + "\n" + tt.zone + "\n"
			found, _ := s.check(t)
			if got := codes(found); !slices.Equal(got, tt.want) || len(found) > 0 &&
				!strings.Contains(found[0].Text, tt.says) {
				t.Errorf("got %v, want %v: %v", got, tt.want, found)
			}
		})
	}
}

// TestReportingInScope holds that a check of one domain finds nothing about the reports of another.
func TestReportingInScope(t *testing.T) {
	for only, want := range map[string]bool{"": true, "example.com": true, "other.example": false} {
		s := newSite(t, listen+"[signing]\nrequest_reports = true\n"+signing)
		s.zone = "example.com. IN TXT x\n"
		if only != "" {
			s.only = []string{only}
		}
		found, _ := s.check(t)
		if got := slices.Contains(codes(found), ReportsMissing); got != want {
			t.Errorf("a check of %q finds %v, want %s among them: %v", only, codes(found),
				ReportsMissing, want)
		}
	}
}
