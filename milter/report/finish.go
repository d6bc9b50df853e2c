package report

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"mailseal/milter/domain"
)

func isHostile(err error) bool { return errors.Is(err, ErrHostile) }

// endRecord hands over the rows of a record. The identifiers and results, which follow the rows,
// are those of each.
func (r *reader) endRecord() error {
	last := r.row
	for _, p := range r.more {
		p.row.HeaderFrom, p.row.EnvelopeFrom, p.row.EnvelopeTo = last.HeaderFrom,
			last.EnvelopeFrom, last.EnvelopeTo
		p.row.Signatures, p.row.SPFResults = last.Signatures, last.SPFResults
		if err := r.endRow(p.row, p.count); err != nil {
			return err
		}
	}
	return r.endRow(last, r.count)
}

// endRow checks a row that is complete, and hands it over.
func (r *reader) endRow(row Row, count string) error {
	count = strings.TrimSpace(count)
	if isNobody := row.Source == "" || strings.EqualFold(row.Source, "null"); isNobody &&
		(count == "" || strings.EqualFold(count, "null")) {
		count = "0" // some reporters write this when there was no mail
	}
	if count == "" {
		r.refuse(row, "count is missing")
		return nil
	}
	n, err := parseCount(count)
	if err != nil {
		r.refuse(row, err.Error())
		return nil
	}
	if count != fmt.Sprint(n) {
		r.add("count-form", "a count is written in an unusual form", row.Line)
	}
	row.Count = n
	if n == 0 {
		r.add("null", "a row with count 0: the reporter saw no messages", row.Line)
	}
	if row.HeaderFrom == "" {
		row.HeaderFrom = r.out.Policy.Domain
		if n > 0 {
			r.add("header-from", "a row without header_from; the domain of the policy was used",
				row.Line)
		}
	}
	if r.out.from == "" {
		r.out.from = row.HeaderFrom
	}
	r.derive(&row)
	r.compare(&row)
	r.out.Rows++
	r.out.Messages += n
	return r.each(&row)
}

func (r *reader) refuse(row Row, why string) {
	r.add("refused", "rows that cannot be counted", row.Line)
	if len(r.out.Refused) < MaxRefused {
		r.out.Refused = append(r.out.Refused, RefusedRow{N: row.N, Line: row.Line, Why: why})
	}
}

// derive finds aligned results that a reporter left out from the results and the identifiers. What
// cannot be derived stays empty, which is not a pass.
func (r *reader) derive(row *Row) {
	p := r.out.Policy
	if r.left > 0 { // what was left out may have passed
		return
	}
	if row.DKIM == "" && len(row.Signatures) > 0 {
		row.Derived, row.DKIM = true, "fail"
		for _, s := range row.Signatures {
			if s.Result == "pass" && Aligned(s.Domain, row.HeaderFrom, p.Domain, p.ADKIM) {
				row.DKIM = "pass"
			}
		}
	}
	if row.SPF == "" && len(row.SPFResults) > 0 {
		row.Derived, row.SPF = true, "fail"
		for _, s := range row.SPFResults {
			if s.Result == "pass" && s.Scope != "helo" &&
				Aligned(s.Domain, row.HeaderFrom, p.Domain, p.ASPF) {
				row.SPF = "pass"
			}
		}
	}
	if row.Derived {
		r.add("derived", "an aligned result is missing, and was derived from the other results",
			row.Line)
	}
}

// compare notes a row whose evaluation its own results contradict: a pass that none of them gives,
// or a failure although one passes for an aligned domain. Results that are not there say nothing. A
// pass needs no more than a name in common with From: the organizational domain may be above the
// policy's.
func (r *reader) compare(row *Row) {
	p := r.out.Policy
	canPass, passes := false, false
	for _, s := range row.Signatures {
		canPass = canPass || s.Result == "pass" && isRelated(s.Domain, row.HeaderFrom)
		passes = passes || s.Result == "pass" && Aligned(s.Domain, row.HeaderFrom, p.Domain,
			p.ADKIM)
	}
	differs := len(row.Signatures) > 0 && (row.DKIM == "pass" && !canPass ||
		row.DKIM == "fail" && passes)
	canPass, passes = false, false
	for _, s := range row.SPFResults {
		canPass = canPass || s.Result == "pass" && isRelated(s.Domain, row.HeaderFrom)
		passes = passes || s.Result == "pass" && s.Scope != "helo" &&
			Aligned(s.Domain, row.HeaderFrom, p.Domain, p.ASPF)
	}
	if differs || len(row.SPFResults) > 0 && (row.SPF == "pass" && !canPass ||
		row.SPF == "fail" && passes) {
		r.add("contradiction", "policy_evaluated contradicts auth_results; policy_evaluated was "+
			"counted", row.Line)
	}
}

// isRelated reports whether two names can be in alignment under some policy. A result without a
// domain can be of any.
func isRelated(a, b string) bool {
	return a == "" || a == b || Organization(a) != "" && Organization(a) == Organization(b)
}

// Aligned reports whether an authenticated domain is in alignment with the domain of From, under
// the policy of organization (RFC 9989 section 4.8). It asks no DNS: names below the policy's
// domain are its own.
func Aligned(authenticated, from, organization, mode string) bool {
	if authenticated == "" || from == "" {
		return false
	}
	if authenticated == from {
		return true
	}
	if mode == "s" || organization == "" {
		return false
	}
	return Below(authenticated, organization) && Below(from, organization)
}

// Below reports whether name is the domain or below it.
func Below(name, parent string) bool {
	return name == parent || parent != "" && strings.HasSuffix(name, "."+parent)
}

// finish brings the metadata into the form that is stored.
func (r *reader) finish() {
	m := &r.out.Metadata
	r.dates()
	if m.Org == "" {
		_, m.Org, _ = strings.Cut(m.Email, "@")
		m.Org = parseName(m.Org)
		if m.Org != "" {
			r.add("org", "org_name is empty; the domain of the address was used", 0)
		}
	}
	switch r.out.Namespace {
	case "", "urn:ietf:params:xml:ns:dmarc-2.0", "http://dmarc.org/dmarc-xml/0.1":
	default:
		r.add("namespace", "the namespace is unknown", 0)
	}
	r.out.Notes = r.notes
}

// dates reads the period. Some reporters end it at the first second of the next one.
func (r *reader) dates() {
	m := &r.out.Metadata
	var okBegin, okEnd bool
	m.Begin, okBegin = parseTime(strings.TrimSpace(r.begin))
	m.End, okEnd = parseTime(strings.TrimSpace(r.end))
	switch {
	case !okBegin && !okEnd:
		r.add("dates", "the period cannot be read", 0)
		m.Begin, m.End = time.Time{}, time.Time{}
		return
	case !okBegin:
		r.add("dates", "the beginning of the period cannot be read", 0)
		m.Begin = m.End
	case !okEnd:
		r.add("dates", "the end of the period cannot be read", 0)
		m.End = m.Begin
	}
	if m.End.Before(m.Begin) {
		r.add("dates-swapped", "the period ends before it begins; the two were swapped", 0)
		m.Begin, m.End = m.End, m.Begin
	}
	m.End = inclusive(m.Begin, m.End)
}

// inclusive returns the last second of a period that may end with the first one of the next day.
func inclusive(begin, end time.Time) time.Time {
	if end.After(begin) && end.Unix()%86400 == 0 {
		return end.Add(-time.Second)
	}
	return end
}

// ReporterKey returns what reports of one reporter have in common: the domain of its address, or
// the address where anyone can have one at the domain; else that of the mail, else its name.
func (m *Metadata) ReporterKey(mailDomain string) string {
	address, _, _ := strings.Cut(m.Email, ",")
	if _, inside, ok := strings.Cut(address, "<"); ok {
		address = inside
	}
	local, d, ok := strings.Cut(strings.Trim(address, "<> "), "@")
	if n, err := domain.Parse(d); ok && err == nil {
		if isMailboxes(n.String()) {
			return strings.ToLower(local[:min(len(local), 64)]) + "@" + n.String()
		}
		return n.String()
	}
	if mailDomain != "" {
		return mailDomain
	}
	return strings.ToLower(m.Org)
}

// Key returns the key that identifies a report when it arrives again, made of the reporter,
// report ID, policy domain and period.
func (f *Feedback) Key(mailDomain string) string {
	return strings.Join([]string{
		f.Metadata.ReporterKey(mailDomain), strings.Trim(f.Metadata.ReportID, "<> "),
		f.Policy.Domain,
		fmt.Sprint(f.Metadata.Begin.Unix()), fmt.Sprint(f.Metadata.End.Unix()),
	}, "\n")
}
