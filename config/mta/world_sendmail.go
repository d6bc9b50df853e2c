package mta

import (
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"
)

const filterList = "confINPUT_MAIL_FILTERS"

// mcStatement is what makes the list of filters in sendmail.mc: a filter, or a list that replaces
// what is before it.
var mcStatement = regexp.MustCompile(
	"(?m)^[ \t]*(?:(INPUT_MAIL_FILTER)\\(`([^'`]*)'|define\\(`" + filterList +
		"',\\s*`([^'`]*)'\\))")

// mcList returns the list of filters that m4 makes of sendmail.mc. It is false when the file makes
// none.
func mcList(text string) (list []string, found bool) {
	for _, m := range mcStatement.FindAllStringSubmatch(text, -1) {
		if m[1] != "" {
			list = append(list, m[2])
		} else {
			list = splitTrim(m[3], ",")
		}
		found = true
	}
	return list, found
}

// withMCLine puts a line into sendmail.mc: a filter in place of the one with its name, the list at
// the end.
func withMCLine(text string, c Change) string {
	if c.Name == filterList {
		text = mcStatement.ReplaceAllStringFunc(text, func(s string) string {
			if strings.Contains(s, "INPUT_MAIL_FILTER(") {
				return s
			}
			return "dnl " + strings.TrimLeft(s, " \t")
		})
		return strings.TrimSuffix(text, "\n") + "\n" + c.line + "\n"
	}
	for _, m := range mcFilterLine.FindAllStringSubmatchIndex(text, -1) {
		if text[m[4]:m[5]] == c.Name {
			return text[:m[2]] + strings.TrimSuffix(c.line, "dnl") + text[m[1]:]
		}
	}
	return strings.TrimSuffix(text, "\n") + "\n" + c.line + "\n"
}

// rebuilt makes the filters of sendmail.cf from those of sendmail.mc.
func (w world) rebuilt(mcFile string) world {
	mc, err := w.ReadFile(mcFile)
	if err != nil {
		return w
	}
	cfFile := path.Join(path.Dir(mcFile), "sendmail.cf")
	cf, err := w.ReadFile(cfFile)
	if err != nil {
		return w
	}
	text := string(cf)
	for _, m := range readMC(mc) {
		text = withCFLine(text, Change{Name: m.name, line: "X" + m.name + ", " + m.equates})
	}
	if list, ok := mcList(string(mc)); ok {
		text = withCFLine(text, inputOption(cfFile, list))
	}
	w.files[cfFile] = text
	if n, err := w.Lstat(mcFile); err == nil {
		w.node(cfFile, n) // as old as what it is made from
	}
	return w
}

// inputOption is the list of filters of sendmail.cf.
func inputOption(file string, list []string) Change {
	return Change{Kind: SendmailCF, File: file, Name: filterList, line: "O InputMailFilters=" +
		strings.Join(list, ", ")}
}

// withCFLine puts a line into sendmail.cf: in place of the filter with its name, or of the list;
// else at the end.
func withCFLine(text string, c Change) string {
	n, at, until := 0, 0, 0
	for line := range strings.Lines(text) {
		n++
		line = strings.TrimRight(line, "\r\n")
		switch {
		case isCFLine(line, c.Name):
			at, until = n, n
		case until == n-1 && at > 0 && line != "" && strings.Trim(line[:1], " \t") == "":
			until = n
		}
	}
	return replaced(text, at, until, c.line)
}

// isCFLine reports whether a line of sendmail.cf defines a filter, or the list of them.
func isCFLine(line, name string) bool {
	if name == filterList {
		option, _, ok := strings.Cut(strings.TrimPrefix(line, "O"), "=")
		return ok && strings.HasPrefix(line, "O") && strings.EqualFold(strings.TrimSpace(option),
			"InputMailFilters")
	}
	filter, _, _ := strings.Cut(strings.TrimPrefix(line, "X"), ",")
	return strings.HasPrefix(line, "X") && strings.TrimSpace(filter) == name
}

// withPort gives a port of sendmail.cf an option.
func (w world) withPort(c Change) (world, bool) {
	text, err := w.ReadFile(c.File)
	cf := readCF(c.File, text)
	if err != nil || c.order >= len(cf.daemons) {
		return w, false
	}
	d := cf.daemons[c.order]
	changed := replaced(string(text), d.line, d.line, "O DaemonPortOptions="+c.Value)
	w.files[c.File] = changed
	return w, changed != string(text)
}

// portChange gives a port an option, in place of one with the same letter: Sendmail looks at the
// first alone.
func (s *sendmail) portChange(i int, name, value string) Change {
	d := s.cf.daemons[i]
	var kept []string
	set := false
	for _, o := range splitTrim(d.raw, ",") {
		if o[0] == name[0] {
			if o, set = name+"="+value, true; value == "" {
				continue
			}
		}
		kept = append(kept, o)
	}
	if !set {
		kept = append(kept, name+"="+value)
	}
	options := strings.Join(kept, ", ")
	c := Change{Kind: SendmailPort, File: s.cf.file, Name: d.name(), Value: options, order: i}
	c.line = "O DaemonPortOptions=" + options
	if s.hasMC {
		c.line = fmt.Sprintf("DAEMON_OPTIONS(`%s')dnl", options)
	}
	return c
}

// build appends what makes sendmail.cf from sendmail.mc, where a change is one of sendmail.mc.
func (s *sendmail) build(f Fix) Fix {
	if !s.hasMC || !slices.ContainsFunc(f, func(c Change) bool {
		return c.Kind == SendmailMC || c.Kind == SendmailPort
	}) {
		return f
	}
	return append(f, s.rebuild())
}

func (s *sendmail) rebuild() Change {
	return Change{Kind: SendmailBuild, File: s.mcFile, line: rebuild}
}
