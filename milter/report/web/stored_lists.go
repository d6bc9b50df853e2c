package web

import (
	"bytes"
	"cmp"
	"compress/gzip"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"strings"
	"time"

	"mailseal/milter/report/advice"
)

// published is a policy as reports name it.
type published struct{ Domain, P, SP, NP, ADKIM, ASPF, Testing string }

// step returns the rung of the ladder. An unknown word is none: it protects nothing.
func (p published) step() advice.Step {
	testing := p.Testing == "y"
	switch p.P {
	case "quarantine":
		if testing {
			return advice.QuarantineTest
		}
		return advice.Quarantine
	case "reject":
		if testing {
			return advice.RejectTest
		}
		return advice.Reject
	}
	return advice.None
}

// text is the record as far as reports tell it; they do not tell rua.
func (p published) text() string {
	out := "v=DMARC1; p=" + cmp.Or(p.P, "none")
	for _, tag := range []struct{ name, value, usual string }{{"sp", p.SP, p.P}, {"np", p.NP, cmp.Or(p.SP, p.P)}, {"adkim", p.ADKIM, "r"},
		{"aspf", p.ASPF, "r"}, {"t", p.Testing, "n"}} {
		if tag.value != "" && tag.value != tag.usual {
			out += "; " + tag.name + "=" + tag.value
		}
	}
	return out
}

// span is a time in which reports named a policy.
type span struct {
	policy      published
	begin, last int64
}

// policies returns the policies of each domain in the order in which reports first named them.
func (v *view) policies(ctx context.Context) (map[string][]span, error) {
	out := map[string][]span{}
	type row struct {
		domain, begin, last int64
		text                string
	}
	var list []row
	err := v.each(ctx, `SELECT domain, policy, MIN(begins), MAX(begins) FROM in_report WHERE configured = 1 AND counted = 1
		GROUP BY domain, policy ORDER BY MIN(begins)`, nil, func(rows *sql.Rows) error {
		var r row
		err := rows.Scan(&r.domain, &r.text, &r.begin, &r.last)
		list = append(list, r)
		return err
	})
	if err != nil {
		return nil, err
	}
	for _, r := range list {
		n, err := v.name(ctx, r.domain)
		if err != nil {
			return nil, err
		}
		var p published
		if json.Unmarshal([]byte(r.text), &p) != nil {
			continue
		}
		spans := out[n]
		if k := len(spans) - 1; k >= 0 && spans[k].policy.text() == p.text() {
			spans[k].last = max(spans[k].last, r.last)
			continue
		}
		out[n] = append(spans, span{p, r.begin, r.last})
	}
	return out, nil
}

// Domains implements Reader.
func (s *Stored) Domains(ctx context.Context) ([]Domain, error) {
	var out []Domain
	err := s.view(ctx, func(v *view) error {
		spans, err := v.policies(ctx)
		if err != nil {
			return err
		}
		names := slices.Clone(s.Names)
		for n := range spans {
			names = append(names, n)
		}
		slices.Sort(names)
		for _, n := range slices.Compact(names) {
			out = append(out, domainOf(n, spans[n]))
		}
		return nil
	})
	return out, err
}

func domainOf(n string, spans []span) Domain {
	d := Domain{Name: n}
	if len(spans) == 0 {
		return d
	}
	now := spans[0]
	for _, x := range spans {
		if x.last >= now.last {
			now = x
		}
	}
	d.Known, d.First = true, advice.DayOf(unix(spans[0].begin))
	d.Policy = advice.Policy{Step: now.policy.step(), Since: advice.DayOf(unix(now.begin)), Text: now.policy.text(),
		ADKIM: cmp.Or(now.policy.ADKIM, "r"), ASPF: cmp.Or(now.policy.ASPF, "r"), SP: now.policy.SP, NP: now.policy.NP}
	return d
}

// Events implements Reader: the changes of policies that reports show.
func (s *Stored) Events(ctx context.Context, f Filter) ([]Event, error) {
	var out []Event
	err := s.view(ctx, func(v *view) error {
		spans, err := v.policies(ctx)
		if err != nil {
			return err
		}
		for n, list := range spans {
			if f.Domains != nil && !slices.Contains(f.Domains, n) {
				continue
			}
			for i := 1; i < len(list); i++ {
				at := unix(list[i].begin)
				if day := advice.DayOf(at); day < f.From || day > f.To {
					continue
				}
				out = append(out, Event{Domain: n, At: at, Kind: "policy",
					Text: "policy changed from " + list[i-1].policy.step().String() + " to " + list[i].policy.step().String()})
			}
		}
		return nil
	})
	slices.SortFunc(out, func(a, b Event) int { return cmp.Or(a.At.Compare(b.At), cmp.Compare(a.Domain, b.Domain)) })
	return out, err
}

// Sources implements Reader.
func (s *Stored) Sources(ctx context.Context, f Filter) ([]Address, error) {
	var out []Address
	err := s.view(ctx, func(v *view) error {
		w, err := v.conditions(ctx, Filter{From: f.From, To: f.To, Domains: f.Domains, Addresses: f.Addresses, AllBut: f.AllBut},
			"x.day", "x.domain", "", "x.source")
		if err != nil {
			return err
		}
		type row struct {
			domain, first, last int64
			ip, ptr             string
		}
		var list []row
		err = v.each(ctx, `SELECT x.domain, s.ip, s.ptr, MIN(x.day), MAX(x.day) FROM in_day_source x JOIN in_source s ON s.id = x.source
			WHERE `+w.String()+` GROUP BY x.domain, s.ip, s.ptr ORDER BY x.domain, s.ip`, w.values, func(rows *sql.Rows) error {
			var r row
			err := rows.Scan(&r.domain, &r.ip, &r.ptr, &r.first, &r.last)
			list = append(list, r)
			return err
		})
		if err != nil {
			return err
		}
		for _, r := range list {
			a := Address{Reverse: r.ptr, First: advice.Day(r.first), Last: advice.Day(r.last)}
			a.IP, _ = netip.ParseAddr(r.ip)
			if a.Domain, err = v.name(ctx, r.domain); err != nil {
				return err
			}
			a.Network = slices.ContainsFunc(s.Networks, func(p netip.Prefix) bool { return p.Contains(a.IP) })
			out = append(out, a)
		}
		return nil
	})
	return out, err
}

// rare are the facts of a record that few have.
type rare struct {
	DKIM, SPF, Disposition string
	Reasons                []Reason
}

// Records implements Reader.
func (s *Stored) Records(ctx context.Context, f Filter, win Window) ([]Record, error) {
	var out []Record
	err := s.view(ctx, func(v *view) error {
		var err error
		out, err = v.records(ctx, f, win)
		return err
	})
	return out, err
}

func (v *view) records(ctx context.Context, f Filter, win Window) ([]Record, error) {
	w, err := v.recordConditions(ctx, f)
	if err != nil {
		return nil, err
	}
	if f.Report != 0 { // the records of one report are shown whether they count or not
		w.parts = slices.DeleteFunc(w.parts, func(p string) bool { return p == "p.counted = 1" })
	}
	w.outcomes(f)
	type row struct {
		r                                               Record
		domain, source, from, envelope, authset, result int64
		facts                                           string
	}
	var list []row
	query := `SELECT x.report, x.n, x.day, x.domain, r.key, x.source, x.messages, x.outcome, x.header_from, x.envelope_from, x.authset, x.facts
		FROM in_record x JOIN in_report p ON p.id = x.report JOIN in_reporter r ON r.id = p.reporter
		WHERE ` + w.String() + ` ORDER BY x.day DESC, x.report DESC, x.n`
	if win.Rows > 0 {
		query += fmt.Sprintf(" LIMIT %d OFFSET %d", win.Rows, win.Offset)
	}
	err = v.each(ctx, query, w.values, func(rows *sql.Rows) error {
		var r row
		err := rows.Scan(&r.r.Report, &r.r.N, &r.r.Day, &r.domain, &r.r.Receiver, &r.source, &r.r.Count, &r.result, &r.from, &r.envelope, &r.authset, &r.facts)
		list = append(list, r)
		return err
	})
	if err != nil {
		return nil, err
	}
	var out []Record
	for _, r := range list {
		if r.r.Domain, err = v.name(ctx, r.domain); err != nil {
			return nil, err
		}
		o := outcome(r.result)
		var id Identity
		if err := v.identify(ctx, &id, r.source, r.from, r.envelope, r.authset); err != nil {
			return nil, err
		}
		r.r.Address, r.r.From, r.r.Envelope, r.r.SPFResult, r.r.Signatures = id.Address, id.From, id.Envelope, id.SPF, id.DKIM
		var facts rare
		if r.facts != "" {
			_ = json.Unmarshal([]byte(r.facts), &facts) // what is rare may be missing
		}
		passed := map[bool]string{true: "pass", false: "fail"}
		r.r.DKIM, r.r.SPF = cmp.Or(facts.DKIM, passed[o.dkim()]), cmp.Or(facts.SPF, passed[o.spf()])
		r.r.Disposition, r.r.Reasons = cmp.Or(facts.Disposition, actions[o.action()]), facts.Reasons
		if len(r.r.Reasons) == 0 && o.reason() != 0 {
			r.r.Reasons = []Reason{{Type: reasons[o.reason()]}}
		}
		out = append(out, r.r)
	}
	return out, nil
}

// outcomes adds the outcomes that f selects, of the 64 that there are.
func (w *where) outcomes(f Filter) {
	var list []int64
	for o := range outcome(64) {
		if f.keeps(o) {
			list = append(list, int64(o))
		}
	}
	if len(list) < 64 {
		w.in("x.outcome", "", list)
	}
}

const reportFields = `p.id, r.key, COALESCE(NULLIF(r.org, ''), r.key), r.email, p.report_id, d.name,
	p.begins, p.ends, p.received, p.counted, p.trust, p.version, p.namespace,
	p.generator, p.policy, p.notes, p.records, p.messages`

const reportTables = ` FROM in_report p JOIN in_reporter r ON r.id = p.reporter JOIN in_name d ON d.id = p.domain `

func scanReport(rows interface{ Scan(...any) error }) (Report, error) {
	var r Report
	var begin, end, received, counted int64
	var version, namespace, policy, notes string
	err := rows.Scan(&r.ID, &r.Receiver, &r.Org, &r.Email, &r.ReportID, &r.Domain, &begin, &end, &received, &counted, &r.Trust, &version, &namespace,
		&r.Generator, &policy, &notes, &r.Records, &r.Messages)
	r.Begin, r.End, r.Received, r.Trusted = unix(begin), unix(end), unix(received), counted == 1
	r.Format = strings.TrimSpace(version + " " + namespace)
	var p published
	if json.Unmarshal([]byte(policy), &p) == nil {
		r.Policy = p.text()
	}
	r.Notes = notesOf(notes)
	return r, err
}

// notesOf returns what was odd about a report.
func notesOf(text string) []Note {
	var x struct {
		Notes   []struct{ Code, Text string }
		Refused []struct {
			Row, Line int
			Why       string
		}
		Cut    string
		Errors []string
	}
	if text == "" || json.Unmarshal([]byte(text), &x) != nil {
		return nil
	}
	var out []Note
	for _, n := range x.Notes {
		out = append(out, Note{Code: n.Code, Title: "read nevertheless", Text: n.Text})
	}
	for _, n := range x.Refused {
		out = append(out, Note{Code: fmt.Sprintf("row %d", n.Row), Title: "not counted", Text: fmt.Sprintf("line %d: %s", n.Line, n.Why)})
	}
	if x.Cut != "" {
		out = append(out, Note{Code: "cut", Title: "ends early", Text: x.Cut})
	}
	for _, e := range x.Errors {
		out = append(out, Note{Code: "error", Title: "said by the reporter", Text: e})
	}
	return out
}

// Reports implements Reader.
func (s *Stored) Reports(ctx context.Context, f Filter, win Window) ([]Report, int64, error) {
	var out []Report
	var n int64
	err := s.view(ctx, func(v *view) error {
		w, err := v.reportConditions(ctx, f)
		if err != nil {
			return err
		}
		if err := v.tx.QueryRowContext(ctx, "SELECT COUNT(*)"+reportTables+"WHERE "+w.String(), w.values...).Scan(&n); err != nil {
			return fmt.Errorf("web: %w", err)
		}
		query := "SELECT " + reportFields + reportTables + "WHERE " + w.String() + " ORDER BY p.received DESC, p.id DESC"
		if win.Rows > 0 {
			query += fmt.Sprintf(" LIMIT %d OFFSET %d", win.Rows, win.Offset)
		}
		err = v.each(ctx, query, w.values, func(rows *sql.Rows) error {
			r, err := scanReport(rows)
			out = append(out, r)
			return err
		})
		if err != nil {
			return err
		}
		return v.passes(ctx, out)
	})
	return out, n, err
}

func (v *view) reportConditions(ctx context.Context, f Filter) (where, error) {
	w, err := v.conditions(ctx, Filter{Domains: f.Domains, Receiver: f.Receiver}, "", "p.domain", "p.reporter", "")
	if f.From != 0 {
		w.add("p.begins >= ?", f.From.Time().Unix())
	}
	if f.To != 0 {
		w.add("p.begins < ?", (f.To + 1).Time().Unix())
	}
	return w, err
}

// passes counts what passed of each report.
func (v *view) passes(ctx context.Context, reports []Report) error {
	for i := range reports {
		err := v.tx.QueryRowContext(ctx, "SELECT COALESCE(SUM(messages), 0) FROM in_record WHERE report = $1 AND outcome % 4 <> 0", reports[i].ID).
			Scan(&reports[i].Pass)
		if err != nil {
			return fmt.Errorf("web: %w", err)
		}
	}
	return nil
}

// Report implements Reader.
func (s *Stored) Report(ctx context.Context, id int64) (Report, []Record, error) {
	var out Report
	var records []Record
	err := s.view(ctx, func(v *view) error {
		var err error
		out, err = scanReport(v.tx.QueryRowContext(ctx, "SELECT "+reportFields+reportTables+"WHERE p.id = $1", id))
		if errors.Is(err, sql.ErrNoRows) {
			return ErrNotFound
		}
		if err != nil {
			return fmt.Errorf("web: %w", err)
		}
		list := []Report{out}
		if err := v.passes(ctx, list); err != nil {
			return err
		}
		out = list[0]
		records, err = v.records(ctx, Filter{Report: id}, Window{})
		slices.SortStableFunc(records, func(a, b Record) int { return cmp.Compare(a.N, b.N) })
		return err
	})
	return out, records, err
}

// rawBound is how much of a report is unpacked; intake refuses more.
const rawBound = 64 << 20

// Raw implements Reader.
func (s *Stored) Raw(ctx context.Context, id int64) ([]byte, error) {
	var packed []byte
	err := s.view(ctx, func(v *view) error {
		err := v.tx.QueryRowContext(ctx, "SELECT w.data FROM in_report p JOIN in_raw w ON w.id = p.raw WHERE p.id = $1", id).Scan(&packed)
		if errors.Is(err, sql.ErrNoRows) || err == nil && packed == nil {
			return ErrNotFound
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	z, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		return nil, fmt.Errorf("web: report %d as received: %w", id, err)
	}
	return io.ReadAll(io.LimitReader(z, rawBound))
}

// Receivers implements Reader.
func (s *Stored) Receivers(ctx context.Context, f Filter) ([]Reporter, error) {
	var out []Reporter
	err := s.view(ctx, func(v *view) error {
		w, err := v.reportConditions(ctx, f)
		if err != nil {
			return err
		}
		w.parts = append(w.parts, "p.configured = 1")
		days := map[[2]string]map[advice.Day]bool{}
		at := map[[2]string]int{}
		return v.each(ctx, "SELECT d.name, r.key, p.begins, p.ends, p.received, p.counted, p.messages, p.version, p.namespace"+reportTables+
			"WHERE "+w.String()+" ORDER BY p.begins", w.values, func(rows *sql.Rows) error {
			var p Reporter
			var begin, end, received, counted int64
			var version, namespace string
			if err := rows.Scan(&p.Domain, &p.Receiver, &begin, &end, &received, &counted, &p.Messages, &version, &namespace); err != nil {
				return err
			}
			k := [2]string{p.Domain, p.Receiver}
			i, has := at[k]
			if !has {
				i = len(out)
				at[k], days[k] = i, map[advice.Day]bool{}
				out = append(out, Reporter{Domain: p.Domain, Receiver: p.Receiver})
			}
			days[k][advice.DayOf(unix(begin))] = true
			x := &out[i]
			x.Days = len(days[k])
			if counted == 1 {
				x.Messages += p.Messages
			}
			x.Last, x.LastReceived, x.Trusted = advice.DayOf(unix(begin)), unix(received), counted == 1
			x.Delay, x.Format = unix(received).Sub(unix(end)), strings.TrimSpace(version+" "+namespace)
			return nil
		})
	})
	slices.SortFunc(out, func(a, b Reporter) int {
		return cmp.Or(cmp.Compare(b.Messages, a.Messages), cmp.Compare(a.Receiver, b.Receiver), cmp.Compare(a.Domain, b.Domain))
	})
	return out, err
}

// Rules implements Reader.
func (s *Stored) Rules(ctx context.Context) ([]Rule, error) {
	var out []Rule
	err := s.view(ctx, func(v *view) error {
		return v.each(ctx, "SELECT id, domain, subject, class, name, made, made_by FROM in_rule ORDER BY made DESC, id DESC", nil, func(rows *sql.Rows) error {
			var r Rule
			var subject, class, label string
			var made int64
			if err := rows.Scan(&r.ID, &r.Domain, &subject, &class, &label, &made, &r.By); err != nil {
				return err
			}
			r.Class, r.At, r.Source = advice.Class(class), unix(made), cmp.Or(label, strings.TrimPrefix(subject, "."))
			if p, err := netip.ParsePrefix(subject); err == nil {
				r.Net, r.Source = p, ""
			} else if a, err := netip.ParseAddr(subject); err == nil {
				r.Net, r.Source = netip.PrefixFrom(a, a.BitLen()), ""
			}
			out = append(out, r)
			return nil
		})
	})
	return out, err
}

// listed bounds the lists of the page of reports in.
const listedRows = 200

// Intake implements Reader.
func (s *Stored) Intake(ctx context.Context, now time.Time) (Intake, error) {
	var in Intake
	today := advice.DayOf(now)
	begin := today.Time().Unix()
	err := s.view(ctx, func(v *view) error {
		perDay := map[advice.Day]int64{}
		var earlier int64
		err := v.each(ctx, "SELECT received FROM in_report WHERE received >= $1", []any{begin - 29*86400}, func(rows *sql.Rows) error {
			var at int64
			if err := rows.Scan(&at); err != nil {
				return err
			}
			d := advice.DayOf(unix(at))
			perDay[d]++
			if d < today && d >= today-14 && at%86400 <= now.Unix()%86400 {
				earlier++
			}
			in.Last = time.Unix(max(at, in.Last.Unix()), 0).UTC()
			return nil
		})
		if err != nil {
			return err
		}
		in.Today, in.Usual = perDay[today], earlier/14
		for d := today - 29; d <= today; d++ {
			in.Days = append(in.Days, DayCount{d, perDay[d]})
		}
		if err := v.kinds(ctx, &in, begin-29*86400); err != nil {
			return err
		}
		return v.strangers(ctx, &in)
	})
	if in.Last.Unix() <= 0 {
		in.Last = time.Time{}
	}
	return in, err
}

func (v *view) kinds(ctx context.Context, in *Intake, since int64) error {
	err := v.each(ctx, "SELECT kind, COUNT(*) FROM in_raw WHERE received >= $1 GROUP BY kind", []any{since}, func(rows *sql.Rows) error {
		var kind string
		var n int64
		err := rows.Scan(&kind, &n)
		switch kind {
		case "failure":
			in.Failures = n
		case "tls":
			in.TLS = n
		}
		return err
	})
	if err != nil {
		return err
	}
	return v.each(ctx, "SELECT id, received, kind, error, trust_domain, name, size FROM in_raw WHERE error <> '' ORDER BY received DESC LIMIT $1",
		[]any{int64(listedRows)}, func(rows *sql.Rows) error {
			var e Failure
			var at int64
			err := rows.Scan(&e.ID, &at, &e.Code, &e.Why, &e.From, &e.Subject, &e.Length)
			e.At = unix(at)
			in.Errors = append(in.Errors, e)
			return err
		})
}

// strangers lists reporters that do not count, and domains that are not configured.
func (v *view) strangers(ctx context.Context, in *Intake) error {
	return v.each(ctx, `SELECT r.key, COALESCE(w.trust_domain, ''), d.name, p.configured, COUNT(*), MIN(p.received)`+
		` FROM in_report p JOIN in_reporter r ON r.id = p.reporter JOIN in_name d ON d.id = p.domain LEFT JOIN in_raw w ON w.id = p.raw
		WHERE p.counted = 0 AND p.variant_of IS NULL GROUP BY r.key, w.trust_domain, d.name, p.configured ORDER BY MIN(p.received) DESC LIMIT $1`,
		[]any{int64(listedRows)}, func(rows *sql.Rows) error {
			var u Stranger
			var configured, since int64
			if err := rows.Scan(&u.Org, &u.From, &u.Domain, &configured, &u.Reports, &since); err != nil {
				return err
			}
			u.Since = unix(since)
			if configured == 0 {
				in.Others = append(in.Others, u)
			} else {
				in.Unverified = append(in.Unverified, u)
			}
			return nil
		})
}

// Outgoing implements Reader: what is sent is not shown.
func (s *Stored) Outgoing(context.Context, time.Time) (Outgoing, error) {
	return Outgoing{}, ErrNotFound
}
