package mta

import (
	"errors"
	"io/fs"
	"net"
	"net/netip"
	"path"
	"slices"
	"strings"
)

// Sendmail reads the Sendmail configuration (sendmail.cf, sendmail.mc and submit.cf) in
// dir. It returns false if there is none.
func Sendmail(h Host, dir string, d Daemon) (Report, bool) {
	return remedied(func(h Host, d Daemon) (Report, bool) { return examineSendmail(h, dir, d) }, h,
		d)
}

func examineSendmail(h Host, dir string, d Daemon) (Report, bool) {
	s := &sendmail{Report: &Report{Server: "Sendmail", Dir: dir, Findings: []Finding{}}, h: h, d: d}
	d.Listeners = resolve(h, d.Listeners)
	s.d = d
	file := path.Join(dir, "sendmail.cf")
	text, err := h.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return Report{}, false
	}
	if err != nil {
		s.unread(file, err)
		return *s.Report, true
	}
	s.cf = readCF(file, text)
	s.Name = sendmailName(h, s.cf)
	if s.mcFile = path.Join(dir, "sendmail.mc"); s.readMC() {
		s.stale()
	}
	s.judge()
	s.submit(path.Join(dir, "submit.cf"))
	s.sort()
	return *s.Report, true
}

// sendmail is a Sendmail that is judged.
type sendmail struct {
	*Report
	h      Host
	d      Daemon
	cf     sendmailCF
	mcFile string
	mc     []mcFilter
	hasMC  bool
	ours   []string // the names under which filters are us
	meant  bool     // one should be, and cannot be reached
}

func (s *sendmail) readMC() bool {
	text, err := s.h.ReadFile(s.mcFile)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		s.unread(s.mcFile, err)
	}
	s.mc, s.hasMC = readMC(text), err == nil
	s.typographic(string(text))
	return s.hasMC
}

// rebuild is how sendmail.cf comes from sendmail.mc: by Debian's sendmailconfig, or the makefile
// that others have.
const rebuild = "make -C /etc/mail (Debian: sendmailconfig), and restart Sendmail"

// stale finds a sendmail.cf that was not made from sendmail.mc as it is now.
func (s *sendmail) stale() {
	for _, m := range s.mc {
		i := slices.IndexFunc(s.cf.filters, func(f cfFilter) bool { return f.name == m.name })
		if i < 0 || squeezed(s.cf.filters[i].equates) != squeezed(m.equates) {
			s.add(say("sendmail-filter-differs").finding(s.mcFile, m.line, m.name,
				Fix{s.rebuild()}))
			e, _, _ := parseSendmail(equateValue(m.equates, 'S'))
			s.meant = s.listener(e) != nil || s.isMeant(cfFilter{name: m.name, socket: m.equates},
				e)
			return
		}
	}
	mc, err1 := s.h.Lstat(s.mcFile)
	cf, err2 := s.h.Lstat(s.cf.file)
	if err1 == nil && err2 == nil && mc.ModTime.After(cf.ModTime) {
		s.add(say("sendmail-mc-younger").finding(s.mcFile, 0, "", Fix{s.rebuild()}))
	}
}

// equateValue returns the value of an equate.
func equateValue(equates string, key byte) string {
	for _, e := range splitTrim(equates, ",") {
		if name, value, _ := strings.Cut(e, "="); name != "" && name[0] == key {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

func squeezed(s string) string { return strings.Join(strings.Fields(s), "") }

func (s *sendmail) judge() {
	for _, f := range s.cf.filters {
		s.filter(f)
	}
	s.undefined()
	if len(s.ours) == 0 && !s.meant {
		s.unreached()
		return
	}
	s.unused()
	s.daemons()
	s.masquerade()
	if s.d.Signs && !slices.ContainsFunc(s.d.Networks,
		func(n netip.Prefix) bool { return n.Contains(loopback) }) {
		local := []netip.Prefix{netip.PrefixFrom(loopback, 32),
			netip.PrefixFrom(netip.IPv6Loopback(), 128)}
		fix := networksSetting(slices.Concat(s.d.Networks, local))
		s.add(say("sendmail-local-not-ours").finding(path.Join(s.Dir, "submit.cf"), 0, "",
			Fix{fix}))
	}
}

// filter judges one filter: whether it is us, and whether it is reached.
func (s *sendmail) filter(f cfFilter) {
	e, right, ok := parseSendmail(f.socket)
	l := s.listener(e)
	if meant := l != nil || s.isMeant(f, e); !meant {
		return
	}
	switch {
	case !ok:
		s.meant = true
		s.put(f, say("sendmail-address-bad", f.socket), s.readdressed(f, right))
		return
	case l == nil && s.handedOver() != nil:
		s.meant = true
		s.put(f, say("socket-unit-absent", f.socket, s.handedOver().Target, s.handedOver().Setting))
		return
	case l == nil:
		s.meant = true
		s.put(f, say("sendmail-no-listener", e, s.consequence(f)),
			s.readdressed(f, s.address(e.network)))
		return
	}
	s.ours = append(s.ours, f.name)
	if e.network == "unix" {
		s.socket(f, e, *l)
	}
	s.options(f)
}

func (s *sendmail) listener(e endpoint) *Listener {
	for i, l := range s.d.Listeners {
		if l.takes(e) || l.Network == "unix" && e.network == "unix" &&
			follow(s.h, l.Target) == follow(s.h, e.path) {
			return &s.d.Listeners[i]
		}
	}
	return nil
}

// isMeant reports whether a filter that leads to none of our sockets should: by its name, or our
// port on this host.
func (s *sendmail) isMeant(f cfFilter, e endpoint) bool {
	if strings.Contains(f.name+f.socket, "mailseal") ||
		s.handedOver() != nil && s.whose(f.name, e).name == "" {
		return true
	}
	return e.network == "tcp" && e.isThisHost() && slices.ContainsFunc(s.d.Listeners,
		func(l Listener) bool { return strings.HasSuffix(l.Target, ":"+e.port) })
}

// handedOver returns a systemd socket without a known unit, or nil.
func (s *sendmail) handedOver() *Listener {
	i := slices.IndexFunc(s.d.Listeners, func(l Listener) bool { return l.Network == "fd" })
	if i < 0 {
		return nil
	}
	return &s.d.Listeners[i]
}

// whose tells whose socket a filter has, by its address or its name here.
func (s *sendmail) whose(name string, e endpoint) other {
	if o := identify(s.h, e, follow(s.h, e.path)); o.name != "" {
		return o
	}
	return identify(s.h, endpoint{network: "unix", path: name}, "")
}

// address is how Sendmail reaches us, by a socket of the kind of network if we have one; "" when
// that is not known.
func (s *sendmail) address(network string) string {
	address := ""
	for _, l := range s.d.Listeners {
		a := sendmailAddress(l)
		if isKind := strings.HasPrefix(l.Network, network); a != "" && (address == "" || isKind) {
			address = a
			if isKind {
				break
			}
		}
	}
	return address
}

// sendmailAddress writes a listener as Sendmail wants it, "" where that is not known.
func sendmailAddress(l Listener) string {
	switch l.Network {
	case "unix":
		return "unix:" + l.Target
	case "fd":
		return ""
	}
	host, port, err := net.SplitHostPort(l.Target)
	if err != nil {
		return ""
	}
	six := l.Network == "tcp6" || strings.Contains(host, ":")
	if host == "" {
		host = either(six, "::1", "127.0.0.1")
	}
	return either(six, "inet6:", "inet:") + port + "@" + host
}

// put writes a finding about a filter, at its line in sendmail.mc if there is one.
func (s *sendmail) put(f cfFilter, what said, fixes ...Fix) {
	for i := range fixes {
		fixes[i] = s.build(fixes[i])
	}
	out := what.finding(s.cf.file, f.line, f.name, fixes...)
	if m := s.source(f); m != nil {
		out.File, out.Line = s.mcFile, m.line
	}
	s.add(out)
}

func (s *sendmail) source(f cfFilter) *mcFilter {
	for i := range s.mc {
		if s.mc[i].name == f.name {
			return &s.mc[i]
		}
	}
	return nil
}

// consequence describes the effect on mail while the filter cannot be reached.
func (s *sendmail) consequence(f cfFilter) said {
	switch f.flag {
	case 'T':
		return say("sendmail-451")
	case '4':
		return say("sendmail-421")
	case 'R':
		return say("sendmail-554")
	}
	return say("mail-passes", s.d.undone())
}

// options judges what a filter's line says beside the address.
func (s *sendmail) options(f cfFilter) {
	switch f.flag {
	case 'T', '4':
	case 'R':
		s.put(f, say("sendmail-away-reject"), s.written(f, withEquate(f.equates, "F", "T")))
	default:
		s.put(f, say("sendmail-away-accept", s.d.undone()),
			s.written(f, withEquate(f.equates, "F", "T")))
	}
	if t := f.timeout['R']; t < patience {
		s.put(f, say("sendmail-timeout-answer", t, s.consequence(f)),
			s.written(f, withTimeout(f, 'R', "30s")))
	}
	if t := f.timeout['E']; t < s.d.Deadline {
		s.put(f, say("sendmail-timeout-message", t, s.d.Deadline, s.consequence(f)),
			s.written(f, withTimeout(f, 'E', "5m")))
	}
}

// unreached reports that no filter is Mailseal.
func (s *sendmail) unreached() {
	f := say("not-named", s.Server).finding(s.cf.file, s.cf.inputAt, "InputMailFilters")
	address := s.address("tcp")
	equates := "S=" + address + ", F=T, T=C:10s;S:10s;R:30s;E:5m"
	if s.hasMC {
		f.File, f.Line, f.Setting = s.mcFile, 0, "INPUT_MAIL_FILTER"
	}
	if address != "" {
		us := s.written(cfFilter{name: "mailseal"}, equates)
		f.fixes = []Fix{s.build(append(us,
			s.listed(append([]string{"mailseal"}, s.cf.input...))...))}
	}
	s.Services = max(1, len(s.cf.daemons))
	s.add(f)
}

// makeSubmit makes the configuration of local submission.
func makeSubmit(file string) Change {
	return command("submit", file, "make -C /etc/mail submit.cf")
}

// submit looks at the configuration of local submission.
func (s *sendmail) submit(file string) {
	text, err := s.h.ReadFile(file)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		if s.d.Signs && len(s.ours) > 0 {
			s.add(say("sendmail-no-submit").finding(file, 0, "", Fix{makeSubmit(file)}))
		}
	case err != nil:
		s.unread(file, err)
	default:
		if cf := readCF(file, text); len(cf.input) > 0 {
			s.add(say("sendmail-submit-filters").finding(file, cf.inputAt, "InputMailFilters"))
		}
	}
}
