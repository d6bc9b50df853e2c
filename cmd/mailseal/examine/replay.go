package examine

import (
	"bufio"
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"

	"mailseal/cmd/mailseal/assembly"
	"mailseal/config"
	"mailseal/milter/expression"
	"mailseal/milter/policy"
)

// Bounds of a replay.
const (
	maxLogLine  = 1 << 20 // bytes of a line
	maxExamples = 3       // messages that are shown for each change
	maxChanges  = 10_000  // changes, by rule, action and domain
	progressLog = 100_000 // lines between two reports of progress
)

// ErrNoRules is the error for a configuration without rules to try or replay.
var ErrNoRules = errors.New("the configuration has no [[policy.rules]]; mailseal.toml(5) shows some under EXPRESSIONS")

// Replay asks rules about the messages in logs.
type Replay struct {
	Lines    int `json:"lines"`    // of the log
	Messages int `json:"messages"` // that were judged, and so have facts
	// lines of messages of strangers without facts, as older versions wrote
	NoFacts int            `json:"no_facts"`
	Unread  int            `json:"unreadable"` // lines that are not JSON
	Rules   []*replayRule  `json:"rules"`
	Changes []*replayGroup `json:"changes"`
	Others  int            `json:"other_changes"` // beyond the bound

	Progress func(lines int) `json:"-"` // is called now and then; may be nil

	rules  *policy.Rules
	groups map[replayKey]*replayGroup
}

// replayRule is how often one rule held.
type replayRule struct {
	Name   string `json:"name"`
	Action string `json:"action"`
	// messages for which it would have decided, or with dry_run would have
	Holds   int      `json:"holds"`
	Unknown int      `json:"unknown"` // messages for which the log does not say enough
	Missing []string `json:"missing"` // facts that the rule asks for and the log does not hold
}

type replayKey struct{ rule, was, would, domain string }

// replayGroup are messages of one author domain of which a rule would have made something else.
type replayGroup struct {
	Rule     string   `json:"rule"`
	Was      string   `json:"was"`
	Would    string   `json:"would"`
	Domain   string   `json:"author_domain"`
	Count    int      `json:"count"`
	Examples []string `json:"examples"` // queue identifiers
}

// NewReplay takes the rules of a configuration.
func NewReplay(cfg *config.Config) (*Replay, error) {
	rules, err := assembly.NewPolicy(cfg)
	if err != nil {
		return nil, err
	}
	if len(rules.Rules) == 0 {
		return nil, ErrNoRules
	}
	r := &Replay{rules: rules, groups: map[replayKey]*replayGroup{}, Changes: []*replayGroup{}}
	for _, rule := range rules.Rules {
		missing := slices.DeleteFunc(rule.When.Asks(), expression.Logged)
		r.Rules = append(r.Rules, &replayRule{Name: rule.Name, Action: rule.Action.String(),
			Missing: missing})
	}
	return r, nil
}

// ReadLog reads lines of a JSON log, with or without what syslog puts before them.
func (r *Replay) ReadLog(in io.Reader) error {
	lines := bufio.NewReaderSize(in, maxLogLine)
	for {
		line, err := lines.ReadSlice('\n')
		if errors.Is(err, bufio.ErrBufferFull) {
			r.Unread++
			err = skipLine(lines)
		} else if len(line) > 0 {
			r.line(line)
		}
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		}
	}
}

// skipLine reads to the end of a line that is too long.
func skipLine(lines *bufio.Reader) error {
	for {
		if _, err := lines.ReadSlice('\n'); !errors.Is(err, bufio.ErrBufferFull) {
			return err
		}
	}
}

func (r *Replay) line(text []byte) {
	if r.Lines++; r.Progress != nil && r.Lines%progressLog == 0 {
		r.Progress(r.Lines)
	}
	var l expression.Line
	start := bytes.IndexByte(text, '{')
	if start < 0 || json.Unmarshal(text[start:], &l) != nil {
		r.Unread++
		return
	}
	if l.Text != "message" {
		return
	}
	facts := l.Judged()
	if facts == nil {
		if l.Role == "theirs" {
			r.NoFacts++
		}
		return
	}
	r.Messages++
	r.message(&l, facts)
}

// message asks the rules in their order, as the daemon would: the first that holds decides. One of
// which the log does not say enough is skipped and counted.
func (r *Replay) message(l *expression.Line, facts *expression.Judged) {
	for i := range r.rules.Rules {
		rule, count := &r.rules.Rules[i], r.Rules[i]
		holds, err := rule.When.Holds(facts)
		if len(count.Missing) > 0 || err != nil {
			switch rule.When.Weigh(facts, expression.Logged) {
			case expression.Unknown:
				count.Unknown++
				continue
			case expression.True:
				holds = true
			default:
				holds = false
			}
		}
		if !holds {
			continue
		}
		count.Holds++
		r.change(rule, l, facts)
		if !rule.DryRun {
			return
		}
	}
}

// change counts a message of which a rule would have made something else.
func (r *Replay) change(rule *policy.Rule, l *expression.Line, facts *expression.Judged) {
	would := rule.Action.String()
	if would == l.Action {
		return
	}
	key := replayKey{rule.Name, l.Action, would, facts.Author.Domain}
	g := r.groups[key]
	if g == nil {
		if len(r.groups) == maxChanges {
			r.Others++
			return
		}
		g = &replayGroup{Rule: key.rule, Was: key.was, Would: key.would, Domain: key.domain}
		r.groups[key] = g
	}
	g.Count++
	if len(g.Examples) < maxExamples {
		g.Examples = append(g.Examples, l.Queue)
	}
}

// Finish sorts the changes, the most frequent first.
func (r *Replay) Finish() {
	r.Changes = slices.SortedFunc(maps.Values(r.groups), func(a, b *replayGroup) int {
		return cmp.Or(-cmp.Compare(a.Count, b.Count), cmp.Compare(a.Rule, b.Rule),
			cmp.Compare(a.Domain, b.Domain), cmp.Compare(a.Was, b.Was))
	})
	if r.Changes == nil {
		r.Changes = []*replayGroup{}
	}
}

// JSON writes the replay as one object.
func (r *Replay) JSON(w io.Writer) error { return json.NewEncoder(w).Encode(r) }

// shownChanges is how many changes the text shows; JSON has all.
const shownChanges = 30

// Text writes the replay for people.
func (r *Replay) Text(w io.Writer) error {
	var b bytes.Buffer
	fmt.Fprintf(&b, "%d messages of strangers in %d lines.\n", r.Messages, r.Lines)
	if r.NoFacts > 0 {
		fmt.Fprintf(&b, "%d more have no facts in their lines, which a version before 0.2.0 wrote: "+
			"they cannot be replayed.\n", r.NoFacts)
	}
	if r.Unread > 0 {
		fmt.Fprintf(&b, "%d lines are not JSON; set log.format = \"json\".\n", r.Unread)
	}
	if r.Messages > 0 {
		fmt.Fprintln(&b)
	}
	for _, rule := range r.Rules {
		if r.Messages == 0 {
			break // zeros would look like a result
		}
		fmt.Fprintf(&b, "%-9s %8d  %s\n", rule.Action, rule.Holds, rule.Name)
		if rule.Unknown > 0 {
			fmt.Fprintf(&b, "%-9s %8d  unknown: the log does not contain %v\n", "", rule.Unknown,
				rule.Missing)
		}
	}
	switch {
	case r.Messages == 0:
		fmt.Fprintf(&b, "\nThere is nothing to replay.\n")
	case len(r.Changes) == 0:
		fmt.Fprintf(&b, "\nNothing would have changed.\n")
	default:
		fmt.Fprintf(&b, "\n%8s  %-9s %-9s %-30s %s\n",
			"messages", "was", "would be", "author's domain", "rule; some queue identifiers")
	}
	for _, g := range r.Changes[:min(len(r.Changes), shownChanges)] {
		domain := cmp.Or(g.Domain, "(none, or several)")
		fmt.Fprintf(&b, "%8d  %-9s %-9s %-30s %s; %v\n", g.Count, g.Was, g.Would, domain, g.Rule,
			g.Examples)
	}
	if n := len(r.Changes) - shownChanges; n > 0 || r.Others > 0 {
		fmt.Fprintf(&b, "and %d more lines; --json has them\n", max(n, 0)+r.Others)
	}
	_, err := w.Write(b.Bytes())
	return err
}

// Changed reports whether any message would have been treated otherwise.
func (r *Replay) Changed() bool { return len(r.groups) > 0 || r.Others > 0 }
