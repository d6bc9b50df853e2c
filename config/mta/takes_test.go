package mta

import "testing"

// TestTakesMailFor holds for which domains mail servers take mail from strangers, and where that
// cannot be told from their files.
func TestTakesMailFor(t *testing.T) {
	for _, c := range []struct {
		name, main, cf string
		want           Taken
	}{
		{"by default the host", "myhostname = example.com\n", "", Takes},
		{"the host's own name", "", "Djexample.com\n", Takes},
		{"mydestination", "mydestination = $myhostname, example.com\n", "Cwlocalhost example.com\n", Takes},
		{"another", "mydestination = example.net\n", "Cwexample.net\n", TakesNot},
		{"below", "mydestination = com\n", "Cwcom\n", TakesNot},
		{"relay", "relay_domains = com\n", "CRcom\n", Takes},
		{"virtual", "virtual_alias_maps = hash:/etc/virtual\n", "C{VirtHost}example.com\n", Takes},
		{"file", "mydestination = /etc/domains\n", "Fw-o /etc/domains %[^\\#]\n", Takes},
		{"access", "", "O A\nKaccess hash /etc/mail/access\n", Takes},
		{"file that is absent", "mydestination = /etc/none\n", "Fw/etc/none\n", NotKnown},
		{"database", "virtual_mailbox_domains = mysql:/etc/my.cf\n", "Fw@LDAP\n", NotKnown},
		{"database and list", "virtual_mailbox_domains = mysql:/etc/my.cf\nmydestination = EXAMPLE.com\n",
			"Fw@LDAP\nCwEXAMPLE.com\n", Takes},
	} {
		h := newTestHost(t, map[string]string{"/etc/postfix/main.cf": c.main,
			"/etc/mail/sendmail.cf": c.cf, "/etc/hostname": "mx\n",
			"/etc/mail/access": "Connect:127.0.0.1 RELAY\nTo:example.com RELAY\n",
			"/etc/virtual":     "# virtual\nexample.com anything\na@example.com b\n",
			"/etc/domains":     "example.com\n"})
		if got := PostfixTakes(h, "/etc/postfix", "example.com"); c.main != "" && got != c.want {
			t.Errorf("%s: Postfix %v, want %v", c.name, got, c.want)
		}
		if got := SendmailTakes(h, "/etc/mail", "example.com"); c.cf != "" && got != c.want {
			t.Errorf("%s: Sendmail %v, want %v", c.name, got, c.want)
		}
	}
	h := newTestHost(t, nil)
	if PostfixTakes(h, "/etc/postfix", "example.com") != NotKnown || SendmailTakes(h, "/etc/mail",
		"example.com") != NotKnown {
		t.Error("an absent server is known")
	}
}
