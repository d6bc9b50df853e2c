package opendkim

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestBrief holds the order of the brief report, and that what every import has takes a line.
func TestBrief(t *testing.T) {
	im := &importer{report: &Report{}}
	im.unset("headers-unset", "SignHeaders")
	im.unset("expiry-unset", "SignatureTTL")
	im.noteAt("mode", place{File: "/c", Line: 1}, "Mode", "sign")
	im.noteAt("user-by-systemd", place{File: "/c", Line: 2}, "UserID")
	im.noteAt("option-dropped", place{File: "/c", Line: 3}, "PidFile", "systemd does it")
	im.noteAt("option-dropped", place{File: "/c", Line: 4}, "AutoRestart", "systemd does it")
	im.noteAt("dmarc-remove-milter", place{File: "/d", Line: 1}, "Socket")
	im.noteAt("dmarc-socket-dropped", place{File: "/d", Line: 1}, "Socket")
	im.report.Add(Note{Group: Todo, Text: "stop it"})
	var out strings.Builder
	if err := im.report.Brief(&out); err != nil {
		t.Fatal(err)
	}
	want := `Still to do:
  stop it
  /d:1: Socket: remove this milter from the MTA's list (smtpd_milters, non_smtpd_milters; INPUT_MAIL_FILTER), and run systemctl disable --now opendmarc
Dropped:
  /c:2: UserID: Mailseal runs as the user that systemd gives it, and must be able to read the keys
  /c:3: PidFile, AutoRestart: systemd does it
As with every import:
  SignHeaders: not set: more fields are signed than by OpenDKIM
Taken over as it was: Mode (--verbose prints all)
`
	if out.String() != want {
		t.Errorf("got\n%s\nwant\n%s", out.String(), want)
	}
}

// TestPrint holds that of many lines that are alike a few are named, and that nothing else is left
// out.
func TestPrint(t *testing.T) {
	im := &importer{report: &Report{}}
	for line := range 6 {
		im.noteAt("line-never-looked", place{File: "/t", Line: line + 1}, "SigningTable",
			fmt.Sprint(line))
	}
	for line := range 4 {
		im.noteAt("recipient-pattern", place{File: "/t", Line: line + 11}, "SigningTable",
			fmt.Sprint(line))
	}
	im.noteAt("mode", place{File: "/c", Line: 1}, "Mode", "sign")
	im.report.Add(Note{Group: Todo, Text: "stop it"}, Note{Group: Todo, Text: "start it"})
	var out strings.Builder
	if err := im.report.Print(&out); err != nil {
		t.Fatal(err)
	}
	want := `In all: still to do: 2, taken over: 1, never worked in OpenDKIM either: 10.

Still to do:
  stop it
  start it

Taken over:
  /c:1: Mode: sign

Never worked in OpenDKIM either:
  /t:1: SigningTable: 0 matches no sender: it is none of the forms user@domain, domain, user@.parent, .parent, user@* and *
  /t:2: SigningTable: 1 matches no sender: it is none of the forms user@domain, domain, user@.parent, .parent, user@* and *
  /t:3: SigningTable: 2 matches no sender: it is none of the forms user@domain, domain, user@.parent, .parent, user@* and *
  and 3 more lines like these (--json lists all)
  /t:11: SigningTable: 0 never matched: OpenDKIM looks for the recipient's whole address
  /t:12: SigningTable: 1 never matched: OpenDKIM looks for the recipient's whole address
  /t:13: SigningTable: 2 never matched: OpenDKIM looks for the recipient's whole address
  /t:14: SigningTable: 3 never matched: OpenDKIM looks for the recipient's whole address
`
	if out.String() != want {
		t.Errorf("got\n%s\nwant\n%s", out.String(), want)
	}
}

// TestBriefLines holds that a line for what every import has is a sentence of its own, and is not
// cut off.
func TestBriefLines(t *testing.T) {
	folders, err := filepath.Glob("testdata/[0-9]*")
	if err != nil {
		t.Fatal(err)
	}
	lines := 0
	for _, root := range folders {
		o := Options{Root: root, Conf: "/opendkim.conf"}
		if _, err := os.Stat(filepath.Join(root, "opendmarc.conf")); err == nil {
			o.DMARC = "/opendmarc.conf"
		}
		r, err := Import(o)
		if err != nil {
			continue // a folder whose import fails
		}
		for _, n := range r.Notes {
			if n.Group == Todo || n.File != "" {
				continue
			}
			lines++
			if got := shortened(n.String()); strings.HasSuffix(got, " …") {
				t.Errorf("%s: %s", n.Code, got)
			}
		}
	}
	if lines == 0 {
		t.Error("no line of that kind")
	}
}

// TestBriefFits holds that the brief report fits a screen, as far as what is to be done does, for
// every import and for one with far too many lines; what is left out is counted.
func TestBriefFits(t *testing.T) {
	folders, err := filepath.Glob("testdata/[0-9]*")
	if err != nil {
		t.Fatal(err)
	}
	reports := map[string]*Report{}
	for _, root := range folders {
		o := Options{Root: root, Conf: "/opendkim.conf"}
		if _, err := os.Stat(filepath.Join(root, "opendmarc.conf")); err == nil {
			o.DMARC = "/opendmarc.conf"
		}
		if r, err := Import(o); err == nil { // a folder whose import fails has no report
			reports[root] = r
		}
	}
	long := &importer{report: &Report{}}
	for i := range 50 {
		at := place{File: "/c", Line: i + 1}
		long.noteAt("option-dropped", at, fmt.Sprintf("Option%d", i),
			fmt.Sprintf("for reason %d, %s; and so on", i, strings.Repeat("which is long ", 20)))
		long.noteAt("mode", at, fmt.Sprintf("Taken%d", i), "sign")
		long.report.Add(Note{Group: Changed, File: "/c", Line: i + 1,
			Text: fmt.Sprintf("changed %d", i)})
		long.report.Add(Note{Group: Never, File: "/c", Line: i + 1,
			Text: fmt.Sprintf("never %d", i)})
	}
	long.unset("headers-unset", "SignHeaders")
	long.report.Add(Note{Group: Todo, Text: "stop it"})
	reports["far too many"] = long.report
	for name, r := range reports {
		var out strings.Builder
		if err := r.Brief(&out); err != nil {
			t.Fatal(err)
		}
		todo := len(merged(r.of(Todo)))
		lines := strings.Split(strings.TrimSuffix(out.String(), "\n"), "\n")
		if len(lines) > max(height, todo+7) {
			t.Errorf("%s: %d lines\n%s", name, len(lines), out.String())
		}
		rows, todoRows := 0, 0
		for i, line := range lines {
			if i <= todo && todo > 0 {
				todoRows += rowsOf(line)
			} else {
				rows += rowsOf(line)
			}
		}
		if rows > max(height-1-todo, 7) {
			t.Errorf("%s: %d rows, and %d of what is to be done\n%s", name, rows, todoRows,
				out.String())
		}
	}
	var out strings.Builder
	if err := long.report.Brief(&out); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"  stop it\n", " more, which --verbose prints\n",
		"As with every import: 1 line, which --verbose prints\n"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in\n%s", want, out.String())
		}
	}
}
