package config_test

import (
	"net/netip"
	"reflect"
	"testing"
	"time"

	"mailseal/config"
	"mailseal/milter/action"
)

// parse reads a configuration that must be good.
func parse(t *testing.T, text string) *config.Config {
	t.Helper()
	c, err := config.Parse("mailseal.toml", []byte("authserv_id = \"mx.example.com\"\n"+text))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestDefaults(t *testing.T) {
	c := parse(t, "")
	tests := []struct {
		name      string
		got, want any
	}{
		{"authserv_id", c.AuthservID, "mx.example.com"},
		{"mode", c.Mode, []config.Mode{"sign", "verify"}},
		{"listen", c.Listen[0].Network + " " + c.Listen[0].Target, "tcp4 127.0.0.1:8891"},
		{"ours.networks", c.Ours.Networks, []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32"),
			netip.MustParsePrefix("::1/128")}},
		{"ours.authenticated", c.Ours.Authenticated, true},
		{"limits.header_size", c.Limits.HeaderSize, config.Size(1 << 20)},
		{"limits.message_deadline", c.Limits.MessageDeadline, 20 * time.Second},
		{"signing.expiry", c.Signing.Expiry, 10 * 24 * time.Hour},
		{"signing.canonicalization", c.Signing.Canonicalization, "relaxed/relaxed"},
		{"signing.headers begins", c.Signing.Headers[:2], []string{"From", "Sender"}},
		{"policy.dmarc.p_reject", c.Policy.DMARC.Reject, action.Mark},
		{"policy.spf.fail", c.Policy.SPF.Fail, action.Accept},
		{"verify.max_signatures", c.Verify.MaxSignatures, 10},
		{"on_internal_error", c.OnInternalError, action.Tempfail},
	}
	for _, tt := range tests {
		if !reflect.DeepEqual(tt.got, tt.want) {
			t.Errorf("%s: got %v, want %v", tt.name, tt.got, tt.want)
		}
	}
}

// TestHostname holds that HOSTNAME is this host's name, the full one where it is known.
func TestHostname(t *testing.T) {
	host := config.ThisHost()
	want := host.Full
	if want == "" {
		want = host.Name
	}
	if want == "" {
		t.Skip("the host has no name")
	}
	c, err := config.Parse("m.toml", []byte("authserv_id = \"HOSTNAME\"\n"))
	if err != nil {
		t.Fatal(err)
	}
	if c.AuthservID != want || c.ServerName() != want {
		t.Errorf("got %q, want %q", c.AuthservID, want)
	}
	if got := config.Default(); got.AuthservID != "" || got.ServerName() != want {
		t.Errorf("default: got %q and %q, want %q", got.AuthservID, got.ServerName(), want)
	}
}
