package opendkim

import "strings"

// result is one of OpenDKIM's On- options and the setting that it becomes.
type result struct {
	option  string
	table   string
	setting string
	allowed string // first letters of the actions that the setting takes
}

var results = []result{
	{"On-BadSignature", "[policy.dkim]", "fail", "arqt"},
	{"On-NoSignature", "[policy.dkim]", "none", "arqt"},
	{"On-KeyNotFound", "[policy.dkim]", "permerror", "arqt"},
	{"On-SignatureError", "[policy.dkim]", "neutral", "arqt"},
	{"On-DNSError", "[policy.dkim]", "temperror", "aqt"},
	{"On-InternalError", "", "on_internal_error", "art"},
}

var actionNames = map[byte]string{'a': "accept", 'r': "reject", 'q': "hold", 't': "tempfail"}

// actions translates what is done about results.
func (im *importer) actions() {
	all, hasAll := im.conf.get("On-Default")
	if quarantine, on := im.conf.yes("Quarantine"); on {
		if _, set := im.conf.get("On-BadSignature"); !set {
			im.conf.set["on-badsignature"] = entry{quarantine.place, "Quarantine", "quarantine"}
		}
	}
	for _, r := range results {
		e, ok := im.conf.get(r.option)
		if !ok && hasAll {
			e, ok = all, true
		}
		if ok && (im.verifies() || r.table == "") {
			im.action(r, e)
		}
	}
	if e, ok := im.conf.get("On-Security"); ok {
		im.note(Dropped, e, "what it was for is refused by itself: a header that is too large with 552")
	}
	if _, set := im.conf.get("On-DNSError"); !set && !hasAll && im.verifies() {
		im.unset(Changed, "On-DNSError", "not set: mail whose signature cannot be looked up is accepted with dkim=temperror, not deferred (policy.dkim.temperror)")
	}
	if _, set := im.conf.get("On-SignatureError"); !set && !hasAll && im.verifies() {
		im.unset(Changed, "On-SignatureError", "not set: a signature that cannot be read counts as none; mail with one is accepted, not rejected (policy.dkim.neutral)")
	}
}

// standing says what Mailseal does otherwise whatever is set.
func (im *importer) standing() {
	if im.signs() {
		im.unset(Changed, "Mode", "mail that comes with a DKIM-Signature that cannot be read is signed like all other: OpenDKIM lets it go unsigned")
		im.unset(Changed, "SenderHeaders", "mail whose From names authors of several domains goes unsigned, says so and is counted: OpenDKIM signs it for the first")
	}
	if im.verifies() {
		im.unset(Changed, "AlwaysAddARHeader", "all mail that is verified gets one Authentication-Results field: OpenDKIM writes none where a key is missing")
	}
}

func (im *importer) action(r result, e entry) {
	letter := strings.ToLower(e.value)[0]
	switch {
	case letter == 'd':
		im.note(Changed, e, "mail is never thrown away in silence: it is rejected")
		letter = 'r'
	case actionNames[letter] == "":
		im.note(Dropped, e, "%q is no action", e.value)
		return
	}
	if strings.IndexByte(r.allowed, letter) < 0 {
		im.note(Changed, e, "%s is not possible for %s: tempfail", actionNames[letter], r.option)
		letter = 't'
	}
	im.out.table(r.table).set(r.setting, actionNames[letter], base(e.place))
	if e.name != r.option {
		im.note(Taken, e, "%s: %s", r.option, actionNames[letter])
		return
	}
	im.note(Taken, e, "%s", actionNames[letter])
}
