package main

import (
	"bytes"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"mailseal/cmd/mailseal/answer"
)

// everyCommand calls do for each command that does something, with the words that name it.
func everyCommand(do func(cmd *cobra.Command, words []string)) {
	root := newRootCmd()
	each(root, func(cmd *cobra.Command) {
		if cmd.Runnable() {
			do(cmd, strings.Fields(cmd.CommandPath())[1:])
		}
	})
}

// site is a directory with one of everything that commands need.
type site struct{ dir string }

func newSite(t *testing.T) site {
	t.Helper()
	s := site{t.TempDir()}
	for name, text := range map[string]string{
		"good.toml":   strings.ReplaceAll(goodConfig, "inet:8891@127.0.0.1", "unix:"+s.dir+"/s"),
		"broken.toml": "nonsense = 1\n",
		"tested.toml": "authserv_id = \"mx.example.com\"\nmode = [\"verify\"]\nlisten = [{ address = \"unix:" +
			s.dir + "/s\" }]\n" +
			"[test]\naddress = \"test@example.com\"\npage_url = " +
			"\"https://mx.example.com\"\npage_address = \"127.0.0.1:8027\"\n",
		"plain.eml": "From: a@example.com\nTo: b@example.net\n\nbody\n",
		"other.eml": "From: a@elsewhere.example\nTo: b@example.net\n\nbody\n",
		"zone": "$ORIGIN .\n_dmarc.example.com. 60 IN TXT \"v=DMARC1; " +
			"p=reject\"\nexample.com. 60 IN TXT \"v=spf1 ip4:192.0.2.1 -all\"\n",
		"report.xml": reportXML,
		"tls.json":   reportTLS,
		"arf.eml":    reportARF,
		"silent.zone": "$ORIGIN .\nexample.com. 3600 IN TXT \"v=spf1 include:slow.example " +
			"~all\"\n$SERVFAIL slow.example.\n",
		"before.json": `{"version":1,"domain":"example.com","records":[{"name":"_dmarc.example.com","type":"TXT","status":"found","values":["v=DMARC1; p=none"]}]}` + "\n",
		"differs.log": "time=2 level=WARN msg=differs author=b.example in=signed\n",
		"taken.conf":  "Domain example.com\nKeyFile /k\nSelector s\n",
	} {
		if err := os.WriteFile(filepath.Join(s.dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

func (s site) path(name string) string { return filepath.Join(s.dir, name) }

// words puts the site's paths into a command line: @name is a file of it.
func (s site) words(line string) []string {
	words := strings.Fields(line)
	for i, w := range words {
		if name, ok := strings.CutPrefix(w, "@"); ok {
			words[i] = s.path(name)
		}
	}
	return words
}

// failures are for each command the arguments with which its answer is bad, and with which it
// cannot read what it needs; "" for a command that has no such answer.
var failures = map[string]struct{ bad, unread string }{
	"check":                 {"--no-mta --config @broken.toml", "--no-mta --config @gone"},
	"completion":            {},
	"completion bash":       {},
	"completion fish":       {},
	"completion zsh":        {},
	"completion powershell": {},
	"demo":                  {"--dir @demo", "--dir @plain.eml/demo"},
	"dmarc":                 {"--zone @zone other.example", "--zone @gone example.com"},
	"dkim":                  {"--zone @zone s1 example.com", "--zone @gone s1 example.com"},
	"propose":               {},
	"propose spf":           {"--zone @zone --include gone.example example.com", "--zone @gone example.com"},
	"propose dkim":          {"--config @broken.toml example.com", "--config @gone example.com"},
	"propose dmarc":         {"--zone @zone --people --policy reject example.com", "--zone @gone example.com"},
	"domain":                {"--zone @zone example.com", "--zone @gone example.com"},
	"explain-signing":       {"--from a@elsewhere.example --config @good.toml", "--from a@example.com --config @gone"},
	"help":                  {},
	"import-opendkim":       {"--conf @taken.conf --out @taken", "--conf @gone"},
	"keygen": {"--domain example.com --algorithm ed25519 --dir @made",
		"--domain example.com --dir @plain.eml/made"},
	"keys":               {},
	"keys activate":      {"--config @broken.toml example.com", "--config @gone example.com"},
	"keys generate":      {"--config @broken.toml example.com", "--config @gone example.com"},
	"keys list":          {"--config @broken.toml", "--config @gone"},
	"keys publish-check": {"--config @broken.toml", "--config @gone"},
	"keys remove":        {"--config @broken.toml example.com", "--config @gone example.com"},
	"keys retire":        {"--config @broken.toml example.com", "--config @gone example.com"},
	"keys revoke":        {"--config @broken.toml example.com", "--config @gone example.com"},
	"keys rotate":        {"--config @broken.toml", "--config @gone"},
	"keys record":        {"--config @broken.toml example.com", "--config @gone example.com"},
	"policy":             {},
	"policy replay":      {"--config @good.toml --log @plain.eml", "--config @gone --log @plain.eml"},
	"policy try":         {"--config @good.toml @plain.eml", "--config @gone @plain.eml"},
	"probe-files":        {},
	"reload":             {"", "--config @gone"},
	"test":               {},
	"test address":       {"--config @good.toml", "--config @gone"},
	"test send": {"--config @broken.toml --from a@example.com --server 127.0.0.1:1 b@example.net",
		"--config @gone --from a@example.com --server 127.0.0.1:1 b@example.net"},
	"reports":          {},
	"reports alerts":   {"--test --config @good.toml", "--config @gone"},
	"reports bounced":  {"--config @broken.toml r@example.com", "--config @gone r@example.com"},
	"reports check":    {"--config @good.toml", "--config @gone"},
	"reports forget":   {"--config @broken.toml example.com", "--config @gone example.com"},
	"reports history":  {"--config @broken.toml", "--config @gone"},
	"reports list":     {"--config @broken.toml", "--config @gone"},
	"reports hosts":    {"--config @broken.toml", "--config @gone"},
	"reports failures": {"--config @broken.toml", "--config @gone"},
	"reports preview":  {"--config @broken.toml example.com", "--config @gone example.com"},
	"reports resend":   {"--config @broken.toml x", "--config @gone x"},
	"reports send":     {"--config @broken.toml", "--config @gone"},
	"reports serve":    {"--config @broken.toml", "--config @gone"},
	"reports show":     {"--config @broken.toml x", "--config @gone x"},
	"reports suppress": {"--config @broken.toml", "--config @gone"},
	"man":              {},
	"mta":              {"", "--milter unix:@/gone @plain.eml"},
	"serve":            {"--config @broken.toml", "--config @gone"},
	"setup": {"--yes --mta none --config @broken.toml --authserv-id m.example.com example.com",
		"--yes --mta postfix --postfix @gone example.com"},
	"shadow":           {"--listen unix:@/no/such/directory --upstream unix:@/up --config @good.toml", ""},
	"reports accept":   {"--config @broken.toml r.example", "--config @gone r.example"},
	"reports refuse":   {"--config @broken.toml r.example", "--config @gone r.example"},
	"reports deliver":  {"", ""},
	"reports domains":  {"--config @broken.toml", "--config @gone"},
	"reports import":   {"--config @broken.toml @report.xml", "--config @gone @report.xml"},
	"reports received": {"--config @broken.toml", "--config @gone"},
	"reports reparse":  {"--config @broken.toml", "--config @gone"},
	"reports sources":  {"--config @broken.toml", "--config @gone"},
	"reports verify":   {"--config @broken.toml", "--config @gone"},
	"reports read":     {"@taken.conf", "@gone"},
	"shadow report":    {"@differs.log", "@gone"},
	"sign":             {"--config @good.toml @other.eml", "--config @gone @plain.eml"},
	"spf": {"--zone @zone --ip 192.0.2.9 --helo h.example --from a@example.com",
		"--zone @gone --ip 192.0.2.1 --helo h.example"},
	"sql-import": {"--source s --config @broken.toml @made", "--source s --config @gone @made"},
	"status":     {"--control @gone --no-check", "--config @gone"},
	"verify":     {"--zone @zone @plain.eml", "--zone @zone @gone"},
	"version":    {},
}

// unobserved are the answers that no command line of the test leads to, and why.
var unobserved = map[string]string{
	"probe-files":         "is run by check alone",
	"reload, bad":         "needs a daemon that refuses: the tests of the control socket",
	"keys":                "prints its help",
	"propose, bad":        "prints its help",
	"propose, unreadable": "prints its help",
	"reports":             "prints its help",
	"test":                "prints its help",
	"man":                 "needs nothing",
	"help":                "needs nothing",
	"version":             "needs nothing",
	"completion":          "needs nothing",
	"mta, bad":            "needs a milter that refuses: TestMTA",
	"shadow, unreadable":  "a configuration that cannot be read stops no mail: it judges nothing until a reload",
	"policy, bad":         "prints its help",
	"policy, unreadable":  "prints its help",
}

// TestExitCodes runs every command with each of the four answers that are not good.
func TestExitCodes(t *testing.T) {
	s := newSite(t)
	prepare(t, s)
	counts := map[int]int{}
	everyCommand(func(cmd *cobra.Command, words []string) {
		name := strings.Join(words, " ")
		f, known := failures[name]
		if !known {
			t.Errorf("%s is not in the table of failures", name)
			return
		}
		run := func(code int, line string) {
			args := append(slices.Clone(words),
				s.words(strings.ReplaceAll(line, "@/", s.dir+"/"))...)
			out, errs, got := mailseal(t, "", args...)
			if counts[code]++; got != code {
				t.Errorf("mailseal %s: exit code %d, want %d\n%s%s", strings.Join(args, " "), got,
					code, out, errs)
			}
			if cmd.Flags().Lookup("json") == nil && cmd.InheritedFlags().Lookup("json") == nil {
				return
			}
			out, errs, got = mailseal(t, "", append(args, "--json")...)
			if got != code || !isJSON(out) {
				t.Errorf("mailseal %s --json: exit code %d, want %d and JSON, got\n%s%s",
					strings.Join(args, " "), got, code, out, errs)
			}
		}
		run(exitUsage, "--no-such-flag")
		if f.bad != "" {
			run(exitBad, f.bad)
		} else if unobserved[words[0]] == "" && unobserved[name+", bad"] == "" {
			t.Errorf("%s has no bad answer in the table", name)
		}
		if f.unread != "" {
			run(exitUnknown, f.unread)
		} else if unobserved[words[0]] == "" && unobserved[name+", unreadable"] == "" {
			t.Errorf("%s has no unreadable file in the table", name)
		}
		counts[exitBug] += bug(t, words)
	})
	t.Logf("usage: %d, bad: %d, unknown: %d, bug: %d", counts[exitUsage], counts[exitBad],
		counts[exitUnknown], counts[exitBug])
}

// prepare makes what is in the way of some commands.
func prepare(t *testing.T, s site) {
	t.Helper()
	if _, errs, code := mailseal(t, "", "keygen", "--domain", "example.com", "--algorithm",
		"ed25519", "--dir", s.path("made")); code != 0 {
		t.Fatal(errs)
	}
	for dir, text := range map[string]string{"demo": "nonsense = 1\n",
		"taken": "mode = \"sign\"\n"} {
		if err := os.MkdirAll(s.path(dir), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(s.path(dir), "mailseal.toml"), []byte(text),
			0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// bug runs a command that panics.
func bug(t *testing.T, words []string) int {
	t.Helper()
	for _, debug := range []bool{false, true} {
		root := newRootCmd()
		cmd, _, err := root.Find(words)
		if err != nil {
			t.Fatal(err)
		}
		cmd.PreRunE = func(*cobra.Command, []string) error { panic("a test") }
		cmd.Args = nil
		each(cmd, func(c *cobra.Command) {
			c.Flags().VisitAll(func(f *pflag.Flag) {
				delete(f.Annotations, cobra.BashCompOneRequiredFlag)
			})
		})
		args := slices.Clone(words)
		if debug {
			args = append(args, "--debug")
		}
		var out, errs bytes.Buffer
		code := execute(t.Context(), root, args, &out, &errs)
		lines := strings.Count(errs.String(), "\n")
		if code != exitBug || !strings.Contains(errs.String(), "a bug, please report it: a test") ||
			debug != (lines > 1) {
			t.Errorf("mailseal %s with a bug, debug %v: exit code %d, %d lines:\n%s",
				strings.Join(words, " "), debug, code, lines, &errs)
		}
	}
	return 1
}

// isJSON reports whether a text is JSON, one object or several, and not empty.
func isJSON(text string) bool {
	d := json.NewDecoder(strings.NewReader(text))
	for n := 0; ; n++ {
		var v any
		err := d.Decode(&v)
		if err == io.EOF {
			return n > 0
		}
		if err != nil {
			return false
		}
	}
}

// argued adds the argument that a command cannot do without.
func argued(cmd *cobra.Command, words []string) []string {
	out := slices.Clone(words)
	for n := 0; n < 2 && cmd.Args != nil && cmd.Args(cmd, out[len(words):]) != nil; n++ {
		out = append(out, "example.com")
	}
	return out
}

// TestFlagValues gives every flag of every command nothing, and a value of another type: both are
// wrong command lines, unless the flag says what nothing means.
func TestFlagValues(t *testing.T) {
	flags, empties, bools := 0, 0, 0
	everyCommand(func(cmd *cobra.Command, words []string) {
		see := func(f *pflag.Flag) {
			if f.Name == "help" || f.Name == "debug" ||
				strings.HasPrefix(strings.Join(words, " "), "completion") {
				return
			}
			flags++
			if !strings.HasSuffix(f.Usage, ".") && f.Usage == "" {
				t.Errorf("%s --%s has no text", cmd.CommandPath(), f.Name)
			}
			wrong := "0"
			switch answer.Unnamed(f).Type() {
			case "bool":
				bools++
				wrong = "perhaps"
			case "int", "float64", "duration":
				for _, v := range []string{"x", "-1", "-1s"} {
					if _, errs, code := mailseal(t, "",
						append(argued(cmd, words), "--"+f.Name+"="+v)...); code != exitUsage {
						t.Errorf("%s --%s=%s: exit code %d, %s", cmd.CommandPath(), f.Name, v, code,
							errs)
					}
				}
			default:
				wrong = ""
			}
			if f.Annotations[emptyMeans] != nil {
				empties++
				return
			}
			_, errs, code := mailseal(t, "", append(argued(cmd, words), "--"+f.Name+"="+wrong)...)
			if code != exitUsage || !strings.Contains(errs, "--"+f.Name) {
				t.Errorf("%s --%s=%q: exit code %d, %s", cmd.CommandPath(), f.Name, wrong, code,
					errs)
			}
		}
		cmd.LocalFlags().VisitAll(see)
	})
	t.Logf("%d flags, %d of them with a meaning for \"\", %d without a value", flags, empties,
		bools)
}

// TestFlagsWithoutEffect gives every flag that needs another one without it, and every flag that
// has no effect together with another one beside it.
func TestFlagsWithoutEffect(t *testing.T) {
	tried := 0
	everyCommand(func(cmd *cobra.Command, words []string) {
		value := func(name string) string {
			f := cmd.Flag(name)
			switch answer.Unnamed(f).Type() {
			case "bool":
				return "--" + name
			case "int", "float64":
				return "--" + name + "=3"
			case "duration":
				return "--" + name + "=3s"
			}
			return "--" + name + "=x"
		}
		refused := func(says string, flags ...string) {
			tried++
			_, errs, code := mailseal(t, "", append(argued(cmd, words), flags...)...)
			if code != exitUsage || !strings.Contains(errs, says) {
				t.Errorf("%s %s: exit code %d, %s; want %q", cmd.CommandPath(),
					strings.Join(flags, " "), code, errs, says)
			}
		}
		cmd.Flags().VisitAll(func(f *pflag.Flag) {
			if others := f.Annotations[needsFlag]; len(others) > 0 {
				refused("--"+f.Name+" has no effect without --", value(f.Name))
			}
			for _, other := range f.Annotations[notBeside] {
				refused("--"+f.Name+" has no effect together with --"+other, value(f.Name),
					value(other))
			}
		})
		for _, name := range strings.Fields(cmd.Annotations[ignored]) {
			refused("--"+name+" has no effect on", value(name))
		}
	})
	t.Logf("%d combinations", tried)
}

// TestCommandLines holds mistakes that no table of flags knows.
func TestCommandLines(t *testing.T) {
	s := newSite(t)
	for line, says := range map[string]string{
		"help nosuch":       "no command",
		"nosuch":            "unknown command",
		"keys nosuch":       "unknown command",
		"completion nosuch": "unknown command",
		"serve x":           "takes no arguments",
		"sign a b":          "takes only one FILE",
		"dmarc":             "needs DOMAIN",
		"keygen --domain x.example --algorithm rsa,rsa":             "names \"rsa\" twice",
		"keygen --domain x.example --algorithm ed25519 --bits 4096": "--bits has no effect",
		"keygen --domain x.example --algorithm dsa":                 "dsa",
		"mta --milter unix:@/m --size 10 @plain.eml":                "--size",
		"mta --milter unix:@/m --deliver --duration 3s @plain.eml": "--deliver has " +
			"no effect together with --duration",
		"shadow --listen inet:1@127.0.0.1 --upstream unix:@/u --group g":        "only a unix socket",
		"shadow --listen unix:@/u --upstream unix:@/u --config @good.toml":      "is the address of --listen",
		"shadow --listen inet:1025 --upstream inet:1025@127.0.0.1":              "is the address of --listen",
		"shadow --listen inet:1025@127.0.0.1 --upstream inet:1025@localhost":    "is the address of --listen",
		"shadow --listen unix:@/link/u --upstream unix:@/u --config @good.toml": "is the address of --listen",
	} {
		if strings.Contains(line, "/link/") {
			if err := os.Symlink(s.dir, s.path("link")); err != nil {
				t.Fatal(err)
			}
		}
		_, errs, code := mailseal(t, "", s.words(strings.ReplaceAll(line, "@/", s.dir+"/"))...)
		if code != exitUsage || !strings.Contains(errs, says) {
			t.Errorf("mailseal %s: exit code %d, %s; want %q", line, code, errs, says)
		}
	}
}

// TestInput gives every command that reads messages a file, "-" and standard input.
func TestInput(t *testing.T) {
	s := newSite(t)
	prepare(t, s)
	message := "From: a@example.com\nTo: b@example.net\n\nbody\n"
	for line, wants := range map[string]string{
		"verify --zone @zone": "dkim   none",
		"sign --domain example.com --selector s --key @made/mail.pem": "d=example.com",
		"shadow report": "1  messages",
	} {
		file, in := s.path("plain.eml"), message
		if line == "shadow report" {
			in = "time=1 level=INFO msg=same author=a.example\n"
			file = s.path("same.log")
			if err := os.WriteFile(file, []byte(in), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		for _, how := range []string{file, "-", ""} {
			args := s.words(line)
			if how != "" {
				args = append(args, how)
			}
			text := in
			if how == file {
				text = ""
			}
			if out, errs, code := mailseal(t, text, args...); code > exitBad ||
				!strings.Contains(out, wants) {
				t.Errorf("mailseal %s %q: exit code %d\n%s%s", line, how, code, out, errs)
			}
		}
	}
	// One that cannot be read keeps none of the others from it.
	out, errs, code := mailseal(t, "", "verify", "--zone", s.path("zone"), s.path("gone"),
		s.path("plain.eml"))
	if code != exitUnknown || !strings.Contains(errs, "gone") ||
		!strings.Contains(out, "dkim   none") {
		t.Errorf("a file that is not there, and one that is: exit code %d\n%s%s", code, out, errs)
	}
}
