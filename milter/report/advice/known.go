package advice

import (
	"slices"
	"strings"
)

// Known is a service that sends mail for others, recognised by a name that it signs, bounces or
// connects with.
type Known struct {
	Name   string
	Suffix string // the domain that gave it away
	DKIM   string // where its own pages set a signing domain
}

// services lists senders that many domains use, by the domains of their reverse names, bounces and
// signatures.
var services = []Known{
	{"Amazon SES", "amazonses.com", "verified identities, “Easy DKIM”"},
	{"Brevo", "sendinblue.com", "senders and domains"},
	{"Brevo", "brevosend.com", "senders and domains"},
	{"Campaign Monitor", "createsend.com", "account settings, sending domains"},
	{"CleverReach", "crsend.com", "account, authentication"},
	{"Constant Contact", "confirmedcc.com", "account settings, self-authentication"},
	{"Constant Contact", "constantcontact.com", "account settings, self-authentication"},
	{"Freshworks", "freshemail.io", "e-mail settings, DKIM"},
	{"Google Workspace", "gappssmtp.com", "Apps, Gmail, “Authenticate email”"},
	{"Google", "google.com", "Apps, Gmail, “Authenticate email”"},
	{"HubSpot", "hubspotemail.net", "settings, domains and URLs"},
	{"Klaviyo", "klaviyomail.com", "settings, e-mail domains"},
	{"Mailchimp", "mcsv.net", "website, domains, “Authenticate”"},
	{"Mailchimp", "mcdlv.net", "website, domains, “Authenticate”"},
	{"Mailchimp", "rsgsv.net", "website, domains, “Authenticate”"},
	{"Mailchimp Transactional", "mandrillapp.com", "settings, sending domains"},
	{"MailerLite", "mlsend.com", "account settings, domains"},
	{"Mailgun", "mailgun.net", "sending, domains"},
	{"Mailgun", "mailgun.org", "sending, domains"},
	{"Mailjet", "mailjet.com", "account, sender domains and addresses"},
	{"Microsoft 365", "outlook.com", "Defender, policies, e-mail authentication, DKIM"},
	{"Microsoft 365", "onmicrosoft.com", "Defender, policies, e-mail authentication, DKIM"},
	{"Postmark", "mtasv.net", "sender signatures, domains"},
	{"Rapidmail", "rapidmail.com", "account, sender domains"},
	{"Salesforce", "salesforce.com", "setup, DKIM keys"},
	{"SendGrid", "sendgrid.net", "settings, sender authentication"},
	{"SparkPost", "sparkpostmail.com", "configuration, sending domains"},
	{"Zendesk", "zendesk.com", "channels, e-mail, “Digital signatures”"},
	{"Zoho", "zohomail.com", "domains, e-mail configuration, DKIM"},
}

// IsKnown reports whether a name is that of such a service.
func IsKnown(name string) bool {
	return slices.ContainsFunc(services, func(k Known) bool { return k.Name == name })
}

// KnownBy returns the service that one of the names belongs to.
func KnownBy(names ...string) Known {
	for _, n := range names {
		n = strings.TrimSuffix(strings.ToLower(n), ".")
		for _, k := range services {
			if n == k.Suffix || strings.HasSuffix(n, "."+k.Suffix) {
				return k
			}
		}
	}
	return Known{}
}
