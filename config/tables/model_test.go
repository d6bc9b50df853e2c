package tables

import (
	"fmt"
	"math/rand/v2"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// A second, literal reading of OpenDKIM: it makes the texts that OpenDKIM looks up and compares
// them, one by one, as its manual and its source have it. What the importer makes must give the
// same answers.

var expressions = map[string]*regexp.Regexp{}

// compiled is OpenDKIM's expression for a pattern of a refile.
func compiled(key string) *regexp.Regexp {
	re, ok := expressions[key]
	if !ok {
		re = regexp.MustCompile("(?i)" + Expression(key))
		expressions[key] = re
	}
	return re
}

// find is OpenDKIM's lookup of one text in a data set.
func find(d *Dataset, query string) (Record, bool) {
	for _, r := range d.Records {
		if d.Kind == Refile {
			if compiled(r.Key).MatchString(query) {
				return r, true
			}
		} else if strings.EqualFold(r.Key, query) {
			return r, true
		}
	}
	return Record{}, false
}

// signedBy returns the values of the signing table that OpenDKIM finds for user@domain.
func signedBy(d *Dataset, user, domain string, multiple bool) []string {
	var out []string
	if d.Kind == Refile {
		for _, r := range d.Records {
			if _, ok := find(&Dataset{Spec: d.Spec, Records: []Record{r}}, user+"@"+domain); ok {
				out = append(out, r.Value)
			}
		}
	} else {
		queries := []string{user + "@" + domain, domain}
		for rest := domain; strings.Contains(rest, "."); {
			_, rest, _ = strings.Cut(rest, ".")
			queries = append(queries, user+"@."+rest, "."+rest)
		}
		for _, q := range append(queries, user+"@*", "*") {
			if r, ok := find(d, q); ok {
				out = append(out, r.Value)
			}
		}
	}
	if !multiple && len(out) > 1 {
		out = out[:1]
	}
	return out
}

// fits reports whether a sender is in a pattern of Mailseal's.
func fits(from, user, domain string) bool {
	if from == "*" {
		return true
	}
	local, name, _ := strings.Cut(from, "@")
	if !compiled(local).MatchString(user) {
		return false
	}
	if top, below := strings.CutPrefix(name, "*."); below {
		return strings.HasSuffix(domain, "."+top)
	}
	return name == "*" || name == domain
}

// signs returns the keys and i= tags of the rules that fit, or of the first that does, as "key
// i=tag", each once. Like Mailseal's signer it leaves out an i= tag that is not at or below d=.
func (t *Result) signs(user, domain string, multiple bool) []string {
	var out []string
	for _, r := range t.Rules {
		if !slices.ContainsFunc(r.From, func(f string) bool { return fits(f, user, domain) }) {
			continue
		}
		key, i := strings.ReplaceAll(r.Key, "%", domain),
			strings.ReplaceAll(r.Identifier, "%", domain)
		if _, of, _ := strings.Cut(i, "@"); !within(of, modelDomain(key, domain)) {
			i = ""
		}
		if s := key + " i=" + i; !slices.Contains(out, s) {
			out = append(out, s)
		}
		if !multiple {
			break
		}
	}
	return out
}

// modelDomain is the d= of a key of keyTableOf.
func modelDomain(key, author string) string {
	if slices.Contains([]string{"k2", "k3", "k4"}, key) {
		return "example.com"
	}
	return author
}

var (
	someUsers   = []string{"u", "v", "w", "uv", "u-w", "vuv"}
	someDomains = []string{"com", "example.com", "a.example.com", "b.a.example.com",
		"c.b.a.example.com", "other.com", "a.other.com", "org", "example.org"}
	fileForms   = []string{"U@D", "D", "U@.D", ".D", "U@*", "*", "*@D", "U@*.D", "@D"}
	refileForms = []string{"U@D", "*@D", "*@*.D", "U@*", "*", "*@*", "*.D", "U@*.D", "(u|v)@D",
		"[vw]@*.D", "w?u@D", "D", ".D", "@D", "u*@D", "*V@*.D", "*v*@D", "u*w@*", "*-*@*.D", "V*.D"}
)

// randomTable makes a signing table of n lines with keys that sign for anyone.
func randomTable(r *rand.Rand, k Kind, n int) *Dataset {
	d := &Dataset{Spec: Spec{Kind: k}}
	forms := fileForms
	if k == Refile {
		forms = refileForms
	}
	pick := func(of []string) string { return of[r.IntN(len(of))] }
	for i := range n {
		key := strings.NewReplacer("U", pick(someUsers), "D",
			pick(someDomains)).Replace(pick(forms))
		value := fmt.Sprintf("k%d", r.IntN(5))
		switch r.IntN(9) {
		case 0:
			value = "%"
		case 1:
			value += ":@%"
		case 2:
			value += ":x@example.com"
		case 3:
			value += ":signer@news.%"
		case 4:
			value += ":s%@a.b.%"
		case 5:
			value += ":x@%.example.com"
		}
		d.Records = append(d.Records, Record{Place{"table", i + 1}, key, value})
	}
	return d
}

// keyTableOf has k0 and k1 for the author's domain, k2 to k4 for example.com, and one for each
// domain.
func keyTableOf() *Dataset {
	d := &Dataset{Spec: Spec{Kind: File}}
	for i := range 5 {
		domain := "%"
		if i > 1 {
			domain = "example.com"
		}
		d.Records = append(d.Records, Record{Place{"keys", i + 1}, fmt.Sprintf("k%d", i),
			fmt.Sprintf("%s:s%d:/k", domain, i)})
	}
	for i, name := range someDomains {
		d.Records = append(d.Records, Record{Place{"keys", i + 6}, name, name + ":s:/k"})
	}
	return d
}

func TestSigningTableAgainstModel(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for _, k := range []Kind{File, Refile, List} {
		for _, multiple := range []bool{false, true} {
			signed := 0
			for range 600 {
				st := randomTable(r, k, 1+r.IntN(12))
				tr, err := Translate(Source{Keys: keyTableOf(), Signing: st, Multiple: multiple,
					Dir: "/", TellKey: silently, TellSigning: silently})
				if err != nil {
					t.Fatal(err)
				}
				for _, user := range someUsers {
					for _, domain := range someDomains {
						want := signaturesOf(signedBy(st, user, domain, multiple), domain)
						got := tr.signs(user, domain, multiple)
						if !slices.Equal(got, want) {
							t.Fatalf("%s, multiple %v: %s@%s: got %q, want %q; table %v; rules %+v",
								k, multiple, user, domain, got, want, st.Records, tr.Rules)
						}
						signed += len(got)
					}
				}
			}
			if signed < 1000 {
				t.Errorf("%s: %d signatures: the test looks at nothing", k, signed)
			}
		}
	}
}

// signaturesOf returns the keys that values of a signing table name and the i= tags, each pair
// once. OpenDKIM writes only a tag that is at or below d=.
func signaturesOf(values []string, domain string) []string {
	var out []string
	for _, v := range values {
		name, signer, _ := strings.Cut(v, ":")
		d := modelDomain(name, domain)
		if name == "%" {
			name = domain
		}
		signer = strings.ReplaceAll(signer, "%", domain)
		if _, of, _ := strings.Cut(signer, "@"); of != d && !strings.HasSuffix(of, "."+d) {
			signer = ""
		}
		if s := name + " i=" + signer; !slices.Contains(out, s) {
			out = append(out, s)
		}
	}
	return out
}
