package mta

import (
	"cmp"
	"slices"
	"strings"
)

// maxJudgements bounds how often a host is judged to find out which remedies work.
const maxJudgements = 2000

// maxRevealed is how many findings one after the other a remedy may reveal, if each of them
// can be corrected.
const maxRevealed = 6

// judge checks a mail server of a host. It returns false if there is none.
type judge func(Host, Daemon) (Report, bool)

// planner finds out which remedies work: each is applied to the host in memory, which is then
// judged again.
type planner struct {
	judge judge
	left  int // judgements
}

// step is a change that a finding needs.
type step struct {
	finding Finding
	changes Fix
}

// remedied judges a host, and gives each finding the remedy that takes it away and brings no other
// finding. Remedies that change the same setting become one line.
func remedied(look judge, h Host, d Daemon) (Report, bool) {
	p := &planner{look, maxJudgements}
	w := newWorld(h, d)
	report, ok := p.look(w)
	if !ok {
		return report, false
	}
	steps := p.plan(w, report)
	steps = p.withoutNeedless(w, steps)
	assign(report.Findings, steps)
	for _, s := range steps {
		w, _ = w.all(s.changes)
	}
	report.After = w.daemon
	last, _ := p.look(w)
	for i, f := range report.Findings {
		if len(f.Fix) == 0 && !slices.ContainsFunc(last.Findings, f.is) {
			report.Findings[i].Mended = true // by what is printed for others
		}
	}
	return report, true
}

func (p *planner) look(w world) (Report, bool) {
	p.left--
	return p.judge(w, w.daemon)
}

// plan corrects one finding after the other, the worst first, each in the world that those before
// have left.
func (p *planner) plan(w world, report Report) []step {
	var steps []step
	for _, f := range report.Findings {
		now, _ := p.look(w)
		i := slices.IndexFunc(now.Findings, f.is)
		if i < 0 {
			steps = append(steps, step{f, nil}) // a remedy before has corrected it
			continue
		}
		if after, changes := p.correct(w, now, now.Findings[i], maxRevealed); changes != nil {
			w = after
			steps = append(steps, step{f, changes})
		}
	}
	return steps
}

// correct returns the state without a finding and without new findings of the same
// severity, and the changes that lead to it, which are nil if there are none.
func (p *planner) correct(w world, before Report, f Finding, depth int) (world, Fix) {
	for _, fix := range f.fixes {
		if after, changes := p.try(w, before, f, fix, depth); changes != nil {
			return after, changes
		}
	}
	return w, nil
}

// try applies one remedy. What it reveals has to be corrected, too, unless it matters less
// than the finding.
func (p *planner) try(w world, before Report, f Finding, fix Fix, depth int) (world, Fix) {
	if p.left <= 0 || len(fix) == 0 {
		return w, nil
	}
	after, ok := w.all(fix)
	if !ok {
		return w, nil
	}
	now, _ := p.look(after)
	if slices.ContainsFunc(now.Findings, f.is) {
		return w, nil
	}
	changes := slices.Clone(fix)
	for _, other := range now.Findings {
		if slices.ContainsFunc(before.Findings, other.is) {
			continue
		}
		current, _ := p.look(after)
		i := slices.IndexFunc(current.Findings, other.is)
		if i < 0 {
			continue
		}
		if depth == 0 {
			return w, nil
		}
		next, more := p.correct(after, current, current.Findings[i], depth-1)
		switch {
		case more != nil:
			after, changes = next, append(changes, more...)
		case !isLessSevere(other, f):
			return w, nil
		}
	}
	last, _ := p.look(after)
	if slices.ContainsFunc(last.Findings, f.is) {
		return w, nil
	}
	return after, changes
}

// isLessSevere reports whether one finding matters less than another: a remedy may leave it. What
// is found where Mailseal is named at all matters less than that it is not, unless it is an error.
func isLessSevere(other, f Finding) bool {
	of := slices.Index(severities, f.Severity)
	if f.Code == "not-named" {
		of = slices.Index(severities, Error)
	}
	return slices.Index(severities, other.Severity) > of
}

// all applies changes. It is false when none of them changes anything.
func (w world) all(changes Fix) (world, bool) {
	any := false
	for _, c := range changes {
		next, ok := w.with(c)
		if ok {
			w, any = next, true
		}
	}
	return w, any
}

// withoutNeedless removes changes that make no difference once all the others are made: a line of a
// service, for instance, to which another one then gives no filter at all. A change whose setting a
// later step changes, too, stays: assign makes one line of both, which is printed with the first
// and worst finding.
func (p *planner) withoutNeedless(w world, steps []step) []step {
	want := p.outcome(w, steps)
	for i := range steps {
		for j := 0; j < len(steps[i].changes) && p.left > 0; {
			c := steps[i].changes[j]
			if c.Kind == SendmailBuild || c.whole || isChangedBy(steps[i+1:], c.key()) {
				j++
				continue
			}
			shorter := slices.Clone(steps)
			shorter[i].changes = slices.Delete(slices.Clone(steps[i].changes), j, j+1)
			if p.outcome(w, shorter) != want {
				j++
				continue
			}
			steps = shorter
		}
	}
	return steps
}

// isChangedBy reports whether one of the steps changes the setting of a key.
func isChangedBy(steps []step, key string) bool {
	changes := func(c Change) bool { return c.key() == key }
	return slices.ContainsFunc(steps,
		func(s step) bool { return slices.ContainsFunc(s.changes, changes) })
}

// outcome is what is found after all changes.
func (p *planner) outcome(w world, steps []step) string {
	for _, s := range steps {
		w, _ = w.all(s.changes)
	}
	report, _ := p.look(w)
	out := ""
	for _, f := range report.Findings {
		out += f.identity() + "\n"
	}
	return out
}

// assign gives each finding its changes. A setting that several findings concern is printed once,
// in its final form, with the first of them; what has to be done after all others, with the last.
func assign(findings []Finding, steps []step) {
	final, first := map[string]Change{}, map[string]int{}
	for i, s := range steps {
		for _, c := range s.changes {
			final[c.key()] = c
			if _, ok := first[c.key()]; !ok || c.Kind == SendmailBuild {
				first[c.key()] = i
			}
		}
	}
	for i := range findings {
		findings[i].Fix = nil
		at := slices.IndexFunc(steps, func(s step) bool { return s.finding.is(findings[i]) })
		if at < 0 {
			continue
		}
		done := map[string]bool{}
		for _, c := range steps[at].changes {
			if k := c.key(); first[k] == at && !done[k] {
				done[k] = true
				findings[i].Fix = append(findings[i].Fix, headed(final[k], findings[i]))
			}
		}
		slices.SortStableFunc(findings[i].Fix,
			func(a, b Change) int { return cmp.Compare(last(a), last(b)) })
		findings[i].Mended = len(findings[i].Fix) == 0
	}
}

// last is 1 for what is done after all other changes.
func last(c Change) int {
	if c.Kind == SendmailBuild {
		return 1
	}
	return 0
}

// headed adds the service to an option of master.cf, if the finding does not name it.
func headed(c Change, f Finding) Change {
	name, _, _ := strings.Cut(c.Service, " ")
	if c.Kind == MasterCF && f.Setting != name && !strings.HasPrefix(f.Setting, name+": ") {
		c.head = "# master.cf, " + c.Service + ":\n"
	}
	return c
}
