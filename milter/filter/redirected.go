package filter

import (
	"slices"
	"strings"

	"mailseal/milter/authres"
	"mailseal/milter/domain"
	"mailseal/milter/message"
)

// redirected is the reason for which a message is not signed as its author's domain: we found that
// it does not come from there.
const redirected = "redirected"

// hasOurFailure reports whether the message failed DMARC for the author's domain, by the newest of
// our own fields with a DMARC result. Such a message came from a stranger, and a user's rule or a
// list sends it on through a host of ours: signed, the forgery would pass everywhere.
//
// A stranger cannot have written the field, since fields with our ids are removed from what
// strangers send; a user of ours who writes one keeps but a message of his own from being signed.
//
// Without authserv_id our fields have the name that the MTA calls itself, mta.
func (o OwnFields) hasOurFailure(h message.Header, author domain.Name, mta string) bool {
	ids := o.allIDs(mta)
	for _, f := range h { // the newest is on top
		if !f.Is(authres.FieldName) {
			continue
		}
		field, err := authres.Parse(f.Value())
		if err != nil || !isID(ids, field.ID) {
			continue
		}
		results := slices.DeleteFunc(field.Results,
			func(r authres.Result) bool { return r.Method != "dmarc" })
		if len(results) > 0 {
			return slices.ContainsFunc(results,
				func(r authres.Result) bool { return r.Value == "fail" && isOf(r, author) })
		}
	}
	return false
}

// isID reports whether an authserv-id is one of ids.
func isID(ids []string, id string) bool {
	name := domain.ASCII(strings.TrimSuffix(id, "."))
	return slices.ContainsFunc(ids, func(own string) bool {
		return strings.EqualFold(own, id) ||
			strings.EqualFold(domain.ASCII(strings.TrimSuffix(own, ".")), name)
	})
}

// isOf reports whether a DMARC result is about the author's domain. One without header.from is
// about the only From that there is.
func isOf(r authres.Result, author domain.Name) bool {
	for _, p := range r.Properties {
		if p.Type == "header" && p.Name == "from" {
			from, err := domain.Parse(p.Value)
			return err == nil && from == author
		}
	}
	return true
}
