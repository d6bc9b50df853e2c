package taglist

import "strings"

// ParseLenient reads what can be read of s, as DMARC does with its many records made by hand (RFC
// 9989 section 4.8): names in any case, given in lower case; the first of duplicates; at most
// MaxTags. Skipped holds what was left out, as written. A caller that wants a certain tag to be the
// first looks at s, since something may have been left out before it.
func ParseLenient(s string) (list List, skipped []string) {
	for at := 0; at < len(s); {
		if len(list)+len(skipped) == MaxTags {
			return list, append(skipped, s[at:])
		}
		end := specEnd(s, at)
		if spec := s[at:end]; strings.Trim(spec, fws) != "" {
			t, err := parseTag(s, at, end)
			t.Name = strings.ToLower(t.Name)
			if err == nil && list.index(t.Name) < 0 {
				list = append(list, t)
			} else {
				skipped = append(skipped, spec)
			}
		}
		at = end + 1
	}
	return list, skipped
}
