package filter

import (
	"net/netip"
	"slices"

	"mailseal/milter"
	"mailseal/milter/action"
	"mailseal/milter/authres"
	"mailseal/milter/domain"
	"mailseal/milter/message"
)

// OwnFields are the header fields that only we may write.
type OwnFields struct {
	// our authserv-ids, also former ones and those of hosts that work as one with this
	IDs []string
	// fields that are removed whatever they say: a mark of policy, Received-SPF if we write it
	Names []string

	// hosts of ours that may hand on such fields: content filters, list managers
	KeepResults []netip.Prefix
}

// Forged returns the indices of the fields of a message that only we may have written, from a
// sender who may not hand them on (RFC 8601 section 5).
//
// The MTA's own name counts as one of our authserv-ids whatever is configured, in full and as its
// first label: readers may take a field under it for the work of this host. Fields beyond the
// number that is read (authres.Effort) count as forged.
func (o OwnFields) Forged(m milter.Mail) []int {
	if o.mayHandOn(m) {
		return nil
	}
	ids := o.allIDs(m.Envelope.Hostname)
	var effort authres.Effort
	isForged := func(f message.Field) bool {
		return !effort.Spend(f.Value()) || authres.Claims(f.Value(), ids)
	}
	var at []int
	for i, f := range m.Header {
		isNamed := slices.ContainsFunc(o.Names, f.Is)
		if isNamed || f.Is(authres.FieldName) && isForged(f) {
			at = append(at, i)
		}
	}
	return slices.Compact(slices.Sorted(slices.Values(append(at, o.hidden(m.Header, isForged)...))))
}

// allIDs returns the authserv-ids that count as ours behind an MTA of that name, which may be "".
func (o OwnFields) allIDs(mta string) []string {
	if mta == "" {
		return o.IDs
	}
	return append(slices.Clip(o.IDs), mta, domain.FirstLabel(mta))
}

// hidden returns the indices of the fields that contain one of ours behind a bare CR. They
// are removed whole: there is no other way to remove the field inside.
func (o OwnFields) hidden(h message.Header, isForged func(message.Field) bool) []int {
	var at []int
	for hidden := range h.Hidden(authres.FieldName) {
		if isForged(hidden.Field) {
			at = append(at, hidden.In)
		}
	}
	for _, name := range o.Names {
		for hidden := range h.Hidden(name) {
			at = append(at, hidden.In)
		}
	}
	return at
}

// mayHandOn reports whether the sender may hand our fields on. A relay may, and so may local
// processes and the hosts of ours in KeepResults: a content filter or a list manager hands back
// what went through us before, and with it the only copy of the verdict. A stranger may not, nor
// users of ours, nor the PCs of a network of ours.
func (o OwnFields) mayHandOn(m milter.Mail) bool {
	switch {
	case m.Role == action.RoleRelay:
		return true
	case m.Role != action.RoleOurs:
		return false
	case m.Why == milter.BySubmission:
		return true
	}
	isOwnHost := m.Why == milter.ByNetwork || m.Why == milter.ByHost
	client := m.Envelope.Client.Unmap().WithZone("")
	return isOwnHost && slices.ContainsFunc(o.KeepResults,
		func(p netip.Prefix) bool { return p.Contains(client) })
}
