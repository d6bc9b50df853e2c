package opendkim

import "net/netip"

// verifier says what an OpenDKIM that does not sign makes of the settings for whose mail is signed:
// nothing. It verifies all mail, also that of 127.0.0.1 and of users who log in.
func (im *importer) verifier() {
	for _, name := range []string{"InternalHosts", "MTA", "MacroList"} {
		if e, ok := im.conf.get(name); ok {
			im.note("verifier-ours", e)
		}
	}
	if e, d := im.openSet("ExternalIgnoreList"); d != nil {
		im.note("peer-list-dropped", e)
	}
}

// verifierRole writes the role of the listener of an OpenDKIM that does not sign: mail of ours is
// not judged, and so there is none. Where an OpenDMARC beside it leaves the mail of users who log
// in alone, that stays so: their mail is ours, and no other client's.
func (im *importer) verifierRole() {
	if !im.verifiesOnly {
		return
	}
	if e, isIgnored := im.ignoresAuthenticated(); isIgnored {
		im.out.table("[ours]").set("networks", []netip.Prefix{}, "Mode v")
		im.note("verifier-authenticated", e)
		im.unset("verifier-submission", "Mode")
		return
	}
	t := im.listener
	if t == nil {
		t = im.out.add("[[listen]]")
		t.set("address", "inet:8891@127.0.0.1", "no Socket")
	}
	t.set("role", "theirs", "Mode v")
	im.unset("verifier-role", "Mode")
}

// ignoresAuthenticated reports whether OpenDMARC leaves the mail of users who log in alone.
func (im *importer) ignoresAuthenticated() (entry, bool) {
	if !im.dmarc {
		return entry{}, false
	}
	return im.conf.yes("IgnoreAuthenticatedClients")
}
