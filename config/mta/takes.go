package mta

import (
	"path"
	"strings"
)

// Taken reports whether a mail server takes mail for a domain from strangers.
type Taken int

// The answers.
const (
	NotKnown Taken = iota // a list is in a database, or cannot be read
	Takes
	TakesNot
)

// PostfixTakes reports whether the Postfix of a directory takes mail for a domain: whether it is in
// mydestination, relay_domains, virtual_alias_domains or virtual_mailbox_domains. A local part is
// another question, which only the running server answers.
func PostfixTakes(h Host, dir, domain string) Taken {
	text, err := h.ReadFile(path.Join(dir, "main.cf"))
	if err != nil {
		return NotKnown
	}
	main := readMain("main.cf", text)
	own := map[string]string{"mydestination": "$myhostname, localhost.$mydomain, localhost",
		"virtual_alias_domains":   "$virtual_alias_maps",
		"virtual_mailbox_domains": "$virtual_mailbox_maps"}
	if main.raw("myhostname").line == 0 {
		main.own["myhostname"] = parameter{value: postfixName(h, main)}
	}
	out := TakesNot
	for _, name := range []string{"mydestination", "relay_domains", "virtual_alias_domains",
		"virtual_mailbox_domains"} {
		if main.raw(name).line == 0 {
			main.own[name] = parameter{value: own[name]}
		}
		switch listed(h, main.get(name), domain, name == "relay_domains") {
		case Takes:
			return Takes
		case NotKnown:
			out = NotKnown
		}
	}
	return out
}

// listed looks for a domain in a list of Postfix.
func listed(h Host, list, domain string, alsoBelow bool) Taken {
	out := TakesNot
	for _, word := range strings.FieldsFunc(list, func(r rune) bool {
		return r == ',' || r == ' ' || r == '\t'
	}) {
		kind, file, isMap := strings.Cut(word, ":")
		switch {
		case is(word, domain, alsoBelow):
			return Takes
		case isMap && fromText[kind] || strings.HasPrefix(word, "/"):
			if !isMap {
				file = word
			}
			switch inFile(h, file, domain, alsoBelow) {
			case Takes:
				return Takes
			case NotKnown:
				out = NotKnown
			}
		case isMap || strings.ContainsAny(word, "!{}$"):
			out = NotKnown
		}
	}
	return out
}

// fromText are the tables that are made of a text file beside them.
var fromText = map[string]bool{"hash": true, "btree": true, "lmdb": true, "cdb": true, "dbm": true,
	"sdbm": true, "texthash": true}

func is(word, domain string, alsoBelow bool) bool {
	return strings.EqualFold(word, domain) || alsoBelow && len(domain) > len(word) &&
		strings.EqualFold(domain[len(domain)-len(word)-1:], "."+word)
}

// inFile looks for a domain as the first word of a line.
func inFile(h Host, file, domain string, alsoBelow bool) Taken {
	text, err := h.ReadFile(file)
	if err != nil {
		return NotKnown
	}
	for line := range strings.Lines(string(text)) {
		words := strings.Fields(line)
		if len(words) > 0 && line[0] != '#' && is(words[0], domain, alsoBelow) {
			return Takes
		}
	}
	return TakesNot
}

// SendmailTakes reports whether the Sendmail of a directory takes mail for a domain: whether it is
// in class w or {VirtHost}, or it or a domain above in class R or in the access table.
func SendmailTakes(h Host, dir, domain string) Taken {
	text, err := h.ReadFile(path.Join(dir, "sendmail.cf"))
	if err != nil {
		return NotKnown
	}
	cf := readCF("sendmail.cf", text)
	if strings.EqualFold(sendmailName(h, cf), domain) {
		return Takes
	}
	out := relayed(h, dir, string(text), domain)
	if out == Takes {
		return Takes
	}
	for line := range strings.Lines(string(text)) {
		class, rest, ok := classLine(strings.TrimRight(line, "\r\n"))
		if !ok {
			continue
		}
		found := TakesNot
		if line[0] == 'C' {
			for _, word := range strings.Fields(rest) {
				if is(word, domain, class == "R") {
					return Takes
				}
			}
			continue
		}
		file := strings.Fields(strings.TrimPrefix(rest, "-o"))
		switch {
		case len(file) == 0 || !path.IsAbs(file[0]):
			found = NotKnown // of LDAP or a program
		default:
			found = inFile(h, file[0], domain, class == "R")
			if _, err := h.Lstat(file[0]); err != nil && strings.HasPrefix(rest, "-o") {
				found = TakesNot // it may be missing
			}
		}
		switch found {
		case Takes:
			return Takes
		case NotKnown:
			out = NotKnown
		}
	}
	return out
}

// relayed checks the access table: Sendmail relays for entries with "To:" and the domain,
// the domain alone, or a parent domain.
func relayed(h Host, dir, cf, domain string) Taken {
	if !strings.Contains(cf, "\nKaccess ") {
		return TakesNot
	}
	text, err := h.ReadFile(path.Join(dir, "access"))
	if err != nil {
		return NotKnown
	}
	for line := range strings.Lines(string(text)) {
		words := strings.Fields(line)
		if len(words) == 2 && line[0] != '#' && strings.EqualFold(words[1], "RELAY") &&
			is(strings.TrimPrefix(words[0], "To:"), domain, true) {
			return Takes
		}
	}
	return TakesNot
}

// classLine takes a C or F line apart that fills one of the classes of domains.
func classLine(line string) (class, rest string, ok bool) {
	if line == "" || line[0] != 'C' && line[0] != 'F' {
		return "", "", false
	}
	for _, name := range []string{"w", "R", "{VirtHost}"} {
		if rest, ok := strings.CutPrefix(line[1:], name); ok {
			return name, strings.TrimSpace(rest), true
		}
	}
	return "", "", false
}
