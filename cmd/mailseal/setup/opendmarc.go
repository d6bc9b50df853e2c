package setup

import (
	"fmt"
	"strings"

	"mailseal/cmd/mailseal/answer"
	"mailseal/config/opendkim"
)

// judging are the tables of an imported configuration that say how mail is judged. Where Mailseal
// listens, who is ours and what is signed setup has found out itself.
var judging = []string{"policy", "verify", "authentication_results", "exempt", "relays"}

// policy returns what OpenDMARC's configuration says of how mail is judged, as the new
// configuration has it; nothing where there is none, or with --ignore-opendkim.
func (r *run) policy() (string, error) {
	from := r.result.Host.OpenDMARC
	if from == "" || r.IgnoreOpenDKIM {
		return "", nil
	}
	found, err := opendkim.Import(opendkim.Options{DMARC: from, ID: r.AuthservID})
	if err != nil {
		return "", answer.NewBad(fmt.Errorf(
			"%s cannot be converted (--ignore-opendkim skips it): %w", from, err))
	}
	r.done("converted the policy in %s", from)
	r.todo("OpenDMARC judges mail as well: remove it from the mail server, and stop it "+
		"(systemctl disable --now opendmarc); mailseal import-opendkim --conf \"\" --dmarc-conf "+
		"%s --report shows the differences", from)
	if text := judgingTables(found.TOML); text != "" {
		return "\n# from " + from + "\n" + text, nil
	}
	return "", nil
}

// judgingTables are the tables of a configuration that say how mail is judged.
func judgingTables(toml string) string {
	var b strings.Builder
	isTaken := false
	for line := range strings.Lines(toml) {
		if strings.HasPrefix(line, "[") {
			isTaken = isJudging(strings.Trim(strings.TrimSpace(line), "[]"))
		}
		if isTaken {
			b.WriteString(line)
		}
	}
	if b.Len() == 0 {
		return ""
	}
	return strings.TrimRight(b.String(), "\n") + "\n"
}

// isJudging reports whether a table is one of judging, or below it.
func isJudging(head string) bool {
	head, _, _ = strings.Cut(head, "]") // a comment may follow
	top, _, _ := strings.Cut(head, ".")
	for _, name := range judging {
		if top == name {
			return true
		}
	}
	return false
}
