// Package keyring implements "mailseal keys", "mailseal keygen" and "mailseal sql-import": it makes
// keys, lists them, moves them through their stages, puts them into a database, and prints what to
// publish and what each key waits for.
package keyring

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"mailseal/cmd/mailseal/answer"
	"mailseal/cmd/mailseal/assembly"
	"mailseal/cmd/mailseal/publish"
	"mailseal/config"
	"mailseal/keys"
	"mailseal/keys/keylife"
	"mailseal/milter/dns"
	"mailseal/milter/domain"
	"mailseal/milter/keydns"
	"mailseal/milter/rotation"
)

// Options say which name servers are asked, and how answers are printed.
type Options struct {
	Zone     dns.Resolver // answers all questions instead of name servers; nil: none
	ZoneName string
	Servers  []string // addresses or names, instead of those of the configuration or of the domain
	// age of a key at which the next takes over, such as "90d"; "": rotation.every
	Every  string
	Format string // of records: zone, line, nsupdate, json or none
	JSON   bool   // one JSON object a line

	Now func() time.Time // nil: time.Now
}

// Ring is the keys of a state directory, and where a command's answers go.
type Ring struct {
	rotator *rotation.Rotator
	cfg     *config.Config
	o       Options
	out     io.Writer
}

// formats are the values of Options.Format, and what --format names.
var formats = []string{"zone", "line", "nsupdate", "json", "none", ""}

// Open makes the keyring of a configuration.
func Open(ctx context.Context, cfg *config.Config, o Options, out io.Writer) (*Ring, error) {
	if !slices.Contains(formats, o.Format) {
		return nil, answer.NewUsage(fmt.Errorf(
			"--format %q is not one of zone, line, nsupdate, json and none", o.Format))
	}
	r, err := assembly.RotationOptions(cfg)
	if err != nil {
		return nil, answer.NewUnknown(err)
	}
	switch {
	case o.Zone != nil:
		r.Panel = &keydns.Panel{Servers: []keydns.Server{{Name: o.ZoneName, Resolver: o.Zone}}}
	case len(o.Servers) > 0:
		if r.Panel.Servers, err = rotation.Servers(ctx, r.Panel, o.Servers); err != nil {
			return nil, answer.NewUnknown(fmt.Errorf("--server %w", err))
		}
	}
	if o.Every != "" {
		if r.Policy.Every, err = parseAge(o.Every); err != nil {
			return nil, answer.NewUsage(err)
		}
	}
	r.Now = o.Now
	return &Ring{rotator: rotation.New(r), cfg: cfg, o: o, out: out}, nil
}

// Generation configures the keys that "keys generate" makes.
type Generation struct {
	Selector   string   // template of the selectors; "": rotation.selector
	Algorithms []string // none: rotation.algorithms
	Vendor     bool     // the key is a vendor's, at Selector
	Record     string   // text of the vendor's record, if it is known
}

// Generate makes a new generation of keys for a domain, and prints the records to publish.
func (r *Ring) Generate(name string, g Generation) error {
	d, err := domain.ParseMail(name)
	if err != nil {
		return answer.NewUsage(err)
	}
	if err := g.check(); err != nil {
		return answer.NewUsage(err)
	}
	var events []keylife.Event
	if g.Vendor {
		events, err = r.rotator.AddVendor(string(d), g.Selector, g.Record)
	} else {
		events, err = r.rotator.Generate(string(d), r.sized(g.Algorithms), g.Selector)
	}
	switch {
	case errors.Is(err, rotation.ErrRecord):
		return answer.NewBad(fmt.Errorf("--record: %w", err))
	case errors.Is(err, rotation.ErrAlgorithm):
		return answer.NewUsage(fmt.Errorf("--algorithm: %w", err))
	case err != nil:
		return answer.NewFailed(err)
	}
	if err := r.printEvents(events); err != nil {
		return err
	}
	return r.printNext(string(d), g.Vendor)
}

// sized returns algorithms with the size of "rsa", the word of keygen and setup: that of
// rotation.algorithms, or the default.
func (r *Ring) sized(algorithms []string) []string {
	isRSA := func(a string) bool { return strings.HasPrefix(a, "rsa") }
	out := slices.Clone(algorithms)
	for i, a := range out {
		if a != "rsa" {
			continue
		}
		out[i] = fmt.Sprint("rsa", DefaultRSABits)
		if j := slices.IndexFunc(r.cfg.Rotation.Algorithms, isRSA); j >= 0 {
			out[i] = r.cfg.Rotation.Algorithms[j]
		}
	}
	return out
}

// check refuses a combination of flags, or a selector, that cannot be meant.
func (g Generation) check() error {
	switch {
	case g.Vendor && g.Selector == "" || g.Record != "" && !g.Vendor:
		return errors.New("--vendor needs --selector, and --record needs --vendor")
	case g.Vendor:
		if _, err := domain.ParseSelector(g.Selector); err != nil {
			return fmt.Errorf("--selector: %w", err)
		}
	case g.Selector != "":
		if _, err := domain.ParseSelector(g.Selector); err == nil {
			return nil
		}
		if err := config.CheckSelectorTemplate(g.Selector); err != nil {
			return fmt.Errorf("--selector: %w", err)
		}
	}
	return nil
}

// printNext says what to do with keys that have just been made, and when they will sign.
func (r *Ring) printNext(d string, isVendors bool) error {
	if r.o.JSON || r.o.Format == "json" || r.o.Format == "nsupdate" {
		return nil // a program reads it
	}
	text := fmt.Sprintf("The system of the vendor signs with this key. \"mailseal keys publish-check "+
		"%s\" and \"mailseal check --dns\" check its record.", d)
	if !isVendors {
		hasSigned, err := r.rotator.HasSigned(d)
		if err != nil {
			return answer.NewUnknown(err)
		}
		text = r.whenTheySign(d, hasSigned)
		if lines := r.configure(d); lines != "" {
			text = lines + "\n\n" + text
		}
	}
	fmt.Fprintf(r.out, "\n%s\n", publish.Note(text, publish.Columns(r.out)))
	return nil
}

// whenTheySign says what happens to new keys of a domain, and when.
func (r *Ring) whenTheySign(d string, hasSigned bool) string {
	if !hasSigned {
		const soon = "Publish the records now. The daemon checks every minute, and signs with a key " +
			"as soon as all name servers show its record."
		rule := slices.IndexFunc(r.cfg.Sign, signsFor(d))
		switch {
		case rule < 0:
			return soon
		case r.cfg.Sign[rule].FirstKey == config.FirstKeyDefer:
			return soon + " Until then mail that the rule matches is deferred (first_key)."
		}
		return soon + " Until then mail that the rule matches goes unsigned (first_key)."
	}
	runs := "Run \"mailseal keys rotate\", or the timer mailseal-rotate.timer, which"
	if r.cfg.Rotation.Every > 0 {
		runs = "The daemon (rotation.every)"
	}
	return fmt.Sprintf("Publish the records now. The present keys continue to sign. %s signs with the new "+
		"ones when all name servers have shown their records for %s (rotation.publish).", runs,
		config.Days(r.cfg.Rotation.Publish))
}

// isManaged reports whether a rule signs with the managed keys of a domain.
func (r *Ring) isManaged(d string) bool {
	return slices.ContainsFunc(r.cfg.Sign, signsFor(d))
}

// signsFor returns whether a rule signs with the managed keys of a domain.
func signsFor(d string) func(config.Rule) bool {
	return func(rule config.Rule) bool {
		return rule.Managed == "%" || domain.ASCII(rule.Managed) == d
	}
}

// PublishCheck compares keys, all of them for no name, with what each name server shows; those that
// all of them show become published. Force is a reason to take keys for published although the DNS
// does not show them.
func (r *Ring) PublishCheck(ctx context.Context, names []string, force string) error {
	seen, done, err := r.rotator.PublishCheck(ctx, names, force)
	for _, k := range seen {
		if err := r.printSeen(k); err != nil {
			return answer.NewUnknown(err)
		}
	}
	return r.finish(done, err)
}

// Rotate takes the steps that are due, and prints what the keys wait for. If a server that does not
// answer prevents a step, the error is an unknown answer.
func (r *Ring) Rotate(ctx context.Context, domains []string) error {
	done, err := r.rotator.Rotate(ctx, domains)
	return r.finish(done, err)
}

// Move takes a step, one of rotation.StepNames, with the keys named by record or by domain. Force
// is a reason to take it although the DNS is not ready or it is too early.
func (r *Ring) Move(ctx context.Context, verb string, names []string, force string) error {
	done, err := r.rotator.Move(ctx, verb, names, force)
	return r.finish(done, err)
}

// finish prints what a command did, and makes its answer.
func (r *Ring) finish(done rotation.Done, err error) error {
	switch {
	case errors.Is(err, rotation.ErrUnknown):
		return answer.NewUnknown(err)
	case err != nil:
		return answer.NewBad(err)
	}
	if err := r.printEvents(done.Events); err != nil {
		return err
	}
	if done.Silent && !r.o.JSON {
		fmt.Fprintln(r.out,
			"What the name servers show could not be found out. If no name server was found, "+
				"check the domain's delegation (NS records) and this host's resolver, or name "+
				"the servers with --server. If some do not answer for long, use --server to query "+
				"only the others, or set rotation.may_be_silent to the number of servers that may "+
				"be down.")
	}
	switch {
	case done.Refused:
		return answer.NewBad(nil)
	case done.Silent:
		return answer.NewUnknown(nil)
	}
	return nil
}

// formatted returns a record as the user wants it, with a final line feed.
func (r *Ring) formatted(record keys.Record) (string, error) {
	if record.Text == "" && r.o.Format != "none" && r.o.Format != "json" {
		// of a vendor's key: an empty record would replace the one that is published
		return "", nil
	}
	switch r.o.Format {
	case "zone":
		return record.Zone(), nil
	case "line":
		return record.Line() + "\n", nil
	case "nsupdate":
		return record.NSUpdate(), nil
	case "json":
		text, err := json.Marshal(record)
		return string(text) + "\n", err
	}
	return "", nil // "none"
}

// printEvents says what was done and what the keys wait for.
func (r *Ring) printEvents(events []keylife.Event) error {
	for _, e := range events {
		if r.o.JSON {
			if err := json.NewEncoder(r.out).Encode(e); err != nil {
				return answer.NewUnknown(err)
			}
			continue
		}
		if err := r.printEvent(e); err != nil {
			return err
		}
	}
	return nil
}

func (r *Ring) printEvent(e keylife.Event) error {
	fmt.Fprintln(r.out, e.Name, eventText(e))
	if e.Remove && r.o.Format == "nsupdate" {
		fmt.Fprint(r.out, deleteCommand(e.Name))
	}
	if e.Publish == nil {
		return nil
	}
	text, err := r.formatted(*e.Publish)
	if err != nil {
		return err
	}
	if e.Publish.Text == "" && r.o.Format == "zone" {
		text = "  the vendor publishes this record; its text is not known here (give it with --record)\n"
	}
	fmt.Fprint(r.out, text)
	return nil
}

func eventText(e keylife.Event) string {
	var said []string
	if e.Step != "" {
		said = append(said, "is now "+string(e.Step))
	}
	if e.Stays != "" {
		said = append(said, "stays "+string(e.Stays)+": "+e.Waits)
	} else if e.Waits != "" {
		said = append(said, e.Waiting())
	}
	text := strings.Join(said, ", ")
	if e.Note != "" {
		text = strings.TrimSpace(text + " (" + e.Note + ")")
	}
	return text
}

// seenJSON is what "publish-check --json" says of a key.
type seenJSON struct {
	Name    string       `json:"name"`
	Stage   keys.Stage   `json:"stage"`
	Sight   keys.Sight   `json:"sight"`
	Error   string       `json:"error,omitempty"` // why no server could be asked
	Servers []serverJSON `json:"servers"`
}

type serverJSON struct {
	Server   string           `json:"server"`
	State    keydns.State     `json:"state"`
	Findings []keydns.Finding `json:"findings,omitempty"`
}

// printSeen says what each server shows of a key.
func (r *Ring) printSeen(k rotation.Seen) error {
	if r.o.JSON {
		return json.NewEncoder(r.out).Encode(newSeenJSON(k))
	}
	fmt.Fprintf(r.out, "%s (%s):\n", k.Name(), k.Stage)
	if k.Err != nil {
		fmt.Fprintf(r.out, "  could not find out: %s\n", answer.Text(k.Err))
	}
	for _, s := range k.Servers {
		fmt.Fprintf(r.out, "  %s: %s\n", s.Server, s.View.State)
		for _, finding := range s.View.Findings {
			fmt.Fprintf(r.out, "    %s\n", finding.Text)
		}
	}
	return nil
}

func newSeenJSON(k rotation.Seen) seenJSON {
	out := seenJSON{Name: k.Name(), Stage: k.Stage, Sight: k.Sight, Servers: []serverJSON{}}
	if k.Err != nil {
		out.Error = k.Err.Error()
	}
	for _, s := range k.Servers {
		out.Servers = append(out.Servers, serverJSON{s.Server, s.View.State, s.View.Findings})
	}
	return out
}
