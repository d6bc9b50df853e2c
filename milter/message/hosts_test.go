package message_test

import (
	"testing"

	"mailseal/milter/message"
)

func TestHosts(t *testing.T) {
	hosts := message.Hosts{"mx.example.com", ".example.net", "!bad.example.net",
		"!.off.example.net", "on.off.example.net", "twice.example", "!twice.example", "localhost"}
	for name, want := range map[string]bool{
		"mx.example.com": true, "MX.Example.COM.": true, "a.mx.example.com": false, "example.com": false,
		"a.example.net": true, "a.b.example.net": true, "example.net": false, "xexample.net": false,
		"bad.example.net": false, "a.bad.example.net": true,
		"a.off.example.net": false, "off.example.net": true, "on.off.example.net": true,
		"twice.example": false, "localhost": true, "": false, ".": false, "net": false,
	} {
		if got := hosts.Has(name); got != want {
			t.Errorf("%q: %v, want %v", name, got, want)
		}
	}
}
