package report

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

var begin = time.Date(2026, 11, 29, 0, 0, 0, 0, time.UTC)

// sample is a report with a row of each kind.
func sample() *Aggregate {
	p := Policy{
		Domain: "example.com", Text: "v=DMARC1; p=reject; t=y; foo=1", P: "reject",
		SP: "quarantine", NP: "reject", ADKIM: "s", ASPF: "r",
		FO: "1:d", Testing: true, Discovery: "treewalk", Notes: []string{`"foo" is ignored: not a DMARC tag`},
	}
	return &Aggregate{
		ID: ID(begin, &p, "reports.example.net", 0), Organization: "Example & Co", Email: "dmarc@reports.example.net",
		Contact: "https://example.net/<contact>", Generator: "mailseal test", Begin: begin,
		End:    begin.Add(24*time.Hour - time.Second),
		Policy: p,
		Rows: []Counted{
			{Count: 12, Evaluation: Evaluation{
				Client: netip.MustParseAddr("192.0.2.1"), Disposition: "none", DKIM: true,
				SPF: true, HeaderFrom: "example.com",
				EnvelopeFrom: "example.com", SPFAuth: &SPFAuth{"example.com", "pass"},
				Signatures: []DKIMAuth{{"example.com", "s1", "pass", true},
					{"other.example", "s2", "permerror", false}},
			}},
			{Count: 1, Evaluation: Evaluation{
				Client: netip.MustParseAddr("2001:db8::7"), Disposition: "none", HeaderFrom: "a.example.com",
				Reasons: []Reason{{"policy_test_mode", ""}, {"local_policy", "this host marks"}},
				SPFAuth: &SPFAuth{"helo.example", "softfail"},
			}},
		},
	}
}

func TestWriteGolden(t *testing.T) {
	got, err := sample().Write()
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join("testdata", "aggregate.xml")
	if os.Getenv("UPDATE") != "" {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	lint(t, map[string][]byte{"sample.xml": got})
}

// TestPassedAsPass holds that the disposition pass of RFC 9990 is written by setting alone.
func TestPassedAsPass(t *testing.T) {
	a := sample()
	for _, asPass := range []bool{false, true} {
		a.PassedAsPass = asPass
		text, err := a.Write()
		if err != nil || bytes.Contains(text, []byte("<disposition>pass</disposition>")) != asPass {
			t.Errorf("by setting %v: %v\n%s", asPass, err, text)
		}
		lint(t, map[string][]byte{"pass.xml": text})
	}
}

// lint asks xmllint whether files have the form of RFC 9990's schema. Without the program it skips,
// unless CI runs it.
func lint(t *testing.T, files map[string][]byte) {
	t.Helper()
	program, err := exec.LookPath("xmllint")
	if err != nil {
		t.Log("xmllint is not here: the schema was not asked")
		return
	}
	dir := t.TempDir()
	args := []string{"--noout", "--nonet", "--schema",
		filepath.Join("testdata", "rfc9990", "dmarc-2.0.xsd")}
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
		args = append(args, path)
	}
	if out, err := exec.CommandContext(t.Context(), program, args...).CombinedOutput(); err != nil {
		t.Errorf("xmllint: %v\n%.2000s", err, out)
	}
}

// TestCheckVectors holds that the checker refuses what the schema cannot see, and takes what is
// right.
func TestCheckVectors(t *testing.T) {
	files, err := filepath.Glob(filepath.Join("testdata", "rfc9990", "*.xml"))
	if err != nil || len(files) < 15 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	blind, good := 0, 0
	for _, path := range files {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		name := filepath.Base(path)
		err = Check(text)
		switch {
		case strings.HasPrefix(name, "xsd-blind-"):
			blind++
			if !errors.Is(err, ErrInvalid) {
				t.Errorf("%s: got %v", name, err)
			}
		case strings.HasPrefix(name, "must-"):
			good++
			if err != nil {
				t.Errorf("%s: got %v", name, err)
			}
		}
	}
	if blind != 7 || good != 2 {
		t.Errorf("%d and %d files", blind, good)
	}
}

// hostile are texts that a sender or a DNS may bring into a field.
var hostile = []string{"", "a.example", `<&"'>`, "\x00\x07\x1b[31m", "\xff\xfe\x80", "]]>",
	strings.Repeat("x", 64<<10), "\u202e\ufffe", "&#0;", "é.example"}

// randomAggregate is a report with anything in it.
func randomAggregate(r *rand.Rand) *Aggregate {
	a := sample()
	pick := func() string { return hostile[r.IntN(len(hostile))] }
	a.Organization, a.Contact, a.Generator = pick(), pick(), pick()
	a.Policy.Notes = []string{pick(), pick(), pick(), pick()}
	a.Policy.FO = pick()
	a.Policy.Testing = r.IntN(2) == 0
	a.Rows = nil
	for range 1 + r.IntN(5) {
		row := Counted{Count: 1 + r.Int64N(1e6), Evaluation: Evaluation{
			Client:      netip.AddrFrom4([4]byte{192, 0, 2, byte(r.IntN(256))}),
			Disposition: []string{"none", "quarantine", "reject"}[r.IntN(3)],
			DKIM:        r.IntN(2) == 0, SPF: r.IntN(2) == 0, HeaderFrom: pick(), EnvelopeFrom: pick(),
			Reasons: []Reason{{"local_policy", pick()}},
		}}
		if r.IntN(2) == 0 {
			row.SPFAuth = &SPFAuth{pick(), pick()}
		}
		for range r.IntN(3) {
			row.Signatures = append(row.Signatures, DKIMAuth{pick(), pick(), pick(), false})
		}
		a.Rows = append(a.Rows, row)
	}
	return a
}

// TestWriteHostile holds that whatever is in a row, the report passes the schema and the checker,
// and no word becomes a pass.
func TestWriteHostile(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	files := map[string][]byte{}
	for n := range 500 {
		a := randomAggregate(r)
		text, err := a.Write()
		if err != nil {
			t.Fatalf("%v\n%+v", err, a)
		}
		if bytes.Contains(text, []byte("<result>pass")) {
			t.Error("a result that is no word became a pass")
		}
		if n < 60 {
			files[fmt.Sprintf("%d.xml", n)] = text
		}
	}
	lint(t, files)
}

// TestID holds that an ID has letters and digits alone, is the same each time, and another one for
// any other report.
func TestID(t *testing.T) {
	p := Policy{Domain: "example.com", Text: "v=DMARC1; p=none", Discovery: "treewalk"}
	other := p
	other.Text += ";"
	below := p
	below.Domain = "a.example.com"
	ids := map[string]bool{}
	for _, id := range []string{
		ID(begin, &p, "r.example", 0), ID(begin, &p, "r.example", 1),
		ID(begin, &other, "r.example", 0), ID(begin, &below, "r.example", 0),
		ID(begin, &p, "r2.example", 0), ID(begin.AddDate(0, 0, 1), &p, "r.example", 0),
	} {
		if !regexp.MustCompile(`^[0-9a-v]{32}$`).MatchString(id) ||
			!strings.HasPrefix(id, "202611") {
			t.Errorf("got %q", id)
		}
		ids[id] = true
	}
	if len(ids) != 6 || ID(begin, &p, "r.example", 0) != ID(begin.Add(time.Hour), &p, "r.example",
		0) {
		t.Errorf("%d different ids", len(ids))
	}
}

// TestRows holds that rows are the same after they were stored, and that damage is found.
func TestRows(t *testing.T) {
	rows := sample().Rows
	slices.SortFunc(rows, func(a, b Counted) int {
		return bytes.Compare(a.AppendKey(nil), b.AppendKey(nil))
	})
	var w RowWriter
	for _, row := range rows {
		w.Add(row.AppendKey(nil), row.Count)
	}
	var got []Counted
	for r := range ReadRows(w.Bytes) {
		row, err := ParseKey(r.Key, r.N)
		if err != nil || KeyPasses(r.Key) != row.Passes() {
			t.Fatalf("%q: passes: %v, %v", r.Key, KeyPasses(r.Key), err)
		}
		got = append(got, row)
	}
	for i := range rows {
		rows[i].Time, rows[i].Policy = time.Time{}, Policy{}
	}
	if !reflect.DeepEqual(got, rows) || int(w.Rows) != len(rows) {
		t.Errorf("got %+v\nwant %+v", got, rows)
	}
	for n := range w.Bytes {
		for r := range ReadRows(w.Bytes[:n]) {
			if _, err := ParseKey(r.Key, r.N); r.Key != nil && err != nil {
				t.Errorf("cut after %d bytes: %v", n, err)
			}
		}
	}
	for _, broken := range []string{"", "{", "\x00\xff\xff\xff\xff\x0f", "\x80\x04none"} {
		if row, err := ParseKey([]byte(broken), 1); !errors.Is(err, ErrRow) {
			t.Errorf("%q: got %+v, %v", broken, row, err)
		}
	}
}

// FuzzReadRows feeds rows that are damaged: reading ends, and what it finds can be read or is
// refused.
func FuzzReadRows(f *testing.F) {
	var w RowWriter
	for _, row := range sample().Rows[:1] {
		w.Add(row.AppendKey(nil), row.Count)
	}
	f.Add(w.Bytes)
	f.Fuzz(func(t *testing.T, stored []byte) {
		for r := range ReadRows(stored) {
			row, err := ParseKey(r.Key, r.N)
			if err == nil && (row.Count < 1 || !row.Client.IsValid()) {
				t.Errorf("got %+v", row)
			}
		}
	})
}

func TestAddresses(t *testing.T) {
	for _, tc := range []struct{ name, uris, want string }{
		{"sizes, schemes and rubbish",
			"mailto:a@x.example,https://x,mailto:b@x.example!10m,mailto:0,mailto:,broken",
			"a@x.example b@x.example"},
		{"twice", "mailto:a@x.example,MAILTO:A@X.example.", "a@x.example"},
		{"percent", "mailto:a%2Bb@x.example", "a+b@x.example"},
		{"IDN", "mailto:a@bücher.example", "a@xn--bcher-kva.example"},
		{"IDN, encoded", "mailto:a@b%C3%BCcher.example", "a@xn--bcher-kva.example"},
		{"addresses of hosts", "mailto:a@[192.0.2.1],mailto:a@192.0.2.1,mailto:a@localhost", ""},
		{"line ends", "mailto:a%0D%0ARCPT@x.example,mailto:a@x.exa%0Ample", ""},
		{"five at most", "mailto:1@x.example,mailto:2@x.example,mailto:3@x.example," +
			"mailto:4@x.example,mailto:5@x.example,mailto:6@x.example",
			"1@x.example 2@x.example 3@x.example 4@x.example 5@x.example"},
		{"a query", "mailto:a@x.example?subject=x", "a@x.example"},
		{"fields in a query", "mailto:a@x.example?bcc=b@y.example&body=x%0d%0aRCPT%20TO:c,mailto:?to=d@x.example",
			"a@x.example"},
		{"several in one", "mailto:a@x.example%2Cb@x.example,mailto:a%20b@x.example,mailto:%3Ca@x.example%3E", ""},
		{"quoted and escaped", "mailto:%22a%20b%22@x.example,mailto:a%40b@x.example," +
			"mailto:a%00@x.example,mailto:%zz@x.example", ""},
		{"other schemes", "http://x.example/,ftp:a@x.example,javascript:a@x.example,mailto;a@x.example", ""},
		{"a size in a host", "mailto:a@x.example!10k,mailto:b@x.example!,mailto:c!d@x.example",
			"a@x.example b@x.example"},
		{"a thousand", strings.Repeat("https://x.example,", 980) + "mailto:late@x.example", ""},
	} {
		var got []string
		for _, a := range Addresses(strings.Split(tc.uris, ",")) {
			got = append(got, a.String())
		}
		if text := strings.Join(got, " "); text != tc.want {
			t.Errorf("%s: got %q, want %q", tc.name, text, tc.want)
		}
	}
}

func FuzzAddresses(f *testing.F) {
	f.Add("mailto:a%2Bb@x.example!10m")
	f.Fuzz(func(t *testing.T, uri string) {
		for _, a := range Addresses([]string{uri}) {
			if strings.ContainsAny(a.String(), "\r\n <>,;\x00") || strings.Count(a.Host, ".") == 0 {
				t.Errorf("%q gives %q", uri, a)
			}
		}
	})
}
