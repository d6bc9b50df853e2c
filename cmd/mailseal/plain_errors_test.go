package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// internals are what Go and its library write in errors, and what no operator knows.
var internals = regexp.MustCompile(`ParseAddr|ParsePrefix|parsing time|strconv\.|dial (tcp|udp|unix)|` +
	`listen tcp|(^|: )(keys|keylife|keydns|keysql|keyhttp|dns|milter|control|store|zone|service|domain|` +
	`sign|check): |\bopen /|\bstat /|\bmkdir /|context deadline|mailseal: mailseal`)

// inDir is an @ that stands for the directory of a test.
var inDir = regexp.MustCompile(`([ :])@`)

// TestPlainErrors runs commands that fail, and wants the words of operators.
func TestPlainErrors(t *testing.T) {
	path := configured(t, goodConfig)
	dir := filepath.Dir(path)
	for name, text := range map[string]string{
		"file-as-dir": "x", "badzone": "example.com. TXT \"x\n", "df": "example.com\nfoo bar\n",
		"cut.pem": "-----BEGIN PRIVATE KEY-----\n", "broken.toml": "foo = 1\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	tests := []struct {
		args string
		code int
		want string
	}{
		{"spf --ip 192.0.2.1 --from nodomain", exitUsage, `--from: "nodomain" is not a mail address`},
		{"spf --ip 1.2.3 --from a@example.com", exitUsage, `--ip: "1.2.3" is not an IP address`},
		{"verify --ip 1.2.3 @s.pem", exitUsage, `"1.2.3" is not an IP address`},
		{"explain-signing --ip 1.2.3 --from a@example.com -c @mailseal.toml", exitUsage,
			`"1.2.3" is not an IP address`},
		{"reports list --now yesterday -c @mailseal.toml", exitUsage, `"yesterday" is not a time`},
		{"spf foo..bar", exitUsage, `"foo..bar" is not a domain name: a label is empty (a dot at the start, or two dots in a row)`},
		{"dmarc foo..bar", exitUsage, `"foo..bar" is not a domain name: a label is empty (a dot at the start, or two dots in a row)`},
		{"domain foo", exitUsage, `"foo" is not a mail domain`},
		{"domain --selector s..s example.com", exitUsage, `--selector: "s..s" is not a selector`},
		{"domain --file @df", exitUsage, `df:2: "foo bar" is not a domain name`},
		{"dkim sel foo..bar", exitUsage, `"foo..bar"`},
		{"check --domain a..b -c @mailseal.toml", exitUsage, `--domain: "a..b" is not a domain name`},
		{"setup --yes exa..mple", exitUsage, `"exa..mple" is not a domain name`},
		{"keygen --domain exa_mple --dir @new", exitUsage, `"exa_mple" is not a mail domain`},
		{"keygen --domain example.com --bits 512 --dir @new", exitUsage, "--bits 512: at least 1024"},
		{"keygen --domain example.com --dir /proc/x", exitUnknown, "/proc/x"},
		{"keys generate foo -c @mailseal.toml", exitUsage, `"foo" is not a mail domain`},
		{"keys list --format bind -c @mailseal.toml", exitUsage, `--format "bind" is not one of zone`},
		{"propose dkim foo -c @mailseal.toml", exitUsage, `"foo" is not a mail domain`},
		{"propose dkim example.com -c @mailseal.toml", exitBad,
			"example.com already signs with s._domainkey.example.com"},
		{"reports forget x -c @mailseal.toml", exitUsage, `"x" is not a mail domain`},
		{"reports history foo -c @mailseal.toml", exitUsage, `"foo" is not a mail domain`},
		{"reports domains --store foo", exitUsage,
			`--store: "foo" begins with neither "sqlite:" nor "postgres://"`},
		{"reports domains --store foo", exitUsage, `"postgres://USER@HOST/DATABASE"`},
		{"reports domains --store sqlite:@r.db --domain a@b", exitUsage, `--domain: "a@b"`},
		{"reports import --store sqlite:@none/r.db @none/x.xml", exitUnknown, "create the directory"},
		{"spf example.com --zone @none", exitUnknown, "--zone: "},
		{"keygen --domain example.com --dir @mailseal.toml/x", exitUnknown, "--dir: "},
		{"reports domains --store sqlite:@none/r.db", exitUnknown, "--store: there is no store of reports at"},
		{"reload -c @mailseal.toml --control @none", exitUsage,
			"has no effect together with"},
		{"reload --control @none", exitUnknown, "none: no such file or directory; is it running?"},
		{"status --control @none", exitBad, "none: no such file or directory; is it running?"},
		{"check --as nobodyx -c @mailseal.toml", exitUsage, `--as: `},
		{"mta --milter inet:1@127.0.0.1", exitUnknown, "127.0.0.1:1: connection refused"},
		{"verify @nofile", exitUnknown, "nofile: no such file or directory"},
		{"serve -c @broken.toml", exitBad, "broken.toml:1: foo: unknown setting"},
		{"spf --zone @badzone example.com", exitUnknown, "badzone"},
		{"spf --zone @nozone example.com", exitUnknown, "nozone: no such file"},
		{"reports serve --roles web -c @mailseal.toml", exitBad,
			"role web: reports.web.address is not set"},
		{"reports serve --roles test,send -c @mailseal.toml", exitBad, "role send: neither collect"},
		{"reports frob", exitUsage, `unknown command "frob" for "mailseal reports"`},
		{"keys frob", exitUsage, `unknown command "frob" for "mailseal keys"`},
	}
	for _, tt := range tests {
		t.Run(tt.args, func(t *testing.T) {
			args := strings.Fields(inDir.ReplaceAllString(tt.args, "${1}"+dir+"/"))
			_, stderr, code := runCommandErr(t, args...)
			if code != tt.code || !strings.Contains(stderr, tt.want) {
				t.Errorf("got code %d and %s, want %d and %q", code, stderr, tt.code, tt.want)
			}
			for line := range strings.Lines(stderr) {
				text := strings.TrimPrefix(strings.ReplaceAll(line, dir, ""), "mailseal: ")
				if found := internals.FindString(text); found != "" {
					t.Errorf("%q in %s", found, line)
				}
			}
		})
	}
}

// TestAdviceOnManagedKeys applies what "keys generate" prints to each form of a configuration. The
// result is a configuration that signs with the managed keys, and other domains as before.
func TestAdviceOnManagedKeys(t *testing.T) {
	const head = "authserv_id = \"mx.example.com\"\nlisten = [{ address = \"inet:8891@127.0.0.1\" }]\n"
	simple := func(domains string) string {
		return "domain = " + domains + "\nselector = \"s\"\nkey_file = \"s.pem\"\n"
	}
	tests := []struct {
		name, text string
		remove     string // lines that the advice has removed
		tables     bool   // import-opendkim is asked for the rest
		others     string // a domain that signs as before
	}{
		{"nothing signs", head, "", false, ""},
		{"the short form", simple(`"example.com"`) + head, simple(`"example.com"`), false, ""},
		{"the short form with two domains", simple(`["example.com", "example.net"]`) + head,
			simple(`["example.com", "example.net"]`), false, "example.net"},
		{"a rule", head + "[keys.\"s._domainkey.example.com\"]\nfile = \"s.pem\"\n[[sign]]\nfrom = " +
			"\"example.com\"\nkeys = \"s._domainkey.example.com\"\n", "", false, ""},
		{"tables", "key_table = \"file:kt\"\nsigning_table = \"refile:st\"\n" + head,
			"key_table = \"file:kt\"\nsigning_table = \"refile:st\"\n", true, "example.net"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			path := configured(t, "state_directory = \"state\"\n"+tt.text)
			dir := filepath.Dir(path)
			write := func(name, text string) {
				if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o640); err != nil {
					t.Fatal(err)
				}
			}
			key := filepath.Join(dir, "s.pem")
			write("kt", "a example.com:s:"+key+"\nb example.net:s:"+key+"\n")
			write("st", "*@example.com a\n*@example.net b\n")
			write("o.conf", "KeyTable file:"+dir+"/kt\nSigningTable refile:"+dir+"/st\nMode sv\n")
			out, code := runCommand(t, "keys", "generate", "example.com", "-c", path)
			if code != exitGood {
				t.Fatalf("got code %d, %s", code, out)
			}
			rules := adviceOf(out)
			if !strings.Contains(rules, "managed = \"example.com\"") {
				t.Fatalf("no rule in %s", out)
			}
			body := strings.Replace("state_directory = \"state\"\n"+tt.text, tt.remove, "", 1)
			switch {
			case tt.tables:
				if !strings.Contains(out, "import-opendkim") {
					t.Fatalf("import-opendkim is not in %s", out)
				}
				conf := filepath.Join(dir, "o.conf")
				imported, _ := runCommand(t, "import-opendkim", "--conf", conf)
				body += "\n" + rules + "\n" + tablesOf(imported)
			case strings.Contains(out, "before that rule"):
				body = strings.Replace(body, "[[sign]]", rules+"\n[[sign]]", 1)
			default:
				body += "\n" + rules + "\n"
			}
			write("mailseal.toml", body)
			out, _ = runCommand(t, "explain-signing", "-c", path, "--from", "a@example.com")
			if !strings.Contains(out, "no key has ever signed for example.com") {
				t.Errorf("no managed rule decides in\n%s\n%s", body, out)
			}
			if tt.others == "" {
				return
			}
			out, code = runCommand(t, "explain-signing", "-c", path, "--from", "a@"+tt.others)
			if code != exitGood {
				t.Errorf("%s does not sign: %s in\n%s", tt.others, out, body)
			}
		})
	}
}

// adviceOf returns the lines of a configuration in an output, which stand behind two blanks.
func adviceOf(out string) string {
	var lines []string
	isAdvice := false
	for line := range strings.Lines(out) {
		text, isIndented := strings.CutPrefix(line, "  ")
		if isAdvice = isIndented || isAdvice && line == "\n"; isAdvice {
			lines = append(lines, text)
		}
	}
	return strings.Join(lines, "")
}

// tablesOf returns the tables of keys and rules that an import printed.
func tablesOf(toml string) string {
	at := strings.Index(toml, "[keys.")
	if at < 0 {
		return ""
	}
	end := strings.LastIndex(toml, "keys = ")
	rest := toml[end:]
	line, _, _ := strings.Cut(rest, "\n")
	return toml[at:end] + line + "\n"
}

// TestVendorWithoutRecord holds that no empty record is printed where the text of a vendor's is not
// known: it would take the vendor's place.
func TestVendorWithoutRecord(t *testing.T) {
	s := newLifeSite(t)
	s.run(exitGood, "sg._domainkey.example.com", "generate", "example.com", "--vendor",
		"--selector", "sg")
	for _, args := range [][]string{
		{"list", "--format", "zone"}, {"list", "--format", "line"}, {"list", "--format", "nsupdate"},
		{"rotate"}, {"rotate", "--format", "line"}, {"rotate", "--format", "nsupdate"},
		{"publish-check"},
	} {
		all := append([]string{"keys", "--config", s.config, "--zone", s.zone}, args...)
		out, _ := runCommand(t, all...)
		if strings.Contains(out, `""`) || strings.Contains(out, "IN TXT") ||
			strings.Contains(out, "update add") {
			t.Errorf("%v: got %s", args, out)
		}
	}
	s.run(exitGood, "text is not known here (give it with --record)", "rotate")
}

// TestExplainDeferred wants one sentence about a message that waits for its first key.
func TestExplainDeferred(t *testing.T) {
	s := newLifeSite(t)
	text := lifeConfig + "first_key = \"defer\"\n"
	if err := os.MkdirAll(filepath.Join(filepath.Dir(s.config), "state"), 0o750); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(s.config, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	out, code := runCommand(t, "explain-signing", "-c", s.config, "--from", "a@example.com")
	want := "The message is deferred (451): rule sign[0] (" + s.config + ":5) matches, but no key " +
		"of example.com is active; see mailseal keys list example.com.\n"
	if code != exitBad || !strings.HasSuffix(out, want) {
		t.Errorf("got code %d and\n%swant\n%s", code, out, want)
	}
}

// TestBrokenPolicy holds that a record whose policy is not valid has no effect, and that the answer
// says so.
func TestBrokenPolicy(t *testing.T) {
	zone := filepath.Join(t.TempDir(), "zone")
	text := "example.com. A 192.0.2.1\n_dmarc.example.com. TXT \"v=DMARC1; p=rejct; " +
		"rua=mailto:d@example.com\"\n"
	if err := os.WriteFile(zone, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	out, code := runCommand(t, "dmarc", "example.com", "--zone", zone)
	if want := "The record is not valid (p=rejct is not valid): receivers apply no policy"; code !=
		exitBad || !strings.Contains(out, want) || strings.Contains(out, "(=)") {
		t.Errorf("got code %d and %s, want %d and %q", code, out, exitBad, want)
	}
	out, _ = runCommand(t, "propose", "dmarc", "example.com", "--zone", zone)
	if !strings.Contains(out, "p=reject has never had an effect") ||
		!strings.Contains(out, "TXT \"v=DMARC1; p=none; rua=mailto:d@example.com\"") {
		t.Errorf("got %s", out)
	}
}

// TestAssumptions holds what commands say of what they assume, and what they list.
func TestAssumptions(t *testing.T) {
	path := configured(t, goodConfig)
	rules := filepath.Join(t.TempDir(), "rules.toml")
	text := "authserv_id = \"mx.example.com\"\nmode = [\"verify\"]\n[[policy.rules]]\n" +
		"name = \"a\"\nwhen = 'dmarc.result == \"fail\"'\naction = \"hold\"\n"
	if err := os.WriteFile(rules, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	empty := filepath.Join(filepath.Dir(rules), "zone")
	if err := os.WriteFile(empty, []byte("a.example. 60 IN A 192.0.2.1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		args      []string
		code      int
		want, not string
	}{
		{[]string{"explain-signing", "--from", "a@example.com", "-c", path}, exitGood,
			"is ours (network: without --ip the client is 127.0.0.1).", ""},
		{[]string{"explain-signing", "--from", "a@example.com", "-c", path, "--ip", "127.0.0.1"},
			exitGood, "is ours (network).", "without --ip"},
		{[]string{"policy", "try", "-c", rules, "--zone", empty}, exitGood,
			"decision: accept (no rule decides", ""},
		{[]string{"policy", "replay", "--log", empty, "-c", rules}, exitUnknown,
			"There is nothing to replay.", "hold "},
		{[]string{"check", "--list"}, exitGood, "key-missing ", ""},
		{[]string{"check", "--list", "--dns"}, exitUsage, "--dns has no effect together", ""},
	} {
		out, errs, code := mailseal(t, "From: a@b.example\n\nx\n", tc.args...)
		if all := out + errs; code != tc.code || !strings.Contains(all, tc.want) ||
			tc.not != "" && strings.Contains(all, tc.not) {
			t.Errorf("%q: exit code %d, want %d with %q and without %q\n%s", tc.args, code, tc.code,
				tc.want, tc.not, all)
		}
	}
}
