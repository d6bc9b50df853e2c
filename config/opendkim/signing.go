package opendkim

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"mailseal/config/tables"
)

// signing translates who signs with which key.
func (im *importer) signing() {
	if !im.signs() {
		return
	}
	_, key := im.conf.get("KeyTable")
	_, table := im.conf.get("SigningTable")
	e, simple := im.conf.get("Domain")
	switch {
	case key && table:
		im.tables()
		for _, name := range []string{"Domain", "KeyFile", "Selector"} {
			if e, ok := im.conf.get(name); ok {
				im.note("simple-beside-tables", e)
			}
		}
	case key || table:
		im.fail(place{}, errors.New("KeyTable and SigningTable need each other"))
	case simple:
		im.simple(e)
	default:
		im.unset("nothing-to-sign-with", "Domain")
	}
}

// tables translates KeyTable and SigningTable.
func (im *importer) tables() {
	ke, kt := im.openSet("KeyTable")
	se, st := im.openSet("SigningTable")
	if kt == nil || st == nil {
		im.elsewhere(ke, se)
		return
	}
	multiple, several := im.conf.yes("MultipleSignatures")
	t, err := tables.Translate(tables.Source{
		Keys:        kt,
		Signing:     st,
		Multiple:    several,
		Compare:     true,
		Dir:         im.dir,
		Glob:        im.files.Glob,
		TellKey:     im.teller(ke),
		TellSigning: im.teller(se),
	})
	if err != nil {
		im.fail(se.place, err)
		return
	}
	im.note("keys", ke, count(len(t.Keys), "key"), tables.Prose(asTheyAre(ke, se, kt, len(t.Keys))))
	im.note("rules", se, count(len(st.Records), "line"), count(len(t.Rules), "rule"))
	for _, k := range t.Keys {
		im.writeKey(k)
	}
	for _, r := range t.Rules {
		im.writeRule(r)
	}
	if several {
		im.multiple(multiple, t)
	}
}

// multiple has all rules that fit a sender sign, and lists the signatures that OpenDKIM loses when
// there are more than two.
func (im *importer) multiple(e entry, t *tables.Result) {
	s := im.out.table("[signing]")
	s.set("match", "all", base(e.place))
	s.set("on_key_error", "tempfail", "as OpenDKIM; \"skip\" signs with the keys that work")
	im.note("multiple", e)
	for _, a := range t.Additions {
		im.note("multiple-lost", e, a.From, tables.Shorten(a.Keys))
	}
	if t.Crossing {
		im.note("multiple-lost-crossing", e)
	}
}

// asTheyAre advises those who have long tables, which a program may write.
func asTheyAre(ke, se entry, kt *tables.Dataset, keys int) string {
	const long = 100
	if keys < long || kt.Kind == tables.List {
		return ""
	}
	return fmt.Sprintf("; in place of [keys] and [[sign]], key_table = %s and signing_table = %s "+
		"read the tables as they are, at every reload", quote(ke.value), quote(se.value))
}

func (im *importer) writeKey(k tables.Key) {
	t := im.out.add("[keys."+quote(k.Name)+"]", sourceOf([]place{k.Place})+fault(k.Fault))
	t.set("domain", k.Domain, "")
	t.set("selector", k.Selector, "")
	if k.File != "" {
		t.set("file", k.File, "")
	} else {
		t.set("private_key", k.Text, "")
	}
}

func fault(s string) string {
	if s == "" {
		return ""
	}
	return ": " + s
}

func (im *importer) writeRule(r tables.Rule) {
	t := im.out.add("[[sign]]", sourceOf(r.Places))
	t.set("from", r.From, "")
	t.set("keys", []string{r.Key}, "")
	if r.Identifier != "" {
		t.set("identifier", r.Identifier, "")
	}
	if r.Unsigned {
		t.set("on_key_error", "accept",
			"goes unsigned: no receiver could verify what OpenDKIM signs here")
	}
}

// sourceOf names a few of the lines that something comes from.
func sourceOf(places []place) string {
	var out []string
	for _, p := range places {
		if s := base(p); !slices.Contains(out, s) {
			out = append(out, s)
		}
	}
	return tables.Shorten(out)
}

// simple translates Domain, KeyFile, Selector and SubDomains.
func (im *importer) simple(e entry) {
	_, d := im.openSet("Domain")
	file, okFile := im.conf.get("KeyFile")
	selector, okSelector := im.conf.get("Selector")
	if d == nil {
		return
	}
	if !okFile || !okSelector {
		im.fail(e.place, fmt.Errorf("%s needs KeyFile and Selector", e.name))
		return
	}
	sub, below := im.conf.yes("SubDomains")
	all := false
	var names []string
	for _, r := range d.Records {
		name := strings.ToLower(r.Key)
		switch {
		case name == "*":
			all = true
		case tables.IsDomain(name) && !strings.Contains(name, "."):
			im.noteAt("domain-one-label", r.Place, e.name, r.Key)
		case !tables.IsDomain(name):
			im.noteAt("domain-glob-never", r.Place, e.name, r.Key)
		case !slices.Contains(names, name):
			names = append(names, name)
		}
	}
	im.note("simple-domains", e, count(len(names), "domain"))
	im.note("simple-key", file, im.resolve(file.value))
	im.note("simple-selector", selector, selector.value)
	for _, n := range names {
		im.simpleKey(e, n, selector.value, im.resolve(file.value))
		im.writeRule(tables.Rule{From: []string{"*@" + n}, Key: selector.value + "._domainkey." + n,
			Places: []place{e.place}})
	}
	if all {
		im.simpleKey(e, "%", selector.value, im.resolve(file.value))
		im.writeRule(tables.Rule{From: []string{"*"}, Key: "author", Places: []place{e.place}})
		im.note("local-unsigned", e)
		im.note("simple-everybody", e)
		return
	}
	if !below {
		return
	}
	slices.SortStableFunc(names, func(a,
		b string) int {
		return strings.Count(b, ".") - strings.Count(a, ".")
	})
	for _, n := range names {
		key := selector.value + "._domainkey." + n
		im.writeRule(tables.Rule{From: []string{"*@*." + n}, Key: key, Identifier: "@" + n,
			Places: []place{sub.place}})
	}
	im.note("simple-subdomains", sub)
}

func (im *importer) simpleKey(e entry, domain, selector, file string) {
	name := selector + "._domainkey." + domain
	if domain == "%" {
		name = "author"
	}
	im.writeKey(tables.Key{Place: e.place, Name: name, Domain: domain,
		Selector: strings.ToLower(selector), File: file})
}
