package mta

import (
	"net/netip"
	"path"
	"slices"
	"strings"

	"mailseal/milter/action"
)

// detour is a filter outside of Postfix's milters that mail of a way is led through, and where it
// comes back.
type detour struct {
	filter string // as the setting names it
	by     string // the setting: content_filter or smtpd_proxy_filter
	piped  bool   // a program that is given the message hands it back by sendmail(1)
	back   []*way
}

// detours finds out where the mail of each way goes on its way through Postfix.
func (p *postfix) detours(ways []*way) {
	for _, w := range ways {
		w.detour = p.detourOf(w, ways)
	}
}

// detourOf follows the filter of one way; nil where it has none.
func (p *postfix) detourOf(w *way, ways []*way) *detour {
	if proxy := w.get("smtpd_proxy_filter"); w.param == "smtpd_milters" && proxy != "" {
		return &detour{filter: proxy, by: "smtpd_proxy_filter", back: returns(w, ways, proxy)}
	}
	filter := w.entry.get("content_filter")
	if filter == "" {
		return nil
	}
	d := &detour{filter: filter, by: "content_filter"}
	transport, nexthop, _ := strings.Cut(filter, ":")
	t := p.transport(transport)
	if t != nil && t.command == "pipe" {
		d.piped = strings.Contains(t.args, "sendmail")
		if d.back = returns(w, ways, ""); d.piped || len(d.back) == 0 {
			d.piped, d.back = true, localWays(ways)
		}
		return d
	}
	d.back = returns(w, ways, nexthop)
	return d
}

// transport returns the service of master.cf that leads to a content filter, or nil.
func (p *postfix) transport(name string) *service {
	i := slices.IndexFunc(p.services, func(s service) bool {
		return s.name == name && s.kind == "unix"
	})
	if i < 0 {
		return nil
	}
	return &p.services[i]
}

func localWays(ways []*way) []*way {
	return slices.DeleteFunc(slices.Clone(ways),
		func(w *way) bool { return w.param != "non_smtpd_milters" })
}

// returns are the services by which mail comes back from a filter: those of this host alone, or
// without a filter of their own by their own setting. By custom a filter at a port hands back at
// the next one.
func returns(from *way, ways []*way, filter string) []*way {
	var out []*way
	for _, w := range ways {
		own, isSet := w.own["content_filter"]
		isReturn := w.isLoopback() || isSet && own.value == ""
		if w == from || w.param != "smtpd_milters" || !isReturn || w.isSubmission() ||
			w.get("content_filter") != "" || w.get("smtpd_proxy_filter") != "" {
			continue
		}
		if next := nextPort(filter); next != "" && portOf(w.name) == next {
			return []*way{w}
		}
		out = append(out, w)
	}
	return out
}

// nextPort is the port after the one of an address.
func nextPort(address string) string {
	port := []byte(portOf(address))
	for i := len(port) - 1; i >= 0; i-- {
		if port[i] < '0' || port[i] > '9' {
			return ""
		}
		if port[i]++; port[i] <= '9' {
			return string(port)
		}
		port[i] = '0'
	}
	return ""
}

func portOf(address string) string { return address[strings.LastIndexByte(address, ':')+1:] }

// isForUsers reports whether a way is one by which only mail of ours comes in.
func (w *way) isForUsers() bool { return w.param == "non_smtpd_milters" || w.isSubmission() }

// isReturnOf reports whether mail of another way comes back by this one.
func (w *way) isReturnOf(other *way) bool {
	return other.detour != nil && slices.Contains(other.detour.back, w)
}

// seesMessages reports whether Mailseal gets the messages of a way where they come in. Postfix
// shows milters of a service with a before-queue filter no message.
func (w *way) seesMessages() bool {
	return w.ours && (w.detour == nil || w.detour.by != "smtpd_proxy_filter")
}

// passes reports whether mail of a way passes Mailseal, where it comes in or where it comes back.
func (w *way) passes() bool {
	return w.seesMessages() || w.detour != nil && slices.ContainsFunc(w.detour.back,
		(*way).seesMessages)
}

// isReturnOfStrangers reports whether mail of strangers comes back by a way.
func isReturnOfStrangers(w *way, ways []*way) bool {
	return slices.ContainsFunc(ways, func(other *way) bool {
		return !other.isForUsers() && w.isReturnOf(other)
	})
}

// treatedAsOurs reports whether Mailseal takes mail for ours that a filter hands back.
func (p *postfix) treatedAsOurs(w *way) bool {
	if w.role == action.RoleTheirs || w.role == action.RoleRelay {
		return false
	}
	if w.role == action.RoleOurs || w.param == "non_smtpd_milters" {
		return true
	}
	has := func(n netip.Prefix) bool { return n.Contains(loopback) }
	return slices.ContainsFunc(p.d.Networks, has) && !slices.ContainsFunc(p.d.Others, has)
}

// laundered finds ways by which mail of strangers comes back as ours: it would be signed in our
// name.
func (p *postfix) laundered(ways []*way) {
	for _, back := range ways {
		if back.param == "non_smtpd_milters" && p.d.Signs && isReturnOfStrangers(back, ways) {
			p.add(say("postfix-local-returned").finding(p.file, p.main.raw(back.param).line,
				back.param))
		}
		i := slices.IndexFunc(ways, func(w *way) bool {
			return !w.isForUsers() && back.isReturnOf(w)
		})
		if i < 0 || !back.ours || !p.d.Signs || !p.treatedAsOurs(back) {
			continue
		}
		stranger := ways[i]
		name, at := back.name, parameter{path.Join(p.Dir, "master.cf"), back.line, ""}
		if back.param == "non_smtpd_milters" {
			name, at = p.list(back)
			name = back.setting(name)
		}
		what := say("postfix-laundered", stranger.name, stranger.detour.filter, back.entry.name)
		p.add(what.finding(at.file, at.line, name, p.separated(ways, back)...))
		back.laundered = true
	}
}

// separated keeps strangers' mail from being taken for ours where it comes back.
func (p *postfix) separated(ways []*way, back *way) []Fix {
	if back.param == "non_smtpd_milters" {
		return []Fix{{{Kind: MainCF, File: p.file, Name: "non_smtpd_milters", Value: ""}}}
	}
	users, seen := false, true
	for _, w := range ways {
		if back.isReturnOf(w) {
			users = users || w.isForUsers() && !w.seesMessages()
			seen = seen && w.seesMessages()
		}
	}
	switch {
	case seen: // all of it has passed us where it came in
		return []Fix{{p.noMilters(back)}}
	case users:
		return nil // the ways back have to be parted first
	}
	return []Fix{{p.setOption(back.service, "smtpd_milters", "")}}
}

// behindQueue puts a before-queue filter behind the queue: Mailseal sees the mail where it comes
// in, and not once more where it comes back. There is no such change where the filter is at a unix
// socket, by which content_filter cannot reach it with SMTP, or where no service is known that mail
// comes back by.
func (p *postfix) behindQueue(w *way) Fix {
	address := strings.TrimPrefix(w.detour.filter, "inet:")
	if strings.HasPrefix(address, "unix:") || len(w.detour.back) == 0 {
		return nil
	}
	if host, port, ok := strings.Cut(address, ":"); ok && !strings.HasPrefix(host, "[") &&
		port != "" {
		address = "[" + host + "]:" + port // else the next hop is looked up as a domain
	}
	fix := Fix{
		p.setOption(w.service, "smtpd_proxy_filter", ""),
		p.setOption(w.service, "content_filter", "smtp:"+address),
	}
	fix[0].whole, fix[1].whole = true, true // the filter goes on being asked
	for _, back := range w.detour.back {
		if back.ours {
			fix = append(fix, p.noMilters(back))
		}
		if back.get("content_filter") != "" {
			fix = append(fix, p.setOption(back.service, "content_filter", ""))
		}
	}
	return fix
}

// unseen finds services with a before-queue filter whose mail Mailseal neither sees there nor where
// it comes back, or where it comes back as ours: nothing judges it.
func (p *postfix) unseen(ways []*way) {
	for _, w := range ways {
		if w.detour == nil || w.detour.by != "smtpd_proxy_filter" {
			continue
		}
		judged := slices.ContainsFunc(w.detour.back, func(b *way) bool {
			return b.seesMessages() && !p.treatedAsOurs(b)
		})
		what := say("unsigned")
		switch {
		case w.isForUsers() && (w.passes() || !p.d.Signs),
			!w.isForUsers() && (judged || !p.d.Verifies):
			continue
		case !w.isForUsers():
			what = say("unjudged")
		}
		at := w.raw("smtpd_proxy_filter")
		how := say("postfix-proxy-unseen", w.detour.filter, what)
		p.add(how.finding(at.file, at.line, w.setting("smtpd_proxy_filter"), p.behindQueue(w)))
	}
}
