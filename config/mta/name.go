package mta

import (
	"path"
	"strings"

	"mailseal/milter/domain"
)

// Names returns the names by which the mail servers of a host call themselves, which is what they
// tell a milter as {j}: Postfix' first, each once, without those that are not full host names. The
// directories are those of main.cf and of sendmail.cf.
func Names(h Host, postfixDir, sendmailDir string) []string {
	var out []string
	add := func(name string) {
		if domain.IsFull(name) && (len(out) == 0 || !strings.EqualFold(out[0], name)) {
			out = append(out, name)
		}
	}
	if text, err := h.ReadFile(path.Join(postfixDir, "main.cf")); err == nil {
		add(postfixName(h, readMain("main.cf", text)))
	}
	if text, err := h.ReadFile(path.Join(sendmailDir, "sendmail.cf")); err == nil {
		add(sendmailName(h, readCF("sendmail.cf", text)))
	}
	return out
}

// postfixName is myhostname, by default the host's name with mydomain behind it where it has no dot
// (postconf(5)).
func postfixName(h Host, main *parameters) string {
	if name := main.get("myhostname"); name != "" {
		return name
	}
	name := hostName(h)
	if name == "" || strings.Contains(name, ".") {
		return name
	}
	domain := main.get("mydomain")
	if domain == "" {
		domain = "localdomain"
	}
	return name + "." + domain
}

// sendmailName is the macro j, by default the host's name in the form that /etc/hosts lists first.
func sendmailName(h Host, cf sendmailCF) string {
	if cf.name != "" && !strings.Contains(cf.name, "$") {
		return cf.name
	}
	name := hostName(h)
	hosts, _ := h.ReadFile("/etc/hosts") // without it the name has to do
	for line := range strings.Lines(string(hosts)) {
		line, _, _ = strings.Cut(line, "#")
		fields := strings.Fields(line)
		for _, alias := range fields[min(1, len(fields)):] {
			if name != "" && strings.EqualFold(alias, name) {
				return fields[1]
			}
		}
	}
	return name
}

// hostName is what the host calls itself.
func hostName(h Host) string {
	text, _ := h.ReadFile("/etc/hostname") // without it nothing is known
	return strings.TrimSpace(string(text))
}
