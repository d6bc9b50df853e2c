package dmarc_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"mailseal/milter/dmarc"
	"mailseal/milter/dns/dnstest"
	"mailseal/milter/domain"
)

// plain is RFC 9989 read word for word and as slow as it likes, without caches and shortcuts,
// against which Check is held.
type plain struct {
	records map[string][]map[string]string // the tags of the records at _dmarc.NAME
	exist   map[string]bool
}

// found is a name of a walk that has exactly one record.
type found struct {
	name string
	tags map[string]string
}

// walk is section 4.10, steps 1 to 8.
func (p plain) walk(start string) (all []found, queries int) {
	labels := strings.Split(start, ".")
	for len(labels) > 0 {
		name := strings.Join(labels, ".")
		queries++
		if rs := p.records[name]; len(rs) == 1 {
			all = append(all, found{name, rs[0]})
			if psd := rs[0]["psd"]; psd == "n" || psd == "y" {
				break
			}
		}
		if len(labels) < 8 {
			labels = labels[1:]
		} else {
			labels = labels[len(labels)-7:]
		}
	}
	return all, queries
}

// organizational is section 4.10.2.
func (p plain) organizational(start string) string {
	all, _ := p.walk(start)
	for _, f := range all {
		if f.tags["psd"] == "n" {
			return f.name
		}
	}
	for _, f := range all {
		if f.tags["psd"] == "y" && f.name != start {
			above, labels := strings.Count(f.name, ".")+1, strings.Split(start, ".")
			return strings.Join(labels[len(labels)-above-1:], ".")
		}
	}
	if len(all) == 0 {
		return start
	}
	return all[len(all)-1].name
}

// policy is section 4.10.1: whose record applies, and what it asks for; "" for no DMARC processing.
func (p plain) policy(author string) (record map[string]string, wish string) {
	all, _ := p.walk(author)
	var at string
	for _, name := range []string{author, p.organizational(author)} {
		for _, f := range all {
			if record == nil && f.name == name {
				record, at = f.tags, name
			}
		}
	}
	if n := len(all); record == nil && n > 0 && all[n-1].tags["psd"] == "y" {
		record, at = all[n-1].tags, all[n-1].name
	}
	return record, p.wish(record, at == author, author)
}

// wish is section 4.7: p, sp and np with their defaults, and what stands for them when one is not
// valid.
func (p plain) wish(record map[string]string, own bool, author string) string {
	if record == nil {
		return ""
	}
	for _, tag := range []string{"p", "sp", "np"} {
		value, present := record[tag]
		valid := slices.Contains([]string{"none", "quarantine", "reject"}, value)
		if !valid && (present || tag == "p") {
			if record["rua"] == "" {
				return ""
			}
			return "none"
		}
	}
	wish := record["p"]
	if own {
		return wish
	}
	if record["sp"] != "" {
		wish = record["sp"]
	}
	if record["np"] != "" && !p.exist[author] {
		wish = record["np"]
	}
	return wish
}

// verdict is sections 4.4 and 5.3.5: the result and what is to become of the message.
func (p plain) verdict(author, spf, dkim string) string {
	record, wish := p.policy(author)
	if record == nil {
		return "none"
	}
	if wish == "" {
		return "permerror"
	}
	for _, id := range []struct{ name, mode string }{{spf, record["aspf"]},
		{dkim, record["adkim"]}} {
		if id.name == author || id.name != "" && id.mode != "s" &&
			p.organizational(id.name) == p.organizational(author) {
			return "pass"
		}
	}
	if record["t"] == "y" {
		wish = map[string]string{"reject": "quarantine"}[wish]
	}
	if wish == "" {
		wish = "none"
	}
	return "fail -> " + wish
}

// names are of one tree, with both sides of the shortcut in it.
var names = []string{"test", "x.test", "y.x.test", "org.test", "a.org.test", "b.org.test",
	"c.a.org.test", "d.c.a.org.test",
	"3.4.5.a.org.test", "2.3.4.5.a.org.test", "1.2.3.4.5.a.org.test", "0.1.2.3.4.5.a.org.test",
	"z.0.1.2.3.4.5.a.org.test"}

// arrange makes up records, the same in p and in a zone.
func arrange(r *rand.Rand) (p plain, z *dnstest.Zone) {
	p, z = plain{records: map[string][]map[string]string{}, exist: map[string]bool{}},
		&dnstest.Zone{}
	maybe := func(in int) bool { return r.IntN(in) == 0 }
	for _, name := range names {
		for range r.IntN(8) / 6 * (1 + r.IntN(8)/7) { // mostly none, sometimes two
			tags := map[string]string{}
			for _, t := range []struct {
				name   string
				in     int
				values string
			}{
				{"p", 1, "none quarantine reject reject reject x"},
				{"sp", 3, "none quarantine reject"},
				{"np", 3, "none quarantine reject reject ."},
				{"psd", 4, "y n u"},
				{"t", 5, "y n"},
				{"aspf", 5, "r s"},
				{"adkim", 5, "r s"},
				{"rua", 3, "mailto:a@org.test"},
			} {
				if values := strings.Fields(t.values); maybe(t.in) {
					tags[t.name] = values[r.IntN(len(values))]
				}
			}
			p.records[name] = append(p.records[name], tags)
			text := "v=DMARC1"
			for tag, value := range tags {
				text += "; " + tag + "=" + value
			}
			z.AddTXT("_dmarc."+name, text)
			p.occupy(name)
		}
		if maybe(2) {
			z.AddTXT(name, "here")
			p.occupy(name)
		}
	}
	return p, z
}

// occupy makes a name exist, and those above it.
func (p plain) occupy(name string) {
	for above := name; above != ""; _, above, _ = strings.Cut(above, ".") {
		p.exist[above] = true
	}
}

// TestPlain holds Check against the plain reading, over zones in which much comes together that
// seldom does.
func TestPlain(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	seen := map[string]int{}
	for i := range 5000 {
		p, z := arrange(r)
		pick := func() string { return names[r.IntN(len(names))] }
		author, spf, dkim := pick(), pick(), pick()
		checker := dmarc.Checker{Resolver: z}
		got := checker.Check(t.Context(), []dmarc.Author{{Domain: domain.Name(author)}},
			ids("spf "+spf+", dkim "+dkim))
		text := string(got.Value)
		if got.Value == dmarc.Fail {
			text += " -> " + string(got.Disposition)
		}
		want := p.verdict(author, spf, dkim)
		seen[want]++
		if text != want {
			t.Fatalf("case %d, %s with spf=%s dkim=%s:\n got %s (%s)\nwant %s\n%v", i, author, spf,
				dkim, text, got.Reason, want, p.records)
		}
		if _, queries := p.walk(author); queries > 8 || len(got.Walks[0].Steps) > queries {
			t.Fatalf("case %d: %d steps from %s, want at most %d", i, len(got.Walks[0].Steps),
				author, queries)
		}
	}
	if len(seen) != 6 {
		t.Errorf("the cases came to %s only", fmt.Sprint(seen))
	}
}
