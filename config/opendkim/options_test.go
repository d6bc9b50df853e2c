package opendkim

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"mailseal/config"
)

// values are what options are set to where their kind alone gives none that OpenDKIM would take.
var values = map[string]string{
	"AuthservID": "mx.example.com", "BaseDirectory": "/", "Canonicalization": "relaxed/relaxed",
	"Domain": "example.com", "DomainWhitelistFile": "/list",
	"DontSignMailTo": "a@example.org", "ExemptDomains": "example.org",
	"ExternalIgnoreList": "192.0.2.1", "IgnoreHosts": "/list", "IgnoreMailFrom": "example.org",
	"InternalHosts": "192.0.2.1", "KeyFile": "/k.pem", "KeyTable": "file:/keys", "MacroList": "x=y",
	"MaximumHeaders": "65536", "MinimumKeyBits": "2048", "Mode": "sv",
	"Nameservers": "192.0.2.53", "On-BadSignature": "reject", "On-Default": "reject",
	"On-DNSError": "tempfail", "On-InternalError": "tempfail", "On-KeyNotFound": "accept",
	"On-NoSignature": "accept", "On-Security": "reject", "On-SignatureError": "reject",
	"PeerList": "192.0.2.1", "Selector": "mail", "SigningTable": "file:/table",
	"Socket": "inet:1@127.0.0.1", "UMask": "007", "UserID": "x:y", "DNSTimeout": "5",
	"SenderHeaders": "Sender", "PublicSuffixList": "/list",
}

// told is what the report says about options that are not dropped.
var told = map[string]Group{
	"AuthservID": Taken, "BaseDirectory": Taken, "Canonicalization": Taken, "ClockDrift": Taken,
	"DNSTimeout": Taken, "Domain": Taken, "DontSignMailTo": Changed,
	"ExemptDomains": Taken, "InternalHosts": Taken, "KeyFile": Taken, "KeyTable": Taken,
	"MTA": Taken, "MacroList": Taken, "MaximumHeaders": Taken,
	"MaximumSignaturesToVerify": Taken, "MinimumKeyBits": Taken, "Mode": Taken,
	"MultipleSignatures": Taken, "Nameservers": Taken, "OmitHeaders": Taken,
	"On-BadSignature": Taken, "On-DNSError": Taken, "On-Default": Taken, "On-InternalError": Taken,
	"On-KeyNotFound": Taken, "On-NoSignature": Taken,
	"On-SignatureError": Taken, "OversignHeaders": Taken, "PeerList": Taken, "Quarantine": Taken,
	"RemoveARFrom": Taken, "RemoveOldSignatures": Taken,
	"RequestReports": Taken, "RequireSafeKeys": Taken, "RequiredHeaders": Changed,
	"Selector": Taken, "SignHeaders": Taken, "SignatureTTL": Taken, "SigningTable": Taken,
	"Socket": Taken, "SubDomains": Taken,
	"Syslog": Taken, "SyslogFacility": Taken, "UMask": Taken, "UserID": Changed,
}

// toldDMARC is the same for opendmarc.conf.
var toldDMARC = map[string]Group{
	"AuthservID": Taken, "DNSTimeout": Taken, "DomainWhitelist": Changed,
	"DomainWhitelistFile": Changed, "HoldQuarantinedMessages": Taken,
	"IgnoreAuthenticatedClients": Taken, "IgnoreHosts": Changed, "IgnoreMailFrom": Taken,
	"PublicSuffixList": Changed, "RejectFailures": Taken,
	"RejectMultiValueFrom": Changed, "RequiredHeaders": Changed, "SPFIgnoreResults": Changed,
	"SPFSelfValidate": Changed, "Socket": Taken,
	"Syslog": Taken, "SyslogFacility": Taken, "TrustedAuthservIDs": Changed, "UMask": Taken, "UserID": Changed,
}

// together are what an option needs beside it to count.
var together = map[string]string{
	"KeyTable": "SigningTable file:/table\n", "SigningTable": "KeyTable file:/keys\n",
	"MultipleSignatures": "KeyTable file:/keys\nSigningTable file:/table\n",
	"UMask":              "Socket local:/run/x\n", "UserID": "Socket local:/run/x\n", "SyslogFacility": "Syslog yes\n",
}

func valueOf(o option) string {
	switch v, ok := values[o.name]; {
	case ok:
		return v
	case o.kind == boolean:
		return "yes"
	case o.kind == integer:
		return "8"
	}
	return "mail"
}

// TestEveryOption sets each option that there is: what became of it must be in the report, on its
// line, and what comes out must be a configuration.
func TestEveryOption(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{"keys": "k example.com:s:/k.pem\n",
		"table": "example.com k\n", "list": "192.0.2.1\nexample.org\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, program := range []struct {
		name    string
		options []option
		told    map[string]Group
		base    string
		set     func(*Options)
	}{
		{"OpenDKIM", dkimOptions, told, "Mode sv\nSocket inet:1@127.0.0.1\nDomain " +
			"example.com\nKeyFile /k.pem\nSelector mail\n", func(o *Options) { o.Conf = "/conf" }},
		{"OpenDMARC", dmarcOptions, toldDMARC, "Socket inet:1@127.0.0.1\n", func(o *Options) { o.DMARC = "/conf" }},
	} {
		for _, o := range program.options {
			want, kept := program.told[o.name]
			if !kept {
				want = Dropped
			}
			of := func(value string) (*Report, func(Note) bool) {
				text := program.base + together[o.name] + o.name + " " + value + "\n"
				if err := os.WriteFile(filepath.Join(dir, "conf"), []byte(text),
					0o600); err != nil {
					t.Fatal(err)
				}
				options := Options{Root: dir}
				program.set(&options)
				r, err := Import(options)
				if err != nil {
					t.Fatalf("%s %s: %v", o.name, value, err)
				}
				if _, err := config.Parse("mailseal.toml", []byte(r.TOML)); err != nil {
					t.Errorf("%s %s: config does not take it: %v\n%s", o.name, value, err, r.TOML)
				}
				line := strings.Count(text, "\n")
				return r, func(n Note) bool { return n.Line == line && n.Option == o.name }
			}
			r, about := of(valueOf(o))
			if !slices.ContainsFunc(r.Notes,
				func(n Note) bool { return about(n) && n.Group == want }) {
				t.Errorf("%s %s: nothing is %s; notes: %v", program.name, o.name, want, r.Notes)
			}
			if o.kind != boolean {
				continue
			}
			if r, about := of("no"); !slices.ContainsFunc(r.Notes, about) {
				t.Errorf("%s %s: nothing is said of it when it is off", program.name, o.name)
			}
		}
	}
}
