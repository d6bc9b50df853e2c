package taglist

// ParseLenient reads what can be read of s: a tag that Parse would refuse is left out, of duplicates the first is
// kept. Skipped holds what was left out, as written. DMARC and its many hand-made records want it (RFC 9989
// section 4.7).
func ParseLenient(s string) (list List, skipped []string) {
	seen := map[string]bool{}
	for at := 0; at < len(s); {
		end := at + specLen(s[at:])
		t, err := parseTag(s, at, end)
		switch spec := s[at:end]; {
		case err == nil && !seen[t.Name]:
			seen[t.Name] = true
			list = append(list, t)
		case !isFWS(spec):
			skipped = append(skipped, spec)
		}
		at = end + 1
	}
	return list, skipped
}
