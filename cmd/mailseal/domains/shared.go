package domains

import (
	"fmt"
	"slices"
	"strings"

	"mailseal/cmd/mailseal/publish"
	"mailseal/milter/dkim"
	"mailseal/milter/spf"
)

// services are records of services at which strangers have accounts, and send from the same
// addresses.
var services = map[string]string{
	"_spf.google.com":            "Google",
	"_spf.mailgun.org":           "Mailgun",
	"_spf.mx.cloudflare.net":     "Cloudflare",
	"_spf.salesforce.com":        "Salesforce",
	"amazonses.com":              "Amazon SES",
	"mailgun.org":                "Mailgun",
	"mx.ovh.com":                 "OVH",
	"sendgrid.net":               "SendGrid",
	"servers.mcsv.net":           "Mailchimp",
	"spf.brevo.com":              "Brevo",
	"spf.mailjet.com":            "Mailjet",
	"spf.mandrillapp.com":        "Mandrill",
	"spf.messagingengine.com":    "Fastmail",
	"spf.mtasv.net":              "Postmark",
	"spf.protection.outlook.com": "Microsoft 365",
	"spf.sendinblue.com":         "Brevo",
	"spf1.one.com":               "one.com",
	"zoho.com":                   "Zoho",
	"_spf.perfora.net":           "IONOS",
	"_spf.kundenserver.de":       "IONOS",
	"include.mailgun.org":        "Mailgun",
	"spf.web-hosting.com":        "Namecheap",
	"websitewelcome.com":         "HostGator",
	"_spf.hostedemail.com":       "OpenSRS",
	"secureserver.net":           "GoDaddy",
	"relay.mailchannels.net":     "MailChannels",
}

// sharedTerms notes the terms that let in a service that strangers use, too.
func (c *checker) sharedTerms(root *spf.Node) {
	for _, t := range root.Terms {
		who := services[strings.ToLower(strings.TrimSuffix(t.Target, "."))]
		if who == "" || t.Kind != "include" {
			continue
		}
		f := c.report(SharedService, c.name, fmt.Sprintf("%s allows the servers of %s", t.Term,
			who))
		if at := strings.Index(root.Text, t.Term); at >= 0 {
			f.Seen, f.Start, f.End = root.Text, at, at+len(t.Term)
		}
	}
}

// keyring remembers which domain had a key first, over the domains of one run.
type keyring map[string]string

// sameKey notes a key that another domain has, too. A domain's own name below the other one, or
// above it, is the same owner's.
func (c *checker) sameKey(name, text string, r dkim.Record) {
	public := string(r.Key.Algorithm()) + publicPart(text)
	for _, want := range c.Own {
		if want.Name == name && publicPart(want.Text) != publicPart(text) {
			f := c.report(KeyMismatch, name, "the key in the DNS does not match the private key")
			f.Seen, f.Publish = text, []publish.Record{{Name: name, Text: want.Text}}
		}
	}
	c.siblings(name, text, r.Key)
	if c.known == nil {
		return
	}
	first, isKnown := c.known[public]
	switch {
	case !isKnown:
		c.known[public] = c.name
	case first != c.name && !within(first, c.name) && !within(c.name, first):
		c.report(KeyShared, name, "the domain "+first+" has the same key").Seen = text
	}
}

// namedKey is a key of the domain, its name, and the value of p=.
type namedKey struct {
	name, public string
	key          dkim.PublicKey
}

// siblings compares a key with the others of the domain. Only one that has something in common with
// any of them is compared with each, and the first that it has a prime in common with is named.
func (c *checker) siblings(name, text string, key dkim.PublicKey) {
	public := publicPart(text)
	own := namedKey{name, public, key}
	isSame, isAlike := c.publics[public], c.moduli.Add(key)
	c.publics[public] = true
	if !isSame && !isAlike {
		c.published = append(c.published, own)
		return
	}
	for _, other := range c.published {
		switch {
		case other.name == name:
		case other.public == public:
			c.report(KeySame, name, "this is the same key as "+other.name).Seen = text
		case key.SharesPrime(other.key):
			c.report(KeyPrime, name, "the key has a prime in common with "+other.name+
				": anyone can compute both private keys").Seen = text
			c.published = append(c.published, own)
			return
		}
	}
	c.published = append(c.published, own)
}

func within(name, above string) bool { return strings.HasSuffix(name, "."+above) }

// publicPart is the value of p=, without the blanks that it may have.
func publicPart(text string) string {
	for tag := range strings.SplitSeq(text, ";") {
		name, value, _ := strings.Cut(tag, "=")
		if strings.TrimSpace(name) == "p" {
			return strings.Join(strings.Fields(value), "")
		}
	}
	return ""
}

// ownSelectors are the selectors of the keys in Own that are of the domain.
func (c *checker) ownSelectors(base string) []string {
	var out []string
	for _, own := range c.Own {
		selector, isHere := strings.CutSuffix(own.Name, "."+base)
		if isHere && !slices.Contains(c.Selectors, selector) {
			out = append(out, selector)
		}
	}
	return out
}
