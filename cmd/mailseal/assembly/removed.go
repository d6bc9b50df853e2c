package assembly

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"

	"mailseal/config"
)

// Shrunk returns, in sentences, which parts of an earlier configuration a new one lacks, so that
// mail that was signed may go unsigned: whose mail is ours, and authors that no rule names now,
// whether they sent mail lately or not.
func Shrunk(old, now *Parts) []string {
	if !old.Config.Signs() {
		return nil
	}
	out := removedOurs(old.Config.Ours, now.Config.Ours)
	if gone := authorsGone(old, now); len(gone) > 0 {
		out = append(out, "no rule is left for mail from "+some(gone))
	}
	for _, name := range now.Config.CutFrom(old.Config) {
		out = append(out, fmt.Sprintf("%s is shorter than at the last reload: its end is "+
			"missing; if that was not intended, restore the file and reload", name))
	}
	return out
}

func removedOurs(old, now config.Ours) []string {
	var out []string
	say := func(setting string, gone []string) {
		if len(gone) > 0 {
			out = append(out, fmt.Sprintf("ours.%s no longer contains %s: mail from there is not "+
				"signed unless it is ours for another reason", setting, some(gone)))
		}
	}
	var networks []string
	for _, n := range old.Networks {
		holds := func(p netip.Prefix) bool { return p.Bits() <= n.Bits() && p.Contains(n.Addr()) }
		if !slices.ContainsFunc(now.Networks, holds) {
			networks = append(networks, n.String())
		}
	}
	say("networks", networks)
	say("hosts", without(old.Hosts, now.Hosts))
	say("daemon_names", without(old.DaemonNames, now.DaemonNames))
	say("macros", without(slices.Sorted(maps.Keys(old.Macros)),
		slices.Collect(maps.Keys(now.Macros))))
	if old.Authenticated && !now.Authenticated {
		out = append(out, "ours.authenticated is false now: mail of users who log in is not signed "+
			"unless it is ours for another reason")
	}
	return out
}

// without returns the members of a that b does not have. Exceptions ("!name") are for less mail
// anyway.
func without(a, b []string) []string {
	return slices.DeleteFunc(slices.Clone(a), func(s string) bool {
		return strings.HasPrefix(s, "!") || slices.Contains(b, s)
	})
}

// authorsGone returns the patterns of authors of the rules before that no rule has, or fits, any
// more.
func authorsGone(old, now *Parts) []string {
	kept := map[string]bool{}
	for _, r := range now.Config.Sign {
		for _, from := range r.From {
			kept[from] = true
		}
	}
	c := NewCoverages(now, nil)
	var out []string
	for _, r := range old.Config.Sign {
		for _, from := range r.From {
			place := from[strings.LastIndexByte(from, '@')+1:]
			if !kept[from] && len(c.candidates(place)) == 0 {
				out = append(out, from)
			}
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// some writes a list, the beginning of a long one.
func some(list []string) string {
	const most = 20
	if len(list) <= most {
		return strings.Join(list, ", ")
	}
	return fmt.Sprintf("%s and %d others", strings.Join(list[:most], ", "), len(list)-most)
}
