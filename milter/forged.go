package milter

import (
	"slices"
	"strings"

	"mailseal/milter/authres"
	"mailseal/milter/message"
)

// Own names the header fields that nobody but us may write.
type Own struct {
	IDs    []string // our authserv-ids, also former ones and those of hosts that work as one with this
	Fields []string // fields that are removed whatever they say: a mark of policy, Received-SPF if we write it
}

// Forged returns the indices of the fields of h that only we may have written, from a sender who may not hand them on:
// a stranger, and whoever is ours as a user (RFC 8601 section 5). A relay may, and so may hosts of our own networks
// and local processes: a content filter or a list manager hands back what went through us before, and with it the
// only copy of the verdict.
func (o Own) Forged(h message.Header, role Role, why Reason) []int {
	if mayHandOn(role, why) {
		return nil
	}
	var at []int
	for i, f := range h {
		isNamed := slices.ContainsFunc(o.Fields, f.Is)
		if isNamed || f.Is(authres.FieldName) && authres.Claims(f.Value(), o.IDs) {
			at = append(at, i)
		}
	}
	return at
}

func mayHandOn(role Role, why Reason) bool {
	return role == Relay || role == Ours && (why == ByNetwork || why == BySubmission)
}

// ordinals returns, for each index in at, its place among the fields of its name, counted from 1 at the top. It walks
// the header once, however many fields a stranger forged.
func ordinals(h message.Header, at []int) map[int]int {
	if len(at) == 0 {
		return nil
	}
	seen := map[string]int{}
	for _, i := range at {
		seen[strings.ToLower(h[i].Name())] = 0
	}
	out := make(map[int]int, len(at))
	for i, f := range h {
		name := strings.ToLower(f.Name())
		if n, wanted := seen[name]; wanted {
			seen[name] = n + 1
			out[i] = n + 1
		}
	}
	return out
}
