package sign

import (
	"golang.org/x/net/publicsuffix"

	"mailseal/keys"
	"mailseal/milter/domain"
)

// withhold sets the keys aside whose signatures would speak for the author's domain, which was
// forged: those of the domain, and of any that DMARC could count for it. A list's or forwarder's
// own domain may sign.
func (out *Signed) withhold(have []keys.Key, forged domain.Name) []keys.Key {
	if forged == "" {
		return have
	}
	var rest []keys.Key
	for _, k := range have {
		if d, err := domain.Parse(k.Domain); err == nil && !isRelated(d, forged) {
			rest = append(rest, k)
			continue
		}
		out.Withheld = append(out.Withheld, k.Name)
	}
	return rest
}

// isRelated reports whether two domains may be of one owner: one is at or below the other, or both
// are below one name that can be registered. It need not ask the DNS, and errs on the side of yes.
func isRelated(a, b domain.Name) bool {
	if a.Within(b) || b.Within(a) {
		return true
	}
	ofA, errA := publicsuffix.EffectiveTLDPlusOne(a.String())
	ofB, errB := publicsuffix.EffectiveTLDPlusOne(b.String())
	return errA == nil && errB == nil && ofA == ofB
}
