package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"mailseal/cmd/mailseal/assembly"
	"mailseal/keys"
	"mailseal/milter/action"
	"mailseal/milter/message"
	"mailseal/milter/sign"
)

// maxHeader bounds the header of a message that a command reads: the default of limits.header_size.
const maxHeader = 1 << 20

// signFlags is the command line of "mailseal sign".
type signFlags struct {
	config           string
	domain           string
	selectors        []string
	keyFiles         []string
	canonicalization string
	now              string
}

func newSignCmd() *cobra.Command {
	var f signFlags
	cmd := &cobra.Command{
		Use:   "sign [--config FILE | --domain D --selector S --key FILE ...] < message",
		Short: "Sign a message from standard input",
		Long: `Sign reads a message from standard input and writes it, signed, to standard output. Line ends stay as they came.
Keys and rules are those of the configuration; or name a domain, and a selector and a key file for each signature.
When no rule matches the author, or there is none, nothing is written and the exit code is 1. It is 3 when a rule matches
and the message could not be signed, and when the configuration could not be read: do not send the message then.`,
		Example: `  mailseal sign --config /etc/mailseal/mailseal.toml < message > signed
  mailseal sign --domain example.com --selector mail --key mail.pem < message > signed`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return f.run(cmd.Context(), cmd.InOrStdin(), cmd.OutOrStdout())
		},
	}
	cmd.Flags().StringVarP(&f.config, "config", "c", "", "configuration file (default "+defaultConfig+")")
	cmd.Flags().StringVar(&f.domain, "domain", "", "domain that signs: the d= tag")
	cmd.Flags().StringArrayVar(&f.selectors, "selector", nil, "selector: the s= tag; one for each --key")
	cmd.Flags().StringArrayVar(&f.keyFiles, "key", nil, "file of a private key; one signature for each")
	cmd.Flags().StringVar(&f.canonicalization, "canonicalization", "", `of header and body, such as "relaxed/simple"`)
	cmd.Flags().StringVar(&f.now, "now", "", "time of the signature, as 2026-01-31T12:00:00Z")
	cmd.MarkFlagsRequiredTogether("domain", "selector", "key")
	cmd.MarkFlagsMutuallyExclusive("config", "domain")
	return cmd
}

func (f *signFlags) run(ctx context.Context, in io.Reader, out io.Writer) error {
	signer, err := f.signer(ctx)
	if err != nil {
		return couldNot(err)
	}
	raw, err := io.ReadAll(in)
	if err != nil {
		return exit(exitUnknown, err)
	}
	signed, err := signText(ctx, signer, raw)
	if err != nil {
		return err
	}
	_, err = out.Write(signed)
	return err
}

// couldNot turns exit code 1 into 3. From sign, 1 means that nothing asks for a signature, and a script then sends the
// message as it is; a configuration with mistakes or a key that cannot be read must not look like that.
func couldNot(err error) error {
	var e *exitError
	if errors.As(err, &e) && e.code != exitBad {
		return err
	}
	return exit(exitUnknown, err)
}

// signer is the configuration's, or one of a single rule that the command line makes.
func (f *signFlags) signer(ctx context.Context) (*sign.Signer, error) {
	now, err := parseNow(f.now)
	if err != nil {
		return nil, err
	}
	s, err := f.table(ctx)
	if err != nil {
		return nil, err
	}
	s.Now = now
	if f.canonicalization == "" {
		return s, nil
	}
	h, b, err := message.ParseCanonicalization(f.canonicalization)
	if err != nil {
		return nil, exit(exitUsage, err)
	}
	for i := range s.Table.Rules() {
		o := &s.Table.Rules()[i].Options
		o.SimpleHeader, o.SimpleBody = h == message.Simple, b == message.Simple
	}
	return s, nil
}

func (f *signFlags) table(ctx context.Context) (*sign.Signer, error) {
	if f.domain == "" {
		cfg, err := loadConfig(f.config)
		if err != nil {
			return nil, err
		}
		s, err := assembly.NewSigner(ctx, cfg)
		if err != nil {
			return nil, exit(exitBad, err)
		}
		return s, nil
	}
	if len(f.selectors) != len(f.keyFiles) {
		return nil, exit(exitUsage, fmt.Errorf("%d --selector for %d --key: give one for each", len(f.selectors), len(f.keyFiles)))
	}
	ring := keyRing{}
	everybody, err := message.ParsePattern("*")
	if err != nil {
		return nil, exit(exitBug, err)
	}
	rule := sign.Rule{Name: "command line", From: message.Patterns{everybody}, OnKeyError: action.KeySkip}
	for i, path := range f.keyFiles {
		text, err := os.ReadFile(path)
		if err != nil {
			return nil, exit(exitUnknown, err)
		}
		private, err := keys.Parse(text)
		if err != nil {
			return nil, exit(exitBad, fmt.Errorf("%s: %w", path, err))
		}
		ring[path] = keys.Key{Name: path, Domain: f.domain, Selector: f.selectors[i], Signer: private}
		rule.Keys = append(rule.Keys, path)
	}
	return &sign.Signer{Table: sign.NewTable([]sign.Rule{rule}), Keys: ring}, nil
}

// keyRing is a source of the keys that it holds.
type keyRing map[string]keys.Key

// Key implements keys.Source.
func (r keyRing) Key(_ context.Context, name string) (keys.Key, error) {
	if k, ok := r[name]; ok {
		return k, nil
	}
	return keys.Key{}, keys.ErrNotFound
}

// signText returns the message with its signatures on top, in the line ends that it has itself.
func signText(ctx context.Context, s *sign.Signer, raw []byte) ([]byte, error) {
	var rules sign.Match
	var q sign.Query
	var authorErr error
	m, err := message.Read(bytes.NewReader(raw), maxHeader, func(h message.Header) []message.BodyHash {
		q.Author, authorErr = h.Author()
		if authorErr != nil {
			return nil
		}
		rules = s.Match(q)
		return rules.BodyHashes()
	})
	switch {
	case err != nil:
		return nil, exit(exitUnknown, err)
	case authorErr != nil:
		return nil, exit(exitBad, fmt.Errorf("not signed: %w", authorErr))
	case len(rules) == 0:
		return nil, exit(exitBad, fmt.Errorf("not signed: no rule of the signing table matches %s", q.Author))
	}
	done, err := s.Sign(ctx, rules, q, m)
	if err != nil {
		return nil, exit(exitUnknown, err)
	}
	return withFields(raw, m.Header, message.Edits{Remove: done.Remove, Insert: done.Fields}), nil
}

// withFields applies edits to the text of a message whose header is h.
func withFields(raw []byte, h message.Header, e message.Edits) []byte {
	eol := "\n"
	if first, _, ok := bytes.Cut(raw, []byte("\n")); ok && bytes.HasSuffix(first, []byte("\r")) {
		eol = "\r\n"
	}
	var out bytes.Buffer
	if bytes.HasPrefix(raw, []byte("From ")) {
		line, rest, _ := bytes.Cut(raw, []byte("\n"))
		out.Write(append(line, '\n'))
		raw = rest
	}
	for _, f := range e.Insert {
		out.WriteString(strings.ReplaceAll(string(f.Raw()), "\r\n", eol) + eol)
	}
	if len(e.Remove) == 0 {
		out.Write(raw)
		return out.Bytes()
	}
	body, _ := bodyOf(raw)
	for _, f := range h.With(message.Edits{Remove: e.Remove}) {
		out.WriteString(strings.ReplaceAll(string(f.Raw()), "\r\n", eol) + eol)
	}
	out.WriteString(eol)
	out.Write(body)
	return out.Bytes()
}

// bodyOf returns what follows the header.
func bodyOf(raw []byte) ([]byte, error) {
	r := bufio.NewReader(bytes.NewReader(raw))
	if _, err := message.ReadHeader(r, maxHeader); err != nil {
		return nil, err
	}
	return io.ReadAll(r)
}

// errNow is a --now that is no time.
var errNow = errors.New(`--now wants a time such as "2026-01-31T12:00:00Z"`)

// parseNow returns the clock that --now sets, the real one for "".
func parseNow(s string) (func() time.Time, error) {
	if s == "" {
		return time.Now, nil
	}
	t, err := time.Parse(time.RFC3339, s)
	if err != nil {
		return nil, exit(exitUsage, errNow)
	}
	return func() time.Time { return t }, nil
}
