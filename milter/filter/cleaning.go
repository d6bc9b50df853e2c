package filter

import (
	"slices"

	"mailseal/milter"
	"mailseal/milter/action"
	"mailseal/milter/authres"
	"mailseal/milter/domain"
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
//
// The MTA's own name counts as one of our authserv-ids whatever is configured, in full and as its first label: readers
// may take a field under it for the work of this host.
func (o OwnFields) Forged(m milter.Mail) []int {
	if mayHandOn(m.Role, m.Why) {
		return nil
	}
	ids := o.IDs
	if name := m.Envelope.Hostname; name != "" {
		ids = append(slices.Clip(ids), name, domain.FirstLabel(name))
	}
	var at []int
	for i, f := range m.Header {
		isNamed := slices.ContainsFunc(o.Names, f.Is)
		if isNamed || f.Is(authres.FieldName) && authres.Claims(f.Value(), ids) {
			at = append(at, i)
		}
	}
	return at
}

func mayHandOn(role action.Role, why milter.Reason) bool {
	isOwnHost := why == milter.ByNetwork || why == milter.BySubmission
	return role == action.RoleRelay || role == action.RoleOurs && isOwnHost
}
