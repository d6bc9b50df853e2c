package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/netip"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"mailseal/cmd/mailseal/assembly"
	"mailseal/milter/dkim"
	"mailseal/milter/dns"
	"mailseal/milter/dns/dnstest"
	"mailseal/milter/message"
	"mailseal/milter/verify"
)

// verifyFlags is the command line of "mailseal verify".
type verifyFlags struct {
	json       bool
	explain    bool
	zone       string
	now        string
	serverName string
	second     bool
	ip         string
	helo       string
	from       string
	to         []string
}

func newVerifyCmd() *cobra.Command {
	var f verifyFlags
	cmd := &cobra.Command{
		Use:   "verify [FILE ...]",
		Short: "Verify messages: DKIM and ARC, and with --ip also SPF, iprev and DMARC",
		Long: `Verify reads messages from files, or one from standard input, and says what the daemon would say of them.
With --ip (and --helo, --from) the message is judged as if it had come from that client.

The exit code is 0 when every message has a signature that passes, 1 when one has none, 3 when the DNS did not answer.`,
		Example: `  mailseal verify message.eml
  mailseal verify --json --zone zone.txt --now 2026-01-31T12:00:00Z *.eml
  mailseal verify --explain --ip 192.0.2.1 --helo mx.example.com --from user@example.com < message.eml`,
		RunE: func(cmd *cobra.Command, files []string) error {
			return f.run(cmd, files)
		},
	}
	flags := cmd.Flags()
	flags.BoolVar(&f.json, "json", false, "one JSON object per message and line")
	flags.BoolVar(&f.explain, "explain", false, "say at length what broke, for whoever has to mend it")
	flags.StringVar(&f.zone, "zone", "", "answer all DNS questions from this zone file")
	flags.StringVar(&f.now, "now", "", "the time at which to judge, as 2026-01-31T12:00:00Z")
	flags.StringVar(&f.serverName, "server-name", "", "authserv-id of the field (default: this host's name)")
	flags.BoolVar(&f.second, "second-opinion", false, "ask an independent implementation of DKIM as well")
	flags.StringVar(&f.ip, "ip", "", "address of the SMTP client")
	flags.StringVar(&f.helo, "helo", "", "what the client said in HELO")
	flags.StringVar(&f.from, "from", "", "envelope sender; empty for a bounce")
	flags.StringArrayVar(&f.to, "to", nil, "envelope recipient")
	return cmd
}

// verified is one message and what was found.
type verified struct {
	file    string
	raw     []byte
	message *message.Message
	results *verify.Results
	field   string // Authentication-Results, unfolded
	second  []opinion
}

func (f *verifyFlags) run(cmd *cobra.Command, files []string) error {
	v, env, err := f.setUp()
	if err != nil {
		return err
	}
	if len(files) == 0 {
		files = []string{"-"}
	}
	worst := exitGood
	for _, file := range files {
		one, err := f.one(cmd.Context(), v, env, file, cmd.InOrStdin())
		if err != nil {
			return exit(exitUnknown, fmt.Errorf("%s: %w", file, err))
		}
		if err := f.print(cmd.OutOrStdout(), one); err != nil {
			return err
		}
		worst = max(worst, one.code())
	}
	if worst != exitGood {
		return exit(worst, nil)
	}
	return nil
}

// setUp makes a Verifier with every method that the command line gives something to judge by.
func (f *verifyFlags) setUp() (*verify.Verifier, *message.Envelope, error) {
	now, err := parseNow(f.now)
	if err != nil {
		return nil, nil, err
	}
	resolver, err := openResolver(f.zone)
	if err != nil {
		return nil, nil, err
	}
	env := &message.Envelope{Helo: f.helo, Sender: trimPath(f.from), Recipients: f.to}
	if f.ip != "" {
		if env.Client, err = netip.ParseAddr(f.ip); err != nil {
			return nil, nil, exit(exitUsage, fmt.Errorf("--ip: %w", err))
		}
	}
	if f.serverName == "" {
		if f.serverName, err = os.Hostname(); err != nil {
			return nil, nil, exit(exitUnknown, err)
		}
	}
	return assembly.NewVerifier(resolver, now), env, nil
}

// openResolver answers from a zone file, or asks the DNS.
func openResolver(zone string) (dns.Resolver, error) {
	if zone == "" {
		r, err := dns.New(dns.Options{})
		if err != nil {
			return nil, exit(exitUnknown, err)
		}
		return r, nil
	}
	file, err := os.Open(zone)
	if err != nil {
		return nil, exit(exitUnknown, err)
	}
	defer file.Close()
	z, err := dnstest.Load(file)
	if err != nil {
		return nil, exit(exitUsage, fmt.Errorf("%s: %w", zone, err))
	}
	return z, nil
}

func (f *verifyFlags) one(ctx context.Context, v *verify.Verifier, env *message.Envelope, file string, stdin io.Reader) (*verified, error) {
	raw, err := readInput(file, stdin)
	if err != nil {
		return nil, err
	}
	out := &verified{file: file, raw: raw}
	var run *verify.Run
	out.message, err = message.Read(bytes.NewReader(raw), maxHeader, func(h message.Header) []message.BodyHash {
		// Without a client there is nothing that SPF could be asked about, and DMARC would judge half of the evidence.
		run = v.Begin(env, h, !env.Client.IsValid())
		return run.BodyHashes()
	})
	if err != nil {
		return nil, err
	}
	out.results = run.Results(ctx, out.message)
	out.field = out.results.Field(f.serverName, "").Payload()
	if f.second {
		out.second = out.secondOpinion(ctx, v.Resolver)
	}
	return out, nil
}

func readInput(file string, stdin io.Reader) ([]byte, error) {
	if file == "-" {
		return io.ReadAll(stdin)
	}
	return os.ReadFile(file)
}

// crlf returns a message with CRLF line ends.
func crlf(raw []byte) []byte {
	return bytes.ReplaceAll(bytes.ReplaceAll(raw, []byte("\r\n"), []byte("\n")), []byte("\n"), []byte("\r\n"))
}

// code is the exit code that one message asks for.
func (o *verified) code() int {
	switch best := o.results.BestDKIM(); dkim.Value(best) {
	case dkim.Pass:
		return exitGood
	case dkim.TempError:
		return exitUnknown
	}
	return exitBad
}

// trimPath removes the angle brackets of a path.
func trimPath(s string) string { return strings.TrimSuffix(strings.TrimPrefix(s, "<"), ">") }

// print writes one message's results for a script or for people.
func (f *verifyFlags) print(w io.Writer, o *verified) error {
	switch {
	case f.json:
		return json.NewEncoder(w).Encode(o.json())
	case f.explain:
		return explain(w, o)
	}
	return o.text(w)
}

func (o *verified) text(w io.Writer) error {
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s\n", o.file)
	if len(o.results.DKIM) == 0 {
		fmt.Fprintf(&b, "  dkim   none: the message has no signature\n")
	}
	for _, r := range o.results.DKIM {
		fmt.Fprintf(&b, "  dkim   %s", r.Value)
		if r.Domain != "" {
			fmt.Fprintf(&b, "  %s (selector %s, %s, %d bits, %s)", r.Domain, r.Selector, r.Algorithm, r.Bits, r.Canonicalization)
		}
		if r.Reason != "" {
			fmt.Fprintf(&b, ": %s", r.Reason)
		}
		fmt.Fprintln(&b)
	}
	for _, s := range o.second {
		fmt.Fprintf(&b, "  second opinion  %s\n", s)
	}
	o.methods(&b)
	fmt.Fprintf(&b, "  Authentication-Results: %s\n", o.field)
	_, err := w.Write(b.Bytes())
	return err
}

// methods writes the results beside DKIM, a line each.
func (o *verified) methods(b *bytes.Buffer) {
	r := o.results
	if r.SPF != nil {
		fmt.Fprintf(b, "  spf    %s  %s: %s\n", r.SPF.Value, r.SPF.Domain, r.SPF.Reason)
	}
	if r.TellsHELO() {
		fmt.Fprintf(b, "  helo   %s  %s: %s\n", r.HELO.Value, r.HELO.Domain, r.HELO.Reason)
	}
	if r.IPRev != nil {
		fmt.Fprintf(b, "  iprev  %s  %s %s\n", r.IPRev.Value, r.IPRev.Name, r.IPRev.Reason)
	}
	if r.ARC != nil && r.ARC.Value != "none" {
		fmt.Fprintf(b, "  arc    %s  %d sets %s\n", r.ARC.Value, len(r.ARC.Sets), r.ARC.Reason)
	}
	if r.DMARC != nil {
		fmt.Fprintf(b, "  dmarc  %s  %s: %s\n", r.DMARC.Value, r.Author, r.DMARC.Reason)
	}
	if r.AuthorErr != nil {
		fmt.Fprintf(b, "  from   %v\n", r.AuthorErr)
	}
}
