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
		im.note("quarantine-header", e)
	}
	if _, set := im.conf.get("On-DNSError"); !set && !hasAll && im.verifies() {
		im.unset("on-dns-error-unset", "On-DNSError")
	}
	if _, set := im.conf.get("On-SignatureError"); !set && !hasAll && im.verifies() {
		im.unset("on-signature-error-unset", "On-SignatureError")
	}
}

// standing lists the differences of Mailseal that do not depend on any setting.
func (im *importer) standing() {
	if im.signs() {
		im.unset("signature-unreadable-signed", "Mode")
		im.unset("authors-several", "SenderHeaders")
	}
	if im.verifies() {
		im.unset("result-field-always", "AlwaysAddARHeader")
	}
}

func (im *importer) action(r result, e entry) {
	letter := strings.ToLower(e.value)[0]
	switch {
	case letter == 'd':
		im.note("action-discard", e)
		letter = 'r'
	case actionNames[letter] == "":
		im.note("action-unknown", e, e.value)
		return
	}
	if strings.IndexByte(r.allowed, letter) < 0 {
		im.note("action-impossible", e, actionNames[letter], r.option)
		letter = 't'
	}
	im.out.table(r.table).set(r.setting, actionNames[letter], base(e.place))
	if e.name != r.option {
		im.note("action-default", e, r.option, actionNames[letter])
		return
	}
	im.note("action", e, actionNames[letter])
}
