package tables

import (
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// key is a line of a key table.
type key struct {
	Place
	name     string
	domain   string // "%": the author's
	selector string
	path     string // of its file; with "%" when perDomain
	text     string // the key itself, where path is ""
	fault    string // why no mail can be signed with it; "" for none
	useless  bool   // OpenDKIM did sign, but so that no receiver can verify it

	perDomain bool // the file's name holds the author's domain
}

// algorithms that a fourth field may name.
var algorithms = []string{"rsa-sha1", "rsa-sha256", "ed25519-sha256"}

// parseKey reads the value of a line of a key table; dir is the directory that relative file names
// start from.
func parseKey(rec Record, dir string, tell Tell) key {
	k := key{Place: rec.Place, name: rec.Key}
	fields := strings.SplitN(rec.Value, ":", 3)
	if len(fields) < 3 || slices.Contains(fields, "") {
		k.fault = "it needs domain:selector:key"
		return k
	}
	k.domain, k.selector = k.trim(fields[0], tell), k.trim(fields[1], tell)
	data := fields[2]
	if i := strings.LastIndexByte(data, ':'); i >= 0 && slices.Contains(algorithms, data[i+1:]) {
		tell("key-fourth-field", rec.Place, rec.Key, data[i+1:])
		data = data[:i]
	}
	k.data(data, dir, tell)
	switch {
	case k.domain != "%" && IsDomain(strings.ToLower(k.domain)) && !strings.Contains(k.domain, "."):
		k.fault, k.useless = fmt.Sprintf("it signs as d=%s: no receiver can verify it, because a "+
			"domain needs two labels (RFC 6376 section 3.5)", k.domain), true
	case k.domain != "%" && !IsDomain(strings.ToLower(k.domain)):
		k.fault, k.useless = fmt.Sprintf("it signs as d=%s: no receiver can verify it, because "+
			"%% stands for the author's domain only if it is the whole value", k.domain), true
	case !IsDomain(strings.ToLower(k.selector) + ".x"):
		k.fault, k.useless = fmt.Sprintf("it signs with s=%s: no receiver can verify it, because "+
			"%% has no meaning there", k.selector), true
	}
	k.domain, k.selector = strings.ToLower(k.domain), strings.ToLower(k.selector)
	k.checkName(tell)
	return k
}

// checkName finds a key that is called as one record and signs as another.
func (k *key) checkName(tell Tell) {
	selector, domain, isRecord := strings.Cut(strings.ToLower(k.name), "._domainkey.")
	if k.fault != "" || !isRecord || selector == k.selector && (domain == k.domain ||
		k.domain == "%") {
		return
	}
	tell("key-name-differs", k.Place, k.name, k.selector+"._domainkey."+k.domain)
}

// trim takes off blanks that OpenDKIM writes into the signature, where they do not count.
func (k *key) trim(s string, tell Tell) string {
	out := strings.TrimSpace(s)
	if out != s {
		tell("key-blanks", k.Place, k.name, out)
	}
	return out
}

// data settles where the key is. Only "/", "./" and "../" begin a file's name, and only behind "/"
// "%" is replaced.
func (k *key) data(data, dir string, tell Tell) {
	switch {
	case strings.HasPrefix(data, "/") && strings.Contains(data, "%"):
		k.path = data
		if k.perDomain = k.domain == "%"; !k.perDomain {
			k.path = strings.ReplaceAll(data, "%", k.domain)
			tell("key-file-of-domain", k.Place, k.name, k.path)
		}
	case strings.HasPrefix(data, "/"):
		k.path = data
	case strings.HasPrefix(data, "./"), strings.HasPrefix(data, "../"):
		k.path = filepath.Join(dir, data)
		if strings.Contains(data, "%") {
			tell("key-file-percent", k.Place, k.name, k.path)
		}
	default:
		k.text = data
		if !strings.HasPrefix(data, "MII") && !strings.Contains(data, "/") {
			tell("key-inline-kind", k.Place, k.name)
		}
		if strings.Contains(data, "/") && strings.Contains(data, ".") ||
			strings.HasPrefix(strings.TrimSpace(data), "/") {
			tell("key-inline-file", k.Place, k.name, data)
		}
	}
}

// keyTable is a key table, read.
type keyTable struct {
	*Dataset
	dir  string
	tell Tell
	keys map[string]key // by name as it stands; a refile's by the names that were looked up
	list []key
}

func newKeyTable(d *Dataset, dir string, tell Tell) *keyTable {
	t := &keyTable{Dataset: d, dir: dir, tell: tell, keys: map[string]key{}}
	if d.Kind == Refile {
		return t
	}
	for _, rec := range d.Records {
		if before, twice := t.keys[rec.Key]; twice {
			tell("key-twice", rec.Place, rec.Key, before.Line)
			continue
		}
		k := parseKey(rec, dir, tell)
		t.keys[rec.Key] = k
		t.list = append(t.list, k)
	}
	return t
}

// find looks a name up as OpenDKIM does, upper and lower case apart.
func (t *keyTable) find(name string) (key, bool) {
	if k, ok := t.keys[name]; ok || t.Kind != Refile {
		return k, ok
	}
	for _, rec := range t.Records {
		re, err := regexp.Compile(Expression(rec.Key))
		if err != nil || !re.MatchString(name) {
			continue
		}
		k := parseKey(Record{rec.Place, name, rec.Value}, t.dir, t.tell)
		t.keys[name] = k
		t.list = append(t.list, k)
		return k, true
	}
	return key{}, false
}

// domainsOf returns the domains for which there is a file of the name in path, where "%" is the
// domain.
func domainsOf(path string, glob func(string) []string) []string {
	parts := strings.Split(path, "%")
	for i, p := range parts {
		parts[i] = regexp.QuoteMeta(p)
	}
	re, err := regexp.Compile("^" + strings.Join(parts, "([^/]+)") + "$")
	if err != nil {
		return nil
	}
	var out []string
	escaped := strings.NewReplacer(`*`, `\*`, `?`, `\?`, `[`, `\[`, `\`, `\\`, "%",
		"*").Replace(path)
	for _, name := range glob(escaped) {
		m := re.FindStringSubmatch(name)
		if len(m) < 2 || !IsDomain(m[1]) ||
			slices.ContainsFunc(m[1:], func(s string) bool { return s != m[1] }) {
			continue
		}
		out = append(out, m[1])
	}
	slices.Sort(out)
	return slices.Compact(out)
}
