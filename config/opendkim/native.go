package opendkim

import (
	"fmt"
	"path/filepath"
	"strings"

	"mailseal/config"
	"mailseal/milter/action"
)

// Fill reads the tables that the settings key_table and signing_table of c name, if there are any, and puts the keys and
// rules that they stand for into c; conf is the file's name that c was loaded from. What is odd about their lines becomes
// c.Warnings. A mistake is a config.Problems that names file and line.
func Fill(c *config.Config, conf string) error {
	if c.KeyTable == "" || c.SigningTable == "" {
		return nil
	}
	n := native{conf: conf, dir: filepath.Dir(conf)}
	kt := n.open("key_table", c.KeyTable)
	st := n.open("signing_table", c.SigningTable)
	if kt == nil || st == nil {
		return n.problems
	}
	t, err := translate(kt, st, c.MultipleSignatures, n.dir, (&reader{}).glob, n.teller("key_table"), n.teller("signing_table"))
	if err != nil {
		return config.Problems{{File: n.name(st), Path: "signing_table", Text: err.Error()}}
	}
	n.fill(c, t)
	if len(n.problems) > 0 {
		return n.problems
	}
	c.Warnings = append(c.Warnings, n.warnings...)
	return nil
}

// native is the reading of tables by name.
type native struct {
	conf, dir          string
	problems, warnings config.Problems
}

func (n *native) open(setting, value string) *dataset {
	sp, err := parseSpec(value)
	if err == nil && sp.kind == list && !strings.HasPrefix(strings.ToLower(value), "csl:") {
		err = fmt.Errorf("%q names no file; write \"file:%s\" or \"refile:%[2]s\"", value, value)
	}
	var d *dataset
	if err == nil {
		d, err = readSet(&reader{}, place{n.conf, 0}, value, n.dir)
	}
	if err != nil {
		n.problems = append(n.problems, config.Problem{File: n.conf, Path: setting, Text: err.Error()})
		return nil
	}
	for _, r := range d.leading {
		n.teller(setting)(Never, r.place, "a line of a refile: that begins with a blank is not seen: %s", r.key)
	}
	return d
}

// name is the file of a table.
func (n *native) name(d *dataset) string {
	if d.kind == list {
		return n.conf
	}
	if filepath.IsAbs(d.rest) {
		return d.rest
	}
	return filepath.Join(n.dir, d.rest)
}

// teller makes warnings of notes. What is as it was in OpenDKIM needs none.
func (n *native) teller(setting string) teller {
	return func(g Group, at place, format string, args ...any) {
		if g != Taken {
			n.warnings = append(n.warnings, config.Problem{File: at.file, Line: at.line, Path: setting, Text: fmt.Sprintf(format, args...)})
		}
	}
}

func (n *native) fill(c *config.Config, t *translation) {
	c.Keys = make(map[string]config.Key, len(t.keys))
	for _, k := range t.keys {
		if k.useless {
			continue // its rule lets mail go unsigned
		}
		if k.fault != "" {
			n.problems = append(n.problems, config.Problem{File: k.place.file, Line: k.line, Path: "key_table", Text: fmt.Sprintf("key %q: %s", k.name, k.fault)})
			continue
		}
		key := config.Key{Domain: k.domain, Selector: k.selector, File: k.file, PrivateKey: config.Secret(k.text), Identifier: k.identifier}
		key.Place(k.place.file, k.line, "key_table")
		c.Keys[k.name] = key
	}
	c.Sign = make([]config.Rule, 0, len(t.rules))
	for _, r := range t.rules {
		rule := config.Rule{SignOptions: c.Signing.SignOptions, From: r.from, Keys: r.keys}
		if r.identifier != "" {
			rule.Identifier = r.identifier
		}
		switch {
		case r.unsigned:
			rule.OnKeyError = action.KeyAccept
		case len(r.keys) > 1 && c.Signing.OnKeyError == action.KeySkip:
			rule.OnKeyError = action.KeyTempfail
		}
		rule.Place(r.places[0].file, r.places[0].line, "signing_table")
		c.Sign = append(c.Sign, rule)
	}
	if c.Seal.Key == "" {
		return
	}
	k, ok := c.Keys[c.Seal.Key]
	switch {
	case !ok:
		n.problems = append(n.problems, config.Problem{File: n.conf, Path: "seal.key", Text: fmt.Sprintf("no key %q in key_table", c.Seal.Key)})
	case c.Seal.Domain == "" && k.Domain == "%":
		n.problems = append(n.problems, config.Problem{File: n.conf, Path: "seal.key", Text: fmt.Sprintf("%q has no domain of its own; write seal.domain", c.Seal.Key)})
	default:
		if c.Seal.Domain == "" {
			c.Seal.Domain = k.Domain
		}
		if c.Seal.Selector == "" {
			c.Seal.Selector = k.Selector
		}
	}
}

// Load is config.Load with the tables of OpenDKIM's that the configuration names.
func Load(path string) (*config.Config, error) {
	c, err := config.Load(path)
	if err != nil {
		return nil, err
	}
	if err := Fill(c, path); err != nil {
		return nil, err
	}
	return c, nil
}
