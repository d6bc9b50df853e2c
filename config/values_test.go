package config_test

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"mailseal/config"
)

// TestOneSetting reads one setting at a time: what its value becomes, or what is said about it.
func TestOneSetting(t *testing.T) {
	limit := func(c *config.Config) any { return c.Limits.HeaderSize }
	idle := func(c *config.Config) any { return c.Limits.Idle }
	ours := func(c *config.Config) any { return c.Ours.Networks }
	oursHosts := func(c *config.Config) any { return c.Ours.Hosts }
	servers := func(c *config.Config) any { return c.DNS.Servers }
	unsigned := func(c *config.Config) any { return c.Signing.UnsignedRecipients }
	listen := func(c *config.Config) any { return c.Listen[0].Network + " " + c.Listen[0].Target }
	tests := []struct {
		text string
		got  func(*config.Config) any
		want string // the value as fmt prints it, or a part of the problem behind "!"
	}{
		{`limits.header_size = "64KiB"`, limit, "65536"},
		{`limits.header_size = "2 mib"`, limit, "2097152"},
		{`limits.header_size = 70000`, limit, "70000"},
		{`limits.header_size = -1`, limit, "!expected a size such as \"1MiB\", got the number -1"},
		{`limits.header_size = "64KB"`, limit, "!KiB"},
		{`limits.header_size = "9999999999GiB"`, limit, "!not a size"},
		{`limits.header_size = "1KiB"`, limit, `!is less than "4KiB"`},
		{`limits.header_size = "2GiB"`, limit, `!is more than "1GiB"`},
		{`limits.header_size = ""`, limit, "!not a size"},
		{`limits.idle = "1h30m"`, idle, "1h30m0s"},
		{`limits.idle = "10d"`, idle, "240h0m0s"},
		{`limits.idle = "2w"`, idle, "336h0m0s"},
		{`limits.idle = "1500ms"`, idle, "1.5s"},
		{`limits.idle = "10"`, idle, "!not a duration"},
		{`limits.idle = "-10s"`, idle, "!not a duration"},
		{`limits.idle = "300000y"`, idle, "!not a duration"},
		{`limits.idle = "999999999w"`, idle, "!not a duration"},
		{`limits.idle = 10:00:00`, idle, "!got a date"},
		{`ours.networks = "192.0.2.1"`, ours, "[192.0.2.1/32]"},
		{`ours.networks = ["2001:db8::/32", "[::1]"]`, ours, "[2001:db8::/32 ::1/128]"},
		{`ours.networks = ["::ffff:192.0.2.1", "::ffff:192.0.2.0/120"]`, ours, "[192.0.2.1/32 192.0.2.0/24]"},
		{`ours.networks = []`, ours, "[]"},
		{`ours.networks = "192.0.2.9/24"`, ours, `!did you mean "192.0.2.0/24"?`},
		{`ours.networks = "172.16/12"`, ours, `!did you mean "172.16.0.0/12"?`},
		{`ours.networks = "10.0.0.0/255.0.0.0"`, ours, `!did you mean "10.0.0.0/8"?`},
		{`ours.networks = "10.0.0.0/255.0.255.0"`, ours, "!neither an address nor a network"},
		{`ours.networks = "::ffff:0:0/90"`, ours, "!contains more than"},
		{`ours.networks = "::/0"`, ours, "[::/0]"},
		{`ours.networks = "fe80::1%eth0"`, ours, "!neither"},
		{`ours.networks = "localhost"`, ours, "!names of hosts go into hosts"},
		{`ours.hosts = ["Localhost", ".Example.com", "*.example.net", "!bad.example.com"]`,
			oursHosts, "[localhost .example.com .example.net !bad.example.com]"},
		{`ours.hosts = "unknown"`, oursHosts, "!whose name it could not verify"},
		{`exempt.hosts = "192.0.2.1"`, oursHosts, "!is an address"},
		{`ours.networks = [["127.0.0.1"]]`, ours, "!expected a network such as \"127.0.0.1\", got a list"},
		{`dns.servers = ["192.0.2.53", "::1", "[::1]:5353", "192.0.2.53:54"]`, servers,
			"[192.0.2.53:53 [::1]:53 [::1]:5353 192.0.2.53:54]"},
		{`dns.servers = "ns.example.com"`, servers, "!not a server's address"},
		{`dns.servers = "192.0.2.53:0"`, servers, "!not a server's address"},
		{`signing.unsigned_recipients = ["a@B.Example", "B.example.", ".b.example", ` +
			`"*@*.b.example", "@b.example", "a@*", "*", "*@*"]`, unsigned,
			"[a@b.example *@b.example *@*.b.example *@*.b.example *@b.example a@* * *]"},
		{`signing.unsigned_recipients = '"a@b"@c.example'`, unsigned, `["a@b"@c.example]`},
		{`signing.unsigned_recipients = "bücher.example"`, unsigned, "[*@bücher.example]"},
		{`signing.unsigned_recipients = ["a@*.b.example", "a@.b.example"]`, unsigned, "[a@*.b.example a@*.b.example]"},
		{`signing.unsigned_recipients = ["Info*@B.example", "*-x@.b.example", "u+*@*", "**@b.example"]`,
			unsigned, "[Info*@b.example *-x@*.b.example u+*@* *@b.example]"},
		{`signing.unsigned_recipients = "a@192.0.2.1"`, unsigned, "!not an address pattern"},
		{`exempt.author_domains = "192.0.2.1"`, unsigned, "!is an address"},
		{`exempt.author_domains = "-a.example"`, unsigned, "!not a domain name"},
		{`signing.unsigned_recipients = "*b.example"`, unsigned, "!whole label"},
		{`signing.unsigned_recipients = "a b@c.example"`, unsigned, "!the user has a blank"},
		{`signing.unsigned_recipients = ""`, unsigned,
			"!is empty; write an address pattern such as \"*@internal.example.com\""},
		{`signing.unsigned_recipients = "a@b..c"`, unsigned, "!not an address pattern"},
		{`listen = [{ address = "inet6:8891@[::1]" }]`, listen, "tcp6 [::1]:8891"},
		{`listen = [{ address = "inet:8891" }]`, listen, "tcp4 :8891"},
		{`listen = [{ address = "inet:8891@localhost" }]`, listen, "tcp4 localhost:8891"},
		{`listen = [{ address = "local:/run/m.sock" }]`, listen, "unix /run/m.sock"},
		{`listen = [{ address = "fd:milter" }]`, listen, "fd milter"},
		{`listen = [{ address = "fd:" }]`, listen, "!FileDescriptorName"},
		{`listen = [{ address = "unix:m.sock" }]`, listen, "!must begin with /"},
		{`listen = [{ address = "/run/m.sock" }]`, listen, "!write unix:/run/m.sock"},
		{`listen = [{ address = "127.0.0.1:8891" }]`, listen, "!write inet:8891@127.0.0.1"},
		{`listen = [{ address = "inet:8891@::1" }]`, listen, "!inet6 for IPv6"},
		{`listen = [{ address = "inet:milter@::1" }]`, listen, "!is not a port"},
		{`listen = [{ address = "inet:8891@a b" }]`, listen, "!is not a host"},
		{`listen = [{ address = "tcp:8891" }]`, listen, "!not an address"},
		{`listen = [{ role = "ours" }]`, listen, "!needs address"},
		{`listen = [{ address = "inet:8891" }, { address = "inet:8891" }]`, listen, "!already"},
		{`listen = "inet:8891"`, listen, "![[listen]]"},
		{`listen = ["inet:8891"]`, listen, "!expected a table"},
		{`signing = 3`, idle, "!expected a table, got the number 3; write [signing] on a line"},
		{`signing.canonicalization = "relaxed"`,
			func(c *config.Config) any { return c.Signing.Canonicalization }, "relaxed/simple"},
		{`signing.canonicalization = "strict"`, idle, "!not a canonicalization"},
		{`signing.identifier = "example.com"`, idle, "!not an identifier"},
		{`signing.self_check = 1`, func(c *config.Config) any { return c.Signing.SelfCheck }, "1"},
		{`signing.self_check = 1.1`, idle, "!not between"},
		{`signing.self_check = nan`, idle, "!not between"},
		{`signing.self_check = "all"`, idle, "!expected a share such as 0.001"},
		{`state_directory = "state"`, func(c *config.Config) any { return c.StateDirectory }, "etc/state"},
		{`state_directory = ""`, idle, "!is empty; write a path such as \"/var/lib/mailseal\""},
		{`metrics.address = "127.0.0.1"`, idle, "!with a port"},
		{`policy.texts.spf = "a\nb"`, idle, "!one line"},
		{`exempt.hosts = ["*.example.com", ".example.org", "a.example"]`,
			func(c *config.Config) any { return c.Exempt.Hosts },
			"[.example.com .example.org a.example]"},
		{`exempt.hosts = "*x.example"`, idle, "!not a domain name"},
		{`rotation.selector = "2026"`, idle, "!not a selector template"},
		{`rotation.selector = "{year}"`, idle, "!needs {alg}"},
		{`rotation.algorithms = ["rsa2048", "rsa4096"]`, idle, "!same selector"},
		{`senders.require = "login"`, idle, "!needs senders.logins"},
		{`senders.logins = { joe = "example.com" }`, idle, "!has no effect without senders.require = \"login\""},
		{`senders = { require = "login", logins = { joe = ["Example.com", "a@Example.com"] } }`,
			func(c *config.Config) any { return c.Senders.Logins },
			"map[joe:[example.com a@example.com]]"},
		{`senders = { require = "login", logins = { joe = ["a b"] } }`, idle, "!neither a domain nor an address"},
		{`mode = []`, idle, "!is empty"},
		{`log.level = "information"`, idle, "!not one of"},
		{`log.level = 1`, idle, "!expected text such as \"info\", got the number 1"},
		{`limits = { drain_soft = "20s", drain_hard = "10s" }`, idle, "!drain_soft"},
		{`authentication_results = { remove_ids = ["*"] }`, idle, "!is a pattern, and patterns " +
			"do not work"},
		{`authentication_results = { remove_ids = [".example.com"] }`, idle, "!is a pattern, and " +
			"patterns do not work"},
		{`authentication_results = { remove_ids = ["mx*.example.com"] }`, idle, "!is a pattern, " +
			"and patterns do not work"},
		{`dns.tries = 0`, idle, "!less than 1"},
		{`dns.tries = 1.5`, idle, "!expected a number such as 2, got the number 1.5"},
		{`authserv_id = "mx example"`, idle, "!not a host name"},
		{`include = "x.toml"`, idle, "!loaded from a file"},
		{`mode = ["sign`, idle, `!the closing " is missing`},
		{`listen = [{ address = "unix:/m", mode = 0660 }]`, idle, `!written in quotes, "0660"`},
		{`mode = sign`, idle, "!write text between double quotes"},
		{`domain = "example.com"`, idle, "!needs selector and key_file, too"},
		{`key_table = "/etc/kt"`, idle, "!needs signing_table"},
		{`signing_table = "/etc/kt"`, idle, "!needs key_table"},
	}
	for _, tt := range tests {
		t.Run(tt.text, func(t *testing.T) {
			text := tt.text + "\n"
			if !strings.HasPrefix(text, "authserv_id") {
				text = "authserv_id = \"mx.example.com\"\n" + text
			}
			c, err := config.Parse("etc/mailseal.toml", []byte(text))
			problem, bad := strings.CutPrefix(tt.want, "!")
			switch {
			case bad && (err == nil || !strings.Contains(err.Error(), problem)):
				t.Errorf("got %v, want it to say %q", err, problem)
			case bad && strings.Count(err.Error(), "\n") > 0:
				t.Errorf("got several problems for one mistake: %v", err)
			case !bad && err != nil:
				t.Error(err)
			case !bad && fmt.Sprint(tt.got(c)) != tt.want:
				t.Errorf("got %v, want %s", tt.got(c), tt.want)
			}
		})
	}
}

func TestSecretsAreNeverShown(t *testing.T) {
	const secret = "YW4gRWQyNTUxOSBzZWVkIGhhcyAzMiBvY3RldHMuLi4="
	c := parse(t, "[keys.\"a._domainkey.example.com\"]\nprivate_key = \""+secret+"\"\n")
	var log strings.Builder
	slog.New(slog.NewTextHandler(&log, nil)).Info("loaded", "key",
		c.Keys["a._domainkey.example.com"].PrivateKey)
	text, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	shown := log.String() + string(text) + fmt.Sprintf("%v %+v %#v %v", c, *c, *c, c.Keys)
	if strings.Contains(shown, secret) {
		t.Errorf("the key is shown: %s", shown)
	}
	if got := string(c.Keys["a._domainkey.example.com"].PrivateKey); got != secret {
		t.Errorf("got %q, want the key", got)
	}
}
