package dkim

// Additions are fields that a host on the way can put on top of a message while its signature
// stays good.
type Additions struct {
	Always     []string // however many of them the message has
	WhenAbsent []string // where the message has none
	// as WhenAbsent, in a message that has 8-bit text or another field of MIME
	WhenNotPlain []string
}

// otherFields are fields that are not signed by default, and that mail programs act on or show.
// Whatever else is not signed can be added as well.
var otherFields = []string{
	"Bcc", "Comments", "Keywords", "Content-Disposition", "Content-ID", "Content-Description",
	"Content-Language",
	"Disposition-Notification-To", "Return-Receipt-To", "Importance", "X-Priority",
	"Auto-Submitted", "Precedence",
}

// Additions returns what can be added to messages that are signed with these options, among the
// fields that are signed and those that mail programs know.
func (o SignOptions) Additions() Additions {
	o = o.withDefaults()
	var out Additions
	names := append(append(DefaultFields(), otherFields...), o.Fields...)
	for i, name := range names {
		isMIME := !o.KeepPlain && contains(mimeFields, name)
		switch {
		case contains(names[:i], name):
		case !o.Covers(name) || !contains(o.Fields, name):
			out.Always = append(out.Always, name)
		case contains(o.Oversign, name):
		case !contains(o.OversignPresent, name): // of MIME too: above the one that the message has
			out.Always = append(out.Always, name)
		case isMIME:
			out.WhenNotPlain = append(out.WhenNotPlain, name)
		default:
			out.WhenAbsent = append(out.WhenAbsent, name)
		}
	}
	return out
}
