package config

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"

	"mailseal/config/tables"
	"mailseal/milter/action"
)

// loadTables reads the tables of OpenDKIM's that the settings key_table and signing_table name, if
// there are any, and puts the keys and rules that they stand for into c; conf is the file that c
// was loaded from, and denied the advice for a file that may not be read. What is odd about their
// lines becomes c.Warnings.
func loadTables(c *Config, conf string, denied func(path string) string) error {
	if c.KeyTable == "" || c.SigningTable == "" {
		return nil
	}
	n := tableLoader{conf: conf, dir: filepath.Dir(conf), denied: denied}
	keys := n.open("key_table", c.KeyTable)
	signing := n.open("signing_table", c.SigningTable)
	if keys == nil || signing == nil {
		return n.problems
	}
	t, err := tables.Translate(tables.Source{
		Keys:        keys,
		Signing:     signing,
		Multiple:    c.Signing.Match == MatchAll,
		Dir:         n.dir,
		Glob:        (&tables.Reader{}).Glob,
		TellKey:     n.tell("key_table"),
		TellSigning: n.tell("signing_table"),
	})
	if err != nil {
		return Problems{{File: n.fileOf(signing), Path: "signing_table", Text: err.Error()}}
	}
	n.addKeys(c, t)
	n.addRules(c, t)
	n.addSeal(c)
	if len(n.problems) > 0 {
		return n.problems
	}
	c.Warnings = append(c.Warnings, n.warnings...)
	if len(c.Sign) == 0 && c.Signs() {
		c.Warnings = append(c.Warnings, c.Problem("signing_table",
			"no line of it signs anything: our own mail goes unsigned"))
	}
	return nil
}

// tableLoader is the reading of tables by name.
type tableLoader struct {
	conf, dir          string
	denied             func(path string) string
	problems, warnings Problems
}

func (n *tableLoader) open(setting, value string) *tables.Dataset {
	d, err := n.read(value)
	if err != nil {
		p := Problem{File: n.conf, Path: setting, Text: err.Error()}
		if errors.Is(err, fs.ErrPermission) {
			file := value[strings.LastIndexByte(value, ':')+1:]
			p.Text += n.denied(file)
			p.unread = true
		}
		n.problems = append(n.problems, p)
		return nil
	}
	for _, r := range d.Leading {
		n.tell(setting)("leading-blank", r.Place, r.Key)
	}
	return d
}

func (n *tableLoader) read(value string) (*tables.Dataset, error) {
	spec, err := tables.ParseSpec(value)
	if err != nil {
		return nil, err
	}
	if spec.Kind == tables.List && !strings.HasPrefix(strings.ToLower(value), "csl:") {
		return nil, fmt.Errorf("%q names no file; write \"file:%s\" or \"refile:%[2]s\"", value,
			value)
	}
	return tables.Open(&tables.Reader{}, tables.Place{File: n.conf}, value, n.dir)
}

// fileOf is the file of a table.
func (n *tableLoader) fileOf(d *tables.Dataset) string {
	if d.Kind == tables.List {
		return n.conf
	}
	if filepath.IsAbs(d.Rest) {
		return d.Rest
	}
	return filepath.Join(n.dir, d.Rest)
}

// tell makes warnings of what is reported about lines. What is as it was in OpenDKIM needs none.
func (n *tableLoader) tell(setting string) tables.Tell {
	return func(c tables.Code, at tables.Place, args ...any) {
		note, _ := tables.NoteOf(c)
		if note.Group == tables.Taken {
			return
		}
		warning := Problem{File: at.File, Line: at.Line, Path: setting,
			Text: fmt.Sprintf(note.Text, args...)}
		n.warnings = append(n.warnings, warning)
	}
}

func (n *tableLoader) addKeys(c *Config, t *tables.Result) {
	c.Keys = make(map[string]Key, len(t.Keys))
	for _, k := range t.Keys {
		if k.Useless {
			continue // its rule lets mail go unsigned
		}
		if k.Fault != "" {
			text := fmt.Sprintf("key %q: %s", k.Name, k.Fault)
			n.problems = append(n.problems, Problem{File: k.Place.File, Line: k.Line,
				Path: "key_table", Text: text})
			continue
		}
		key := Key{Domain: k.Domain, Selector: k.Selector, File: k.File, PrivateKey: Secret(k.Text)}
		key.setPlace(k.Place.File, k.Line, "key_table")
		c.Keys[k.Name] = key
	}
}

// addRules adds the rules. Where several lines sign, OpenDKIM defers a message as soon as one key
// fails.
func (n *tableLoader) addRules(c *Config, t *tables.Result) {
	c.Sign = make([]Rule, 0, len(t.Rules))
	for _, r := range t.Rules {
		rule := Rule{SignOptions: c.Signing.SignOptions, From: r.From, Keys: []string{r.Key}}
		if r.Identifier != "" {
			rule.Identifier = r.Identifier
		}
		switch {
		case r.Unsigned:
			rule.OnKeyError = action.KeyAccept
		case c.Signing.Match == MatchAll && c.Signing.OnKeyError == action.KeySkip:
			rule.OnKeyError = action.KeyTempfail
		}
		rule.setPlace(r.Places[0].File, r.Places[0].Line, "signing_table")
		c.Sign = append(c.Sign, rule)
	}
}

// addSeal finds the identity under which we seal, which checkSeal could not know.
func (n *tableLoader) addSeal(c *Config) {
	if c.Seal.Key == "" {
		return
	}
	k, ok := c.Keys[c.Seal.Key]
	switch {
	case !ok:
		n.problems = append(n.problems, Problem{File: n.conf, Path: "seal.key",
			Text: fmt.Sprintf("no key %q in key_table", c.Seal.Key)})
	case c.Seal.Domain == "" && k.Domain == "%":
		n.problems = append(n.problems, Problem{File: n.conf, Path: "seal.key",
			Text: fmt.Sprintf("%q has no domain of its own; set seal.domain", c.Seal.Key)})
	default:
		if c.Seal.Domain == "" {
			c.Seal.Domain = k.Domain
		}
		if c.Seal.Selector == "" {
			c.Seal.Selector = k.Selector
		}
	}
}
