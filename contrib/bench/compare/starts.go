package main

import (
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"mailseal/contrib/bench/measure"
)

// starts measures the time from start to the first connection with many keys, each in a file of its
// own.
func (b *bench) starts(r *report) error {
	for _, n := range []int{1, 1000, 10000} {
		dir, err := b.KeyFiles(n)
		if err != nil {
			return err
		}
		f := finding{what: fmt.Sprintf("start to first connection, keys in files: %d", n)}
		for _, s := range r.servers {
			took, err := b.timeStart(r, s, dir, n)
			if err != nil {
				return err
			}
			f.values = append(f.values, fmt.Sprintf("%.0f ms", took*1000))
		}
		b.log("%s: %s", f.what, strings.Join(f.values, ", "))
		r.extra = append(r.extra, f)
	}
	return nil
}

// timeStart returns the median of three starts, in seconds.
func (b *bench) timeStart(r *report, s server, dir string, n int) (float64, error) {
	var all []float64
	for range 3 {
		p, took, err := b.startWithKeys(r, s, dir, n)
		if err != nil {
			return 0, err
		}
		p.Stop()
		all = append(all, took.Seconds())
	}
	return measure.Spread(all, measure.Same).Median, nil
}

func (b *bench) startWithKeys(r *report, s server, dir string, n int) (*measure.Process,
	time.Duration, error) {
	switch s.name {
	case "plain":
		return b.Mailseal("many", r.options.plain, measure.ManyDomains(dir, n))
	case "release":
		return b.Mailseal("many", r.options.release, measure.ManyDomains(dir, n))
	}
	run, err := openDKIMCommand(r.options.opendkim)
	if err != nil {
		return nil, 0, err
	}
	config, err := openDKIMManyKeys(dir, n)
	if err != nil {
		return nil, 0, err
	}
	return b.startOpenDKIM(run, config)
}

func openDKIMManyKeys(dir string, n int) (string, error) {
	var keyTable, signingTable strings.Builder
	for i := range n {
		fmt.Fprintf(&keyTable, "k%d d%d.example:mail:%s/%d.pem\n", i, i, dir, i)
		fmt.Fprintf(&signingTable, "d%d.example k%d\n", i, i)
	}
	kt, st := filepath.Join(dir, "KeyTable"), filepath.Join(dir, "SigningTable")
	if err := measure.WriteOnce(kt, []byte(keyTable.String())); err != nil {
		return "", err
	}
	return "Mode s\nKeyTable " + kt + "\nSigningTable " + st + "\n",
		measure.WriteOnce(st, []byte(signingTable.String()))
}
