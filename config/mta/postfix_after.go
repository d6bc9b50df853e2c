package mta

import (
	"path"
	"slices"
	"strings"
)

// rewriters are the parameters of Postfix' SMTP and LMTP clients that change a message when it
// leaves, behind every milter. What comes in (canonical_maps, header_checks) is changed before a
// milter sees it.
var rewriters = []string{
	"_generic_maps", "_header_checks", "_mime_header_checks", "_nested_header_checks",
	"_body_checks",
}

// afterwards finds what changes mail after it has been signed.
func (p *postfix) afterwards() {
	if !p.d.Signs {
		return
	}
	for _, s := range p.clients() {
		protocol := s.command
		for _, suffix := range rewriters {
			name := protocol + suffix
			at := s.raw(name)
			if at.line > 0 && s.get(name) != "" {
				p.add(say("postfix-rewrites-after", s.get(name)).finding(at.file, at.line,
					s.setting(name), nil))
			}
		}
		p.eightBit(s, protocol)
	}
}

// clients are the services that deliver by SMTP or LMTP, with one for main.cf where master.cf has
// none.
func (p *postfix) clients() []service {
	var out []service
	for _, s := range p.services {
		if s.command == "smtp" || s.command == "lmtp" {
			out = append(out, s)
		}
	}
	if len(out) == 0 {
		out = append(out, service{name: "smtp", command: "smtp",
			parameters: &parameters{up: p.main}})
	}
	return out
}

// eightBit finds a client that hides from itself that the next hop takes 8-bit mail: Postfix then
// encodes it again.
func (p *postfix) eightBit(s service, protocol string) {
	if s.get("disable_mime_output_conversion") == "yes" {
		return
	}
	p.eightBitByServer(s, protocol+"_discard_ehlo_keyword_address_maps")
	name := protocol + "_discard_ehlo_keywords"
	at := s.raw(name)
	if at.line == 0 {
		return
	}
	var kept []string
	found := false
	for _, w := range words(s.get(name), ", \t\r\n") {
		if strings.EqualFold(w.text, "8bitmime") {
			found = true
			continue
		}
		kept = append(kept, w.text)
	}
	if found {
		fix := p.set(s, name, strings.Join(kept, ", "))
		p.add(say("postfix-no-8bitmime").finding(at.file, at.line, s.setting(name), Fix{fix}))
	}
}

// eightBitByServer finds the same where a table names the servers.
func (p *postfix) eightBitByServer(s service, name string) {
	at := s.raw(name)
	if at.line == 0 {
		return
	}
	for _, table := range words(s.get(name), ", \t\r\n") {
		entries, _ := readTable(p.h, table.text) // a table of another kind says nothing here
		for _, e := range entries {
			hides := func(w word) bool { return strings.EqualFold(w.text, "8bitmime") }
			if slices.ContainsFunc(words(e.value, ", \t\r\n"), hides) {
				p.add(say("postfix-no-8bitmime-at", e.key).finding(e.file(at.file),
					e.lineOr(at.line), s.setting(name)))
			}
		}
	}
}

// milterMaps finds clients for which smtpd_milter_maps takes other filters than smtpd_milters
// (Postfix 3.2).
func (p *postfix) milterMaps(ways []*way) {
	const name = "smtpd_milter_maps"
	for _, w := range ways {
		at := w.raw(name)
		if w.param != "smtpd_milters" || w.off || at.line == 0 || !(w.ours || w.meant) {
			continue
		}
		for _, table := range words(w.get(name), ", \t\r\n") {
			p.milterMap(w, at, table.text)
		}
	}
}

func (p *postfix) milterMap(w *way, at parameter, table string) {
	const name = "smtpd_milter_maps"
	entries, ok := readTable(p.h, table)
	if !ok {
		p.add(say("postfix-milter-map-unread", table).finding(at.file, at.line, w.setting(name),
			nil))
		return
	}
	for _, e := range entries {
		filters := postfixFilters(p.main.fill(e.value))
		isOurs := false
		for _, f := range filters {
			l, _ := p.listener(w, f)
			isOurs = isOurs || l != nil
		}
		if isOurs && !strings.EqualFold(e.value, "DISABLE") {
			continue
		}
		p.add(say("postfix-milter-map", e.key, p.d.undone()).finding(e.file(at.file),
			e.lineOr(at.line), w.setting(name), nil))
	}
}

// fill returns a value with all that it refers to filled in.
func (p *parameters) fill(value string) string {
	return (&expander{p, maxReferences}).expand(value, maxDepth)
}

// tableEntry is a line of a lookup table.
type tableEntry struct {
	key, value string
	path       string // of the table's file; "" for an inline table
	line       int
}

func (e tableEntry) file(otherwise string) string {
	if e.path == "" {
		return otherwise
	}
	return e.path
}

func (e tableEntry) lineOr(otherwise int) int {
	if e.line == 0 {
		return otherwise
	}
	return e.line
}

// textTables are the types of tables whose source is a file with a key and a value in each line.
// Those that are compiled have the source beside them.
var textTables = map[string]bool{
	"texthash": true, "cidr": true, "regexp": true, "pcre": true, "hash": true, "btree": true,
	"lmdb": true, "cdb": true, "dbm": true, "sdbm": true,
}

// readTable reads a lookup table of Postfix, as far as it is text.
func readTable(h Host, table string) ([]tableEntry, bool) {
	kind, rest, ok := strings.Cut(table, ":")
	if !ok {
		return nil, false
	}
	if textTables[kind] && strings.HasPrefix(rest, "{") { // the lines are in main.cf (Postfix 3.7)
		var out []tableEntry
		for _, w := range words(unbraced(rest), ", \t\r\n") {
			key, value := keyAndValue(unbraced(w.text))
			out = append(out, tableEntry{key: key, value: value})
		}
		return out, true
	}
	if kind == "inline" {
		var out []tableEntry
		for _, w := range words(unbraced(rest), ", \t\r\n") {
			if key, value, ok := strings.Cut(unbraced(w.text), "="); ok {
				out = append(out, tableEntry{key: strings.TrimSpace(key), value: unbraced(value)})
			}
		}
		return out, true
	}
	if !textTables[kind] || !path.IsAbs(rest) {
		return nil, false
	}
	text, err := h.ReadFile(rest)
	if err != nil {
		return nil, false
	}
	var out []tableEntry
	for _, l := range logicalLines(string(text)) {
		if key, value := keyAndValue(l.text); key != "" {
			out = append(out, tableEntry{key: key, value: value, path: rest, line: l.line})
		}
	}
	return out, true
}

// keyAndValue are the first word of a line and what follows.
func keyAndValue(line string) (string, string) {
	f := words(line, blanks)
	if len(f) == 0 {
		return "", ""
	}
	return f[0].text, strings.TrimSpace(line[f[0].offset+len(f[0].text):])
}
