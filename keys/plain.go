package keys

import (
	"regexp"
	"slices"
	"strings"
)

// packages are those whose errors begin with their name, as the errors of Go packages do. It is for
// programmers: operators know neither package.
var packages = []string{
	"action", "answer", "arc", "assembly", "authres", "config", "control", "crosscheck", "dkim",
	"dmarc", "dns", "domain", "evidence", "examine", "expression", "guard", "keydns", "keyfile",
	"keyhttp", "keylife", "keyring", "keys", "keysql", "message", "milter", "mta", "opendkim",
	"openssl", "pages", "reach", "report", "reporting", "service", "shadow", "sign", "signed",
	"spool", "store", "storetest", "taglist", "verify", "web", "zone",
	"tls", "x509", "net/http", "asn1", "pkcs8", "netip",
}

// inPlain are words of Go's library and of system calls, in the order in which they are replaced.
var inPlain = []struct {
	from *regexp.Regexp
	to   string
}{
	{regexp.MustCompile(`invalid argument "([^"]*)" for "(?:-\w, )?(--[\w-]+)" flag: must be `),
		`$2: "$1" must be `},
	{regexp.MustCompile(`invalid argument "([^"]*)" for "(?:-\w, )?(--[\w-]+)" flag: `), `$2: `},
	{regexp.MustCompile(`netip\.ParsePrefix\("([^"\n]*)"\): [^;\n]*`),
		`"$1" is not a network such as 192.0.2.0/24`},
	{regexp.MustCompile(`ParseAddr\("([^"\n]*)"\): [^;:\n]*`), `"$1" is not an IP address`},
	{regexp.MustCompile(`parsing time "([^"\n]*)"(?: as "2006-01-02")?: cannot parse "[^"\n]*" as ` +
		`"[^"\n]*"`), `"$1" is not a time such as 2026-01-31T12:00:00Z`},
	{regexp.MustCompile(`parsing time "([^"\n]*)" as "2006-01-02": [^;\n]*`),
		`"$1" is not a day such as 2026-01-31`},
	{regexp.MustCompile(`parsing time "([^"\n]*)"[^;\n]*`),
		`"$1" is not a time such as 2026-01-31T12:00:00Z`},
	{regexp.MustCompile(`time: (?:invalid duration|missing unit in duration|unknown unit "[^"]*" ` +
		`in duration) "([^"\n]*)"`), `"$1" is not a duration such as 90s, 10m or 24h`},
	{regexp.MustCompile(`strconv\.\w+: parsing "([^"\n]*)": value out of range`),
		`"$1" is out of range`},
	{regexp.MustCompile(`strconv\.ParseBool: parsing "([^"\n]*)": invalid syntax`),
		`"$1" is neither true nor false`},
	{regexp.MustCompile(`strconv\.ParseFloat: parsing "([^"\n]*)": invalid syntax`),
		`"$1" is not a number`},
	{regexp.MustCompile(`strconv\.\w+: parsing "([^"\n]*)": invalid syntax`),
		`"$1" is not a whole number`},
	{regexp.MustCompile(`exec: "([^"\n]*)": executable file not found in \$PATH`),
		`the program $1 is not installed`},
	{regexp.MustCompile(`dial \w+: lookup (\S+)(?: on \S+)?: `), `$1: `},
	{regexp.MustCompile(`lookup (\S+) on \S+: `), `$1: `},
	{regexp.MustCompile(`(?:dial|listen) (?:tcp|udp|unix|unixgram)[46]? (\S+): ` +
		`(?:connect: |bind: |socket: )?`), `$1: `},
	{regexp.MustCompile(`(?:read|write) (?:tcp|udp|unix)[46]? (?:\S+->)?(\S+): ` +
		`(?:read: |write: |sendto: |recvfrom: )?`), `$1: `},
	{regexp.MustCompile(`(?m)(^|: |; |, )(?:rename|link|symlink) (\S*/\S*) (\S*/\S*): `),
		`${1}${2} to ${3}: `},
	{regexp.MustCompile(`(?m)(^|: |; |, )(?:open|openat|stat|lstat|fstat|mkdir|mkdirat|readdirent|` +
		`fdopendir|chmod|chown|lchown|unlink|unlinkat) ([^\s:"]+|/[^:"\n]+): `), `${1}${2}: `},
	// These are words of sentences, too: a path has a slash or a dot.
	{regexp.MustCompile(`(?m)(^|: |; |, )(?:read|write|remove|truncate|sync) ` +
		`([^\s:"]*[/.][^\s:"]*|/[^:"\n]+): `), `${1}${2}: `},
	{regexp.MustCompile(`context deadline exceeded|i/o timeout`), `no answer in time`},
	{regexp.MustCompile(`context canceled`), `interrupted`},
	{regexp.MustCompile(`error parsing regexp: `), `the pattern is not valid: `},
}

// packageName matches the name of one of the packages where an error begins.
var packageName = regexp.MustCompile(`(?m)(^|: |; |\(|, )(?:` + strings.Join(packages, "|") + `): `)

// aPlace matches the end of the place of a setting in a file: what comes behind it is the setting's
// name, even if a package has the same one.
var aPlace = regexp.MustCompile(`(?:\.toml|:\d+): $`)

// Plain rewrites the text of an error for operators: without the names of Go packages, in plain
// words instead of Go's and of system calls, and with what is named twice in a row once. Names of
// packages within double quotes stay: texts of other hosts and names of files belong there.
func Plain(text string) string {
	for _, r := range inPlain {
		text = r.from.ReplaceAllString(text, r.to)
	}
	for range len(packages) { // each time one of several in a row
		before := text
		text = withoutPackages(text)
		if text == before {
			break
		}
	}
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		lines[i] = withoutRepeats(line)
	}
	return strings.Join(lines, "\n")
}

func withoutPackages(text string) string {
	var out strings.Builder
	last := 0
	for _, at := range packageName.FindAllStringSubmatchIndex(text, -1) {
		if aPlace.MatchString(text[:at[3]]) || strings.Count(text[:at[3]], `"`)%2 == 1 {
			continue
		}
		out.WriteString(text[last:at[3]])
		last = at[1]
	}
	out.WriteString(text[last:])
	return out.String()
}

// withoutRepeats leaves out parts of an error that only repeat the part before, or its last word.
func withoutRepeats(line string) string {
	parts := strings.Split(line, ": ")
	kept := parts[:0]
	for _, p := range parts {
		isQuoted := strings.Count(strings.Join(kept, ""), `"`)%2 == 1
		if len(kept) > 0 && p != "" && !isQuoted {
			before := kept[len(kept)-1]
			if before == p || strings.HasSuffix(before, " "+p) {
				continue
			}
		}
		kept = append(kept, p)
	}
	return strings.Join(slices.Clip(kept), ": ")
}
