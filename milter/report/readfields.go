package report

import (
	"fmt"
	"slices"
	"strings"
)

// fields are the elements that hold a value, by parent and name.
var fields = map[string]func(*reader, string){
	"feedback/version":                   func(r *reader, s string) { r.out.Version = s },
	"report_metadata/org_name":           func(r *reader, s string) { r.out.Metadata.Org = s },
	"report_metadata/email":              func(r *reader, s string) { r.out.Metadata.Email = s },
	"report_metadata/extra_contact_info": func(r *reader, s string) { r.out.Metadata.Contact = s },
	"report_metadata/report_id":          func(r *reader, s string) { r.out.Metadata.ReportID = s },
	"report_metadata/generator": func(r *reader,
		s string) {
		r.out.Metadata.Generator = s
	},
	"report_metadata/error":   (*reader).metadataError,
	"date_range/begin":        func(r *reader, s string) { r.begin = s },
	"date_range/end":          func(r *reader, s string) { r.end = s },
	"report_metadata/begin":   func(r *reader, s string) { r.begin = s },
	"report_metadata/end":     func(r *reader, s string) { r.end = s },
	"policy_published/domain": (*reader).policyDomain,
	"policy_published/p":      func(r *reader, s string) { r.policy.P = word(s) },
	"policy_published/sp":     func(r *reader, s string) { r.policy.SP = word(s) },
	"policy_published/np":     func(r *reader, s string) { r.policy.NP = word(s) },
	"policy_published/adkim":  func(r *reader, s string) { r.policy.ADKIM = word(s) },
	"policy_published/aspf":   func(r *reader, s string) { r.policy.ASPF = word(s) },
	"policy_published/fo":     func(r *reader, s string) { r.policy.FO = word(s) },
	"policy_published/pct": func(r *reader,
		s string) {
		r.policy.Pct = strings.TrimSuffix(word(s), "%")
	},
	"policy_published/testing": func(r *reader,
		s string) {
		r.policy.Testing = word(s)
	},
	"policy_published/discovery_method": func(r *reader,
		s string) {
		r.policy.Discovery = word(s)
	},
	"policy_published/version_published": func(*reader, string) {},
	"row/source_ip":                      (*reader).sourceIP,
	"row/count":                          func(r *reader, s string) { r.count = s },
	"policy_evaluated/disposition": func(r *reader,
		s string) {
		r.row.Disposition = r.word(s)
	},
	"policy_evaluated/dkim": func(r *reader, s string) { r.row.DKIM = r.word(s) },
	"policy_evaluated/spf":  func(r *reader, s string) { r.row.SPF = r.word(s) },
	"reason/type":           func(r *reader, s string) { r.reason.Type = r.word(s) },
	"reason/comment":        func(r *reader, s string) { r.reason.Comment = s },
	"identifiers/header_from": func(r *reader,
		s string) {
		r.row.HeaderFrom = parseName(s)
	},
	"identifiers/envelope_from": func(r *reader,
		s string) {
		r.row.EnvelopeFrom = parseName(s)
	},
	"identifiers/envelope_to": func(r *reader,
		s string) {
		r.row.EnvelopeTo = parseName(s)
	},
	"dkim/domain": func(r *reader,
		s string) {
		r.signature.Domain = parseName(s)
	},
	"dkim/selector": func(r *reader,
		s string) {
		r.signature.Selector = strings.ToLower(s)
	},
	"dkim/result": func(r *reader,
		s string) {
		r.signature.Result = r.word(s)
	},
	"dkim/human_result": func(*reader, string) {},
	"spf/domain": func(r *reader,
		s string) {
		r.spf.Domain = parseName(s)
	},
	"spf/scope":                            func(r *reader, s string) { r.spf.Scope = r.word(s) },
	"spf/result":                           func(r *reader, s string) { r.spf.Result = r.word(s) },
	"spf/human_result":                     func(*reader, string) {},
	"policy_published/policy_published_by": func(*reader, string) {},
}

// containers are the elements that hold elements.
var containers = []string{"feedback", "report_metadata", "date_range", "policy_published",
	"record", "row",
	"policy_evaluated", "reason", "identifiers", "auth_results", "dkim", "spf", "extension",
	"extensions"}

// names are the local names of all elements that are known.
var names = func() map[string]bool {
	out := map[string]bool{"identities": true}
	for _, c := range containers {
		out[c] = true
	}
	for path := range fields {
		_, name, _ := strings.Cut(path, "/")
		out[name] = true
	}
	return out
}()

// place is where an element is: the name of the one around it, and its own.
type place struct{ parent, name string }

// field is an element that holds a value.
type field struct {
	id      int // from 0
	set     func(*reader, string)
	repeats bool // there may be several
}

// element is one that is open. field is nil for one that holds elements.
type element struct {
	name  string
	field *field
}

// fieldOf has the fields by place.
var fieldOf = func() map[place]*field {
	out := map[place]*field{}
	for path, set := range fields {
		parent, name, _ := strings.Cut(path, "/")
		out[place{parent, name}] = &field{id: len(out), set: set,
			repeats: path == "report_metadata/error"}
	}
	return out
}()

// again are the elements that can be there several times, and the ids of the fields that are then
// to be read again.
var anew = func() map[string][]int {
	out := map[string][]int{}
	for name, parents := range map[string][]string{
		"record": {"row", "policy_evaluated", "identifiers"}, "row": {"row", "policy_evaluated"},
		"reason": {"reason"}, "dkim": {"dkim"}, "spf": {"spf"},
		"policy_published": {"policy_published"},
	} {
		for at, f := range fieldOf {
			if slices.Contains(parents, at.parent) {
				out[name] = append(out[name], f.id)
			}
		}
	}
	return out
}()

// folded finds the name of an element that is written as another language has it: "SourceIp" or
// "source-ip" for "source_ip".
var folded = func() map[string]string {
	out := map[string]string{}
	for name := range names {
		out[strings.ReplaceAll(name, "_", "")] = name
	}
	return out
}()

// canonical returns the name that an element has in RFC 9990, if it is one of those.
func canonical(name string) string {
	if names[name] {
		return name
	}
	plain := strings.ReplaceAll(strings.ReplaceAll(name, "_", ""), "-", "")
	if known, ok := folded[plain]; ok {
		return known
	}
	return name
}

func word(s string) string { return strings.ToLower(s[:min(len(s), 100)]) }

// word reads one of the words of RFC 9990. It keeps any other text unchanged.
func (r *reader) word(s string) string {
	out := word(s)
	if out != s {
		r.add("case", "a value is not in lower case", r.line)
	}
	return out
}

func (r *reader) metadataError(s string) {
	if len(r.out.Metadata.Errors) < 20 && s != "" {
		r.out.Metadata.Errors = append(r.out.Metadata.Errors, s)
	}
}

// policyDomain reads the domain of the policy. NULL is what a program writes that has none.
func (r *reader) policyDomain(s string) {
	if strings.EqualFold(s, "null") {
		r.add("domain", "the policy's domain is NULL", r.line)
		s = ""
	}
	r.policy.Domain = parseName(s)
}

func (r *reader) sourceIP(s string) {
	r.row.Source = s[:min(len(s), 100)]
	a, ok := parseSource(s)
	if !ok {
		if s != "" {
			r.add("source", fmt.Sprintf("source_ip %q is not an address", s[:min(len(s), 60)]),
				r.line)
		}
		return
	}
	if a.String() != s {
		r.add("source-form", "an address is written in an unusual form", r.line)
	}
	r.row.Address, r.row.Source = a, a.String()
}
