package domains

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"strings"

	"mailseal/cmd/mailseal/answer"
	"mailseal/cmd/mailseal/check"
	"mailseal/milter/domain"
)

// The forms in which results are printed.
const (
	Text       = "text"
	JSON       = "json"
	Prometheus = "prometheus"
)

// Request is the request of a "mailseal domain" command.
type Request struct {
	Options
	Names   []string
	Clients []string // Addresses as they were written, to be added to these
	Format  string   // Text, JSON or Prometheus; "" is Text
	Strict  bool     // a warning is a bad answer, too
	// results of an earlier run in the JSON form: say what has changed since; nil for none
	Before   []byte
	Rate     float64   // questions a second; 0 for as many as there are
	Progress io.Writer // told of every hundredth domain; nil for none
	Pace     Clock     // nil is the host's
}

// Run checks the domains one after the other and prints each result. The error says which answer it
// is: bad with a mistake in any domain, unknown where something could not be found out.
func (q Request) Run(ctx context.Context, out io.Writer) error {
	names, err := q.read()
	if err != nil {
		return err
	}
	before, err := readBefore(q.Before)
	if err != nil {
		return answer.NewUsage(err)
	}
	q.pace()
	if q.Random == "" {
		q.Random = "x" + strings.ToLower(rand.Text()[:15])
	}
	if q.Format == Prometheus {
		if _, err := io.WriteString(out, prometheusHead); err != nil {
			return answer.NewUnknown(err)
		}
	}
	q.known = keyring{}
	kind := answer.Good
	for i, name := range names {
		r := Check(ctx, name, q.Options)
		if err := ctx.Err(); err != nil {
			return answer.NewUnknown(err)
		}
		if err := q.print(out, r, before[name.String()], i); err != nil {
			return answer.NewUnknown(err)
		}
		kind = answer.Worst(kind, q.kind(r))
		if n := i + 1; q.Progress != nil && (n%100 == 0 || n == len(names) && n > 100) {
			fmt.Fprintf(q.Progress, "mailseal: %d of %d domains checked\n", n, len(names))
		}
	}
	if kind == answer.Good {
		return nil
	}
	return answer.New(kind, nil)
}

// read understands what the user wrote.
func (q *Request) read() ([]domain.Name, error) {
	if len(q.Names) == 0 {
		return nil, answer.NewUsage(errors.New("give a domain, or a file with domains with --file"))
	}
	for _, a := range q.Clients {
		addr, err := netip.ParseAddr(a)
		if err != nil {
			return nil, answer.NewUsage(fmt.Errorf("--address: %q is not an IP address, such as "+
				"192.0.2.1", a))
		}
		q.Addresses = append(q.Addresses, addr.Unmap())
	}
	if !slices.Contains([]string{"", Text, JSON, Prometheus}, q.Format) {
		return nil, answer.NewUsage(fmt.Errorf(
			`--format is %q; it must be "text", "json" or "prometheus"`, q.Format))
	}
	for _, s := range q.Selectors {
		if _, err := domain.ParseSelector(s); err != nil {
			return nil, answer.NewUsage(fmt.Errorf("--selector: %w", err))
		}
	}
	return parseAll(q.Names)
}

func parseAll(names []string) ([]domain.Name, error) {
	var out []domain.Name
	for _, n := range names {
		name, err := domain.ParseMail(n)
		if err != nil {
			return nil, answer.NewUsage(err)
		}
		out = append(out, name)
	}
	return out, nil
}

// Canonical puts names in the form in which they are compared, in place.
func Canonical(names []string) error {
	for i, n := range names {
		name, err := domain.ParseMail(n)
		if err != nil {
			return err
		}
		names[i] = name.String()
	}
	return nil
}

func (q Request) kind(r Result) answer.Kind {
	switch {
	case r.Count(check.Unknown) > 0:
		return answer.Unknown
	case r.Count(check.Error) > 0, q.Strict && r.Count(check.Warning) > 0:
		return answer.Bad
	}
	return answer.Good
}

func (q Request) print(out io.Writer, r Result, before *earlier, i int) error {
	switch {
	case q.Before != nil:
		return r.writeChanges(out, before, q.Format == JSON)
	case q.Format == JSON:
		return json.NewEncoder(out).Encode(r)
	case q.Format == Prometheus:
		return r.writePrometheus(out)
	case i > 0:
		if _, err := fmt.Fprintln(out); err != nil {
			return err
		}
	}
	return r.Write(out)
}

// ReadNames reads a list of domains, one a line; blank lines and what follows a # are skipped. The
// error names the file and the lines with what is not a domain.
func ReadNames(file, text string) ([]string, error) {
	var out []string
	var errs []error
	number := 0
	for line := range strings.Lines(text) {
		number++
		line, _, _ = strings.Cut(line, "#")
		name := strings.TrimSpace(line)
		if name == "" {
			continue
		}
		if _, err := domain.ParseMail(name); err != nil && len(errs) < wrongNames {
			errs = append(errs, fmt.Errorf("%s:%d: %w", file, number, err))
		}
		out = append(out, name)
	}
	return out, errors.Join(errs...)
}

// wrongNames is how many mistakes in a list are reported at a time.
const wrongNames = 10
