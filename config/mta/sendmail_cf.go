package mta

import (
	"regexp"
	"strings"
	"time"
)

// sendmailCF holds the settings of sendmail.cf that concern filters.
type sendmailCF struct {
	file    string
	filters []cfFilter
	input   []string // InputMailFilters: those of daemons that name none
	inputAt int      // its line
	daemons []cfDaemon
	options map[string]string
	name    string // the macro j

	masquerades []parameter // what changes the author's address on delivery
}

// cfFilter is an X line, what MAIL_FILTER and INPUT_MAIL_FILTER make.
type cfFilter struct {
	name    string
	line    int
	equates string // as written: "S=inet:8891@127.0.0.1, F=T"
	socket  string
	flag    byte // of F=: 'T', 'R', '4'; 0 for none
	timeout map[byte]time.Duration
}

// cfDaemon is a DaemonPortOptions line.
type cfDaemon struct {
	line    int
	raw     string          // as written
	options map[byte]string // by their first letters, which are all that Sendmail looks at
	filters []string
	own     bool // it names its filters itself
}

// readCF reads sendmail.cf. A line that begins with white space continues the one before.
func readCF(file string, text []byte) sendmailCF {
	cf := sendmailCF{file: file, options: map[string]string{}}
	var lines []logical
	n := 0
	for line := range strings.Lines(string(text)) {
		n++
		switch line = strings.TrimRight(line, "\r\n"); {
		case line == "" || line[0] == '#':
		case (line[0] == ' ' || line[0] == '\t') && len(lines) > 0:
			lines[len(lines)-1].text += line
		default:
			lines = append(lines, logical{text: line, line: n})
		}
	}
	for _, l := range lines {
		switch l.text[0] {
		case 'X':
			cf.filter(l)
		case 'O':
			cf.option(l)
		case 'D':
			if name, ok := strings.CutPrefix(l.text, "Dj"); ok {
				cf.name = strings.TrimSpace(name)
			}
			if strings.HasPrefix(l.text, "DM") && len(l.text) > 2 {
				cf.masquerades = append(cf.masquerades, parameter{file, l.line, "MASQUERADE_AS"})
			}
		case 'K':
			if strings.HasPrefix(l.text, "Kgenerics ") {
				cf.masquerades = append(cf.masquerades, parameter{file, l.line, "genericstable"})
			}
		}
	}
	for i, d := range cf.daemons {
		if !d.own {
			cf.daemons[i].filters = cf.input
		}
	}
	return cf
}

func (cf *sendmailCF) filter(l logical) {
	name, equates, _ := strings.Cut(l.text[1:], ",")
	f := cfFilter{name: strings.TrimSpace(name), line: l.line, equates: strings.TrimSpace(equates)}
	f.timeout = map[byte]time.Duration{'C': 5 * time.Minute, 'S': 10 * time.Second,
		'R': 10 * time.Second, 'E': 5 * time.Minute}
	for _, e := range splitTrim(equates, ",") {
		key, value, _ := strings.Cut(e, "=")
		switch value = strings.TrimSpace(value); {
		case key == "" || value == "":
		case key[0] == 'S':
			f.socket = value
		case key[0] == 'F':
			f.flag = value[0]
		case key[0] == 'T':
			f.timeouts(value)
		}
	}
	cf.filters = append(cf.filters, f)
}

// timeouts reads "C:10s;S:10s;R:30s;E:5m"; Sendmail's letter for minutes is m, and seconds need
// none.
func (f *cfFilter) timeouts(s string) {
	units := map[string]time.Duration{"s": time.Second, "m": time.Minute, "h": time.Hour,
		"d": 24 * time.Hour, "w": 7 * 24 * time.Hour}
	for _, t := range splitTrim(s, ";") {
		key, value, ok := strings.Cut(t, ":")
		if d, good := unitTime(value, "s", units); ok && good && key != "" {
			f.timeout[key[0]] = d
		}
	}
}

func (cf *sendmailCF) option(l logical) {
	name, value, ok := strings.Cut(strings.TrimSpace(l.text[1:]), "=")
	if !ok {
		return
	}
	name, value = strings.ToLower(strings.TrimSpace(name)), strings.TrimSpace(value)
	switch name {
	case "inputmailfilters":
		cf.input, cf.inputAt = splitTrim(value, ","), l.line
	case "daemonportoptions":
		d := cfDaemon{line: l.line, raw: value, options: map[byte]string{}}
		for _, o := range splitTrim(value, ",") {
			key, value, _ := strings.Cut(o, "=")
			if key == "" {
				continue
			}
			d.options[key[0]] = strings.TrimSpace(value)
			if key[0] == 'I' {
				d.filters, d.own = splitTrim(value, ";"), true
			}
		}
		cf.daemons = append(cf.daemons, d)
	default:
		cf.options[name] = value
	}
}

func splitTrim(s, separator string) []string {
	var out []string
	for p := range strings.SplitSeq(s, separator) {
		if p = strings.TrimSpace(p); p != "" {
			out = append(out, p)
		}
	}
	return out
}

// isLoopback reports whether only this host reaches a daemon.
func (d cfDaemon) isLoopback() bool {
	a := d.options['A']
	return isLocalhost(a) || strings.HasPrefix(a, "127.") || a == "::1" || a == "IPv6:::1" ||
		a == "IPv6:0:0:0:0:0:0:0:1"
}

// name is how a daemon is called.
func (d cfDaemon) name() string {
	if n := d.options['N']; n != "" {
		return n
	}
	return "Daemon" // Sendmail numbers those without
}

// mcFilter is a filter as sendmail.mc defines it.
type mcFilter struct {
	name    string
	line    int
	macro   string // INPUT_MAIL_FILTER or MAIL_FILTER
	equates string
}

var mcFilterLine = regexp.MustCompile(
	"(?m)^[ \t]*(INPUT_MAIL_FILTER|MAIL_FILTER)\\(`([^'`]*)',\\s*`([^'`]*)'\\)")

// readMC finds the filters of sendmail.mc.
func readMC(text []byte) []mcFilter {
	var out []mcFilter
	for _, m := range mcFilterLine.FindAllSubmatchIndex(text, -1) {
		part := func(i int) string { return string(text[m[2*i]:m[2*i+1]]) }
		out = append(out, mcFilter{
			line: 1 + strings.Count(string(text[:m[2]]), "\n"), macro: part(1), name: part(2),
			equates: strings.TrimSpace(part(3)),
		})
	}
	return out
}
