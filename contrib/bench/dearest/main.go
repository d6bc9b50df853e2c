// Dearest searches for the message that costs most for its size, method by method, and writes the
// table of DEAREST.md. "make bench-dearest" runs it. A message is grown from a small grammar
// (recipe.go), changed one or two choices at a time, and the dearer of two is kept; the budget is a
// number of messages, so that a run can be repeated.
package main

import (
	"flag"
	"fmt"
	"os"
	"runtime"
	"strings"
)

func main() {
	var o options
	flag.StringVar(&o.out, "out", "contrib/bench/DEAREST.md", "the file with the table")
	flag.StringVar(&o.mailseal, "mailseal", "bin/mailseal",
		"the build that the dearest messages are sent to; \"\" for none")
	flag.StringVar(&o.only, "only", "",
		"only the methods with this in their name; the file is not written then")
	flag.StringVar(&o.keep, "keep", "", "directory for the dearest messages")
	flag.IntVar(&o.count, "count", 120, "messages to try for each method")
	flag.Uint64Var(&o.seed, "seed", 1, "where the search begins")
	flag.Parse()
	if err := run(o); err != nil {
		fmt.Fprintln(os.Stderr, "dearest:", err)
		os.Exit(1)
	}
}

// options is the command line.
type options struct {
	out, mailseal, only, keep string
	count                     int
	seed                      uint64
}

func run(o options) error {
	runtime.GOMAXPROCS(1) // what is measured is the processor time of the process
	l, err := newLab()
	if err != nil {
		return err
	}
	var all []finding
	for _, m := range methods {
		if !strings.Contains(m.name, o.only) {
			continue
		}
		f, err := l.search(m, o)
		if err != nil {
			return fmt.Errorf("%s: %w", m.name, err)
		}
		fmt.Fprintln(os.Stderr, f)
		all = append(all, f)
	}
	if o.mailseal != "" {
		if err := l.sendAll(o.mailseal, all); err != nil {
			return err
		}
	}
	if o.only != "" {
		return nil
	}
	return os.WriteFile(o.out, report(o, all), 0o644)
}
