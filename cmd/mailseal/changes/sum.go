package changes

import (
	"fmt"
	"strings"

	"mailseal/milter/report/advice"
	"mailseal/milter/report/intake"
)

// sum is what became of a file that was uploaded.
type sum struct {
	reports, duplicates, notCounted, others, tls, failures int
	messages                                               int64
	problems                                               []string
	more                                                   int
}

// maxProblems is how many problems of a file the page names.
const maxProblems = 5

func (s *sum) problem(text string) {
	if len(s.problems) < maxProblems {
		s.problems = append(s.problems, text)
		return
	}
	s.more++
}

func (s *sum) add(name string, t *intake.Taken) {
	s.reports += t.Reports
	s.messages += t.Messages
	s.duplicates += t.Duplicates
	s.notCounted += t.NotCounted + t.Variants
	s.tls += t.TLS
	s.failures += t.Failures
	switch {
	case t.Known:
		s.duplicates++
	case t.Kind == intake.Other || t.Kind == intake.Bounce:
		s.others++
	}
	for _, p := range t.Problems {
		s.problem(name + ": " + p)
	}
}

// String returns the sum in sentences.
func (s *sum) String() string {
	out := fmt.Sprintf("%s on %s.", advice.Plural(int64(s.reports), "new report", "new reports"),
		advice.Plural(s.messages, "message", "messages"))
	for _, part := range []struct {
		n          int
		text, many string
	}{
		{s.duplicates, "was there already", "were there already"},
		{s.notCounted, "does not count: it is about another domain, has the ID of another report, " +
			"or its period is in the future",
			"do not count: they are about other domains, have IDs of other reports, or their " +
				"periods are in the future"},
		{s.tls, "TLS report", "TLS reports"}, {s.failures, "failure report", "failure reports"},
		{s.others, "contains no report", "contain no report"},
	} {
		if part.n > 0 {
			out += " " + advice.Plural(int64(part.n), part.text, part.many) + "."
		}
	}
	if len(s.problems) > 0 {
		out += " Not read: " + strings.Join(s.problems, "; ")
		if s.more > 0 {
			out += fmt.Sprintf("; and %d more", s.more)
		}
		out += ". It is kept unchanged, and listed under Not read."
	}
	return out
}
