package opendkim

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// row is a line of a signing table, or a part of one: a regular expression may stand for several patterns.
type row struct {
	place
	pattern
	key    string // the key's name; "%" is the author's domain
	signer string // the i= tag, "" for none
	order  int    // the line's place in the table
}

// signs is what a row makes: two rows that make the same can stand in one rule.
func (r row) signs() string { return r.key + "\x00" + r.signer }

// rule is a line of Mailseal's table: whose mail, and the rows whose keys sign it.
type rule struct {
	from []pattern
	rows []row
	lost []row // those that OpenDKIM up to 2.11 does not sign with: all but the first and the last
}

// maxRules bounds what several signatures a message may multiply a table to.
const maxRules = 200_000

var errTooManyRules = errors.New("with MultipleSignatures the table becomes too many rules: sign each sender by one line, or name users without *")

// signingRows reads a signing table, and tells what is odd about its lines.
func signingRows(d *dataset, tell teller) ([]row, error) {
	var rows []row
	seen := map[string]place{}
	for i, rec := range d.records {
		key, signer, _ := strings.Cut(rec.value, ":")
		if key == "" && d.kind == refile {
			tell(Never, rec.place, "%s names no key: OpenDKIM breaks down over mail that fits it; here later lines sign it, or none does", rec.key)
			continue
		}
		r := row{place: rec.place, key: key, signer: signer, order: i}
		if d.kind == refile {
			more, err := refileRows(rec, r, tell)
			if err != nil {
				return nil, err
			}
			rows = append(rows, more...)
			continue
		}
		p, ok := fileKey(rec.key)
		if !ok {
			tell(Never, rec.place, "%s", neverLooked(rec.key))
			continue
		}
		if before, twice := seen[p.String()]; twice {
			tell(Never, rec.place, "%s stands in line %d already, and only the first counts", rec.key, before.line)
			continue
		}
		seen[p.String()] = rec.place
		r.pattern = p
		rows = append(rows, r)
	}
	return rows, nil
}

// neverLooked says why a line of a table that is not a refile has no effect.
func neverLooked(key string) string {
	if user, name, ok := strings.Cut(key, "@"); ok && user == "*" && isDomain(strings.ToLower(name)) {
		return fmt.Sprintf("%s matches nobody: only refile: knows *; %s alone is everybody in the domain, and then signs mail that OpenDKIM left unsigned", key, name)
	}
	return key + " matches nobody: it is none of user@domain, domain, user@.parent, .parent, user@* and *"
}

func refileRows(rec record, r row, tell teller) ([]row, error) {
	found, ok, err := globs(rec.key)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", rec.place, err)
	}
	if hasRegex(rec.key) && ok {
		tell(Taken, rec.place, "%s is a regular expression in OpenDKIM, though its manual knows * only; it stands for %s", rec.key, shorten(found))
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
		tell(Dropped, rec.place, "%s has no equal among Mailseal's patterns: name the domains; until then later lines sign this mail, or none does", rec.key)
	case narrowed:
		tell(Changed, rec.place, "%s also matched names of others that only begin or end alike: Mailseal signs for %s only", rec.key, shorten(patternTexts(rows)))
	case len(rows) == 0:
		tell(Never, rec.place, "%s matches nobody: a line of a refile: must match the whole of user@domain", rec.key)
	}
	return rows, nil
}

// reachable leaves out what earlier lines of a refile take whole.
func reachable(rows []row, tell teller) []row {
	seen := newRowSet()
	var out []row
	for _, r := range rows {
		before := seen.holding(r.pattern)
		if len(before) == 0 {
			seen.add(r)
			out = append(out, r)
		} else if first := before[0].place; first != r.place {
			tell(Never, r.place, "%s is never reached: line %d takes it, and the first line that fits signs (MultipleSignatures takes all)", r.pattern, first.line)
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

// shorten lists a few of many.
func shorten(texts []string) string {
	const few = 6
	if len(texts) > few {
		return strings.Join(texts[:few], ", ") + fmt.Sprintf(" and %d more", len(texts)-few)
	}
	return strings.Join(texts, ", ")
}

// compile turns a table into rules of which the first that fits signs just as OpenDKIM's look-up would.
func compile(k kind, rows []row, multiple bool) ([]rule, error) {
	if multiple {
		return compileMultiple(k, rows)
	}
	if k != refile {
		rows = slices.Clone(rows)
		slices.SortStableFunc(rows, func(a, b row) int { return cmp.Compare(a.rank(), b.rank()) })
	}
	rules := make([]rule, 0, len(rows))
	for _, r := range rows {
		rules = append(rules, rule{from: []pattern{r.pattern}, rows: []row{r}})
	}
	return merge(rules, k != refile), nil
}

// compileMultiple makes a rule for each set of senders that the patterns of the table and their intersections tell
// apart, from the narrowest to the widest, with the keys of all rows that hold the set.
func compileMultiple(k kind, rows []row) ([]rule, error) {
	all := newRowSet()
	for _, r := range rows {
		all.add(r)
	}
	sets, err := intersections(all)
	if err != nil {
		return nil, err
	}
	rules := make([]rule, 0, len(sets))
	for _, p := range sets {
		out := rule{from: []pattern{p}, rows: all.holding(p)}
		slices.SortStableFunc(out.rows, func(a, b row) int {
			if k == refile {
				return cmp.Compare(a.order, b.order)
			}
			return cmp.Compare(a.rank(), b.rank())
		})
		if n := len(out.rows); n > 2 {
			out.lost = slices.DeleteFunc(distinct(out.rows), func(r row) bool { return r.signs() == out.rows[0].signs() || r.signs() == out.rows[n-1].signs() })
		}
		rules = append(rules, out)
	}
	return merge(rules, true), nil
}

// intersections returns the patterns and all that some of them have in common, from the narrowest to the widest.
func intersections(rows *rowSet) ([]pattern, error) {
	by, sets := rows.by, map[pattern]bool{}
	for p := range by {
		sets[p] = true
	}
	meet := meetUsers
	if len(rows.globs) > 0 {
		meet = meetAll
	}
	if err := meet(sets); err != nil {
		return nil, err
	}
	out := make([]pattern, 0, len(sets))
	for p := range sets {
		out = append(out, p)
	}
	first := func(p pattern) int {
		if rows := by[p]; len(rows) > 0 {
			return rows[0].order
		}
		return len(by)
	}
	slices.SortFunc(out, func(a, b pattern) int {
		return cmp.Or(cmp.Compare(a.rank(), b.rank()), cmp.Compare(a.breadth(), b.breadth()), cmp.Compare(first(a), first(b)), cmp.Compare(a.String(), b.String()))
	})
	return out, nil
}

// meetUsers adds what two patterns have in common to sets without globs: users of a part of the DNS, in a part of it.
func meetUsers(sets map[pattern]bool) error {
	var general, users []pattern
	for p := range sets {
		switch {
		case p.local == "*":
			general = append(general, p)
		case p.domain == "" || p.below: // or it is within whatever it meets
			users = append(users, p)
		}
	}
	for n, u := range users {
		if (n+1)*len(general) > 100*maxRules {
			return errTooManyRules
		}
		for _, g := range general {
			if u.domainHolds(g) {
				sets[pattern{u.local, g.domain, g.below}] = true
			}
		}
		if len(sets) > maxRules {
			return errTooManyRules
		}
	}
	return nil
}

// maxMeetings bounds how often two patterns of a table with globs are compared.
const maxMeetings = 1_000_000

// meetAll adds what any patterns have in common. Where two overlap, one's domain is the other's or within it: it is enough
// that each looks at the wider places.
func meetAll(sets map[pattern]bool) error {
	users := map[pattern][]string{} // of a place
	todo := slices.Collect(maps.Keys(sets))
	for _, p := range todo {
		at := pattern{domain: p.domain, below: p.below}
		users[at] = append(users[at], p.local)
	}
	for work := 0; len(todo) > 0; todo = todo[1:] {
		p := todo[0]
		for _, at := range p.places() {
			for _, user := range users[at] {
				found, ok := meet(p.local, user)
				if work++; !ok || work > maxMeetings || len(sets) > maxRules {
					return errTooManyRules
				}
				for _, u := range found {
					if f := (pattern{u, p.domain, p.below}); !sets[f] {
						sets[f] = true
						todo = append(todo, f)
					}
				}
			}
		}
	}
	return nil
}

// merge joins rules that make the same signatures: neighbours, or, where rules are ordered by rank, all of one rank, since
// no sender is in two of them but for globs of users.
func merge(rules []rule, ranked bool) []rule {
	var out []rule
	at := map[string]int{}
	for i, r := range rules {
		signs := ""
		for _, row := range r.rows {
			signs += row.signs() + "\x01"
		}
		newRank := i > 0 && r.from[0].rank() != rules[i-1].from[0].rank()
		inOrder := !ranked || r.from[0].isGlob()
		if inOrder && len(out) > 0 && at[signs] != len(out) || ranked && newRank {
			clear(at)
		}
		if n := at[signs]; n > 0 {
			out[n-1].from = append(out[n-1].from, r.from...)
			out[n-1].rows = append(out[n-1].rows, r.rows...)
			continue
		}
		out = append(out, r)
		at[signs] = len(out)
	}
	for i := range out {
		out[i].rows = distinct(out[i].rows)
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
