package config

import (
	"slices"
	"strings"
)

// unsignable are fields that change on every way, or that a signature must not cover (RFC 6376
// section 5.4, RFC 8601 section 5, RFC 8617 section 4.1.2).
var unsignable = []string{"Return-Path", "Received", "Bcc", "Resent-Bcc", "Authentication-Results",
	"DKIM-Signature", "ARC-Authentication-Results", "ARC-Message-Signature", "ARC-Seal"}

// resolveFields turns the three lists of fields in o into plain lists of names. Base is the
// list that + and - refer to, and that applies if p has no list.
func (c *checker) resolveFields(p placed, o *SignOptions, base SignOptions) {
	lists := []struct {
		name string
		own  *[]string
		base []string
	}{
		{"headers", &o.Headers, base.Headers},
		{"oversign", &o.Oversign, base.Oversign},
		{"oversign_if_present", &o.OversignPresent, base.OversignPresent},
	}
	for i, l := range lists {
		isHeaders := i == 0
		switch {
		case p.given[l.name] && isHeaders && containsFold(*l.own, "-From"):
			c.problem(p.at.key(l.name), "From is always signed (RFC 6376 section 5.4): remove -From")
		case p.given[l.name]:
			*l.own = c.changed(p.at.key(l.name), *l.own, l.base)
		case isHeaders:
			*l.own = l.base
		default: // what is not signed is not oversigned either
			*l.own = c.signedOf(p, o.Headers, l.name, l.base)
		}
		if isHeaders {
			o.Headers = union([]string{"From"}, o.Headers)
		} else { // and what is oversigned is signed
			o.Headers = union(o.Headers, *l.own)
		}
	}
}

// signedOf returns the names of base, a list of fields that may not be added, that are signed. The
// others it warns of.
func (c *checker) signedOf(p placed, signed []string, list string, base []string) []string {
	var kept, lost []string
	for _, name := range base {
		if containsFold(signed, name) || strings.EqualFold(name, "From") {
			kept = append(kept, name)
		} else {
			lost = append(lost, name)
		}
	}
	if len(lost) > 0 {
		c.warn(p.at.key("headers"), "leaves out %s of %s: others can then add such a field to "+
			"signed mail; if you intend that, set %s", quotedList(lost), list, list)
	}
	return kept
}

// changed applies a list of names with + and - to base; a list without them takes its place.
func (c *checker) changed(at place, list, base []string) []string {
	signs := 0
	for i, name := range list {
		plain := strings.TrimLeft(name, "+-")
		if plain != name {
			signs++
		}
		if containsFold(unsignable, plain) && name[0] != '-' {
			c.problem(at.index(i), "%s changes on the way, or must not be signed", plain)
		}
	}
	if signs == 0 {
		return union(nil, list)
	}
	if signs < len(list) {
		c.problem(at, "some names have + or -, others do not; with them the list changes the "+
			"default, without them it replaces the default")
		return base
	}
	out := slices.Clone(base)
	for i, name := range list {
		if name[0] == '+' {
			out = union(out, []string{name[1:]})
			continue
		}
		before := len(out)
		out = slices.DeleteFunc(out, func(n string) bool { return strings.EqualFold(n, name[1:]) })
		if len(out) == before {
			c.problem(at.index(i), "%s is not in the list%s", name[1:],
				c.guess.nearest(name[1:], slices.Values(out)))
		}
	}
	return out
}

// union appends the names that are not there yet.
func union(list, more []string) []string {
	out := slices.Clone(list)
	for _, name := range more {
		if !containsFold(out, name) {
			out = append(out, name)
		}
	}
	return out
}

func containsFold(list []string, name string) bool {
	return slices.ContainsFunc(list, func(n string) bool { return strings.EqualFold(n, name) })
}
