package opendkim

import (
	"errors"
	"fmt"
	"slices"
	"strings"
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
				im.note(Never, e, "is not looked at beside KeyTable")
			}
		}
	case key || table:
		im.fail(place{}, errors.New("KeyTable and SigningTable need each other"))
	case simple:
		im.simple(e)
	default:
		im.unset(Changed, "Domain", "neither Domain nor SigningTable is set: there is nothing to sign with")
	}
}

// tables translates KeyTable and SigningTable.
func (im *importer) tables() {
	ke, kt := im.openSet("KeyTable")
	se, st := im.openSet("SigningTable")
	if kt == nil || st == nil {
		return
	}
	multiple, several := im.conf.yes("MultipleSignatures")
	t, err := translate(kt, st, several, im.dir, im.files.glob, im.teller(ke), im.teller(se))
	if err != nil {
		im.fail(se.place, err)
		return
	}
	im.note(Taken, ke, "%s%s", count(len(t.keys), "key"), asTheyAre(ke, se, kt, len(t.keys)))
	im.note(Taken, se, "%s became %s, in the order in which OpenDKIM looks senders up", count(len(st.records), "line"), count(len(t.rules), "rule"))
	for _, k := range t.keys {
		im.writeKey(k)
	}
	for _, r := range t.rules {
		im.writeRule(r)
	}
	if several {
		im.note(Taken, multiple, "all lines that fit a sender sign")
	}
	im.newlySigned(multiple, t)
}

// asTheyAre advises those who have long tables, which a program may write.
func asTheyAre(ke, se entry, kt *dataset, keys int) string {
	const long = 100
	if keys < long || kt.kind == list {
		return ""
	}
	return fmt.Sprintf("; in place of [keys] and [[sign]], key_table = %s and signing_table = %s read the tables as they are, at every reload", quote(ke.value), quote(se.value))
}

// newlySigned lists the signatures that OpenDKIM loses when there are more than two.
func (im *importer) newlySigned(e entry, t *translation) {
	for _, r := range t.rules {
		if len(r.lost) > 0 {
			im.note(Changed, e, "OpenDKIM up to 2.11 makes the first and the last of several signatures only: mail from %s gets those of %s too", shorten(r.from), shorten(r.lost))
		}
	}
}

func (im *importer) writeKey(k outKey) {
	t := im.out.add("[keys."+quote(k.name)+"]", sourceOf([]place{k.place})+fault(k.fault))
	t.set("domain", k.domain, "")
	t.set("selector", k.selector, "")
	if k.file != "" {
		t.set("file", k.file, "")
	} else {
		t.set("private_key", k.text, "")
	}
	if k.identifier != "" {
		t.set("identifier", k.identifier, "")
	}
}

func fault(s string) string {
	if s == "" {
		return ""
	}
	return ": " + s
}

func (im *importer) writeRule(r outRule) {
	t := im.out.add("[[sign]]", sourceOf(r.places))
	t.set("from", r.from, "")
	t.set("keys", r.keys, "")
	if r.identifier != "" {
		t.set("identifier", r.identifier, "")
	}
	switch {
	case r.unsigned:
		t.set("on_key_error", "accept", "goes unsigned: nobody could verify what OpenDKIM signs here")
	case len(r.keys) > 1:
		t.set("on_key_error", "tempfail", "as OpenDKIM; \"skip\" signs with the keys that work")
	}
}

// sourceOf names a few of the lines that something comes from.
func sourceOf(places []place) string {
	var out []string
	for _, p := range places {
		if s := p.base(); !slices.Contains(out, s) {
			out = append(out, s)
		}
	}
	return shorten(out)
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
		im.fail(e.place, errors.New("Domain needs KeyFile and Selector"))
		return
	}
	sub, below := im.conf.yes("SubDomains")
	all := false
	var names []string
	for _, r := range d.records {
		name := strings.ToLower(r.key)
		switch {
		case name == "*":
			all = true
		case isDomain(name) && !strings.Contains(name, "."):
			im.noteAt(Changed, r.place, e.name, "%s goes unsigned: a signature of a domain of one label cannot be verified (RFC 6376 section 3.5)", r.key)
		case !isDomain(name):
			im.noteAt(Never, r.place, e.name, "%s never matched: names are compared whole; SubDomains yes signs for those below", r.key)
		case !slices.Contains(names, name):
			names = append(names, name)
		}
	}
	im.note(Taken, e, "%s", count(len(names), "domain"))
	im.note(Taken, file, "the key of all of them: %s", im.resolve(file.value))
	im.note(Taken, selector, "%s", selector.value)
	for _, n := range names {
		im.simpleKey(e, n, selector.value, im.resolve(file.value))
		im.writeRule(outRule{from: []string{"*@" + n}, keys: []string{selector.value + "._domainkey." + n}, places: []place{e.place}})
	}
	if all {
		im.simpleKey(e, "%", selector.value, im.resolve(file.value))
		im.writeRule(outRule{from: []string{"*@localhost"}, keys: []string{"author"}, places: []place{e.place}, unsigned: true})
		im.writeRule(outRule{from: []string{"*"}, keys: []string{"author"}, places: []place{e.place}})
		im.note(Changed, e, atLocalhost)
		im.note(Taken, e, "* signs everybody's mail as the author's domain: every one of those must publish the key")
		return
	}
	if !below {
		return
	}
	slices.SortStableFunc(names, func(a, b string) int { return strings.Count(b, ".") - strings.Count(a, ".") })
	for _, n := range names {
		im.writeRule(outRule{from: []string{"*@*." + n}, keys: []string{selector.value + "._domainkey." + n}, identifier: "@" + n, places: []place{sub.place}})
	}
	im.note(Taken, sub, "mail from names below is signed as the domain, with i=@domain")
}

func (im *importer) simpleKey(e entry, domain, selector, file string) {
	name := selector + "._domainkey." + domain
	if domain == "%" {
		name = "author"
	}
	im.writeKey(outKey{name: name, domain: domain, selector: strings.ToLower(selector), file: file, place: e.place})
}
