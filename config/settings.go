package config

import (
	"fmt"
	"strings"
	"sync"

	"mailseal/milter/action"
)

// A new setting touches four places, whatever its type; the compiler and the tests of this package
// ask for those that are forgotten:
//
//  1. its field in the struct of its table, with its name in the file as the tag: config.go,
//     signing.go, judging.go;
//  2. its row in the table of settings: settings_daemon.go, settings_signing.go,
//     settings_judging.go. Default, bounds, words, the check for unknown names, the sample and the
//     manual page all come from there;
//  3. the package that acts on it;
//  4. the line that hands it to that package where the daemon is built.
//
// The action for one more result of a method needs two: its field and case in milter/action (the
// tables there are what the policy works with, and are handed over whole), and its row here. So
// does one more word of a choice: its constant and word in milter/action, and the case where it
// acts. A row lists words only where a setting does not take all.
//
// Then "go test ./config -run Documents -update" writes the sample and the manual page. A setting
// that contradicts others is looked at in check*.go.

// setting is what there is to know of a setting. From the tables of settings come the defaults, the
// check for unknown names, the sample and the manual page; a test holds them against the structs.
type setting struct {
	name    string   // in its section; below an inline table: "spf.fail"
	def     string   // the default, as TOML; "" if it has no default
	example string   // a telling value, as TOML; needed where def tells nothing
	form    string   // what the text must look like: a name in forms
	values  []string // the only ones possible; nil for a choice: all words of its type
	least   string   // as TOML: of durations, sizes and numbers
	most    string
	zero    string // what 0 means, where least does not refuse it
	// what an empty list means, where it is more than def says; "" refuses one unless it is def
	empty string
	// what to write instead of an empty list, where it is not enough to leave the setting out
	instead string
	restart string // why a change needs a restart; "" where a reload takes it over
	doc     string
}

// section is a table of the file and its settings.
type section struct {
	// as the sample writes it: [[sign]]; "" for the settings before the first header
	header   string
	path     string // of its settings: "sign[]", "keys.NAME"
	doc      string
	filled   bool // the table, or the list of tables, must not be empty
	settings []setting
}

// sections are in the order of the sample and of the manual.
var sections = []section{
	daemonSection, listenSection, oursSection, relaysSection, exemptSection,
	keysSection, signSection, whenSection, signingSection, sendersSection, rotationSection,
	sourcesSection,
	verifySection, sealSection, authenticationResultsSection,
	policySection, policySPFSection, policyIPRevSection, policyDKIMSection, policyDMARCSection,
	policyTextsSection, notJudgedSection, overrideSection, rulesSection,
	dnsSection, limitsSection, logSection, metricsSection, controlSection, reloadSection,
	testSection, reportsSection, reportsFailureSection, reportsIntakeSection, reportsAlertsSection,
	reportsWebSection, reportsAccountSection, reportsGroupSection,
}

// sameAs are tables whose settings are documented elsewhere, where they mean the same.
var sameAs = []struct{ prefix, documented string }{
	{"sign[].", "signing."},
	{"policy.override[].spf.", "policy.spf."},
	{"policy.override[].iprev.", "policy.iprev."},
	{"policy.override[].dkim.", "policy.dkim."},
	{"policy.override[].dmarc.", "policy.dmarc."},
}

var settingsByPath = sync.OnceValue(func() map[string]*setting {
	out := map[string]*setting{}
	for _, sec := range sections {
		for i := range sec.settings {
			out[dotted(sec.path, sec.settings[i].name)] = &sec.settings[i]
		}
	}
	return out
})

// sectionAt returns the section whose settings have a path, or nil.
func sectionAt(path string) *section {
	for i := range sections {
		if sections[i].path == path {
			return &sections[i]
		}
	}
	return nil
}

func dotted(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}

// settingAt returns what is documented for a path without indexes and names: "sign[].from",
// "keys.NAME.file".
func settingAt(path string) *setting {
	if s := settingsByPath()[path]; s != nil {
		return s
	}
	for _, same := range sameAs {
		if rest, ok := strings.CutPrefix(path, same.prefix); ok {
			if s := settingsByPath()[same.documented+rest]; s != nil {
				return s
			}
		}
	}
	return nil
}

// words returns the words of some values of a type, for settings that do not take all of them.
func words[T fmt.Stringer](list ...T) []string {
	out := make([]string, len(list))
	for i, v := range list {
		out[i] = v.String()
	}
	return out
}

// actions that a result may lead to.
var (
	verdictActions = words(action.Accept, action.Mark, action.Hold, action.Reject, action.Tempfail)
	// A temporary failure to determine the result does not justify a permanent refusal (RFC
	// 7208 section 8.6, RFC 9989 section 5.3.6).
	temperrorActions = words(action.Accept, action.Mark, action.Hold, action.Tempfail)
)

// Paths returns the paths of all settings in the order of the manual: "dns.timeout", "sign[].keys",
// "keys.NAME.file".
func Paths() []string {
	var out []string
	for _, sec := range sections {
		for _, s := range sec.settings {
			out = append(out, dotted(sec.path, s.name))
		}
	}
	return out
}
