package setup

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"mailseal/cmd/mailseal/answer"
	"mailseal/keys/files"
)

// plan is how a mail server's file is to be.
type plan struct {
	path          string
	before, after string
	settings      []setting // of Postfix, in their order
}

type setting struct{ name, value string }

// mailServer shows what is to be put into the mail server and, if told to, puts it there and sends
// the test message. Ready says that the configuration is there: else mail that comes to Mailseal
// would wait.
func (r *run) mailServer(ready bool) error {
	h := r.result.Host
	if h.MTA == "" {
		r.todo(
			"no Postfix and no Sendmail was found; point the mail server's milter setting to " +
				"inet:127.0.0.1:8891 (contrib/README.md)",
		)
		return r.startService(ready)
	}
	p, err := r.plan()
	if err != nil {
		return answer.NewUnknown(err)
	}
	state := "unchanged"
	if p.before != p.after {
		state = "to be changed"
	}
	file := File{Path: p.path, State: state}
	if state != "unchanged" {
		file.Diff = diff(p.path, p.before, p.after)
		r.say("\n%s", file.Diff)
	}
	r.result.Files = append(r.result.Files, file)
	if !r.Apply {
		if state != "unchanged" {
			r.todo(
				"let setup add these lines and test them: mailseal setup --apply%s; or add them "+
					"yourself, start the service, and reload the mail server",
				r.again(),
			)
		}
		return nil
	}
	if !ready {
		r.fault("%s is not changed until the configuration has no mistakes", p.path)
		return nil
	}
	if err := r.startService(ready); err != nil || len(r.result.Faults) > 0 {
		return err
	}
	if state != "unchanged" {
		if err := r.apply(p); err != nil {
			return err
		}
		r.result.Files[len(r.result.Files)-1].State = "written"
	}
	return r.tryOut()
}

// again are the arguments that make the same run.
func (r *run) again() string {
	var b strings.Builder
	if r.Yes {
		b.WriteString(" --yes")
	}
	if r.Config != defaultFile {
		b.WriteString(" --config " + files.Quote(r.Config))
	}
	b.WriteString(" " + strings.Join(r.Domains, " "))
	return b.String()
}

// milterAddress is where the mail server finds the daemon: the first listener on a port, and with
// systemd's socket of ours the one that its unit names.
func (r *run) milterAddress() (host, port string, err error) {
	for _, l := range r.cfg.Listen {
		switch {
		case strings.HasPrefix(l.Network, "tcp"):
			host, port, err := net.SplitHostPort(l.Target)
			if a, addrErr := netip.ParseAddr(host); addrErr == nil && a.IsUnspecified() {
				host = "127.0.0.1"
			}
			return host, port, err
		case l.Network == "fd" && l.Target == "mailseal":
			return "127.0.0.1", "8891", nil
		}
	}
	return "", "", errors.New(
		"no listen.address of the configuration is a port (inet:); add the mail server's lines " +
			"by hand, as shown in contrib/README.md, and run mailseal check",
	)
}

func (r *run) plan() (plan, error) {
	host, port, err := r.milterAddress()
	if err != nil {
		return plan{}, err
	}
	if r.result.Host.MTA == "sendmail" {
		return r.planSendmail(host, port)
	}
	return r.planPostfix(host, port)
}

// planPostfix is main.cf with Mailseal before all other filters.
func (r *run) planPostfix(host, port string) (plan, error) {
	path := filepath.Join(r.Postfix, "main.cf")
	text, err := files.Read(path, maxConfig)
	if err != nil {
		return plan{}, err
	}
	p := plan{path: path, before: string(text), after: string(text)}
	old := mainCF(p.before)
	name := fmt.Sprintf(
		"{ inet:%s:%s, default_action=tempfail, protocol=6, connect_timeout=10s, "+
			"command_timeout=30s, content_timeout=300s }",
		host,
		port,
	)
	list := func(setting string) string {
		others := strings.TrimSpace(old[setting])
		switch {
		case strings.Contains(others, "$mailseal") || strings.Contains(others, ":"+port):
			return others
		case others == "":
			return "$mailseal"
		}
		return "$mailseal, " + others
	}
	p.settings = []setting{
		{"mailseal", name},
		{"smtpd_milters", list("smtpd_milters")},
		{"non_smtpd_milters", list("non_smtpd_milters")},
	}
	if old["mailseal"] == "" && slices.Contains([]string{p.settings[1].value},
		old["smtpd_milters"]) &&
		old["smtpd_milters"] != "" {
		p.settings = p.settings[1:] // named in full by an administrator
	}
	if !strings.Contains(old["internal_mail_filter_classes"], "bounce") {
		classes := strings.TrimSpace(old["internal_mail_filter_classes"] + " bounce")
		p.settings = append(p.settings, setting{"internal_mail_filter_classes", classes})
	}
	p.settings = slices.DeleteFunc(p.settings,
		func(s setting) bool { return old[s.name] == s.value })
	for _, s := range p.settings {
		p.after = setMainCF(p.after, s)
	}
	return p, nil
}

// mainCF reads the settings of main.cf, the last of each, with white space at its simplest.
func mainCF(text string) map[string]string {
	out := map[string]string{}
	name := ""
	for _, line := range lines(text) {
		switch {
		case strings.HasPrefix(strings.TrimSpace(line), "#") || strings.TrimSpace(line) == "":
		case line[0] == ' ' || line[0] == '\t':
			if name != "" {
				out[name] += " " + strings.TrimSpace(line)
			}
		default:
			before, value, _ := strings.Cut(line, "=")
			name = strings.TrimSpace(before)
			out[name] = strings.TrimSpace(value)
		}
	}
	return out
}

// setMainCF puts a setting where it stands, else at the end, as postconf -e does.
func setMainCF(text string, s setting) string {
	want := s.name + " = " + s.value
	var out []string
	isSet, inOld := false, false
	for _, line := range lines(text) {
		isMore := line != "" && (line[0] == ' ' || line[0] == '\t')
		if inOld && isMore && !strings.HasPrefix(strings.TrimSpace(line), "#") {
			continue
		}
		before, _, found := strings.Cut(line, "=")
		inOld = found && !isMore && strings.TrimSpace(before) == s.name
		if !inOld {
			out = append(out, line)
			continue
		}
		if !isSet {
			out = append(out, want)
			isSet = true
		}
	}
	if !isSet {
		out = append(out, want)
	}
	return strings.Join(out, "\n") + "\n"
}

// planSendmail is sendmail.mc with Mailseal before all other filters.
func (r *run) planSendmail(host, port string) (plan, error) {
	path := filepath.Join(r.Sendmail, "sendmail.mc")
	text, err := files.Read(path, maxConfig)
	if err != nil {
		return plan{}, fmt.Errorf("%w; setup changes sendmail.mc, from which sendmail.cf is made",
			err)
	}
	p := plan{path: path, before: string(text), after: string(text)}
	want := fmt.Sprintf("INPUT_MAIL_FILTER(`mailseal', `S=inet:%s@%s, F=T, T=C:10s;S:10s;R:30s;E:5m')dnl", port, host)
	all := lines(p.before)
	isFilter := func(line string) bool {
		line = strings.TrimSpace(line)
		return strings.HasPrefix(line, "INPUT_MAIL_FILTER(") ||
			strings.HasPrefix(line, "MAIL_FILTER(")
	}
	if at := slices.IndexFunc(all, func(l string) bool {
		return isFilter(l) && strings.Contains(l, ":"+port+"@")
	}); at >= 0 {
		return p, nil
	}
	at := slices.IndexFunc(all, isFilter)
	if at < 0 {
		at = slices.IndexFunc(all, func(l string) bool {
			l = strings.TrimSpace(l)
			return strings.HasPrefix(l, "MAILER_DEFINITIONS") || strings.HasPrefix(l, "MAILER(")
		})
	}
	if at < 0 {
		at = len(all)
	}
	all = slices.Insert(all, at, want)
	p.after = strings.Join(all, "\n") + "\n"
	return p, nil
}

// apply puts the lines into the mail server, keeping the old file, and has the mail server read
// them.
func (r *run) apply(p plan) error {
	u := applied{
		Path:   p.path,
		Backup: p.path + ".before-mailseal-" + r.Now().UTC().Format("20060102T150405Z"),
		Before: p.before,
		MTA:    r.result.Host.MTA,
	}
	info, err := os.Stat(p.path)
	if err == nil {
		err = writeLike(u.Backup, []byte(p.before), info)
	}
	if err != nil {
		return answer.NewUnknown(fmt.Errorf("the backup of the old file cannot be written: %w",
			err))
	}
	if r.result.Host.MTA == "postfix" {
		args := []string{"-c", r.Postfix, "-e"}
		for _, s := range p.settings {
			args = append(args, s.name+" = "+s.value)
		}
		_, err = r.Run(r.ctx, "postconf", args...)
	} else {
		err = writeLike(p.path, []byte(p.after), info)
	}
	if err != nil {
		return answer.NewUnknown(err)
	}
	after, err := files.Read(p.path, maxConfig)
	if err != nil {
		return answer.NewUnknown(err)
	}
	u.After = string(after)
	if err := r.remember(u); err != nil {
		return answer.NewUnknown(err)
	}
	r.done("added Mailseal to %s; the old file is %s", p.path, u.Backup)
	return r.reloadMTA(r.result.Host.MTA, filepath.Dir(p.path))
}

// writeLike writes a file with the mode and owner of another.
func writeLike(path string, text []byte, like os.FileInfo) error {
	if err := replace(path, text, like.Mode().Perm(), -1); err != nil {
		return err
	}
	return chownLike(path, like)
}

// reloadMTA has the mail server read its configuration.
func (r *run) reloadMTA(name, dir string) error {
	var err error
	switch {
	case name == "postfix":
		if _, err = r.Run(r.ctx, "postfix", "-c", dir, "status"); err != nil {
			r.todo("start Postfix: it does not run")
			return nil
		}
		_, err = r.Run(r.ctx, "postfix", "-c", dir, "reload")
	default:
		err = r.rebuildSendmail(dir)
	}
	if err != nil {
		return answer.NewBad(err)
	}
	r.done("reloaded %s",
		map[string]string{"postfix": "Postfix", "sendmail": "Sendmail"}[name])
	return nil
}

// rebuildSendmail makes sendmail.cf again and restarts Sendmail, which knows no other way to read
// it.
func (r *run) rebuildSendmail(dir string) error {
	if exists(filepath.Join(dir, "Makefile")) {
		if _, err := r.Run(r.ctx, "make", "-C", dir, "sendmail.cf"); err != nil {
			return err
		}
	} else {
		text, err := r.Run(r.ctx, "m4", "-I", dir, filepath.Join(dir, "sendmail.mc"))
		if err != nil {
			return err
		}
		info, err := os.Stat(filepath.Join(dir, "sendmail.cf"))
		if err != nil {
			return err
		}
		if err := writeLike(filepath.Join(dir, "sendmail.cf"), text, info); err != nil {
			return err
		}
	}
	if r.result.Host.Systemd || exists("/run/systemd/system") {
		_, err := r.Run(r.ctx, "systemctl", "restart", "sendmail")
		return err
	}
	return hangUp("/run/sendmail/mta/sendmail.pid", "/var/run/sendmail.pid", "/run/sendmail.pid")
}
