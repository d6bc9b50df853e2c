package check

import (
	"os"
	"slices"
	"strings"
	"testing"

	"mailseal/keys"
)

// testLabelRemedy has a key table that calls its entry as the record, and gives it another
// selector.
func testLabelRemedy(t *testing.T, executed map[remedyOf]bool) {
	record, err := testKey().Record(keys.RecordOptions{})
	if err != nil {
		t.Fatal(err)
	}
	table := func(s *site) {
		s.write(t, "keys", "s._domainkey.example.com example.com:default:"+s.path("s.pem")+"\n",
			0o644)
		s.write(t, "signing", "example.com s._domainkey.example.com\n", 0o644)
	}
	for _, tt := range []struct {
		name, toml string
		file       string // in which the selector is corrected
	}{
		{"a key table", listen + "key_table = \"file:keys\"\nsigning_table = \"file:signing\"\n", "keys"},
		{"mailseal.toml", listen + strings.Replace(signing, "file = ",
			"selector = \"default\"\nfile = ", 1), "mailseal.toml"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newSite(t, tt.toml)
			table(s)
			s.zone = record.Line() + "\n"
			found, _ := s.check(t)
			i := slices.IndexFunc(found, func(f Finding) bool { return f.Code == DNSLabel })
			if i < 0 || slices.Contains(codes(found), DNSMissing) ||
				!slices.Contains(codes(found), ConfigWarning) {
				t.Fatalf("got %v, want %s and a warning of the configuration", found, DNSLabel)
			}
			// write the selector s in place of default
			words := strings.Fields(found[i].Fix.String())
			text, err := os.ReadFile(s.path(tt.file))
			if err != nil {
				t.Fatal(err)
			}
			s.write(t, tt.file, strings.Replace(string(text), words[len(words)-1], words[3], 1),
				0o640)
			executed[remedyOf{DNSLabel, found[i].Fix.Kind}] = true
			if found, _ = s.check(t); len(found) > 0 {
				t.Errorf("got %v after all was mended", found)
			}
		})
	}
}

// TestDomainsOfAnyAuthor holds that a key which signs as the author's domain is compared at the
// domains that are asked for.
func TestDomainsOfAnyAuthor(t *testing.T) {
	record, err := testKey().Record(keys.RecordOptions{})
	if err != nil {
		t.Fatal(err)
	}
	any := listen + "[keys.k]\ndomain = \"%\"\nselector = \"s\"\nfile = " +
		"\"s.pem\"\n[[sign]]\nfrom = \"*\"\nkeys = \"k\"\n"
	for _, tt := range []struct {
		name, toml string
		only       []string
		want       []Code
		records    int
	}{
		{"published", any, []string{"example.com"}, []Code{}, 1},
		{"published for one of two", any, []string{"example.com", "example.net"}, []Code{DNSMissing}, 2},
		{"nothing signs for it", listen + signing, []string{"example.net"}, []Code{DNSNobody}, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newSite(t, tt.toml)
			s.zone, s.only = record.Line()+"\n", tt.only
			found, r := s.check(t)
			if got := codes(found); !slices.Equal(got, tt.want) || len(r.Records) != tt.records {
				t.Errorf("got %v and %d records, want %v and %d: %v", got, len(r.Records), tt.want,
					tt.records, found)
			}
		})
	}
}

// TestLabelThatIsPublished holds that a key which is published where its signatures say is good,
// whatever other names it is published under.
func TestLabelThatIsPublished(t *testing.T) {
	k := testKey()
	record, err := k.Record(keys.RecordOptions{})
	if err != nil {
		t.Fatal(err)
	}
	k.Selector = "default"
	own, err := k.Record(keys.RecordOptions{})
	if err != nil {
		t.Fatal(err)
	}
	s := newSite(t, listen+strings.Replace(signing, "file = ", "selector = \"default\"\nfile = ",
		1))
	for _, tt := range []struct {
		name, zone string
		want       Code
	}{
		{"under the name of its entry only", record.Line(), DNSLabel},
		{"under both", record.Line() + "\n" + own.Line(), ""},
		{"nowhere", "x. IN TXT \"y\"", DNSMissing},
	} {
		s.zone = tt.zone + "\n"
		found, _ := s.check(t)
		got := slices.DeleteFunc(codes(found), func(c Code) bool { return c == ConfigWarning })
		if tt.want == "" && len(got) > 0 || tt.want != "" && !slices.Contains(got, tt.want) ||
			len(got) > 1 {
			t.Errorf("%s: got %v, want %q", tt.name, got, tt.want)
		}
	}
}
