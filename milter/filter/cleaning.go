package filter

import (
	"slices"

	"mailseal/milter"
	"mailseal/milter/action"
	"mailseal/milter/authres"
	"mailseal/milter/message"
)

// OwnFields are the header fields that nobody but us may write.
type OwnFields struct {
	IDs   []string // our authserv-ids, also former ones and those of hosts that work as one with this
	Names []string // fields that are removed whatever they say: a mark of policy, Received-SPF if we write it
}

// Forged returns the indices of the fields of h that only we may have written, from a sender who may not hand them on:
// a stranger, and whoever is ours as a user (RFC 8601 section 5). A relay may, and so may hosts of our own networks
// and local processes: a content filter or a list manager hands back what went through us before, and with it the
// only copy of the verdict.
func (o OwnFields) Forged(h message.Header, role action.Role, why milter.Reason) []int {
	if mayHandOn(role, why) {
		return nil
	}
	var at []int
	for i, f := range h {
		isNamed := slices.ContainsFunc(o.Names, f.Is)
		if isNamed || f.Is(authres.FieldName) && authres.Claims(f.Value(), o.IDs) {
			at = append(at, i)
		}
	}
	return at
}

func mayHandOn(role action.Role, why milter.Reason) bool {
	isOwnHost := why == milter.ByNetwork || why == milter.BySubmission
	return role == action.RoleRelay || role == action.RoleOurs && isOwnHost
}
