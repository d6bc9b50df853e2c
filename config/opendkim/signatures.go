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
		im.note("expiry", e, duration(time.Duration(n)*time.Second))
	} else {
		t.set("expiry", time.Duration(0), "no SignatureTTL")
		im.unset("expiry-unset", "SignatureTTL")
	}
	if e, on := im.conf.yes("RemoveOldSignatures"); on {
		t.set("remove_old_signatures", true, base(e.place))
		im.note("old-signatures-removed", e)
	}
	if e, on := im.conf.yes("RequestReports"); on {
		t.set("request_reports", true, base(e.place))
		im.note("reports-requested", e)
	}
	im.headers(t)
	if e, ok := im.conf.get("SignatureAlgorithm"); ok {
		im.note("algorithm-dropped", e)
	}
	if e, ok := im.conf.get("SenderHeaders"); ok && !strings.EqualFold(e.value, "From") {
		im.note("sender-headers-dropped", e)
	}
	for _, name := range []string{"ResignAll", "ResignMailTo"} {
		if e, ok := im.conf.get(name); ok {
			im.note("resign-dropped", e)
		}
	}
}

func (im *importer) canonicalization(t *table) {
	e, ok := im.conf.get("Canonicalization")
	if !ok {
		im.unset("canonicalization-unset", "Canonicalization")
		return
	}
	header, body, both := strings.Cut(strings.ToLower(e.value), "/")
	if !both {
		body = "simple"
		im.note("canonicalization-alone", e, e.value, header)
	} else {
		im.note("canonicalization", e, header, body)
	}
	if header != "simple" && header != "relaxed" || body != "simple" && body != "relaxed" {
		im.note("canonicalization-unknown", e, e.value)
		return
	}
	t.set("canonicalization", header+"/"+body, base(e.place))
	if body == "simple" {
		im.note("canonicalization-simple-body", e)
	}
}

// unsignable are fields that Mailseal does not sign.
var unsignable = []string{"Return-Path", "Received", "Bcc", "Resent-Bcc", "Authentication-Results",
	"DKIM-Signature", "ARC-Authentication-Results", "ARC-Message-Signature", "ARC-Seal"}

// headers translates which fields are signed. What is not set follows Mailseal's list, which covers
// more.
func (im *importer) headers(t *table) {
	std := config.Default().Signing
	signed, said := im.fieldList("SignHeaders", std.Headers, true)
	if _, omits := im.conf.get("OmitHeaders"); !said && omits {
		im.unset("headers-unset-omitted", "SignHeaders")
	} else if !said {
		im.unset("headers-unset", "SignHeaders")
	}
	e, _ := im.conf.get("SignHeaders")
	if omit, ok := im.fieldList("OmitHeaders", nil, false); ok {
		if !said {
			signed = std.Headers
			e, _ = im.conf.get("OmitHeaders")
		}
		if hasFold(omit, "From") {
			from, _ := im.conf.get("OmitHeaders")
			im.note("headers-omit-from", from)
		}
		signed = slices.DeleteFunc(slices.Clone(signed),
			func(n string) bool { return hasFold(omit, n) && !strings.EqualFold(n, "From") })
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
		im.unset("oversign-unset", "OversignHeaders")
		return
	}
	e, _ = im.conf.get("OversignHeaders")
	t.set("oversign", over, base(e.place))
	t.set("oversign_if_present", []string{}, base(e.place))
	t.set("oversign_mime", false, base(e.place))
}

// fieldList reads a list of field names. With a "*" in it, it changes the default: +name adds,
// -name takes away.
func (im *importer) fieldList(name string, std []string, sign bool) ([]string, bool) {
	e, d := im.openSet(name)
	if d == nil {
		return nil, false
	}
	delta := slices.ContainsFunc(d.Records, func(r tables.Record) bool { return r.Key == "*" })
	out := []string{}
	if delta {
		out = slices.Clone(std)
		im.note("fields-changed", e)
	} else {
		im.note("fields", e, count(len(d.Records), "name"))
	}
	for _, r := range d.Records {
		plain := strings.TrimLeft(r.Key, "+-")
		switch {
		case r.Key == "*":
		case delta && plain == r.Key, !delta && plain != r.Key:
			im.noteAt("field-sign", r.Place, name, r.Key)
		case !isFieldName(plain):
			im.noteAt("field-invalid", r.Place, name, plain)
		case delta && r.Key[0] == '-':
			out = slices.DeleteFunc(out, func(n string) bool { return strings.EqualFold(n, plain) })
		case sign && hasFold(unsignable, plain):
			im.noteAt("field-unsignable", r.Place, name, plain)
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
	return s != "" && len(s) <= 77 && !strings.ContainsFunc(s,
		func(r rune) bool { return r <= ' ' || r >= 0x7f || r == ':' || r == ';' })
}
