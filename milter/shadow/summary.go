package shadow

import (
	"bufio"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
)

// Summary counts what was compared since the start, or in the lines of a log.
type Summary struct {
	// the time of the first line, where a log was read
	First     string         `json:"first,omitempty"`
	Last      string         `json:"last,omitempty"` // of the last
	Messages  int            `json:"messages"`
	Same      int            `json:"same"`
	Differing int            `json:"differing"`
	Kinds     map[string]int `json:"kinds"` // messages that differ, by what in
	// the same by kind and domain: the author's, else the sender's
	Domains   map[string]map[string]int `json:"domains"`
	NotJudged map[string]int            `json:"not_judged"` // messages, by the reason

	// NotCompared are messages of which nothing differs, but for signatures that could not be
	// compared.
	NotCompared int `json:"not_compared"`

	Aborted   int `json:"aborted"`   // messages that the client gave up; not among Messages
	Sessions  int `json:"sessions"`  // that the upstream accepted or refused before any message
	Unreached int `json:"unreached"` // connections for which the upstream could not be reached
	Broken    int `json:"broken"`    // connections that the upstream ended, and not the MTA
	// lines that are missing: the log was too slow, or could not be written
	Unlogged int `json:"unlogged"`
}

func newSummary() Summary {
	return Summary{Kinds: map[string]int{}, Domains: map[string]map[string]int{},
		NotJudged: map[string]int{}}
}

// maxDomains bounds the domains of a kind of difference: a stranger chooses his own.
const maxDomains = 1000

// otherDomains are those beyond, and noDomain is that of a message without any.
const (
	otherDomains = "(others)"
	noDomain     = "(none)"
)

// add counts a line, given by its fields.
func (s *Summary) add(line map[string]string) {
	switch line["msg"] {
	case eventSame:
		s.Messages++
		s.Same++
	case eventDiffers:
		s.Messages++
		s.Differing++
		for kind := range strings.SplitSeq(line["in"], ",") {
			s.differs(kind, domainOf(line))
		}
	case eventNotCompared:
		s.Messages++
		s.NotCompared++
	case eventNotJudged:
		s.Messages++
		s.NotJudged[reason(line["why"])]++
	case eventAborted:
		s.Aborted++
	case eventSession:
		s.Sessions++
	case eventUnreached:
		s.Unreached++
	case eventBroken:
		s.Broken++
	case eventUnlogged:
		n, _ := strconv.Atoi(line[missingLines])
		s.Unlogged += n
	}
}

func (s *Summary) differs(kind, domain string) {
	if !slices.Contains(kinds, kind) {
		kind = "other"
	}
	s.Kinds[kind]++
	of := s.Domains[kind]
	if of == nil {
		of = map[string]int{}
		s.Domains[kind] = of
	}
	if _, known := of[domain]; !known && len(of) >= maxDomains {
		domain = otherDomains
	}
	of[domain]++
}

// domainOf returns the domain that a line concerns.
func domainOf(line map[string]string) string {
	sender := line["sender"]
	return strings.ToLower(cmp.Or(line["author"], sender[strings.LastIndexByte(sender, '@')+1:],
		noDomain))
}

// reason returns what a reason is counted under: errors of the network are one, and those of a log
// that neither milter wrote are few.
func reason(why string) string {
	what, _, _ := strings.Cut(why, ":")
	return what[:min(len(what), 80)]
}

func (s *Summary) clone() Summary {
	out := *s
	out.Kinds, out.NotJudged, out.Domains = maps.Clone(s.Kinds), maps.Clone(s.NotJudged),
		map[string]map[string]int{}
	for kind, of := range s.Domains {
		out.Domains[kind] = maps.Clone(of)
	}
	return out
}

// maxLine bounds a line of a log: longer ones are none of ours.
const maxLine = 1 << 20

// ReadLog adds the lines of a log, in either of the Recorder's formats, with or without something
// before them, as syslog puts it there. Lines of others are left out. A message that differs in
// only kinds to ignore is the same.
func (s *Summary) ReadLog(r io.Reader, ignore ...string) error {
	if s.Kinds == nil {
		*s = newSummary()
	}
	lines := bufio.NewReaderSize(r, maxLine)
	for {
		line, isPart, err := lines.ReadLine()
		for isPart && err == nil {
			line = nil
			_, isPart, err = lines.ReadLine()
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		if fields := parseLine(string(line)); fields["msg"] != "" {
			dropIgnored(fields, ignore)
			s.read(fields)
		}
	}
}

// dropIgnored takes kinds of differences out of a line.
func dropIgnored(line map[string]string, ignore []string) {
	if line["msg"] != eventDiffers || len(ignore) == 0 {
		return
	}
	left := slices.DeleteFunc(strings.Split(line["in"], ","),
		func(kind string) bool { return slices.Contains(ignore, kind) })
	switch {
	case len(left) > 0:
	case line["not_compared"] != "":
		line["msg"] = eventNotCompared
	default:
		line["msg"] = eventSame
	}
	line["in"] = strings.Join(left, ",")
}

// read adds a line of a log, with its time.
func (s *Summary) read(line map[string]string) {
	before := s.lines()
	s.add(line)
	if s.lines() == before {
		return // none of ours
	}
	if when := line["time"]; when != "" {
		if s.First == "" || when < s.First {
			s.First = when
		}
		s.Last = max(s.Last, when)
	}
}

func (s *Summary) lines() int {
	return s.Messages + s.Aborted + s.Sessions + s.Unreached + s.Broken + s.Unlogged
}

// parseLine reads the fields of a line that slog wrote, as JSON or as text; none if it is neither.
func parseLine(line string) map[string]string {
	if at := strings.Index(line, `{"`); at >= 0 && strings.HasSuffix(line, "}") {
		var fields map[string]any
		if json.Unmarshal([]byte(line[at:]), &fields) == nil {
			return texts(fields)
		}
	}
	return parseText(line)
}

func texts(fields map[string]any) map[string]string {
	out := map[string]string{}
	for k, v := range fields {
		switch v := v.(type) {
		case string:
			out[k] = v
		case float64:
			out[k] = strconv.FormatFloat(v, 'f', -1, 64)
		}
	}
	return out
}

// parseText reads key=value and key="value". What is before the first of our keys is the business
// of who put it there.
func parseText(line string) map[string]string {
	out := map[string]string{}
	if at := strings.Index(line, "time="); at >= 0 {
		line = line[at:]
	}
	for line != "" {
		word, rest, _ := strings.Cut(line, " ")
		key, value, ok := strings.Cut(word, "=")
		if ok && strings.HasPrefix(value, `"`) {
			quoted, err := strconv.QuotedPrefix(line[len(key)+1:])
			if err != nil {
				return out // it was cut off
			}
			value, _ = strconv.Unquote(quoted) // QuotedPrefix has looked at it
			rest = strings.TrimPrefix(line[len(key)+1+len(quoted):], " ")
		}
		if ok {
			out[key] = value
		}
		line = rest
	}
	return out
}

// tableDomains is how many domains the table names of each kind.
const tableDomains = 10

// WriteTable writes the counts as a table, without rows that say nothing, and under each kind of
// difference the domains that most of it concerns.
func (s Summary) WriteTable(w io.Writer) error {
	if s.First != "" {
		fmt.Fprintf(w, "%s to %s\n", s.First, s.Last)
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	row := func(n int, what string) { fmt.Fprintf(t, "%d\t  %s\n", n, what) }
	some := func(n int, what string) {
		if n > 0 {
			row(n, what)
		}
	}
	row(s.Messages, "messages")
	row(s.Same, "same")
	row(s.Differing, "differ")
	for _, k := range kinds {
		some(s.Kinds[k], "differ in: "+k+domainsText(s.Domains[k]))
	}
	some(s.Kinds["other"], "differ in kinds that this version does not know")
	some(s.NotCompared, "not compared: signatures of different domains or algorithms")
	for _, why := range slices.Sorted(maps.Keys(s.NotJudged)) {
		row(s.NotJudged[why], "not judged: "+why)
	}
	some(s.Aborted, "more aborted by the client")
	some(s.Sessions, "sessions that the old milter decided before the first message")
	some(s.Unreached, "connections for which the old milter could not be reached")
	some(s.Broken, "connections that the old milter ended")
	some(s.Unlogged, "lines missing: the log was too slow, or could not be written")
	return t.Flush()
}

// domainsText names domains by their counts.
func domainsText(of map[string]int) string {
	names := slices.SortedFunc(maps.Keys(of), func(a, b string) int {
		return cmp.Or(cmp.Compare(of[b], of[a]), cmp.Compare(a, b))
	})
	var out []string
	for i, name := range names {
		if i == tableDomains {
			out = append(out, fmt.Sprintf("%d more", len(names)-i))
			break
		}
		out = append(out, fmt.Sprintf("%s %d",
			strconv.QuoteToASCII(name)[1:len(strconv.QuoteToASCII(name))-1], of[name]))
	}
	if len(out) == 0 {
		return ""
	}
	return " (" + strings.Join(out, ", ") + ")"
}
