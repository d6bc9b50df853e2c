package advice

import (
	"slices"
	"strings"
)

// WithStep returns a DMARC record with the policy of step: it sets p and t, and keeps
// everything else.
func WithStep(record string, step Step) string {
	p, testing := step.policy()
	var out []string
	hasP := false
	for part := range strings.SplitSeq(record, ";") {
		part = strings.TrimSpace(part)
		name, _, _ := strings.Cut(part, "=")
		switch strings.ToLower(strings.TrimSpace(name)) {
		case "":
		case "t":
		case "p":
			if hasP {
				continue
			}
			hasP = true
			out = append(out, "p="+p)
			if testing {
				out = append(out, "t=y")
			}
		default:
			out = append(out, part)
		}
	}
	if len(out) == 0 || !isVersion(out[0]) {
		out = slices.Insert(out, 0, "v=DMARC1")
	}
	if !hasP {
		tags := []string{"p=" + p}
		if testing {
			tags = append(tags, "t=y")
		}
		out = slices.Insert(out, 1, tags...)
	}
	return strings.Join(out, "; ")
}

func isVersion(part string) bool {
	name, value, _ := strings.Cut(part, "=")
	return strings.TrimSpace(name) == "v" && strings.TrimSpace(value) == "DMARC1"
}

// hasTag reports whether a record has a tag.
func hasTag(record, tag string) bool {
	for part := range strings.SplitSeq(record, ";") {
		name, _, _ := strings.Cut(part, "=")
		if strings.EqualFold(strings.TrimSpace(name), tag) {
			return true
		}
	}
	return false
}

// strength orders policies; an invalid policy counts as none.
func strength(p string) int {
	return max(slices.Index([]string{"none", "quarantine", "reject"}, strings.ToLower(p)), 0)
}

// wayBack sets the record that eases the policy again, if it asks receivers for anything.
func (a *Advice) wayBack(h History, to Step) {
	if a.Now == None || h.Policy.Text == "" {
		return
	}
	a.Back = WithStep(h.Policy.Text, to)
	a.BackText = "If mail that matters is lost, publish " + to.String() + " again."
	switch to {
	case QuarantineTest:
		a.BackText = "If mail that matters is held, publish " + to.String() +
			": receivers treat it as none."
	case Quarantine:
		a.BackText = "If mail that matters is refused, publish quarantine."
	}
}

// today sets the record that is published now as the way back from the advised one.
func (a *Advice) today(h History) {
	a.Back = h.Policy.Text
	a.BackText = "To go back, publish today's record again."
	if h.Policy.Text == "" {
		a.Back = ""
		a.BackText = "To go back, remove the record: none is known today."
	}
}
