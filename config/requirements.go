package config

import (
	"slices"
	"strings"
	"sync"

	"mailseal/milter/action"
)

// requirement is what settings need in order to have an effect. From the table of requirements come
// the findings of "mailseal check" and the sentences in the manual page.
type requirement struct {
	// by their paths in the tables of settings; "policy.spf." is all of that section and below it
	settings []string
	needs    string // as the manual page and the findings write it: verify.spf = true
	met      func(c *Config) bool
	instead  string // what to write instead, where that is more than to leave the setting out
	isError  bool   // the configuration is refused, since it would do something else than it says
	unmet    string // a configuration, as TOML, that does not meet it, for the tests
}

var requirements = []requirement{
	{
		settings: []string{"verify.", "policy."},
		needs:    `mode "verify"`,
		met:      (*Config).Verifies,
		unmet:    `mode = "sign"`,
	}, {
		settings: []string{"sign[].", "signing.", "senders.", "rotation.", "multiple_signatures",
			"domain", "signing_table"},
		needs: `mode "sign"`,
		met:   (*Config).Signs,
		unmet: `mode = "verify"`,
	}, {
		settings: []string{"ours.unmatched"},
		needs:    `mode ["sign", "verify"]`,
		met:      func(c *Config) bool { return c.Signs() && c.Verifies() },
		unmet:    `mode = "sign"`,
	}, {
		settings: []string{"seal.key"},
		needs:    `mode "verify" and verify.arc = true`,
		met:      func(c *Config) bool { return c.Verifies() && c.Verify.ARC },
		isError:  true,
		unmet:    `verify.arc = false`,
	}, {
		settings: []string{"seal.domain", "seal.selector"},
		needs:    "seal.key",
		met:      func(c *Config) bool { return c.Seal.Key != "" },
		isError:  true,
	}, {
		settings: []string{
			"policy.spf.fail", "policy.spf.softfail", "policy.spf.none", "policy.spf.permerror",
			"policy.spf.temperror",
			"policy.spf.helo_fail", "policy.override[].spf", "policy.texts.spf", "verify.spf_helo",
			"verify.received_spf",
		},
		needs: "verify.spf = true",
		met:   func(c *Config) bool { return c.Verify.SPF },
		unmet: "verify.spf = false",
	}, {
		settings: []string{"policy.spf.helo_fail"},
		needs:    "verify.spf_helo = true",
		met:      func(c *Config) bool { return c.Verify.SPFHelo },
		unmet:    "verify.spf_helo = false",
	}, {
		settings: []string{"policy.iprev.", "policy.override[].iprev", "policy.texts.iprev"},
		needs:    "verify.iprev = true",
		met:      func(c *Config) bool { return c.Verify.Iprev },
		unmet:    "verify.iprev = false",
	}, {
		settings: []string{
			"policy.dmarc.", "policy.override[].dmarc", "policy.texts.dmarc",
			"verify.organizational_domain",
			"verify.trusted_sealers",
		},
		needs: "verify.dmarc = true",
		met:   func(c *Config) bool { return c.Verify.DMARC },
		unmet: "verify.dmarc = false",
	}, {
		settings: []string{"verify.trusted_sealers", "policy.override[].sealers"},
		needs:    "verify.arc = true",
		met:      func(c *Config) bool { return c.Verify.ARC },
		unmet:    "verify.arc = false",
	}, {
		settings: []string{"signing.self_check_action"},
		needs:    "signing.self_check above 0",
		met:      func(c *Config) bool { return c.Signing.SelfCheck > 0 },
		unmet:    "signing.self_check = 0",
	}, {
		settings: []string{"signing.skip_if_signed"},
		needs:    "signing.remove_old_signatures = false",
		met:      func(c *Config) bool { return !c.Signing.RemoveOldSignatures },
		unmet:    "signing.remove_old_signatures = true",
	}, {
		settings: []string{"rotation."},
		needs:    "a rule with managed in [[sign]]",
		met: func(c *Config) bool {
			return slices.ContainsFunc(c.Sign, func(r Rule) bool { return r.Managed != "" })
		},
	}, {
		settings: []string{"rotation.fall_back"},
		needs:    "rotation.watch above 0s",
		met:      func(c *Config) bool { return c.Rotation.Watch > 0 },
		unmet:    `rotation.watch = "0s"`,
	}, {
		settings: []string{"senders.action"},
		needs:    `senders.require "envelope_domain" or "login"`,
		met:      func(c *Config) bool { return c.Senders.Require != action.SenderAny },
	}, {
		settings: []string{"senders.logins"},
		needs:    `senders.require = "login"`,
		met:      func(c *Config) bool { return c.Senders.Require == action.SenderLogin },
		isError:  true,
	}, {
		settings: []string{"multiple_signatures"},
		needs:    "signing_table",
		met:      func(c *Config) bool { return c.SigningTable != "" },
		instead:  `; write match = "all" in [signing]`,
	}, {
		settings: []string{"metrics.pprof"},
		needs:    "metrics.address",
		met:      func(c *Config) bool { return c.Metrics.Address != "" },
		isError:  true,
	},
}

// appliesTo reports whether a setting needs r.
func (r *requirement) appliesTo(doc string) bool {
	return slices.ContainsFunc(r.settings, func(s string) bool {
		return s == doc || strings.HasSuffix(s, ".") && strings.HasPrefix(doc, s)
	})
}

// requirementsOf returns what a setting needs, by its path in the tables of settings.
var requirementsOf = func() func(doc string) []*requirement {
	var known sync.Map
	return func(doc string) []*requirement {
		if found, ok := known.Load(doc); ok {
			return found.([]*requirement)
		}
		var out []*requirement
		for i := range requirements {
			if settingAt(doc) != nil && requirements[i].appliesTo(doc) {
				out = append(out, &requirements[i])
			}
		}
		known.Store(doc, out)
		return out
	}
}()

// needsOf returns what the manual page says that a setting needs, but for what its whole section
// needs.
func needsOf(doc string) []string {
	var out []string
	for _, r := range requirementsOf(doc) {
		if !slices.ContainsFunc(sections,
			func(s section) bool { return strings.HasPrefix(doc, s.path+".") && r.isOf(s) }) {
			out = append(out, r.needs)
		}
	}
	return out
}

// isOf reports whether a section as a whole needs r.
func (r *requirement) isOf(s section) bool { return slices.Contains(r.settings, s.path+".") }

// sectionNeeds returns what the manual page says that a whole section needs.
func sectionNeeds(s section) []string {
	var out []string
	for i := range requirements {
		if requirements[i].isOf(s) {
			out = append(out, requirements[i].needs)
		}
	}
	return out
}

// changedSetting is a setting that is in a file and is not as it is by default.
type changedSetting struct {
	at  place
	doc string
}

// checkRequirements finds settings that have no effect beside the others. Settings of one table
// that lack the same are one finding.
func (c *checker) checkRequirements() {
	slices.SortFunc(c.differing, func(a, b changedSetting) int {
		return strings.Compare(a.at.path, b.at.path)
	})
	for i := range requirements {
		r := &requirements[i]
		if r.met(c.Config) {
			continue
		}
		for _, group := range c.lacking(r) {
			text := "has no effect without " + r.needs + r.instead + alsoOf(group[1:])
			if r.isError {
				c.problem(group[0].at, "%s", text)
			} else {
				c.warn(group[0].at, "%s", text)
			}
		}
	}
}

// lacking returns the settings that need r, those of a section together.
func (c *checker) lacking(r *requirement) (groups [][]changedSetting) {
	index := map[string]int{}
	for _, s := range c.differing {
		if !r.appliesTo(s.doc) {
			continue
		}
		table := sectionOf(s.doc, r)
		if at, ok := index[table]; ok {
			groups[at] = append(groups[at], s)
			continue
		}
		index[table] = len(groups)
		groups = append(groups, []changedSetting{s})
	}
	return groups
}

// sectionOf returns what settings are grouped by: the widest section that r names as a whole, else
// the table.
func sectionOf(doc string, r *requirement) string {
	for _, s := range r.settings {
		if strings.HasSuffix(s, ".") && strings.HasPrefix(doc, s) {
			return s
		}
	}
	return parentPath(doc)
}

// alsoOf names further settings, a few of many.
func alsoOf(more []changedSetting) string {
	const shown = 3
	var names []string
	for i, s := range more {
		if i == shown {
			names = append(names, "others")
			break
		}
		names = append(names, s.at.path)
	}
	switch n := len(names); n {
	case 0:
		return ""
	case 1:
		return "; nor has " + names[0]
	default:
		return "; nor have " + strings.Join(names[:n-1], ", ") + " and " + names[n-1]
	}
}
