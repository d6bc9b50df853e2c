// Growth measures what a message costs Mailseal as one thing grows: its body, its header, its
// signatures, the open connections, the keys. It draws a curve for each, and says where a curve is
// steeper than a straight line. "make bench-growth" runs it.
package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"mailseal/contrib/bench/measure"
)

func main() {
	var o options
	flag.StringVar(&o.mailseal, "mailseal", "bin/mailseal",
		"the build that is measured, and drives")
	flag.StringVar(&o.out, "out", "contrib/bench", "directory for GROWTH.md and its pictures")
	flag.StringVar(&o.only, "only", "",
		"only what has this in its name; GROWTH.md is not written then")
	flag.StringVar(&o.schema, "schema", "contrib/sql/sqlite.sql",
		"the tables of a database with keys")
	flag.IntVar(&o.rounds, "rounds", 3, "how often each point is measured; the median counts")
	flag.Parse()
	if err := grow(o); err != nil {
		fmt.Fprintln(os.Stderr, "growth:", err)
		os.Exit(1)
	}
}

// options is the command line.
type options struct {
	mailseal, out, only, schema string
	rounds                      int
}

// growth is what the studies share.
type growth struct {
	*measure.Bench
	options
}

// studies are what grows, in the order of GROWTH.md. Each draws one or more charts.
var studies = []struct {
	name  string
	study func(*growth) ([]*chart, error)
}{
	{"body", (*growth).bodies},
	{"fields", (*growth).fields},
	{"signatures", (*growth).signatures},
	{"connections", (*growth).connections},
	{"keys", (*growth).keys},
}

func grow(o options) error {
	r, err := measure.New(o.mailseal)
	if err != nil {
		return err
	}
	defer r.Close()
	g := &growth{r, o}
	var all []*chart
	for _, s := range studies {
		if !strings.Contains(s.name, o.only) {
			continue
		}
		charts, err := s.study(g)
		if err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
		}
		for _, c := range charts {
			if err := c.draw(o.out); err != nil {
				return err
			}
			fmt.Fprint(os.Stderr, c.text())
		}
		all = append(all, charts...)
	}
	if o.only != "" {
		return nil
	}
	return os.WriteFile(filepath.Join(o.out, "GROWTH.md"), report(o, all), 0o644)
}
