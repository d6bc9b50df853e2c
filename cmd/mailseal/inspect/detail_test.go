package inspect

import (
	"fmt"
	"strings"
	"testing"

	"mailseal/milter/dns/dnstest"
	"mailseal/milter/report/store"
)

const detailZone = `
$ORIGIN example.net.
@ 3600 IN TXT "v=spf1 -all"
_dmarc 3600 IN TXT "v=DMARC1; p=quarantine; sp=none; np=reject"
news 3600 IN A 192.0.2.1
own 3600 IN A 192.0.2.1
_dmarc.own 3600 IN TXT "v=DMARC1; p=reject"
ed._domainkey 3600 IN TXT "v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="
gone._domainkey 3600 IN TXT "v=DKIM1; p="
bad._domainkey 3600 IN TXT "v=DKIM1; p=MIIB"
$SERVFAIL dead._domainkey.example.net.
$SERVFAIL dead.example.net.
`

// TestDescribe holds what is said of each state of a key and of a name.
func TestDescribe(t *testing.T) {
	d := Describe(t.Context(), dnstest.Must(detailZone),
		[]string{"ed._domainkey.example.net", "gone._domainkey.example.net",
			"bad._domainkey.example.net", "none._domainkey.example.net",
			"dead._domainkey.example.net"},
		[]string{"example.net", "news.example.net", "own.example.net", "login.example.net",
			"dead.example.net", "not a name"})
	var got []string
	for _, k := range d.Keys {
		selector, _, _ := strings.Cut(k.Name, ".")
		got = append(got, strings.TrimSpace(selector+" "+k.State+" "+k.Kind))
	}
	for _, n := range d.Names {
		got = append(got, fmt.Sprintf("%s %q %s %s %s", n.Name, n.Exists, n.Policy, n.Tag, n.At))
	}
	want := []string{"ed there Ed25519", "gone " + store.KeyRevoked, "bad " + store.KeyBroken,
		"none " + store.KeyMissing, "dead " + store.KeyUnknown,
		`example.net "yes" quarantine p example.net`, `news.example.net "yes" none sp example.net`,
		`own.example.net "yes" reject p own.example.net`,
		`login.example.net "no" reject np example.net`, `dead.example.net "" none sp example.net`}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}
