package config

import (
	"reflect"
	"strings"
	"time"
)

// remarks are what the tables say of a setting beside its text, as sentences: what 0 and an empty
// list mean, where else it may stand, what it needs, and whether a reload takes it over. Short ones
// are for the sample.
func (s *setting) remarks(sec section) (short, long []string) {
	path := dotted(sec.path, s.name)
	t := typeAt(path)
	if s.zero != "" {
		short = append(short, zeroOf(t)+": "+s.zero+".")
	}
	if s.empty != "" {
		short = append(short, "Empty: "+s.empty+".")
	}
	if isRuleOption(sec, s.name) {
		long = append(long, "Can be set in a rule of [[sign]] too.")
	}
	for _, n := range needsOf(path) {
		long = append(long, "Needs "+n+".")
	}
	if s.restart != "" {
		long = append(long, "A change needs a restart: "+s.restart+".")
	}
	return short, long
}

// zeroOf is how 0 is written for a type.
func zeroOf(t reflect.Type) string {
	if t == reflect.TypeFor[time.Duration]() {
		return "0s"
	}
	return "0"
}

// isRuleOption reports whether a setting of [signing] can be in a rule too.
func isRuleOption(sec section, name string) bool {
	_, ok := fieldsOf(reflect.TypeFor[SignOptions]())[name]
	return ok && sec.path == signingSection.path
}

// sentences joins remarks.
func sentences(list []string) string { return strings.Join(list, " ") }
