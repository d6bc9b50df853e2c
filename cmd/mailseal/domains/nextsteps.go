package domains

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"mailseal/cmd/mailseal/answer"
	"mailseal/milter/dmarc"
	"mailseal/milter/report/advice"
)

// stepOf is the step of the ladder that a policy is.
func stepOf(policy string, testing bool) (advice.Step, error) {
	text := policy
	if testing {
		text += "; t=y"
	}
	for step := advice.None; step <= advice.Reject; step++ {
		if step.String() == text {
			return step, nil
		}
	}
	if policy == "none" && testing {
		return 0, answer.NewUsage(errors.New("--testing needs the policy quarantine or reject"))
	}
	return 0, answer.NewUsage(fmt.Errorf("--policy is %q; it must be none, quarantine or "+
		"reject", policy))
}

// ladder lists the records that follow a record, and when (RFC 9989 section 7.4).
func ladder(record string, people bool) string {
	parsed, err := dmarc.Parse(record)
	if err != nil {
		return ""
	}
	now, err := stepOf(string(parsed.Policy), parsed.Testing && parsed.Policy != "none")
	if err != nil {
		return ""
	}
	end := advice.Reject
	if people {
		end = advice.Quarantine
	}
	var b strings.Builder
	for step := now; step < end; step++ {
		if step == now {
			b.WriteString("Next steps. Take each one only when the reports on the step before show " +
				"that none of your mail fails:\n")
		}
		fmt.Fprintf(&b, "  after %d days: %s\n", step.Days(), advice.WithStep(record, step+1))
	}
	if now < end {
		test := end - 1
		fmt.Fprintf(&b, "With t=y, receivers apply the step below: %s has the effect of "+
			"%s.\n", test, test-1)
	}
	if people {
		b.WriteString("p=quarantine is the last step for a domain whose users post to mailing " +
			"lists (RFC 9989 section 7.4).")
	} else {
		b.WriteString("p=reject must not rest on SPF alone (RFC 9989 section 8): every source " +
			"must sign.")
	}
	return b.String()
}

// withTag sets a tag of a record, behind the version and the policy where it is not there yet.
func withTag(record, name, value string) string {
	tags := strings.Split(record, ";")
	for i, tag := range tags {
		have, _, _ := strings.Cut(tag, "=")
		if strings.EqualFold(strings.TrimSpace(have), name) {
			tags[i] = " " + name + "=" + value
			return strings.Join(tags, ";")
		}
	}
	tags = slices.Insert(tags, min(2, len(tags)), " "+name+"="+value)
	return strings.Join(tags, ";")
}
