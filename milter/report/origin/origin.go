// Package origin finds out where the addresses are that reports name: their reverse names from the
// DNS, their networks and countries from databases that the administrator supplies. It runs beside
// the intake, a bounded number of addresses at a time, and never while a report is stored.
package origin

import (
	"context"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/oschwald/maxminddb-golang/v2"

	"mailseal/milter/dns"
	"mailseal/milter/iprev"
	"mailseal/milter/report/store"
)

// Bounds of one run, and how long its answers are good for.
const (
	maxRun    = 1000            // addresses
	maxAtOnce = 8               // lookups
	maxTime   = 4 * time.Minute // for all; the rest is looked up by the next run
	wait      = 10 * time.Second
	recent    = 90 * 24 * time.Hour // addresses of older mail alone are not looked up
	fresh     = 30 * 24 * time.Hour
	retry     = 24 * time.Hour // after a lookup that failed
)

// Finder finds out where addresses are.
type Finder struct {
	Store     *store.Store
	Resolver  dns.Resolver // nil: the DNS is not asked
	Databases []string     // paths of files in the format of MaxMind (.mmdb)
	Now       func() time.Time
}

// Run looks up the addresses that are due. It returns how many it looked up. Files are opened for
// each run, so that one that was replaced is read; the error names one that cannot be.
func (f *Finder) Run(ctx context.Context) (int, error) {
	now := f.Now()
	due, err := f.Store.Unlocated(ctx, now.Add(-recent), now.Add(-fresh), maxRun)
	if err != nil || len(due) == 0 {
		return 0, err
	}
	files, err := open(f.Databases)
	if err != nil {
		return 0, err
	}
	defer files.close()
	done, unknown := f.look(ctx, due, files)
	if err := f.Store.Locate(ctx, now, done); err != nil {
		return 0, err
	}
	return len(done) + len(unknown), f.Store.Locate(ctx, now.Add(retry-fresh), unknown)
}

// look asks for each address. unknown are those for which the DNS did not answer.
func (f *Finder) look(ctx context.Context, due []netip.Addr, files databases) (done,
	unknown []store.Origin) {
	ctx, cancel := context.WithTimeout(ctx, maxTime)
	defer cancel()
	var mu sync.Mutex
	var all sync.WaitGroup
	slots := make(chan struct{}, maxAtOnce)
	for _, a := range due {
		select {
		case slots <- struct{}{}:
		case <-ctx.Done():
		}
		if ctx.Err() != nil {
			break
		}
		all.Go(func() {
			defer func() { <-slots }()
			o := files.find(a)
			name, known := f.reverse(ctx, a)
			o.Reverse = name
			mu.Lock()
			defer mu.Unlock()
			if known {
				done = append(done, o)
			} else {
				unknown = append(unknown, o)
			}
		})
	}
	all.Wait()
	return done, unknown
}

// reverse returns the confirmed name of an address, "" for none; known is false if the DNS did not
// tell. Addresses that are not public have no name that means anything to others.
func (f *Finder) reverse(ctx context.Context, a netip.Addr) (name string, known bool) {
	if f.Resolver == nil || !a.IsGlobalUnicast() || a.IsPrivate() {
		return "", true
	}
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	switch r := iprev.Check(ctx, f.Resolver, a); r.Value {
	case iprev.Pass:
		return strings.TrimSuffix(strings.ToLower(r.Name), "."), true
	case iprev.Temperror:
		return "", false
	}
	return "", true
}

// databases are open files.
type databases []*maxminddb.Reader

func open(paths []string) (databases, error) {
	var out databases
	for _, p := range paths {
		r, err := maxminddb.Open(p)
		if err != nil {
			out.close()
			return nil, &FileError{p, err}
		}
		out = append(out, r)
	}
	return out, nil
}

// FileError names a database that cannot be read.
type FileError struct {
	Path string
	Err  error
}

// Error implements error.
func (e *FileError) Error() string {
	return "address database " + e.Path + ": " + e.Err.Error() + "; it must be a file in " +
		"MaxMind's format (.mmdb)"
}

// Unwrap returns why.
func (e *FileError) Unwrap() error { return e.Err }

// Check reports whether the databases can be read.
func Check(paths []string) error {
	files, err := open(paths)
	files.close()
	return err
}

func (d databases) close() {
	for _, r := range d {
		r.Close()
	}
}

// find looks an address up in all files. The first one that knows something wins.
func (d databases) find(a netip.Addr) store.Origin {
	o := store.Origin{Address: a}
	for _, r := range d {
		var record map[string]any
		if err := r.Lookup(a).Decode(&record); err != nil {
			continue // of a network that the file describes in another way: the others may know
		}
		fill(&o, record)
	}
	return o
}

// fill takes what a record says: the fields of MaxMind and DB-IP, or those of IPinfo.
func fill(o *store.Origin, record map[string]any) {
	country, _ := record["country"].(map[string]any)
	for _, code := range []any{country["iso_code"], record["country_code"], record["country"]} {
		if text, ok := code.(string); ok && len(text) == 2 && o.Country == "" {
			o.Country = strings.ToUpper(text)
		}
	}
	if o.ASN != 0 {
		return
	}
	for _, name := range []string{"autonomous_system_organization", "as_name", "as_organization",
		"organization"} {
		if text, ok := record[name].(string); ok && o.Network == "" {
			o.Network = text[:min(len(text), 200)]
		}
	}
	for _, name := range []string{"autonomous_system_number", "asn", "as_number"} {
		if n := number(record[name]); n > 0 && o.ASN == 0 {
			o.ASN = n
		}
	}
}

// number reads 64496 or "AS64496".
func number(v any) int64 {
	switch n := v.(type) {
	case uint64:
		return int64(n & (1<<32 - 1))
	case string:
		out, err := strconv.ParseUint(strings.TrimPrefix(strings.ToUpper(n), "AS"), 10, 32)
		if err == nil {
			return int64(out)
		}
	}
	return 0
}
