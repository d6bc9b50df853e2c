package config

import (
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"mailseal/milter/action"
)

// walked calls do for each setting in the tables, with its path and type.
func walked(do func(sec section, s setting, path string, t reflect.Type)) {
	for _, sec := range sections {
		for _, s := range sec.settings {
			path := dotted(sec.path, s.name)
			do(sec, s, path, typeAt(path))
		}
	}
}

// around returns a file in which a setting has a value, as TOML, and everything that its table must
// have.
func around(sec section, s setting, value string) string {
	line := s.name + " = " + value + "\n"
	const key = "[keys.k]\ndomain = \"example.com\"\nselector = \"s\"\nprivate_key = \"x\"\n"
	rule := "[[sign]]\nfrom = \"example.com\"\n"
	header := sec.header + "\n"
	without := func(text string) string {
		var kept []string
		for l := range strings.Lines(text) {
			if !strings.HasPrefix(l, s.name+" =") {
				kept = append(kept, l)
			}
		}
		return strings.Join(kept, "")
	}
	switch sec.path {
	case "":
		return line
	case "listen[]":
		return header + without("address = \"unix:/m\"\n") + line
	case "keys.NAME":
		return "[keys.k]\n" + without(
			"domain = \"example.com\"\nselector = \"s\"\nprivate_key = \"x\"\n") + line
	case "sources.NAME":
		return "[sources.s]\n" + without(
			"driver = \"postgres\"\ndsn = \"x\"\nkey_query = \"SELECT\"\n") + line
	case "sign[]":
		return key + "[[sign]]\n" + without("from = \"example.com\"\nkeys = \"k\"\n") + line
	case "sign[].when":
		return key + rule + "keys = \"k\"\n[sign.when]\n" + line
	case "policy.rules[]":
		return header + without("name = \"r\"\nwhen = \"size > 5\"\naction = \"reject\"\n") + line
	case "policy.override[]":
		return header + without("networks = \"192.0.2.1\"\naction = \"accept\"\n") + line
	}
	return header + line
}

func parseText(text string) (*Config, Problems) {
	if !strings.Contains(text, "authserv_id =") {
		text = "authserv_id = \"mx.example.com\"\n" + text
	}
	c, err := Parse("mailseal.toml", []byte(text))
	ps, _ := err.(Problems)
	return c, ps
}

// problemsOf returns those that are about a setting, or an entry of it.
func problemsOf(ps Problems, name string) (out Problems) {
	at := regexp.MustCompile(`(^|\.)` + regexp.QuoteMeta(name) + `(\[|\.|$)`)
	for _, p := range ps {
		if at.MatchString(p.Path) {
			out = append(out, p)
		}
	}
	return out
}

// TestEmptySettings gives each setting that can be empty nothing: a list, a table, a text. It is a
// mistake on that line, or the table of settings says what it means.
func TestEmptySettings(t *testing.T) {
	tried := 0
	walked(func(sec section, s setting, path string, typ reflect.Type) {
		empty := map[reflect.Kind]string{reflect.Slice: "[]", reflect.Map: "{}",
			reflect.Struct: "{}", reflect.String: `""`}[typ.Kind()]
		if empty == "" || path == "include" { // which needs a file
			return
		}
		tried++
		_, ps := parseText(around(sec, s, empty))
		found := problemsOf(ps, s.name)
		means := s.def == empty || s.empty != "" && typ.Kind() == reflect.Slice
		switch {
		case means && len(found) > 0:
			t.Errorf("%s = %s means something, and is refused: %v", path, empty, found)
		case !means && len(found) == 0:
			t.Errorf("%s = %s passes in silence", path, empty)
		case !means && (found[0].Line == 0 || !strings.Contains(found[0].Text, "empty") &&
			typ.Kind() != reflect.Slice):
			t.Errorf("%s = %s: %v, want the line and that it is empty", path, empty, found[0])
		}
		if typ.Kind() == reflect.Slice && isScalar(typ.Elem()) &&
			typ.Elem().Kind() == reflect.String {
			if _, ps := parseText(around(sec, s, `[""]`)); len(problemsOf(ps, s.name)) == 0 {
				t.Errorf("%s = [\"\"] passes in silence", path)
			}
		}
	})
	t.Logf("%d settings were given nothing", tried)
}

// TestZeroSettings gives each number, size, share and duration 0. It is refused with the smallest
// value allowed, or it is 0, and the table says what that means.
func TestZeroSettings(t *testing.T) {
	tried := 0
	walked(func(sec section, s setting, path string, typ reflect.Type) {
		zero := map[reflect.Kind]string{reflect.Int: "0", reflect.Float64: "0",
			reflect.Int64: "0"}[typ.Kind()]
		if typ == reflect.TypeFor[time.Duration]() {
			zero = `"0s"`
		}
		if zero == "" {
			return
		}
		tried++
		text := around(sec, s, zero)
		if s.name == "drain_hard" { // which holds drain_soft
			text += "drain_soft = \"0s\"\n"
		}
		c, ps := parseText(text)
		found := problemsOf(ps, s.name)
		switch {
		case s.zero == "" && len(found) == 0:
			t.Errorf("%s = %s passes, and the table does not say what it means", path, zero)
		case s.zero == "" && (!strings.Contains(found[0].Text, s.least) ||
			!strings.Contains(found[0].Text, "smallest") || found[0].Line == 0):
			t.Errorf("%s = %s: %v, want the smallest value %s and the line", path, zero, found[0],
				s.least)
		case s.zero != "" && c == nil:
			t.Errorf("%s = %s means %q, and is refused: %v", path, zero, s.zero, ps)
		case s.zero != "" && !strings.Contains(path, "NAME") &&
			!reflect.ValueOf(settingValue(c, path)).IsZero():
			t.Errorf("%s = %s is %v", path, zero, settingValue(c, path))
		}
		if typ.Kind() != reflect.Float64 && typ != reflect.TypeFor[time.Duration]() {
			if _, ps := parseText(around(sec, s, "-1")); len(problemsOf(ps, s.name)) == 0 {
				t.Errorf("%s = -1 passes", path)
			}
		}
	})
	t.Logf("%d settings were given 0", tried)
}

// TestWrongValues gives each setting a value that it cannot have: the problem names file, line and
// setting, and says what to write.
func TestWrongValues(t *testing.T) {
	tried := 0
	walked(func(sec section, s setting, path string, typ reflect.Type) {
		tried++
		wrong := "1979-05-27" // a date, which no setting takes
		_, ps := parseText(around(sec, s, wrong))
		found := problemsOf(ps, s.name)
		if len(found) == 0 {
			t.Errorf("%s = %s passes", path, wrong)
			return
		}
		p := found[0]
		if p.File != "mailseal.toml" || p.Line == 0 || !strings.Contains(p.Text, "expected") ||
			!strings.Contains(p.Text, "a date") {
			t.Errorf("%s = %s: %v, want file, line, what is expected and what is there", path,
				wrong, p)
		}
		if isScalar(typ) && !strings.Contains(p.Text, "such as") {
			t.Errorf("%s = %s: %v, want an example", path, wrong, p)
		}
	})
	t.Logf("%d settings were given a wrong value", tried)
}

// TestWrongWords gives each setting with a form, or with words to choose from, another text.
func TestWrongWords(t *testing.T) {
	tried := 0
	walked(func(sec section, s setting, path string, typ reflect.Type) {
		one := typ
		for one.Kind() == reflect.Slice || one.Kind() == reflect.Map {
			one = one.Elem()
		}
		hasForm := s.form != "" && forms[s.form].parse != nil && s.form != "path" &&
			s.form != "key name"
		if one.Kind() == reflect.Bool || one.Kind() == reflect.Struct && !isScalar(one) ||
			one.Kind() == reflect.String && !hasForm && s.choices(one) == nil {
			return
		}
		value := "\"no such thing \\u0001\""
		if typ.Kind() == reflect.Map {
			value = "{ x = [" + value + "] }"
		}
		tried++
		_, ps := parseText(around(sec, s, value))
		if found := problemsOf(ps, s.name); len(found) == 0 || found[0].Line == 0 {
			t.Errorf("%s = %s: %v, want a problem with its line", path, value, found)
		}
	})
	t.Logf("%d settings were given a text of another form", tried)
}

// TestDefaults holds that what the tables call the default of each setting is what an empty file
// comes to, by decoding it from a file.
func TestDefaults(t *testing.T) {
	want, _ := parseText("")
	tried := 0
	walked(func(sec section, s setting, path string, typ reflect.Type) {
		if strings.Contains(path, "NAME") || strings.Contains(path, "[]") {
			return
		}
		got := want
		if s.def != "" {
			var ps Problems
			if got, ps = parseText(around(sec, s, s.def)); got == nil {
				t.Errorf("%s = %s: %v", path, s.def, ps)
				return
			}
		}
		tried++
		a, b := settingValue(got, path), settingValue(want, path)
		if slices.Contains([]string{"authserv_id", "control.address", "reports.spool_directory",
			"reports.store", "reports.intake.address", "reports.intake.changes"}, path) {
			return // they follow from other settings
		}
		isUnset := s.def == "" && path != "include" && !reflect.ValueOf(b).IsZero()
		if fmt.Sprint(a) != fmt.Sprint(b) || isUnset {
			t.Errorf("%s: the default is %v, the table says %s", path, b, s.def)
		}
	})
	for doc, element := range prototypes() {
		for name, f := range fieldsOf(element.Type()) {
			s := settingsByPath()[dotted(doc, name)]
			if s == nil || s.def == "" {
				continue
			}
			tried++
			d := decoder{file: &file{}, seen: map[string]place{}}
			to := reflect.New(f.kind).Elem()
			d.value(place{path: name}, dotted(doc, name), literal(s.def), to)
			if got := element.FieldByIndex(f.index); !reflect.DeepEqual(got.Interface(),
				to.Interface()) {
				t.Errorf("%s.%s: the default is %v, the table says %s", doc, name, got, s.def)
			}
		}
	}
	t.Logf("%d defaults", tried)
}

// TestNeedRestart changes each setting that comes once, and each of a socket that stays: those
// whose rows say so are named, and no others.
func TestNeedRestart(t *testing.T) {
	old, _ := parseText("listen = [{ address = \"unix:/m\" }]\n")
	tried := 0
	walked(func(sec section, s setting, path string, typ reflect.Type) {
		isSocket := sec.path == listenSection.path
		if s.example == "" || s.name == "address" && isSocket || path == "include" ||
			path == "listen" {
			return
		}
		if (strings.Contains(path, "[]") || strings.Contains(path, "NAME")) && !isSocket {
			return
		}
		now, ps := parseText(around(sec, s, s.example))
		if now == nil {
			if s.restart != "" && path != "metrics.pprof" {
				t.Errorf("%s = %s: %v", path, s.example, ps)
			}
			return
		}
		tried++
		if !isSocket {
			now.Listen = old.Listen
		}
		var names []string
		for _, r := range NeedRestart(old, now) {
			names = append(names, r.Setting)
		}
		want := map[bool]string{true: strings.Replace(path, "[]", "[0]", 1)}[s.restart != ""]
		if got := strings.Join(names, " "); got != want {
			t.Errorf("%s = %s: got %q, want %q", path, s.example, got, want)
		}
	})
	for _, c := range []struct {
		setting string
		change  func(c *Config)
	}{
		{"log.format", func(c *Config) { c.Log.Format = "json" }},
		{"metrics.pprof", func(c *Config) { c.Metrics.Pprof = true }},
		{"listen[0].role", func(c *Config) { c.Listen[0].Role = action.RoleOurs }},
		{"listen[0].mode", func(c *Config) { c.Listen[0].Mode = 0o600 }},
		{"", func(c *Config) { c.Log.Level, c.Limits.Connections, c.DNS.Tries = "debug", 7, 5 }},
		{"", func(c *Config) { c.Listen = append(c.Listen, Listener{Network: "unix", Target: "/n"}) }},
	} {
		now, _ := parseText("listen = [{ address = \"unix:/m\" }]\n")
		c.change(now)
		got := ""
		for _, r := range NeedRestart(old, now) {
			got += r.Setting
		}
		if got != c.setting {
			t.Errorf("got %q, want %q", got, c.setting)
		}
	}
	t.Logf("%d settings were changed", tried)
}

// inContext are files for settings that do not stand alone.
var inContext = map[string]string{
	"domain":        "domain = \"example.com\"\nselector = \"s\"\nkey_file = \"/k\"\n",
	"signing_table": "signing_table = \"file:/s\"\nkey_table = \"file:/k\"\n",
	"sign[].keys": "[keys.k]\ndomain = \"example.com\"\nselector = \"s\"\nprivate_key = \"x\"\n" +
		"[[sign]]\nfrom = \"example.com\"\nkeys = [\"k\"]\n",
	"sign[].managed": "[[sign]]\nfrom = \"example.com\"\nmanaged = \"example.com\"\n",
	"sign[].source": "[sources.hosting]\ndriver = \"http\"\nurl = \"https://keys.example/\"\n" +
		"[[sign]]\nsource = \"hosting\"\n",
	"sign[].resign": "[[sign]]\nfrom = \"example.com\"\nmanaged = \"example.com\"\nresign = true\n" +
		"when = { recipients = [\"a@example.com\"] }\n",
	"senders.logins":      "[senders]\nrequire = \"login\"\nlogins = { joe = [\"example.com\"] }\n",
	"verify.min_rsa_bits": "[verify]\nmin_rsa_bits = 2048\n",
}

// TestRequirements gives each setting of the table of requirements a value while what it needs is
// not there.
func TestRequirements(t *testing.T) {
	tried := map[string]bool{}
	manual := Manual()
	for i := range requirements {
		r := &requirements[i]
		named := false
		walked(func(sec section, s setting, path string, typ reflect.Type) {
			value, ok := otherValue(s, typ)
			if !r.appliesTo(path) || !ok {
				return
			}
			named = true
			text := around(sec, s, value)
			if whole := inContext[path]; whole != "" && r.needs != `senders.require = "login"` {
				text = whole
			}
			c, ps := parseText(r.unmet + "\n" + text)
			all := ps
			if c != nil {
				all = c.Warnings
			}
			if !slices.ContainsFunc(all, func(p Problem) bool {
				return p.Line > 0 && strings.Contains(p.Text, "has no effect without "+r.needs)
			}) {
				t.Errorf("%s without %s: %v\n%s", path, r.needs, all, text)
			}
			if r.isError != (c == nil) {
				t.Errorf("%s without %s: it is refused: %v, want %v", path, r.needs, c == nil,
					r.isError)
			}
			tried[path] = true
		})
		if !named {
			t.Errorf("the requirement %q is of no setting", r.needs)
		}
		if !strings.Contains(manual, roff("eeds "+r.needs)) {
			t.Errorf("the manual does not name the requirement %q", r.needs)
		}
	}
	t.Logf("%d settings lacked what they need", len(tried))
}

// otherValue is a value, as TOML, that is not the default.
func otherValue(s setting, typ reflect.Type) (string, bool) {
	if words := s.choices(typ); words != nil {
		for _, w := range words {
			if quoted := fmt.Sprintf("%q", w); quoted != s.def {
				return quoted, true
			}
		}
	}
	switch {
	case typ.Kind() == reflect.Bool:
		return map[string]string{"false": "true", "true": "false"}[s.def], s.def != ""
	case s.example != "":
		return s.example, true
	case typ == reflect.TypeFor[time.Duration]():
		return `"17h"`, true
	case typ.Kind() == reflect.Int:
		return "12", true
	case typ.Kind() == reflect.Float64:
		return "0.5", true
	case s.form == "line":
		return `"Another text"`, true
	case s.form == "own field":
		return `"X-Other"`, true
	case s.name == "selector":
		return `"{date}{alg}"`, true
	case s.name == "algorithms":
		return `["ed25519"]`, true
	case s.name == "canonicalization":
		return `"simple/simple"`, true
	}
	return "", false
}
