package keyring

import (
	"fmt"
	"path/filepath"
	"strings"

	"mailseal/config"
	"mailseal/milter/message"
)

// configure says what to write into the configuration so that managed keys of a domain sign, in a
// form that the configuration as it is can take. It is "" if a rule signs with them already.
func (r *Ring) configure(d string) string {
	managed := managedRule(d)
	before := r.before(d)
	switch {
	case r.isManaged(d):
		return ""
	case len(r.cfg.Domain) > 0:
		return fmt.Sprintf("The configuration signs by domain, selector and key_file, which cannot "+
			"be combined with managed keys. Once \"mailseal keys list %s\" shows that the new keys "+
			"are active, remove these three lines, and add at the end of the file:\n\n%s", d,
			indented(r.longForm(d)+managed)) + leaveOld
	case r.cfg.KeyTable != "":
		return fmt.Sprintf("The configuration signs by key_table and signing_table, which cannot be "+
			"combined with managed keys. \"mailseal import-opendkim\" converts the tables: it reads "+
			"opendkim.conf, or with --conf a file of the two lines KeyTable and SigningTable. Put the "+
			"[keys] and [[sign]] that it prints in place of the two settings, and once \"mailseal "+
			"keys list %s\" shows that the new keys are active, put before the rules:\n\n%s", d,
			indented(managed)) + leaveOld
	case before != "":
		return fmt.Sprintf("Mail of %s is signed by %s now. Once \"mailseal keys list %s\" shows "+
			"that the new keys are active, put before that rule:\n\n%s", d, before, d,
			indented(managed)) + leaveOld
	}
	return "No rule signs with these keys yet. Add at the end of the configuration:\n\n" +
		indented(managed)
}

// leaveOld says what to do with the key that signed until now.
const leaveOld = "\n\nUntil then the old key signs. Leave its record in the DNS for a week after " +
	"that, for mail that is still on its way."

func managedRule(d string) string {
	return fmt.Sprintf("[[sign]]\nfrom = [\"*@%s\"]\nmanaged = %q\n", d, d)
}

// longForm writes the domains of the short form, but for d, as keys and rules.
func (r *Ring) longForm(d string) string {
	var out strings.Builder
	for _, rule := range r.cfg.Sign {
		name := rule.Keys[0]
		k := r.cfg.Keys[name]
		if k.Domain == d {
			continue
		}
		file, err := filepath.Abs(k.File)
		if err != nil {
			file = k.File
		}
		fmt.Fprintf(&out, "[keys.%q]\nfile = %q\n\n[[sign]]\nfrom = [%q]\nkeys = [%q]\n\n", name,
			file,
			rule.From[0], name)
	}
	return out.String()
}

// before names the first rule that signs all mail of a domain, "" where there is none.
func (r *Ring) before(d string) string {
	for i, rule := range r.cfg.Sign {
		patterns, err := message.ParsePatterns(rule.From)
		if err != nil || !patterns.MatchPath("postmaster@"+d) {
			continue
		}
		return fmt.Sprintf("sign[%d]%s", i, lineOf(rule))
	}
	return ""
}

// lineOf is the place of a rule, in brackets.
func lineOf(rule config.Rule) string {
	at := rule.Problem("", "")
	if at.File == "" || at.Line == 0 {
		return ""
	}
	return fmt.Sprintf(" (%s:%d)", at.File, at.Line)
}

// indented puts each line of TOML behind two blanks: notes print such lines as they are.
func indented(text string) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	for i, line := range lines {
		lines[i] = strings.TrimRight("  "+line, " ")
	}
	return strings.Join(lines, "\n")
}
