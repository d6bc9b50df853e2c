package mta

import (
	"net"
	"strconv"
	"strings"
	"time"
)

// filter is one milter of a list, as the mail server has it.
type filter struct {
	raw     string // as the list has it: "{ inet:127.0.0.1:8891, protocol=6 }"
	name    string // its address alone
	at      endpoint
	options map[string]string
	wrong   said   // why the server cannot use it; zero when it can
	right   string // the address right written; "" when that cannot be known
	fatal   bool   // what is wrong ends the program that reads it
}

// maxFilters is how many filters of a list are judged.
const maxFilters = 32

// postfixFilters reads the value of smtpd_milters, all references filled in.
func postfixFilters(value string) []filter {
	var out []filter
	for _, w := range words(value, ", \t\r\n") {
		if len(out) == maxFilters {
			break
		}
		f := filter{raw: w.text, name: w.text, options: map[string]string{}}
		if w.text[0] == '{' {
			inner := words(unbraced(w.text), ", \t\r\n")
			if f.name = ""; len(inner) > 0 {
				f.name = inner[0].text
				inner = inner[1:]
			}
			for _, o := range inner {
				name, value, _ := strings.Cut(unbraced(o.text), "=")
				f.options[strings.TrimSpace(name)] = strings.TrimSpace(value)
			}
		}
		f.parse()
		out = append(out, f)
	}
	return out
}

// parse reads an address as Postfix does, which is not how milters themselves write theirs.
func (f *filter) parse() {
	kind, rest, _ := strings.Cut(f.name, ":")
	switch kind {
	case "unix", "local":
		f.at = endpoint{network: "unix", path: rest}
	case "inet":
		if port, host, swapped := strings.Cut(rest, "@"); swapped {
			f.swapped(host, port)
			f.fatal = true
			return
		}
		f.at = endpoint{network: "tcp", v4: true, v6: true, host: "localhost", port: rest}
		if i := strings.LastIndexByte(rest, ':'); i >= 0 {
			f.at.host, f.at.port = strings.Trim(rest[:i], "[]"), rest[i+1:]
		}
	case "inet6":
		port, host, _ := strings.Cut(rest, "@")
		f.swapped(host, port)
	default:
		f.wrong = say("not-an-address")
		if strings.HasPrefix(f.name, "/") {
			f.right = "unix:" + f.name
		}
	}
}

// swapped is an address as milters and Sendmail write it.
func (f *filter) swapped(host, port string) {
	f.at = endpoint{network: "tcp", host: strings.Trim(host, "[]"), port: port, v4: true, v6: true}
	f.right = "inet:" + net.JoinHostPort(f.at.host, port)
	f.wrong = say("milter-style", f.right)
}

// parseSendmail reads an address as libmilter and Sendmail do. Right is how to write one that it
// cannot use.
func parseSendmail(s string) (e endpoint, right string, ok bool) {
	kind, rest, found := strings.Cut(s, ":")
	if !found {
		kind, rest = "unix", s
	}
	switch kind {
	case "unix", "local":
		return endpoint{network: "unix", path: rest}, "", strings.HasPrefix(rest, "/")
	case "inet", "inet6":
		e := endpoint{network: "tcp", v4: kind == "inet", v6: kind == "inet6"}
		var at bool
		if e.port, e.host, at = strings.Cut(rest, "@"); !at {
			e.host = "localhost"
			if host, port, err := net.SplitHostPort(rest); err == nil { // as Postfix writes it
				e.host, e.port = host, port
			}
			return e, kind + ":" + e.port + "@" + e.host, false
		}
		e.host = strings.Trim(e.host, "[]")
		return e, "", e.port != ""
	}
	return endpoint{}, "", false
}

// postfixTime reads a time of Postfix: a number and s, m, h, d or w; seconds without.
func postfixTime(s string) (time.Duration, bool) {
	return unitTime(s, "s", map[string]time.Duration{"s": time.Second, "m": time.Minute,
		"h": time.Hour, "d": 24 * time.Hour, "w": 7 * 24 * time.Hour})
}

func unitTime(s, unit string, units map[string]time.Duration) (time.Duration, bool) {
	digits := strings.TrimRight(s, "smhdw")
	if digits != s {
		unit = s[len(digits):]
	}
	n, err := strconv.Atoi(digits)
	each, known := units[unit]
	return time.Duration(n) * each, err == nil && known
}
