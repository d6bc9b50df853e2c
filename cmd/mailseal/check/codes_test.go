package check

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"mailseal/cmd/mailseal/remedy"
	"mailseal/keys/keyfile"
	"mailseal/milter/keydns"
)

// TestRows holds that each code has one row, with a severity, an area, a sentence and remedies that
// exist.
func TestRows(t *testing.T) {
	form := regexp.MustCompile(`^[a-z]+(-[a-z]+)+$`)
	kinds := remedy.Kinds()
	seen := map[Code]bool{}
	for _, r := range Codes() {
		if !form.MatchString(string(r.Code)) || seen[r.Code] {
			t.Errorf("%q is malformed, or there twice", r.Code)
		}
		seen[r.Code] = true
		if !slices.Contains([]Severity{Error, Warning, Unknown, Note}, r.Severity) {
			t.Errorf("%s: severity %q", r.Code, r.Severity)
		}
		if !slices.Contains([]Area{Local, DNS, MTA}, r.Area) || r.Code.area() != r.Area {
			t.Errorf("%s: area %q", r.Code, r.Area)
		}
		if r.Text == "" {
			t.Errorf("%s has no sentence", r.Code)
		}
		for _, k := range r.Fixes {
			if !slices.Contains(kinds, k) {
				t.Errorf("%s: no remedy is of kind %q", r.Code, k)
			}
		}
	}
}

// TestCodesAreUsed holds that each code that is declared has a row, and that something besides the
// table uses it.
func TestCodesAreUsed(t *testing.T) {
	declared := constants(t, ".", "Code")
	uses := map[string]int{}
	for _, f := range parseDir(t, ".") {
		ast.Inspect(f, func(n ast.Node) bool {
			if id, ok := n.(*ast.Ident); ok {
				uses[id.Name]++
			}
			return true
		})
	}
	for name, code := range declared {
		if _, ok := byCode[Code(code)]; !ok {
			t.Errorf("%s (%s) has no row", name, code)
		}
		if uses[name] < 3 { // its declaration, its row, and a use
			t.Errorf("%s (%s) is used nowhere", name, code)
		}
	}
	if len(declared) != len(Codes()) {
		t.Errorf("%d codes are declared, %d have rows", len(declared), len(Codes()))
	}
}

// TestEveryResultHasACode holds that nothing which keyfile and keydns find is without a code.
func TestEveryResultHasACode(t *testing.T) {
	for name, kind := range constants(t, "../../../keys/keyfile", "Kind") {
		if ofKeyFile[keyfile.Kind(kind)] == "" {
			t.Errorf("keyfile.%s has no code", name)
		}
	}
	for name, cause := range constants(t, "../../../milter/keydns", "Cause") {
		if ofRecord[keydns.Cause(cause)] == "" {
			t.Errorf("keydns.%s has no code", name)
		}
	}
}

// constants returns the string constants of a type that the Go files of a directory declare, by
// name.
func constants(t *testing.T, dir, typ string) map[string]string {
	t.Helper()
	out := map[string]string{}
	for _, f := range parseDir(t, dir) {
		ast.Inspect(f, func(n ast.Node) bool {
			v, ok := n.(*ast.ValueSpec)
			if !ok || len(v.Values) != 1 {
				return true
			}
			id, isType := v.Type.(*ast.Ident)
			value, isText := v.Values[0].(*ast.BasicLit)
			if isType && isText && id.Name == typ {
				out[v.Names[0].Name] = strings.Trim(value.Value, `"`)
			}
			return true
		})
	}
	if len(out) == 0 {
		t.Fatalf("no constants of type %s in %s", typ, dir)
	}
	return out
}

// parseDir parses the Go files of a directory but its tests.
func parseDir(t *testing.T, dir string) []*ast.File {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	var out []*ast.File
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		f, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, f)
	}
	return out
}

// TestSentences is the one test that holds the sentences of this package. Those that other packages
// have put into words are in their tests.
func TestSentences(t *testing.T) {
	tests := []struct {
		code    Code
		details []any
		want    string
	}{
		{IDShort, []any{"mail"}, `not set, and no full name of this host is known: if the MTA's ` +
			`own name is not a full one, results are written under "mail", a name that others can use as well`},
		{IDSeveral, []any{"a.example, b.example"}, "not set, and more than one MTA may connect " +
			"(a.example, b.example): mail of each MTA has results under a different name, and a " +
			"field with such a name can be forged at the other MTAs"},
		{NotChecked, []any{"/f", "me"}, "/f was not checked: user me has no rights to it; run check " +
			"as root (sudo mailseal check)"},
		{FileClosed, []any{"/f", "why"}, "the daemon cannot read /f: why"},
		{StateClosed, []any{"/s", "why"}, "the daemon cannot use /s: why"},
		{SpoolClosed, []any{"/s", "why", defaultSpool}, "the daemon cannot write records for DMARC reports to " +
			"/s: why; run \"systemd-sysusers && systemd-tmpfiles --create\", " +
			"which creates the user mailseal-reports, adds the daemon's user to its group, and " +
			"creates the default directory; " +
			"then restart mailseal"},
		{OursEveryone, []any{"0.0.0.0/0"}, "0.0.0.0/0 matches every client: strangers' mail is " +
			"signed in your name, and nothing is judged"},
		{SocketDirectoryClosed, []any{"/d", "why"}, "the daemon cannot make a socket in /d: why"},
		{ManagedNone, []any{"example.com", "is deferred"}, "no key of example.com is active, so its mail is deferred"},
		{ManagedWaiting, []any{"example.com", "is deferred", "s._domainkey.example.com", "generated"},
			"no key of example.com is active, so its mail is deferred; s._domainkey.example.com " +
				"is generated and waits for its next step"},
		{StoreUnusable, []any{"why"}, "no command for reports can use this store: why"},
		{ManagedUnused, []any{"a.example"}, "no rule uses the active keys of a.example, so they " +
			"sign nothing: add a rule with managed in [[sign]], or end the keys with mailseal " +
			"keys retire"},
		{KeyShort, []any{1024, 2048}, "the RSA key has 1024 bits, and should have 2048 (RFC 8301 " +
			"section 3.2): some receivers ignore its signatures; make a new key under a new " +
			"selector with mailseal keygen"},
		{ReportsMissing, []any{"d.example", "_report._domainkey.d.example", "d.example"},
			"signatures of d.example ask for failure reports (request_reports), but " +
				"_report._domainkey.d.example has no " +
				"TXT record with an address for them: publish \"ra=dkim-errors\" there for " +
				"dkim-errors@d.example, or remove request_reports"},
		{ReportsUnusable, []any{"d.example", "n", "why"},
			"signatures of d.example ask for reports about failures (request_reports), but no " +
				"receiver can send any: n: why"},
		{ReportsNoAnswer, []any{"n", "why"}, "could not find out where reports about failing signatures go, n: why"},
		{DNSNobody, []any{"example.net"}, "no key signs for example.net"},
		{DNSLabel, []any{"a._domainkey.d.example", "b._domainkey.d.example"},
			"this key is published at a._domainkey.d.example, the name of the entry, but " +
				"signatures refer to b._domainkey.d.example, where it is not"},
		{TestDomain, []any{"Postfix", "example.com"},
			"the configuration of Postfix does not accept mail for example.com, so no sender can " +
				"write to the address for tests: add the domain to " +
				"mydestination or virtual_alias_domains (Postfix), or to class w (Sendmail), or use another domain"},
		{TestRefused, []any{"127.0.0.1:25", "t@example.com", 550, "no"},
			"the mail server at 127.0.0.1:25 refuses t@example.com at RCPT (550 \"no\"), so tests do " +
				"not reach Mailseal; add an alias of " +
				"that name, and let the server remove the part after a plus sign " +
				"(recipient_delimiter = + in Postfix; Sendmail does so by default)"},
		{TestUnasked, []any{"127.0.0.1:25", "why"},
			"could not find out whether the mail server accepts the address at RCPT: 127.0.0.1:25 " +
				"does not answer (why)"},
		{KeyTooLong, []any{8192, 4096}, "the key has 8192 bits: verifiers need not accept more " +
			"than 4096 (RFC 8301 section 3.2), so some of them reject its signatures; use a key " +
			"of 2048 bits"},
		{SocketNoDirectory, []any{"/nowhere"}, "no directory /nowhere"},
		{SocketDirectoryYet, []any{"/run/m"},
			"no directory /run/m yet; RuntimeDirectory= makes it when systemd starts the daemon"},
		{SocketOccupied, []any{"/etc/passwd"}, "/etc/passwd exists, but is not a socket"},
		{SocketNoUser, []any{"m"}, `no user "m" on this host`},
		{SocketNoGroup, []any{"m"}, `no group "m" on this host`},
		{SocketAddress, []any{"inet:1@x", "why"}, `nothing can listen on "inet:1@x": why`},
		{MetricsAddress, []any{"x:1", "why"}, `nothing can listen on "x:1": why`},
		{SourceNoList, []any{"why"}, "why; allow the daemon's user to read that table, or remove list_query"},
		{RunningRefused, []any{"1 of 2"}, "1 of 2; a reload would be refused"},
		{RunningUnknown, []any{"why"}, "could not find out which domains signed mail in the last 7 days: why"},
		{SourceUnlisted, []any{"web", "cannot be listed"},
			`source "web" cannot be listed: its keys were not compared; --domain DOMAIN compares those of a domain`},
		{SourceNobody, []any{"web", "example.com", "sign[0]"}, `source "web": no key signs for example.com (sign[0])`},
		{DNSNoRecord, []any{"k", "why"}, `key "k": why`},
		{DNSAnyDomain, []any{"k"}, `key "k" signs as the author's domain, ` +
			`whatever it is; each of these domains must publish the key`},
		{DMARCUncount, []any{"example.net", "example.com", "why"},
			"signs mail from example.net as d=example.com, which DMARC does not accept for that domain: why"},
		{DMARCNoAnswer, []any{"example.com", "example.net", "why"},
			"whether d=example.com is aligned with example.net: why"},
	}
	tested := map[Code]bool{}
	for _, tt := range tests {
		tested[tt.code] = true
		if got := finding(tt.code, place{}, tt.details...).Text; got != tt.want {
			t.Errorf("%s: got %q, want %q", tt.code, got, tt.want)
		}
	}
	for _, r := range Codes() {
		if r.Text != "%s" && !tested[r.Code] {
			t.Errorf("the sentence of %s is in no test", r.Code)
		}
	}
}
