package tables

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// row is a line of a signing table, or a part of one: a regular expression may stand for several
// patterns.
type row struct {
	Place
	pattern
	key    string // the key's name; "%" is the author's domain
	signer string // the i= tag, "" for none
	order  int    // the line's place in the table
}

// signs is what a row makes: two rows that make the same can be in one rule.
func (r row) signs() string { return r.key + "\x00" + r.signer }

// rule is a line of Mailseal's table: whose mail, and the row whose key signs it, which stands for
// others like it.
type rule struct {
	row
	from   []pattern
	places []Place
}

// signingRows reads a signing table, and tells what is odd about its lines.
func signingRows(d *Dataset, tell Tell) ([]row, error) {
	var rows []row
	seen := map[string]Place{}
	for i, rec := range d.Records {
		key, signer, _ := strings.Cut(rec.Value, ":")
		if key == "" && d.Kind == Refile {
			tell("line-without-key-crash", rec.Place, rec.Key)
			continue
		}
		r := row{Place: rec.Place, key: key, signer: signer, order: i}
		if d.Kind == Refile {
			more, err := refileRows(rec, r, tell)
			if err != nil {
				return nil, err
			}
			rows = append(rows, more...)
			continue
		}
		p, ok := fileKey(rec.Key)
		if !ok {
			warnNeverUsed(rec, tell)
			continue
		}
		if before, twice := seen[p.String()]; twice {
			tell("line-twice", rec.Place, rec.Key, before.Line)
			continue
		}
		seen[p.String()] = rec.Place
		r.pattern = p
		rows = append(rows, r)
	}
	return rows, nil
}

// warnNeverUsed reports a line of a table that is not a refile, and has no effect.
func warnNeverUsed(rec Record, tell Tell) {
	user, name, ok := strings.Cut(rec.Key, "@")
	if ok && user == "*" && IsDomain(strings.ToLower(name)) {
		tell("line-never-looked-star", rec.Place, rec.Key, name)
		return
	}
	tell("line-never-looked", rec.Place, rec.Key)
}

func refileRows(rec Record, r row, tell Tell) ([]row, error) {
	found, ok, err := Globs(rec.Key)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", rec.Place, err)
	}
	if hasRegex(rec.Key) && ok {
		tell("line-regex", rec.Place, rec.Key, Shorten(found))
	}
	var rows []row
	narrowed := !ok
	for _, g := range found {
		ps, less := globKey(g)
		narrowed = narrowed || less
		for _, p := range ps {
			r.pattern = p
			rows = append(rows, r)
		}
	}
	switch {
	case narrowed && len(rows) == 0:
		tell("line-glob", rec.Place, rec.Key)
	case narrowed:
		tell("line-glob-narrowed", rec.Place, rec.Key, Shorten(patternTexts(rows)))
	case len(rows) == 0:
		tell("line-refile-domain", rec.Place, rec.Key)
	}
	return rows, nil
}

// reachable leaves out what earlier lines of a refile take whole.
func reachable(rows []row, tell Tell) []row {
	seen := newRowSet()
	var out []row
	for _, r := range rows {
		before := seen.holding(r.pattern)
		if len(before) == 0 {
			seen.add(r)
			out = append(out, r)
		} else if first := before[0].Place; first != r.Place {
			tell("line-never-reached", r.Place, r.pattern, first.Line)
		}
	}
	return out
}

func patternTexts(rows []row) []string {
	var out []string
	for _, r := range rows {
		out = append(out, r.pattern.String())
	}
	return out
}

// Shorten lists a few of many.
func Shorten(texts []string) string {
	const few = 6
	if len(texts) > few {
		return strings.Join(texts[:few], ", ") + fmt.Sprintf(" and %d more", len(texts)-few)
	}
	return strings.Join(texts, ", ")
}

// inOrder returns rows in the order in which OpenDKIM's lookup finds them.
func inOrder(k Kind, rows []row) []row {
	rows = slices.Clone(rows)
	if k != Refile {
		slices.SortStableFunc(rows, func(a, b row) int { return cmp.Compare(a.rank(), b.rank()) })
	}
	return rows
}

// merge makes rules of rows, those that make the same signature in one: neighbours, or, where rows
// are ordered by rank, all of one rank, since no sender is in two of them.
func merge(rows []row, ranked bool) []rule {
	var out []rule
	at := map[string]int{} // what a rule signs → its place in out, from 1
	for i, r := range rows {
		newRank := i > 0 && r.rank() != rows[i-1].rank()
		if !ranked && at[r.signs()] != len(out) || ranked && newRank {
			clear(at)
		}
		n := at[r.signs()]
		if n == 0 {
			out = append(out, rule{row: r})
			n = len(out)
			at[r.signs()] = n
		}
		to := &out[n-1]
		to.from = append(to.from, r.pattern)
		if !slices.Contains(to.places, r.Place) {
			to.places = append(to.places, r.Place)
		}
	}
	return out
}

// distinct leaves one row of those that make the same signature.
func distinct(rows []row) []row {
	seen := map[string]bool{}
	var out []row
	for _, r := range rows {
		if !seen[r.signs()] {
			seen[r.signs()] = true
			out = append(out, r)
		}
	}
	return out
}

// Addresses returns the address patterns in a set of addresses, and reports the records
// that match no address. In a file each record is a whole address; in a refile "*" matches
// any text.
func (d *Dataset) Addresses(tell Tell) ([]string, error) {
	var out []string
	for _, r := range d.Records {
		if d.Kind != Refile {
			if p, ok := fileKey(r.Key); ok && p.local != "*" && p.domain != "" && !p.below {
				out = append(out, p.String())
			} else {
				tell("recipient-pattern", r.Place, r.Key)
			}
			continue
		}
		rows, err := refileRows(r, row{Place: r.Place}, tell)
		if err != nil {
			return nil, err
		}
		out = append(out, patternTexts(rows)...)
	}
	return out, nil
}
