package domains

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"mailseal/cmd/mailseal/check"
	"mailseal/cmd/mailseal/publish"
	"mailseal/milter/dns"
	"mailseal/milter/lint"
	"mailseal/milter/taglist"
)

// Bounds of what is asked about MX hosts: of a domain, and of a host.
const (
	maxHosts     = 5
	maxAddresses = 2
)

func exchangeText(x dns.Exchange) string { return fmt.Sprintf("%d %s.", x.Preference, x.Host) }

// exchanges looks at the MX records and the hosts that they name.
func (c *checker) exchanges(ctx context.Context) {
	a, err := c.Resolver.Lookup(ctx, c.name, dns.MX)
	if err != nil {
		return
	}
	if len(a.Exchanges) == 0 {
		c.withoutMX(ctx)
		return
	}
	seen := map[string]bool{}
	isNull := false
	for _, x := range a.Exchanges {
		switch {
		case x.Host == "":
			isNull = true
		case strings.HasSuffix(x.Host, ".msv1.invalid"):
			c.report(MXLeftover, c.name, x.Host+
				" once proved who owns the domain: delete the record")
		case seen[x.Host]:
			c.report(MXTwice, c.name, x.Host+" appears twice")
		case len(seen) < maxHosts:
			c.host(ctx, x.Host)
		}
		seen[x.Host] = true
	}
	c.hasNull, c.takes = isNull, len(seen) > 1 || !isNull
	if isNull && len(seen) > 1 {
		c.report(NullMixed, c.name, "there is a null MX (0 .) in addition to other MX records")
	}
}

// withoutMX looks up the address that receives mail if there is no MX (RFC 5321 section
// 5.1).
func (c *checker) withoutMX(ctx context.Context) {
	for _, t := range []dns.Type{dns.A, dns.AAAA} {
		if a, err := c.Resolver.Lookup(ctx, c.name, t); err != nil || len(a.Addrs) > 0 {
			return
		}
	}
	c.report(NoMX, c.name, "there is neither an MX record nor an address; if that is intended, "+
		"publish the null MX (0 .)").Publish =
		[]publish.Record{{Name: c.name, Type: "MX", Text: "0 ."}}
}

// host looks at one MX host.
func (c *checker) host(ctx context.Context, host string) {
	if _, err := netip.ParseAddr(host); err == nil {
		c.report(MXName, c.name, host+" is an address, not a name")
		return
	}
	var addrs []netip.Addr
	for _, t := range []dns.Type{dns.A, dns.AAAA} {
		a, err := c.Resolver.Lookup(ctx, host, t)
		if err != nil {
			return
		}
		if n := len(a.Aliases); n > 0 {
			c.report(MXName, c.name, fmt.Sprintf("%s is an alias of %s", host, a.Aliases[n-1]))
			return
		}
		addrs = append(addrs, a.Addrs[:min(len(a.Addrs), maxAddresses)]...)
	}
	if len(addrs) == 0 {
		c.report(MXAddress, c.name, host+" has no address")
	}
	for _, addr := range addrs {
		if !isPublic(addr) {
			c.report(MXPrivate, c.name, fmt.Sprintf("%s has the address %s, which is "+
				"private", host, addr))
			continue
		}
		c.reverse(ctx, host, addr)
	}
}

// isPublic reports whether hosts outside can reach an address.
func isPublic(addr netip.Addr) bool {
	return !addr.IsPrivate() && !addr.IsLoopback() && !addr.IsLinkLocalUnicast() &&
		!addr.IsUnspecified()
}

// reverse looks at the name of an address, and whether that name has the address.
func (c *checker) reverse(ctx context.Context, host string, addr netip.Addr) {
	a, err := c.Resolver.Lookup(ctx, dns.Reverse(addr), dns.PTR)
	if err != nil {
		return
	}
	if len(a.Names) == 0 {
		c.report(MXReverse, host, fmt.Sprintf("%s has no reverse name (PTR)", addr))
		return
	}
	t := dns.A
	if addr.Is6() {
		t = dns.AAAA
	}
	for _, name := range a.Names[:min(len(a.Names), maxAddresses)] {
		forward, err := c.Resolver.Lookup(ctx, name, t)
		if err != nil {
			return
		}
		if slices.Contains(forward.Addrs, addr) {
			if isGeneric(name, addr) {
				c.report(MXGeneric, host, fmt.Sprintf("%s has the reverse name %s, which is made "+
					"from the address", addr, name))
			}
			return
		}
	}
	c.report(MXMismatch, host, fmt.Sprintf("%s has the reverse name %s, which does not have that "+
		"address", addr, a.Names[0]))
}

// transport looks at the records of MTA-STS and of TLS reports (RFC 8461 section 3.1, RFC 8460
// section 3).
func (c *checker) transport(ctx context.Context) {
	if !c.takes {
		return
	}
	c.transportRecord(ctx, transportKind{
		label: "_mta-sts", version: "v=STSv1", what: "MTA-STS", none: STSNone, several: STSSeveral, broken: STSBroken,
		mistake: stsMistake, tag: "id", repair: lettersAndDigits,
	})
	c.transportRecord(ctx, transportKind{
		label: "_smtp._tls", version: "v=TLSRPTv1", what: "TLS reports", none: TLSNone, several: TLSSeveral,
		broken: TLSBroken, mistake: tlsMistake, tag: "rua", repair: withScheme,
	})
}

// transportKind is what sets the two kinds of records apart.
type transportKind struct {
	label, version, what  string
	none, several, broken check.Code
	mistake               func(taglist.List) string
	tag                   string              // the one that a record must have
	repair                func(string) string // corrects its value
}

// isRecord reports whether a text is a record of the kind, good or not.
func (k transportKind) isRecord(text string) bool {
	squeezed := strings.ToLower(strings.ReplaceAll(lint.Clean(text), " ", ""))
	return strings.HasPrefix(squeezed, strings.ToLower(k.version))
}

// transportRecord looks at one of the two, which are alike.
func (c *checker) transportRecord(ctx context.Context, k transportKind) {
	name := k.label + "." + c.name
	a, ok := c.texts(ctx, name)
	if !ok || len(a.Aliases) > 0 && len(a.Texts) == 0 {
		return
	}
	records := 0
	for _, t := range a.Texts {
		if !k.isRecord(t) {
			continue
		}
		records++
		if clause := k.mistakeIn(t); clause != "" {
			f := c.report(k.broken, name, clause)
			f.Seen, f.Publish = t, toPublish(name, k.corrected(t))
		}
	}
	switch {
	case records == 0 && c.misspelled(ctx, name, k.label, k.isRecord, k.sound):
	case records == 0:
		c.report(k.none, name, "there is no record for "+k.what)
	case records > 1:
		c.report(k.several, name, fmt.Sprintf("there are %d records for %s: keep one, and delete "+
			"the others",
			records, k.what))
	}
}

// mistakeIn describes the mistake in a text, or returns "".
func (k transportKind) mistakeIn(text string) string {
	tags, skipped := taglist.ParseLenient(text)
	v, _ := tags.Value("v")
	switch {
	case "v="+v != k.version:
		return "the record does not begin with " + k.version + "; in exactly this form"
	case len(skipped) > 0:
		return fmt.Sprintf("%q is not a tag with a value", skipped[0])
	}
	return k.mistake(tags)
}

// sound is the record that was meant by a text, "" when that is not known.
func (k transportKind) sound(text string) string {
	if k.mistakeIn(text) == "" {
		return text
	}
	return k.corrected(text)
}

// corrected returns the record that a text with mistakes was probably meant to be, or "" if
// that is not known.
func (k transportKind) corrected(text string) string {
	text = lint.Clean(text)
	if !strings.Contains(text, ";") {
		text = strings.Join(strings.Fields(text), "; ")
	}
	tags, _ := taglist.ParseLenient(text)
	value, given := tags.Value(k.tag)
	if value = k.repair(value); !given || value == "" {
		return ""
	}
	out := fmt.Sprintf("%s; %s=%s", k.version, k.tag, value)
	if k.version == "v=STSv1" {
		out += ";" // RFC 8461 section 3.1 wants one behind each field
	}
	tags, _ = taglist.ParseLenient(out)
	if k.mistake(tags) != "" {
		return ""
	}
	return out
}

// lettersAndDigits drops all else from an id.
func lettersAndDigits(id string) string {
	return strings.Map(func(r rune) rune {
		if r|0x20 >= 'a' && r|0x20 <= 'z' || r >= '0' && r <= '9' {
			return r
		}
		return -1
	}, id)
}

// withScheme puts mailto: before addresses that lack it.
func withScheme(list string) string {
	items := strings.Split(list, ",")
	for i, item := range items {
		if items[i] = strings.TrimSpace(item); strings.Contains(item, "@") &&
			!strings.Contains(item, ":") {
			items[i] = "mailto:" + items[i]
		}
	}
	return strings.Join(items, ",")
}

func stsMistake(tags taglist.List) string {
	id, given := tags.Value("id")
	switch {
	case !given:
		return "the record has no id="
	case id == "" || len(id) > 32 ||
		strings.Trim(strings.ToLower(id), "abcdefghijklmnopqrstuvwxyz0123456789") != "":
		return "id= must have 1 to 32 letters and digits"
	}
	return ""
}

func tlsMistake(tags taglist.List) string {
	rua, given := tags.Value("rua")
	if !given {
		return "the record has no rua="
	}
	for uri := range strings.SplitSeq(rua, ",") {
		uri = strings.ToLower(strings.TrimSpace(uri))
		if !strings.HasPrefix(uri, "mailto:") && !strings.HasPrefix(uri, "https://") {
			return fmt.Sprintf("%q begins with neither mailto: nor https:", uri)
		}
	}
	return ""
}
