package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// starts measures the time from start to the first connection with many keys, each in a file of its own. All files hold
// the same key: who reads them cannot know.
func (b *bench) starts(r *report) error {
	pem, err := os.ReadFile(b.rsaFile)
	if err != nil {
		return err
	}
	for _, n := range []int{1, 1000, 10000} {
		dir := filepath.Join(b.dir, fmt.Sprintf("keys-%d", n))
		if err := os.Mkdir(dir, 0o700); err != nil {
			return err
		}
		for i := range n {
			if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("%d.pem", i)), pem, 0o600); err != nil {
				return err
			}
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
		p.stop()
		all = append(all, took.Seconds())
	}
	return spread(all, same).median, nil
}

func (b *bench) startWithKeys(r *report, s server, dir string, n int) (*process, time.Duration, error) {
	switch s.name {
	case "plain":
		return b.startMailseal("many", r.options.plain, manyKeys(dir, n))
	case "release":
		return b.startMailseal("many", r.options.release, manyKeys(dir, n))
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

func manyKeys(dir string, n int) string {
	var t strings.Builder
	for i := range n {
		fmt.Fprintf(&t, "[keys.\"mail._domainkey.d%d.example\"]\nfile = %q\n", i, filepath.Join(dir, fmt.Sprintf("%d.pem", i)))
	}
	t.WriteString("[[sign]]\nfrom = [\"*\"]\nkeys = [\"mail._domainkey.%\"]\n")
	return t.String()
}

func openDKIMManyKeys(dir string, n int) (string, error) {
	var keyTable, signingTable strings.Builder
	for i := range n {
		fmt.Fprintf(&keyTable, "k%d d%d.example:mail:%s/%d.pem\n", i, i, dir, i)
		fmt.Fprintf(&signingTable, "d%d.example k%d\n", i, i)
	}
	kt, st := filepath.Join(dir, "KeyTable"), filepath.Join(dir, "SigningTable")
	if err := writeOnce(kt, []byte(keyTable.String())); err != nil {
		return "", err
	}
	return "Mode s\nKeyTable " + kt + "\nSigningTable " + st + "\n", writeOnce(st, []byte(signingTable.String()))
}
