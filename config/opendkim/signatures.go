package opendkim

import (
	"slices"
	"strings"
	"time"

	"mailseal/config"
	"mailseal/config/tables"
)

// signatures translates how signatures are made.
func (im *importer) signatures() {
	if !im.signs() {
		return
	}
	t := im.out.table("[signing]")
	im.canonicalization(t)
	if e, n, ok := im.conf.number("SignatureTTL"); ok && n > 0 {
		t.set("expiry", time.Duration(n)*time.Second, base(e.place))
		im.note(Taken, e, "signatures are good for %s", duration(time.Duration(n)*time.Second))
	} else {
		t.set("expiry", time.Duration(0), "no SignatureTTL")
		im.unset(Taken, "SignatureTTL", "not set: signatures are good for ever, as before; Mailseal's own default is 10 days")
	}
	if e, on := im.conf.yes("RemoveOldSignatures"); on {
		t.set("remove_old_signatures", true, base(e.place))
		im.note(Taken, e, "signatures that a message of ours came with are removed")
	}
	im.headers(t)
	if e, ok := im.conf.get("SignatureAlgorithm"); ok {
		im.note(Dropped, e, "a key itself says how it signs, with rsa-sha256 or ed25519-sha256: OpenDKIM defers all mail of keys that are not of this kind")
	}
	if e, ok := im.conf.get("SenderHeaders"); ok && !strings.EqualFold(e.value, "From") {
		im.note(Dropped, e, "the author is in From, as DMARC wants it: mail whose From is of no domain in the table goes unsigned")
	}
	for _, name := range []string{"ResignAll", "ResignMailTo"} {
		if e, ok := im.conf.get(name); ok {
			im.note(Dropped, e, "mail of strangers is signed by rules with resign = true and a when that says which")
		}
	}
}

func (im *importer) canonicalization(t *table) {
	e, ok := im.conf.get("Canonicalization")
	if !ok {
		im.unset(Changed, "Canonicalization", "not set: relaxed/relaxed, where OpenDKIM's default simple/simple breaks whenever a host on the way folds a line anew")
		return
	}
	header, body, both := strings.Cut(strings.ToLower(e.value), "/")
	if !both {
		body = "simple"
		im.note(Taken, e, "%s alone means %s/simple", e.value, header)
	} else {
		im.note(Taken, e, "%s/%s", header, body)
	}
	if header != "simple" && header != "relaxed" || body != "simple" && body != "relaxed" {
		im.note(Dropped, e, "%q is no canonicalization", e.value)
		return
	}
	t.set("canonicalization", header+"/"+body, base(e.place))
	if body == "simple" {
		im.note(Taken, e, "a simple body breaks more often on the way; relaxed/relaxed is safe to change to at any time")
	}
}

// unsignable are fields that Mailseal does not sign.
var unsignable = []string{"Return-Path", "Received", "Bcc", "Resent-Bcc", "Authentication-Results", "DKIM-Signature", "ARC-Authentication-Results", "ARC-Message-Signature", "ARC-Seal"}

// headers translates which fields are signed. What is not set follows Mailseal's list, which covers more.
func (im *importer) headers(t *table) {
	std := config.Default().Signing
	signed, said := im.fieldList("SignHeaders", std.Headers, true)
	if !said {
		im.unset(Changed, "SignHeaders", "not set: Mailseal signs more fields, among them Message-ID, MIME-Version and Content-Type (signing.headers)")
	}
	e, _ := im.conf.get("SignHeaders")
	if omit, ok := im.fieldList("OmitHeaders", nil, false); ok {
		if !said {
			signed = std.Headers
			e, _ = im.conf.get("OmitHeaders")
		}
		if hasFold(omit, "From") {
			from, _ := im.conf.get("OmitHeaders")
			im.note(Changed, from, "From must be signed, and is: OpenDKIM signs nothing at all with From in this list")
		}
		signed = slices.DeleteFunc(slices.Clone(signed), func(n string) bool { return hasFold(omit, n) && !strings.EqualFold(n, "From") })
		said = true
	}
	if said {
		if !hasFold(signed, "From") {
			signed = append([]string{"From"}, signed...)
		}
		t.set("headers", signed, base(e.place))
	}
	over, ok := im.fieldList("OversignHeaders", nil, true)
	if !ok {
		im.unset(Changed, "OversignHeaders", "not set: From, To, Cc, Subject and Reply-To are listed once more than a message has them, so that nobody can add one (signing.oversign)")
		return
	}
	e, _ = im.conf.get("OversignHeaders")
	t.set("oversign", over, base(e.place))
	t.set("oversign_if_present", []string{}, base(e.place))
}

// fieldList reads a list of field names. With a "*" in it, it changes the default: +name adds, -name takes away.
func (im *importer) fieldList(name string, std []string, sign bool) ([]string, bool) {
	e, d := im.openSet(name)
	if d == nil {
		return nil, false
	}
	delta := slices.ContainsFunc(d.Records, func(r tables.Record) bool { return r.Key == "*" })
	out := []string{}
	if delta {
		out = slices.Clone(std)
		im.note(Taken, e, "a change to the default list, which is Mailseal's now")
	} else {
		im.note(Taken, e, "%s", count(len(d.Records), "name"))
	}
	for _, r := range d.Records {
		plain := strings.TrimLeft(r.Key, "+-")
		switch {
		case r.Key == "*":
		case delta && plain == r.Key, !delta && plain != r.Key:
			im.noteAt(Never, r.Place, name, "%s: + and - go with a *, and every other name with one of them", r.Key)
		case !isFieldName(plain):
			im.noteAt(Dropped, r.Place, name, "%q is no name of a field", plain)
		case delta && r.Key[0] == '-':
			out = slices.DeleteFunc(out, func(n string) bool { return strings.EqualFold(n, plain) })
		case sign && hasFold(unsignable, plain):
			im.noteAt(Dropped, r.Place, name, "%s changes on the way, or is not for signing", plain)
		case !hasFold(out, plain):
			out = append(out, plain)
		}
	}
	return out, true
}

func hasFold(list []string, name string) bool {
	return slices.ContainsFunc(list, func(n string) bool { return strings.EqualFold(n, name) })
}

func isFieldName(s string) bool {
	return s != "" && len(s) <= 77 && !strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r >= 0x7f || r == ':' || r == ';' })
}
