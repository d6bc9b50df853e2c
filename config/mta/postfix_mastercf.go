package mta

import (
	"path"
	"strconv"
	"strings"
)

// service is a line of master.cf.
type service struct {
	name    string // "smtp", "127.0.0.1:10026"
	kind    string // "inet", "unix", "pass"
	command string // "smtpd"
	args    string // what follows it
	line    int
	chroot  bool
	asRoot  bool // it keeps root's rights: the column unpriv is n
	*parameters
}

const blanks = " \t\r\n"

// readMaster reads master.cf (master(5)). What "-" in the column chroot means depends on the
// compatibility level: below 1, which is what a main.cf without one has, it is yes.
func readMaster(file string, text []byte, main *parameters) []service {
	var out []service
	for _, l := range logicalLines(string(text)) {
		f := words(l.text, blanks)
		if len(f) < 8 {
			continue
		}
		s := service{
			name: f[0].text, kind: f[1].text, command: path.Base(f[7].text), line: l.line, args: l.text[f[7].offset:],
			asRoot: f[3].text == "n", chroot: f[4].text == "y" || f[4].text == "-" && levelBelow(main, 1),
			parameters: &parameters{own: map[string]parameter{}, up: main},
		}
		s.override(file, l, f[8:])
		out = append(out, s)
	}
	return out
}

// levelBelow reports whether the compatibility level is below another: Postfix then has defaults of
// old, of the chroot below 1, of mynetworks_style below 2.
func levelBelow(main *parameters, bound int) bool {
	level, _, _ := strings.Cut(main.get("compatibility_level"), ".")
	n, err := strconv.Atoi(strings.TrimSpace(level))
	return err == nil && n < bound
}

// override takes up the parameters after -o.
func (s *service) override(file string, l logical, args []word) {
	for i := 0; i < len(args); i++ {
		value, ok := strings.CutPrefix(args[i].text, "-o")
		if !ok {
			continue
		}
		at := args[i]
		if value == "" {
			if i++; i == len(args) {
				return
			}
			at, value = args[i], args[i].text
		}
		if name, value, ok := strings.Cut(unbraced(value), "="); ok {
			s.own[strings.TrimSpace(name)] = parameter{file, l.lineAt(at.offset),
				strings.TrimSpace(value)}
		}
	}
}

// setting names a parameter of a service as findings do.
func (s service) setting(name string) string {
	if _, own := s.own[name]; own {
		return s.name + ": -o " + name
	}
	return name
}

// isLoopback reports whether only this host can reach a service.
func (s service) isLoopback() bool {
	host := strings.Trim(s.name[:max(0, strings.LastIndexByte(s.name, ':'))], "[]")
	return host == "localhost" || host == "::1" || strings.HasPrefix(host, "127.")
}

// isSubmission reports whether a service is for users rather than for other mail hosts.
func (s service) isSubmission() bool {
	switch s.name[strings.LastIndexByte(s.name, ':')+1:] {
	case "submission", "submissions", "smtps", "465", "587":
		return true
	}
	own, ok := s.own["smtpd_sasl_auth_enable"]
	return ok && own.value == "yes"
}
