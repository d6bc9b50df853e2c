package spf

import (
	"net/netip"
	"slices"
	"strings"

	"mailseal/milter/lint"
)

// Repair returns the record that an owner will have meant by a text with mistakes, and whether that
// is a record without any that could be corrected. It allows no further sender: terms that cannot
// be read are left out, and "+all" becomes "~all".
func Repair(text string) (string, bool) {
	repaired, _, ok := repair(text)
	return repaired, ok
}

// Omitted returns the terms of a text that Repair leaves out, as they are written, in order.
func Omitted(text string) []string {
	_, omitted, _ := repair(text)
	return omitted
}

func repair(text string) (repaired string, omitted []string, ok bool) {
	if lint.Loses(text) {
		return "", nil, false
	}
	clean := lint.Clean(text)
	if lower := strings.ToLower(clean); strings.HasPrefix(lower, "spf1 ") {
		clean = "v=" + clean
	}
	if at := strings.Index(strings.ToLower(clean), version+" "); at > 0 {
		omitted = termsOf(clean[:at])
		clean = clean[at:] // a name, a type or the like before the record
	}
	if gap := strings.Fields(clean); len(gap) > 3 && gap[0]+gap[1]+gap[2] == version {
		clean = version + " " + strings.Join(gap[3:], " ") // v = spf1
	}
	words := strings.FieldsFunc(clean,
		func(r rune) bool {
			return r == ' ' || r == ',' || r == ';' || r == '\t' || r == '\r' || r == '\n'
		})
	if len(words) > 1 && strings.EqualFold(words[0], "v=spf") && words[1] == "1" {
		words = append([]string{version}, words[2:]...)
	}
	if len(words) > 0 && len(words[0]) > len(version) &&
		strings.EqualFold(words[0][:len(version)], version) {
		words = append([]string{version, words[0][len(version):]}, words[1:]...) // v=spf1mx
	}
	if first := strings.ToLower(strings.Join(words[:min(1, len(words))], "")); lint.Nearest(first,
		version) != "" || first == "spf=v1" {
		words[0] = version
	}
	if len(words) == 0 || !strings.HasPrefix(strings.ToLower(strings.Replace(words[0], ":", "=",
		1)), version) {
		return "", nil, false
	}
	words = append(words[:1:1], withAll(rejoin(words[1:]))...)
	kept := []string{version}
	seen := map[string]bool{}
	all := ""
	hasAll := slices.ContainsFunc(words[1:], isAll)
	for i, word := range words[1:] {
		written := word
		if strings.EqualFold(word, version) {
			continue // a second record in the same text
		}
		if isOther(word) {
			omitted = append(omitted, words[1+i:]...)
			break
		}
		term, glued, isGlued := splitAll(word)
		word = repairTerm(term)
		t, err := parseTerm(word)
		switch {
		case err != nil:
			omitted = append(omitted, written)
			continue
		case seen[strings.ToLower(word)]:
			if isGlued {
				omitted = append(omitted, glued)
			}
			continue
		case t.kind == kindAll && all == "":
			all = word
			if t.value == Pass {
				omitted = append(omitted, written)
				all = "~all"
			}
			continue
		case t.kind == kindAll, all != "" && !t.kind.isModifier(), t.kind == kindRedirect && hasAll:
			omitted = append(omitted, written)
			continue
		}
		if isGlued {
			omitted = append(omitted, glued)
		}
		seen[strings.ToLower(word)] = true
		kept = append(kept, word)
	}
	if all != "" {
		kept = append(kept, all)
	}
	out := strings.Join(kept, " ")
	_, err := parseRecord(out)
	return out, omitted, err == nil
}

// isAll reports whether a word is the mechanism "all".
func isAll(word string) bool {
	t, err := parseTerm(word)
	return err == nil && t.kind == kindAll
}

// termsOf are the words of a text that are terms of a record.
func termsOf(text string) []string {
	return slices.DeleteFunc(strings.Fields(text), func(word string) bool {
		t, err := parseTerm(word)
		return err != nil || t.kind == kindOther
	})
}

// isOther reports whether a word is the version of a record of another kind, which was written into
// the same text.
func isOther(word string) bool {
	word = strings.ToLower(word)
	return strings.HasPrefix(word, "v=dmarc1") || strings.HasPrefix(word, "v=dkim1")
}

// Join returns one record that allows what several allow, and whether there is one: records with
// redirect= cannot be joined. It ends in what all of them end in, else in ~all.
func Join(texts []string) (string, bool) {
	kept, all := []string{version}, ""
	for i, text := range texts {
		repaired, ok := Repair(text)
		if !ok {
			return "", false
		}
		end := ""
		for _, word := range strings.Fields(repaired)[1:] {
			t, err := parseTerm(word)
			switch {
			case err != nil || t.kind == kindRedirect || t.value != Pass && t.kind != kindAll &&
				!t.kind.isModifier():
				return "", false // the order counts, too
			case t.kind == kindAll:
				end = strings.ToLower(word)
			case !slices.Contains(kept, word):
				kept = append(kept, word)
			}
		}
		if i == 0 {
			all = end
		} else if all != end {
			all = "~all"
		}
	}
	if all == "" {
		all = "~all"
	}
	out := strings.Join(append(kept, all), " ")
	_, err := parseRecord(out)
	return out, err == nil
}

// repairTerm corrects the slips that can only mean one thing.
func repairTerm(word string) string {
	sign, bare := "", word
	if strings.ContainsRune("+-~?", rune(word[0])) {
		sign, bare = word[:1], word[1:]
	}
	if a, ok := parseAddress(bare); ok {
		return sign + networkTerm(a, bare)
	}
	if name, rest, ok := strings.Cut(bare, "="); ok && isMechanism(name) {
		bare = name + ":" + rest
	}
	for _, m := range []string{"redirect", "exp"} {
		if len(bare) > len(m) && strings.EqualFold(bare[:len(m)], m) && bare[len(m)] == ':' {
			bare = m + "=" + bare[len(m)+1:]
		}
	}
	name, rest, ok := strings.Cut(bare, ":")
	if host := strings.TrimPrefix(strings.TrimPrefix(rest, "https://"), "http://"); host != rest {
		rest = strings.TrimRight(host, "/")
		bare = name + ":" + rest
	}
	if named := withoutPort(rest); ok && named != rest {
		rest = named
		bare = name + ":" + rest
	}
	if a, isAddress := parseAddress(rest); ok && isAddress && strings.EqualFold(name, "a") {
		return sign + networkTerm(a, rest)
	}
	if near := nearestTerm(name); near != "" && near != "redirect" && near != "exp" {
		if bare = near + bare[len(name):]; !ok {
			return sign + bare
		}
	}
	switch strings.ToLower(name) {
	case "ip", "ipv4", "ipv6", "ip4", "ip6":
		if a, isAddress := parseAddress(rest); ok && isAddress {
			return sign + networkTerm(a, rest)
		}
	}
	return sign + bare
}

func networkTerm(n netip.Prefix, text string) string {
	if n.Addr().Is4() {
		return "ip4:" + text
	}
	return "ip6:" + text
}
