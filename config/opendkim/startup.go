package opendkim

import (
	"path"
	"path/filepath"
	"regexp"
	"strings"
)

// program is OpenDKIM or OpenDMARC, as far as its command line goes.
type program struct {
	name string // of the unit, and of the file with what the unit adds
	// the option of the configuration that a flag sets; "-" for one that changes nothing
	flags map[string]string
	value string            // the flags that take a value
	fixed map[string]string // the value of flags that take none
}

var openDKIM = program{
	name: "opendkim",
	flags: map[string]string{
		"b": "Mode", "c": "Canonicalization", "d": "Domain", "D": "SubDomains", "i": "InternalHosts",
		"I": "ExternalIgnoreList", "k": "KeyFile", "l": "Syslog", "m": "MTA", "M": "MacroList", "o": "OmitHeaders",
		"O": "OversignHeaders", "p": "Socket", "r": "RequiredHeaders", "s": "Selector", "S": "SignatureAlgorithm",
		"T": "DNSTimeout", "u": "UserID",
		"A": "-", "f": "-", "P": "-", "v": "-", "W": "-", "w": "-", "q": "-", "x": "-",
	},
	value: "bcdeFiIkLmMoOpPRsStTuxX",
	fixed: map[string]string{"D": "yes", "l": "yes", "r": "yes"},
}

var openDMARC = program{
	name: "opendmarc",
	flags: map[string]string{"p": "Socket", "l": "Syslog", "u": "UserID", "f": "-", "A": "-",
		"P": "-", "v": "-", "c": "-"},
	value: "cpPtu",
	fixed: map[string]string{"l": "yes"},
}

// unitDirs are where systemd looks for units, the strongest first.
var unitDirs = []string{
	"/etc/systemd/system", "/run/systemd/system", "/usr/local/lib/systemd/system",
	"/usr/lib/systemd/system",
	"/lib/systemd/system",
}

// startup reads the options that the old daemon is started with: those on the command line
// of its unit, and those of /etc/default or /etc/sysconfig that the unit adds, or the start
// script if there is no unit. They take effect before the configuration file. Named is such
// a file that the caller knows to be in use.
func (im *importer) startup(p program, named string) {
	vars := map[string]entry{"NAME": {value: p.name}, "RUNDIR": {value: "/run/" + p.name}}
	files := []string{named}
	if named == "" && !im.isInstalled {
		return
	}
	if named == "" {
		files = []string{"/etc/default/" + p.name, "/etc/sysconfig/" + p.name}
	}
	found := ""
	for _, file := range files {
		if text, err := im.files.Read(file); err == nil {
			readVariables(file, text, vars)
			found = file
		} else if named != "" {
			im.fail(place{}, err)
		}
	}
	command, isUnit := im.execStart(p)
	if found != "" && named == "" && isUnit && !usesVariable(command.value, vars) {
		im.noteAt("startup-unread", place{File: found}, "", command.place)
		vars = map[string]entry{}
	}
	if isUnit {
		im.commandLine(p, expanded(command, vars))
	}
	if !isUnit || !usesVariable(command.value, vars) {
		for _, name := range []string{"DAEMON_OPTS", "OPTIONS"} {
			im.commandLine(p, vars[name])
		}
		if e := vars["SOCKET"]; e.value != "" {
			im.override("Socket", entry{e.place, "SOCKET", e.value})
			im.note("socket-of-debian", entry{e.place, "SOCKET", e.value})
		}
	}
}

var assignment = regexp.MustCompile(`^(?:export\s+)?([A-Za-z_][A-Za-z0-9_]*)=(.*)$`)

// readVariables reads the assignments of a shell script, or of an EnvironmentFile.
func readVariables(file, text string, vars map[string]entry) {
	n := 0
	for line := range strings.Lines(text) {
		n++
		m := assignment.FindStringSubmatch(strings.TrimSpace(line))
		if m == nil {
			continue
		}
		value := m[2]
		if q := value != "" && strings.ContainsAny(value[:1], `"'`); q {
			if end := strings.IndexByte(value[1:], value[0]); end >= 0 {
				value = value[1 : end+1]
			}
		} else {
			value, _, _ = strings.Cut(value, " #")
			value = strings.TrimSpace(value)
		}
		vars[m[1]] = expanded(entry{place{File: file, Line: n}, m[1], value}, vars)
	}
}

var variable = regexp.MustCompile(`\$\{?([A-Za-z_][A-Za-z0-9_]*)\}?`)

// expanded fills in variables. Those that are not known are empty.
func expanded(e entry, vars map[string]entry) entry {
	e.value = variable.ReplaceAllStringFunc(e.value,
		func(s string) string { return vars[strings.Trim(s, "${}")].value })
	return e
}

// usesVariable reports whether a command line has one of the variables.
func usesVariable(command string, vars map[string]entry) bool {
	for _, m := range variable.FindAllStringSubmatch(command, -1) {
		if vars[m[1]].File != "" {
			return true
		}
	}
	return false
}

// execStart returns the command line of a unit, with what is beside it. It is false when there is
// no unit.
func (im *importer) execStart(p program) (command entry, isUnit bool) {
	unit := p.name + ".service"
	for _, dir := range unitDirs {
		if text, err := im.files.Read(path.Join(dir, unit)); err == nil {
			command, isUnit = execLine(path.Join(dir, unit), text, command), true
			break
		}
	}
	for _, dir := range unitDirs {
		for _, file := range im.files.Glob(path.Join(dir, unit+".d", "*.conf")) {
			if text, err := im.files.Read(file); err == nil {
				command = execLine(file, text, command)
				isUnit = isUnit || command.value != ""
			}
		}
	}
	return command, isUnit
}

// execLine returns the last ExecStart of a file, or the one before.
func execLine(file, text string, before entry) entry {
	n := 0
	for line := range strings.Lines(strings.ReplaceAll(text, "\\\n", "  ")) {
		n++
		if value, ok := strings.CutPrefix(strings.TrimSpace(line), "ExecStart="); ok &&
			value != "" {
			before = entry{place{File: file, Line: n}, "ExecStart", value}
		}
	}
	return before
}

// commandLine takes up the options of a command line, or of a part of one.
func (im *importer) commandLine(p program, e entry) {
	args := shellWords(e.value)
	if len(args) > 0 && strings.HasSuffix(args[0], p.name) {
		args = args[1:]
	}
	for i := 0; i < len(args); i++ {
		group, ok := strings.CutPrefix(args[i], "-")
		if !ok {
			continue
		}
		for j := 0; j < len(group); j++ {
			flag, value := group[j:j+1], ""
			if strings.Contains(p.value, flag) {
				if value = group[j+1:]; value == "" && i+1 < len(args) {
					i++
					value = args[i]
				}
				j = len(group)
			}
			im.flag(p, entry{e.place, e.name, value}, flag)
		}
	}
}

// flag takes up one option of a command line.
func (im *importer) flag(p program, e entry, flag string) {
	option, known := p.flags[flag]
	switch {
	case flag == "x" && e.value != "" && filepath.Base(e.value) != p.name+".conf",
		flag == "c" && p.name == "opendmarc" && filepath.Base(e.value) != p.name+".conf":
		im.note("startup-conf", e, e.value)
	case !known:
		im.note("startup-unknown", e, "-"+flag, p.name)
	case option != "-":
		if fixed, ok := p.fixed[flag]; ok {
			e.value = fixed
		}
		im.override(option, e)
		im.note("startup", e, "-"+flag, option, e.value)
	}
}

// override puts a setting before the one of the file.
func (im *importer) override(option string, e entry) {
	key := strings.ToLower(option)
	if before, ok := im.conf.set[key]; ok && option == "Socket" {
		im.note("socket-overridden", before, e.place)
	} else if ok {
		im.note("startup-before", before, e.place)
	}
	im.conf.set[key] = entry{e.place, option, e.value}
}

// shellWords splits a command line at white space outside of quotes.
func shellWords(s string) []string {
	var out []string
	word, quoted, isWord := "", byte(0), false
	for i := range len(s) {
		switch c := s[i]; {
		case quoted != 0 && c == quoted:
			quoted = 0
		case quoted == 0 && (c == '"' || c == '\''):
			quoted, isWord = c, true
		case quoted == 0 && (c == ' ' || c == '\t'):
			if isWord {
				out = append(out, word)
			}
			word, isWord = "", false
		default:
			word, isWord = word+string(c), true
		}
	}
	if isWord {
		out = append(out, word)
	}
	return out
}
