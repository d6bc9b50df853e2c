package domains

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"mailseal/milter/taglist"
)

// earlier is what is read of the JSON form of an earlier result.
type earlier struct {
	Version int    `json:"version"`
	Domain  string `json:"domain"`
	Records []Seen `json:"records"`
}

// errBefore means that a file has no earlier results.
var errBefore = errors.New("--diff needs the output of an earlier run with --json")

// readBefore reads earlier results, by domain.
func readBefore(text []byte) (map[string]*earlier, error) {
	out := map[string]*earlier{}
	for d := json.NewDecoder(bytes.NewReader(text)); text != nil; {
		var e earlier
		err := d.Decode(&e)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil || e.Domain == "" || e.Version != Version {
			return nil, fmt.Errorf("%w (version %d): %v", errBefore, Version, err)
		}
		out[e.Domain] = &e
	}
	return out, nil
}

// Change is one record that differs from an earlier check.
type Change struct {
	Name   string   `json:"name"`
	Type   string   `json:"type"`
	Before []string `json:"before,omitempty"`
	Now    []string `json:"now,omitempty"`
	// of a list of tags, those that changed: "p: none -> reject"
	Tags []string `json:"tags,omitempty"`
}

// Changes compares two sets of answers. It ignores a name whose lookup failed at either time,
// because what was there is unknown.
func Changes(before, now []Seen) []Change {
	type key struct{ name, kind string }
	olds, news := map[key]Seen{}, map[key]Seen{}
	var order []key
	for _, set := range []struct {
		list []Seen
		into map[key]Seen
	}{{before, olds}, {now, news}} {
		for _, s := range set.list {
			k := key{s.Name, s.Type}
			if !slices.Contains(order, k) {
				order = append(order, k)
			}
			set.into[k] = s
		}
	}
	var out []Change
	for _, k := range order {
		a, b := olds[k], news[k]
		if a.Status == "failed" || b.Status == "failed" || slices.Equal(a.Values, b.Values) {
			continue
		}
		out = append(out,
			Change{Name: k.name, Type: k.kind, Before: a.Values, Now: b.Values,
				Tags: tagChanges(a.Values, b.Values)})
	}
	return out
}

// tagChanges names the tags that differ between two records that are lists of tags.
func tagChanges(before, now []string) []string {
	if len(before) != 1 || len(now) != 1 || !strings.Contains(before[0], ";") {
		return nil
	}
	was, _ := taglist.ParseLenient(before[0])
	is, _ := taglist.ParseLenient(now[0])
	var out []string
	for _, t := range was {
		if v, given := is.Value(t.Name); !given {
			out = append(out, t.Name+": removed, was "+t.Value)
		} else if v != t.Value {
			out = append(out, t.Name+": "+t.Value+" -> "+v)
		}
	}
	for _, t := range is {
		if _, had := was.Value(t.Name); !had {
			out = append(out, t.Name+": added, "+t.Value)
		}
	}
	return out
}

// writeChanges prints what has changed since an earlier result; nil for a domain that was not
// checked then. Selectors that do not exist are asked for at random, and a name that was asked for
// once only says nothing.
func (r Result) writeChanges(w io.Writer, before *earlier, asJSON bool) error {
	var changes []Change
	if before != nil {
		changes = Changes(before.Records, r.Records)
	}
	if asJSON {
		return json.NewEncoder(w).Encode(struct {
			Version int      `json:"version"`
			Domain  string   `json:"domain"`
			Known   bool     `json:"known_before"`
			Changes []Change `json:"changes"`
		}{Version, r.Domain.String(), before != nil, append([]Change{}, changes...)})
	}
	var b strings.Builder
	switch {
	case before == nil:
		fmt.Fprintf(&b, "%s: not checked before\n", r.Domain)
	case len(changes) == 0:
		fmt.Fprintf(&b, "%s: nothing has changed\n", r.Domain)
	}
	for _, c := range changes {
		fmt.Fprintf(&b, "%s: %s %s\n  was: %s\n  is:  %s\n", r.Domain, c.Type, c.Name,
			joinTexts(c.Before), joinTexts(c.Now))
		for _, t := range c.Tags {
			fmt.Fprintf(&b, "  %s\n", visible(t))
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func joinTexts(list []string) string {
	if len(list) == 0 {
		return "nothing"
	}
	return visible(strings.Join(list, " | "))
}
