package opendkim

import "mailseal/config/tables"

// defaults lists the defaults of Mailseal that affect mail and have no equivalent in the
// programs that are replaced. The notes on an option, set or unset, are where the option is
// translated.
func (im *importer) defaults() {
	signs, verifies := im.dkim != nil && !im.verifiesOnly, im.verified || im.dmarc
	isLimited := true
	if im.dkim != nil {
		_, isLimited = im.dkim.get("MaximumHeaders")
	}
	for _, d := range []struct {
		holds bool
		code  tables.Code
		name  string // of an option on the same subject, or ""
	}{
		{signs, "default-redirected", ""},
		{signs, "default-long-lines", ""},
		{signs, "default-self-check", ""},
		{verifies && !im.needsAuthor, "default-from-marked", ""},
		{verifies, "default-mark-removed", ""},
		{im.verified, "default-unsigned-body", "Minimum"},
		{im.verified, "default-sha1", "AllowSHA1Only"},
		{im.dmarc, "default-methods", "SPFSelfValidate"},
		{!isLimited, "default-header-size", "MaximumHeaders"},
	} {
		if d.holds {
			im.unset(d.code, d.name)
		}
	}
}
