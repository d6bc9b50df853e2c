package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"mailseal/keys"
	"mailseal/keys/keylife"
	"mailseal/milter/domain"
	"mailseal/milter/keydns"
)

// keysFlags is what all commands below "mailseal keys" have.
type keysFlags struct {
	config  string
	zone    string
	servers []string
	force   string
	format  string
	json    bool
}

func newKeysCmd() *cobra.Command {
	var f keysFlags
	cmd := &cobra.Command{
		Use:   "keys",
		Short: "Make, publish, use and retire keys, each step when the DNS is ready for it",
		Long: `Keys leads keys through their lives: generated, published, active, retiring, revoked, removed. It keeps them in the
state directory and publishes nothing itself: it prints the records, and looks at the name servers, those of --server
or rotation.servers or else all authoritative ones of the domain. A step that the DNS is not ready for is refused, and
told which server shows what; --force gives a reason to make it all the same, which is recorded. A server that does not
answer stops a step like one that disagrees, since nobody knows what it shows, and the exit code is 3 then:
rotation.may_be_silent allows for some, --server asks others. Rules sign with the active keys of a domain by the setting
managed.

From nothing: keys generate DOMAIN; publish the records; keys rotate DOMAIN, by hand or by timer, does the rest and says
what it waits for. Exit codes: 0 good, 1 a step was refused, 3 the name servers did not answer.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	flags := cmd.PersistentFlags()
	flags.StringVarP(&f.config, "config", "c", "", "configuration file (default "+defaultConfig+")")
	flags.StringVar(&f.zone, "zone", "", "answer all DNS questions from this zone file")
	flags.StringSliceVar(&f.servers, "server", nil, "ask these name servers, by address or name, instead of rotation.servers")
	flags.BoolVar(&f.json, "json", false, "print one JSON object a line")
	cmd.AddCommand(newKeysListCmd(&f), newKeysGenerateCmd(&f), newKeysPublishCheckCmd(&f), newKeysRotateCmd(&f))
	for _, step := range keySteps {
		cmd.AddCommand(newKeysStepCmd(&f, step))
	}
	return cmd
}

// open makes the rotator that a command works with.
func (f *keysFlags) open(ctx context.Context) (*rotator, error) {
	cfg, err := loadConfig(f.config)
	if err != nil {
		return nil, err
	}
	r, err := newRotator(cfg)
	if err != nil {
		return nil, exit(exitUnknown, err)
	}
	if f.zone != "" {
		zone, err := openResolver(f.zone)
		if err != nil {
			return nil, err
		}
		r.panel = &keydns.Panel{Servers: []keydns.Server{{Name: f.zone, Resolver: zone}}}
	} else if len(f.servers) > 0 {
		if err := r.ask(ctx, f.servers); err != nil {
			return nil, exit(exitUnknown, err)
		}
	}
	return r, nil
}

// formatFlag lets records be printed for who is to publish them.
func (f *keysFlags) formatFlag(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.format, "format", "zone", "how to print records: zone, line, nsupdate, json or none")
}

// formatted returns a record as the user wants it, with a final line feed.
func (f *keysFlags) formatted(r keys.Record) (string, error) {
	switch f.format {
	case "zone", "bind":
		return r.Zone(), nil
	case "line":
		return r.Line() + "\n", nil
	case "nsupdate":
		return r.NSUpdate(), nil
	case "json":
		text, err := json.Marshal(r)
		return string(text) + "\n", err
	case "none", "":
		return "", nil
	}
	return "", exit(exitUsage, fmt.Errorf("--format %q is none of zone, line, nsupdate, json and none", f.format))
}

// printEvents says what was done and what is waited for.
func (f *keysFlags) printEvents(out io.Writer, events []keylife.Event) error {
	for _, e := range events {
		if f.json {
			if err := json.NewEncoder(out).Encode(e); err != nil {
				return exit(exitUnknown, err)
			}
			continue
		}
		fmt.Fprintln(out, e.Name, eventText(e))
		if e.Remove && f.format == "nsupdate" {
			fmt.Fprintf(out, "update delete %s. TXT\nsend\n", e.Name)
		}
		if e.Publish == nil {
			continue
		}
		text, err := f.formatted(*e.Publish)
		if err != nil {
			return err
		}
		fmt.Fprint(out, text)
	}
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
		said = append(said, "waits: "+e.Waits)
	}
	if e.Note != "" {
		said = append(said, "("+e.Note+")")
	}
	return strings.Join(said, ", ")
}

// sayWayOut tells somebody at a terminal what to do about a server that is silent.
func (f *keysFlags) sayWayOut(out io.Writer) {
	if !f.json {
		fmt.Fprintln(out, "A name server does not answer. If that lasts: --server asks only those that you name, rotation.may_be_silent lets so many be away.")
	}
}

// generateFlags is the command line of "mailseal keys generate".
type generateFlags struct {
	*keysFlags
	selector   string
	algorithms []string
	vendor     bool
	record     string
}

func newKeysGenerateCmd(shared *keysFlags) *cobra.Command {
	f := generateFlags{keysFlags: shared}
	cmd := &cobra.Command{
		Use:   "generate DOMAIN",
		Short: "Make a new generation of keys for a domain, and print the records to publish",
		Long: `Generate makes a key of each of rotation.algorithms for a domain, with selectors by the template rotation.selector.
With --vendor it makes none: it takes down a selector that somebody else signs with, which we only publish and watch.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return f.run(cmd.Context(), cmd.OutOrStdout(), args[0]) },
	}
	f.formatFlag(cmd)
	cmd.Flags().StringVar(&f.selector, "selector", "", "template of the selectors instead of rotation.selector")
	cmd.Flags().StringSliceVar(&f.algorithms, "algorithm", nil, "rsa2048, rsa3072, rsa4096, ed25519, instead of rotation.algorithms")
	cmd.Flags().BoolVar(&f.vendor, "vendor", false, "the key is a vendor's, at --selector")
	cmd.Flags().StringVar(&f.record, "record", "", "text of the vendor's record, if it is known")
	return cmd
}

func (f *generateFlags) run(ctx context.Context, out io.Writer, name string) error {
	d, err := domain.Parse(name)
	if err != nil {
		return exit(exitUsage, err)
	}
	r, err := f.open(ctx)
	if err != nil {
		return err
	}
	if f.vendor && f.selector == "" || f.record != "" && !f.vendor {
		return exit(exitUsage, errors.New("--vendor needs --selector, and --record needs --vendor"))
	}
	if _, err := f.formatted(keys.Record{}); err != nil {
		return err
	}
	algorithms := f.algorithms
	if len(algorithms) == 0 {
		algorithms = r.policy.Algorithms
	}
	var events []keylife.Event
	err = r.update(func(state *keylife.State) error {
		if f.vendor {
			events, err = r.vendor(state, string(d), f.selector, f.record)
			return err
		}
		waiting := onTheirWay(state, string(d))
		events, err = r.generation(state, string(d), algorithms, f.selector)
		events = append(events, waiting...)
		return err
	})
	if err != nil {
		return exit(exitBad, err)
	}
	return f.printEvents(out, events)
}

// onTheirWay reminds of keys that were made before, and do not sign yet: somebody may have said it twice.
func onTheirWay(state *keylife.State, domain string) []keylife.Event {
	var out []keylife.Event
	for _, k := range state.Of(domain, keys.Generated, keys.Published) {
		if !k.Vendor {
			out = append(out, keylife.Event{Name: k.Name(), Note: fmt.Sprintf("is %s since %s; if it is not needed: mailseal keys remove %s", k.Stage, k.Since.Format("2006-01-02"), k.Name())})
		}
	}
	return out
}

func newKeysPublishCheckCmd(f *keysFlags) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "publish-check [DOMAIN|NAME...]",
		Short: "Compare keys with what each name server shows; those that all of them show become published",
		RunE: func(cmd *cobra.Command, args []string) error {
			r, err := f.open(cmd.Context())
			if err != nil {
				return err
			}
			return f.publishCheck(cmd.Context(), cmd.OutOrStdout(), r, args)
		},
	}
	f.formatFlag(cmd)
	cmd.Flags().StringVar(&f.force, "force", "", "take keys for published although the DNS does not show them, for this reason, which is recorded")
	return cmd
}

func (f *keysFlags) publishCheck(ctx context.Context, out io.Writer, r *rotator, names []string) error {
	v, seen, err := r.view(ctx, names)
	switch {
	case err != nil:
		return exit(exitUnknown, err)
	case len(seen) == 0 && len(names) > 0:
		return exit(exitBad, noKeys(names))
	}
	var events []keylife.Event
	bad, unknown := false, false
	for _, k := range seen {
		if f.force == "" && !isAsWanted(k.Stage, k.sight) {
			bad, unknown = bad || k.sight != keys.SightUnknown, unknown || k.sight == keys.SightUnknown
		}
		if err := f.printSeen(out, k); err != nil {
			return exit(exitUnknown, err)
		}
	}
	err = r.update(func(state *keylife.State) error {
		events = nil
		for _, k := range seen {
			now := state.Find(k.Name())
			if now == nil || now.Stage != keys.Generated {
				continue
			}
			events = append(events, stepEvent(now, keys.Published, state.Move(now, keys.Published, v, f.force)))
		}
		return nil
	})
	if err != nil {
		return exit(exitUnknown, err)
	}
	if err := f.printEvents(out, events); err != nil {
		return err
	}
	bad = bad || f.force != "" && slices.ContainsFunc(events, func(e keylife.Event) bool { return e.Refused })
	if unknown {
		f.sayWayOut(out)
	}
	return exitFor(bad, unknown)
}

// noKeys is the error of a command about keys that there are not.
func noKeys(names []string) error {
	return fmt.Errorf("%s: no such key; see mailseal keys list", strings.Join(names, ", "))
}

// isAsWanted tells whether the DNS shows what it should of a key at its stage.
func isAsWanted(s keys.Stage, sight keys.Sight) bool {
	if s == keys.Revoked {
		return sight == keys.SightRevoked || sight == keys.SightNothing
	}
	return sight == keys.SightKey
}

// stepEvent reports a step, or why it was refused.
func stepEvent(k *keylife.Key, to keys.Stage, refused error) keylife.Event {
	if refused == nil {
		return keylife.Event{Name: k.Name(), Step: to}
	}
	e := keylife.Event{Name: k.Name(), Stays: k.Stage, Waits: keylife.Cause(refused), Refused: true}
	record := k.Record()
	switch to {
	case keys.Published:
		e.Publish = &record
	case keys.Revoked:
		record = k.RevokedRecord()
		e.Publish = &record
	case keys.Removed:
		e.Remove = errors.Is(refused, keys.ErrSight)
	}
	return e
}

// exitFor is the error of a command that found something bad, or could not find out.
func exitFor(bad, unknown bool) error {
	switch {
	case bad:
		return exit(exitBad, nil)
	case unknown:
		return exit(exitUnknown, nil)
	}
	return nil
}

// seenJSON is what "publish-check --json" says of a key.
type seenJSON struct {
	Name    string       `json:"name"`
	Stage   keys.Stage   `json:"stage"`
	Sight   keys.Sight   `json:"sight"`
	Error   string       `json:"error,omitempty"` // why nobody could be asked
	Servers []serverJSON `json:"servers"`
}

type serverJSON struct {
	Server   string           `json:"server"`
	State    keydns.State     `json:"state"`
	Findings []keydns.Finding `json:"findings,omitempty"`
}

// printSeen says what each server shows of a key.
func (f *keysFlags) printSeen(out io.Writer, k seenKey) error {
	if f.json {
		return json.NewEncoder(out).Encode(newSeenJSON(k))
	}
	fmt.Fprintf(out, "%s (%s):\n", k.Name(), k.Stage)
	if k.err != nil {
		fmt.Fprintf(out, "  could not find out: %v\n", k.err)
	}
	for _, s := range k.seen {
		fmt.Fprintf(out, "  %s: %s\n", s.Server, s.View.State)
		for _, finding := range s.View.Findings {
			fmt.Fprintf(out, "    %s\n", finding.Text)
		}
	}
	return nil
}

func newSeenJSON(k seenKey) seenJSON {
	out := seenJSON{Name: k.Name(), Stage: k.Stage, Sight: k.sight, Servers: []serverJSON{}}
	if k.err != nil {
		out.Error = k.err.Error()
	}
	for _, s := range k.seen {
		out.Servers = append(out.Servers, serverJSON{s.Server, s.View.State, s.View.Findings})
	}
	return out
}
