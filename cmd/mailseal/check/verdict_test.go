package check

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"testing"

	"mailseal/config"
)

// TestVerdictLine holds that the last line says good where the verdict is, and nowhere else.
func TestVerdictLine(t *testing.T) {
	type counts = map[Area]map[Severity]int
	past := []Server{{Server: "Postfix", Services: 2}}
	tests := []struct {
		name   string
		counts counts
		mtas   []Server
		want   Verdict
		line   string
	}{
		{"good", counts{}, nil, Good, "f: good; keys: 0, rules: 1, sockets: 2, warnings: 0"},
		{"warnings of all areas", counts{Local: {Warning: 1}, DNS: {Warning: 1}, MTA: {Warning: 1}},
			nil, Good, "f: good; keys: 0, rules: 1, sockets: 2, warnings: 3"},
		{"an error", counts{Local: {Error: 1}}, nil, Bad, "f: errors: 1, warnings: 0"},
		{"an error of the DNS", counts{DNS: {Error: 2}}, nil, Bad,
			"f: errors: 2 (DNS: 2), warnings: 0"},
		{"errors of all", counts{Local: {Error: 1}, DNS: {Error: 2}, MTA: {Error: 3}}, nil, Bad,
			"f: errors: 6 (this host: 1, DNS: 2, mail servers: 3), warnings: 0"},
		{"not found out", counts{Local: {Unknown: 1}, DNS: {Unknown: 1, Warning: 1}}, nil,
			Undecided, "f: errors: 0, warnings: 1, not found out: 2"},
		{"an error, and not found out", counts{Local: {Error: 1}, DNS: {Unknown: 1}}, nil, Bad,
			"f: errors: 1, warnings: 0, not found out: 1"},
		{"a mail server that is not asked", counts{}, past, Undecided,
			"f: errors: 0, warnings: 0, a mail server does not use Mailseal"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := &Result{File: "f", Rules: 1, Sockets: 2, counts: tt.counts, MTAs: tt.mtas}
			var out strings.Builder
			Printer{Out: &out}.Finish(r)
			lines := strings.Split(strings.TrimSpace(out.String()), "\n")
			if got := lines[len(lines)-1]; got != tt.line || r.Verdict() != tt.want {
				t.Errorf("got %q, verdict %d, want %q, %d", got, r.Verdict(), tt.line, tt.want)
			}
		})
	}
}

// TestVerdictSignsNothing wants the verdict to say that no mail is signed.
func TestVerdictSignsNothing(t *testing.T) {
	for _, tt := range []struct {
		mode string
		want string
	}{
		{"", ": good, but signs nothing; keys: 0"},
		{"mode = [\"sign\", \"verify\"]\n", ": good, but signs nothing; keys: 0"},
		{"mode = \"verify\"\n", ": good; keys: 0"},
	} {
		cfg, err := config.Parse("m.toml", []byte("authserv_id = \"mx.example.com\"\n"+tt.mode))
		if err != nil {
			t.Fatal(err)
		}
		r := &Result{File: "f", SignsNothing: cfg.SignsNothing()}
		var out strings.Builder
		Printer{Out: &out}.Finish(r)
		if !strings.Contains(out.String(), tt.want) {
			t.Errorf("%q: got %q, want %q", tt.mode, out.String(), tt.want)
		}
	}
}

// asGuest is the name under which this program, started as another user, checks a configuration
// and prints the findings.
const asGuest = "check-as-guest"

func checkAsGuest(file string) error {
	var found []Finding
	keep := func(f Finding) { found = append(found, f) }
	o := Options{File: file, MTA: MTAOptions{Skip: true}, Report: keep}
	_, err := Run(context.Background(), o)
	if err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(found)
}

// TestGuest has a user check who is neither root nor the daemon's. What that user may not read is
// not known, and no command gives the user rights.
func TestGuest(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can start programs of other users")
	}
	managed := "[[sign]]\nfrom = \"example.net\"\nmanaged = \"example.net\"\n"
	tests := []struct {
		name, toml string
		want       []Code
	}{
		{"a key", listen + signing, []Code{NotChecked}},
		{"managed keys", "state_directory = \"DIR/closed/state\"\n" + listen + managed,
			[]Code{NotChecked}},
		{"a socket", strings.Replace(listen, "inet:8891@127.0.0.1", "unix:DIR/m.sock", 1) +
			signing, []Code{NotChecked}},
		{"a token", listen + signing + pagesOf("token_file = \"token\""), []Code{NotChecked}},
		{"an included file", "include = [\"token\"]\n" + listen, []Code{ConfigUnread}},
		{"a table", listen + "key_table = \"file:DIR/token\"\nsigning_table = \"file:DIR/token\"\n",
			[]Code{ConfigUnread}},
		{"a database", listen + "[sources.d]\ndriver = \"sqlite\"\ndsn = \"DIR/token\"\n" +
			"key_query = \"SELECT $1\"\n[keys.k]\nsource = \"d\"\n", []Code{NotChecked}},
		{"a mistake beside it", listen + signing + "[keys.t]\ndomain = \"example.com\"\n" +
			"selector = \"t\"\nfile = \"none\"\n", []Code{KeyMissing, NotChecked}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := newSite(t, tt.toml)
			s.give(t, "mailseal.toml", 0, 0, 0o644)
			s.write(t, "token", "12345678901234567890\n", 0o600)
			s.mkdir(t, "closed")
			s.give(t, "closed", 0, 0, 0o700)
			program, err := os.Executable()
			if err != nil {
				t.Fatal(err)
			}
			cmd := exec.Command("/proc/self/fd/3", asGuest, s.path("mailseal.toml"))
			file, err := os.Open(program)
			if err != nil {
				t.Fatal(err)
			}
			defer file.Close()
			cmd.ExtraFiles = []*os.File{file}
			cmd.Dir = "/"
			cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{
				Uid: neighbourID, Gid: neighbourID}}
			out, err := cmd.Output()
			if err != nil {
				t.Fatalf("%v: %s", err, out)
			}
			var found []Finding
			if err := json.Unmarshal(out, &found); err != nil {
				t.Fatalf("%v: %s", err, out)
			}
			got := codes(slices.DeleteFunc(slices.Clone(found), func(f Finding) bool {
				return f.Severity == Warning
			}))
			if !slices.Equal(got, sorted(tt.want)) {
				t.Errorf("got %v, want %v: %v", got, tt.want, found)
			}
			all := fmt.Sprint(found)
			if strings.Contains(all, "chgrp") || strings.Contains(all, "chmod") {
				t.Errorf("commands for the calling user: %s", out)
			}
		})
	}
}
