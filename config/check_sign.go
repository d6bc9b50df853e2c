package config

import (
	"maps"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
)

// checkKeys finds out each key's domain and selector, and that it has one place to come from.
func (c *checker) checkKeys() {
	for _, name := range slices.Sorted(maps.Keys(c.Keys)) {
		k := c.Keys[name]
		// whose answer says more
		if selector, domain, ok := strings.Cut(name, "._domainkey."); ok && !k.has("source") {
			c.fromName(&k, selector, domain)
		}
		if strings.Contains(k.File, "%") {
			c.perDomain(name, &k)
		}
		if k.has("source") {
			c.checkSource(k.placed, k.Source)
		} else {
			for _, needed := range []struct{ name, value string }{{"domain", k.Domain},
				{"selector", k.Selector}} {
				if needed.value == "" && !k.has(needed.name) {
					c.problem(k.at, "needs %s, or a name of the form selector._domainkey.domain",
						needed.name)
				}
			}
		}
		c.onePlace(k)
		c.checkIdentifier(k.placed, k.Identifier, k.Domain)
		c.Keys[name] = k
	}
}

// perDomain checks a key whose file has "%" in its path. The "%" is replaced by the key's
// domain if it has one, else by the author's domain, as in the key tables of OpenDKIM.
func (c *checker) perDomain(name string, k *Key) {
	if k.Domain == "" && !k.has("domain") {
		k.Domain = "%"
	}
	if k.Domain != "%" && k.Domain != "" {
		k.File = strings.ReplaceAll(k.File, "%", k.Domain)
		return
	}
	if c.Seal.Key == name {
		c.problem(k.at.key("file"), "has %% for the author's domain, but seal.key names this "+
			"key: a seal needs a key of one domain")
	}
}

// IsPerDomain reports whether the file of a key has "%" in its path: each author's domain has its
// own, or none.
func (k Key) IsPerDomain() bool { return strings.Contains(k.File, "%") }

func (c *checker) fromName(k *Key, selector, domain string) {
	s, err := parseSelector(selector)
	switch {
	case err != nil:
	case !k.has("selector"):
		k.Selector = s
	case k.Selector != s && k.Selector != "":
		c.warn(k.at.key("selector"), "is %q, but the key is called %s._domainkey.%s: signatures "+
			"name %s._domainkey.%s, and the record must be there",
			k.Selector, selector, domain, k.Selector, domain)
	}
	if d, err := parseDomainOrAuthor(domain); err == nil && !k.has("domain") {
		k.Domain = d
	}
}

func (c *checker) onePlace(k Key) {
	var have []string
	for _, name := range []string{"file", "private_key", "source"} {
		if k.has(name) {
			have = append(have, name)
		}
	}
	switch len(have) {
	case 0:
		c.problem(k.at, "needs file, private_key or source")
	case 1:
	default:
		c.problem(k.at, "has %s; one is enough", strings.Join(have, " and "))
	}
}

func (c *checker) checkSource(user placed, name string) {
	if _, ok := c.Sources[name]; !ok && name != "" {
		c.problem(user.at.key("source"), "there is no source %q%s", name,
			c.guess.nearest(name, maps.Keys(c.Sources)))
	}
}

// checkSources wants of each source what its driver needs, and nothing that it would not look at.
func (c *checker) checkSources() {
	web, secured := []string{"url", "token_file"}, []string{"client_certificate", "client_key",
		"ca_file"}
	sql := []string{"dsn", "key_query", "signing_query", "list_query"}
	for _, name := range slices.Sorted(maps.Keys(c.Sources)) {
		s := c.Sources[name]
		needed, foreign := []string{"dsn", "key_query"}, slices.Concat(web, secured)
		switch {
		case s.Driver == "" && !s.has("driver"):
			c.problem(s.at, "needs driver: \"postgres\", \"mysql\", \"sqlite\" or \"http\"")
			continue
		case s.Driver == "":
			continue
		case s.Driver == "http":
			needed, foreign = []string{"url"}, sql
		case s.Driver == "mysql":
			foreign = web
		}
		if s.Driver == "sqlite" && s.at.file != nil {
			s.DSN = Secret(absoluteFile(s.at.file.dir, string(s.DSN)))
			c.Sources[name] = s
		}
		for _, n := range needed {
			if !s.has(n) {
				c.problem(s.at, "needs %s, since its driver is %s", n, s.Driver)
			}
		}
		for _, n := range foreign {
			if s.has(n) {
				c.problem(s.at.key(n), "is not used by the driver %s", s.Driver)
			}
		}
		if s.has("client_certificate") != s.has("client_key") {
			c.problem(s.at, "needs client_certificate and client_key, or neither")
		}
	}
}

// absoluteFile hangs the file of a SQLite database, a name or a URI, on a directory, as other paths
// are.
func absoluteFile(dir, dsn string) string {
	path, isURI := strings.CutPrefix(dsn, "file:")
	if path == "" || filepath.IsAbs(path) || strings.HasPrefix(path, ":") ||
		isURI && strings.HasPrefix(path, "//") {
		return dsn
	}
	scheme := strings.TrimSuffix(dsn, path)
	return scheme + filepath.Join(dir, path)
}

// signingPlace is what fields() of [signing] call placed: which of its options a file sets.
func (c *checker) signingPlace() placed {
	p := placed{at: c.place("signing"), given: map[string]bool{}}
	for name := range fieldsOf(reflect.TypeFor[SignOptions]()) {
		p.given[name] = c.isSet("signing." + name)
	}
	return p
}

// checkSigning resolves the lists of fields of [signing] against the defaults.
func (c *checker) checkSigning() {
	p := c.signingPlace()
	c.resolveFields(p, &c.Signing.SignOptions, fresh().Signing.SignOptions)
	c.checkIdentifier(p, c.Signing.Identifier, "")
}

// checkRules gives rules what they leave to [signing], and finds those that cannot work.
func (c *checker) checkRules() {
	covered := map[string]place{}
	for i := range c.Sign {
		r := &c.Sign[i]
		c.inherit(r)
		c.checkRuleKeys(r)
		if r.From == nil && !r.has("from") {
			if r.has("keys") || r.has("managed") || !r.has("source") {
				c.problem(r.at, "needs from: the authors for whom it signs")
			}
			r.From = []string{"*"}
		}
		if r.Resign && !r.When.restricts() && r.If == "" && !c.hasProblem(r.at, "when",
			"when.recipients", "when.networks", "when.daemon_names", "when.logins", "when.senders",
			"when.list_ids") {
			c.problem(r.at.key("resign"), "would sign all mail of strangers; it needs if, or "+
				"when, such as when = { recipients = [\"*@lists.example.com\"] }")
		}
		c.checkReach(r, covered)
	}
}

func (w When) any() bool {
	return len(w.Recipients)+len(w.Networks)+len(w.DaemonNames)+len(w.Logins)+len(w.Senders)+
		len(w.ListIDs) > 0
}

// inherit copies the options of [signing] that a rule does not have itself.
func (c *checker) inherit(r *Rule) {
	own := r.SignOptions
	from, to := reflect.ValueOf(&c.Signing.SignOptions).Elem(),
		reflect.ValueOf(&r.SignOptions).Elem()
	for name, f := range fieldsOf(from.Type()) {
		if !r.given[name] {
			to.FieldByIndex(f.index).Set(from.FieldByIndex(f.index))
		}
	}
	if r.has("headers", "oversign", "oversign_if_present") {
		r.Headers, r.Oversign, r.OversignPresent = own.Headers, own.Oversign, own.OversignPresent
		c.resolveFields(r.placed, &r.SignOptions, c.Signing.SignOptions)
	}
}

// mergeActions copies the actions that an override does not have itself: those that are still
// invalid.
func mergeActions[T any](to *T, from T) {
	v, f := reflect.ValueOf(to).Elem(), reflect.ValueOf(from)
	for i := range v.NumField() {
		if v.Field(i).IsZero() {
			v.Field(i).Set(f.Field(i))
		}
	}
}

// checkRuleKeys looks for the keys that a rule names, and whether it may use them for its domain.
func (c *checker) checkRuleKeys(r *Rule) {
	if r.has("managed") {
		c.checkManaged(r)
		return
	}
	if r.has("source") {
		c.checkSource(r.placed, r.Source)
		if s, ok := c.Sources[r.Source]; ok && !r.has("keys") && s.Driver != "http" &&
			s.SigningQuery == "" && !s.has("signing_query") {
			c.problem(r.at, "needs keys: the source %q has no signing_query", r.Source)
		}
		c.checkIdentifier(r.placed, r.Identifier, r.Domain)
		return
	}
	if len(r.Keys) == 0 && !r.has("keys") {
		c.problem(r.at, "needs keys, or managed for those that Mailseal rotates")
	}
	c.checkTwice(r)
	domain := r.Domain
	for i, name := range r.Keys {
		k, ok := c.Keys[name]
		if !ok && name != "" && !strings.Contains(name, "%") {
			c.problem(r.at.key("keys").index(i), "there is no key %q%s", name,
				c.guess.nearest(name, maps.Keys(c.Keys)))
		}
		if ok && k.IsPerDomain() && r.Domain != "" && r.Domain != "%" {
			c.problem(r.at.key("domain"), "is %s for all authors, but key %q is different for "+
				"each author: its file has %% in its path", r.Domain, name)
		}
		if ok && r.Domain == "" {
			domain = k.Domain
			c.warnCatchAll(r, r.at.key("keys").index(i), k)
		}
	}
	c.checkIdentifier(r.placed, r.Identifier, domain)
}

// checkManaged wants no keys from elsewhere beside those that Mailseal keeps: one place says who
// signs.
func (c *checker) checkManaged(r *Rule) {
	for _, other := range []string{"keys", "source"} {
		if r.has(other) {
			c.problem(r.at.key(other), "cannot be combined with managed; write a separate rule")
		}
	}
	domain := r.Domain
	if domain == "" {
		domain = r.Managed
		c.warnCatchAll(r, r.at.key("managed"), Key{Domain: r.Managed})
	}
	c.checkIdentifier(r.placed, r.Identifier, domain)
}

// warnCatchAll finds the accident of signing all mail as one domain, which receivers refuse
// as misaligned.
func (c *checker) warnCatchAll(r *Rule, at place, k Key) {
	if k.Domain == "%" || k.Domain == "" {
		return
	}
	for _, from := range r.From {
		if from == "*" || strings.HasSuffix(from, "@*") {
			c.warn(at, "%q signs mail of all domains as %s, which helps only %s with DMARC "+
				"(domain = \"%%\" signs as the author's domain)", from, k.Domain, k.Domain)
		}
	}
}

// checkIdentifier holds the i= tag to its domain (RFC 6376 section 3.5: equal to d=, or below it).
// The d= domain may not be known yet.
func (c *checker) checkIdentifier(p placed, identifier, domain string) {
	_, of, ok := cutLast(identifier, '@')
	if !ok || strings.Contains(of, "%") || domain == "%" || domain == "" {
		return
	}
	if of == domain || strings.HasSuffix(of, "."+domain) {
		return
	}
	at := p.at.key("identifier")
	if !p.has("identifier") {
		// for the first of the rules that it does not suit; the others are the same mistake
		at = c.place("signing.identifier")
		if c.hasProblem(place{c.main, "signing"}, "identifier") {
			return
		}
	}
	c.problem(at, "%q is not at or below %s, which signs (RFC 6376 section 3.5)", identifier,
		domain)
}

// checkReach finds rules that no message reaches, which is how the order of generated tables goes
// wrong. Covered are the patterns of unconditional rules so far.
func (c *checker) checkReach(r *Rule, covered map[string]place) {
	if c.Signing.Match == MatchAll {
		return
	}
	for i, from := range r.From {
		for _, wider := range []string{"*", from} {
			if before, ok := covered[wider]; ok && from != "" && !r.Resign {
				c.warn(r.at.key("from").index(i), "%q is never used: %s in line %d matches first",
					from, before.path, before.file.line(before.path))
				break
			}
		}
	}
	if r.When.any() || r.If != "" || r.Source != "" && len(r.Keys) == 0 {
		return
	}
	for _, from := range r.From {
		if _, ok := covered[from]; !ok {
			covered[from] = r.at
		}
	}
}
