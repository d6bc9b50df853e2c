package examine

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"mailseal/cmd/mailseal/answer"
	"mailseal/cmd/mailseal/assembly"
	"mailseal/config"
	"mailseal/keys"
	"mailseal/keys/files"
	"mailseal/milter"
	"mailseal/milter/action"
	"mailseal/milter/message"
	"mailseal/milter/sign"
)

// maxHeader bounds the header of a message that a command reads: the default of limits.header_size.
const maxHeader = 1 << 20

// Signing holds the settings for signing a message.
type Signing struct {
	Config    *config.Config // its keys and rules; nil for those below
	Domain    string         // the d= tag, whatever the author
	Selectors []string       // one for each of KeyFiles
	KeyFiles  []string
	// canonicalization of header and body, such as "relaxed/simple"; "": that of the rules
	Canonicalization string
	Now              func() time.Time
}

// Sign returns the text of a message with its signatures on top, with the message's own
// line ends. The answer is bad if no rule signs the message: a script may then send the
// message unsigned. Any other reason, such as a key that cannot be read, makes the answer
// unknown, so that scripts can tell the two apart.
func (o Signing) Sign(ctx context.Context, raw []byte) ([]byte, error) {
	s, err := o.signer(ctx)
	if err != nil {
		return nil, answer.NotBad(err)
	}
	return signText(ctx, s, raw)
}

func (o Signing) signer(ctx context.Context) (*sign.Signer, error) {
	s, err := o.table(ctx)
	if err != nil {
		return nil, err
	}
	s.Now = o.Now
	if o.Canonicalization == "" {
		return s, nil
	}
	h, b, err := message.ParseCanonicalization(o.Canonicalization)
	if err != nil {
		return nil, answer.NewUsage(err)
	}
	for i := range s.Table.Rules() {
		rule := &s.Table.Rules()[i].Options
		rule.SimpleHeader, rule.SimpleBody = h == message.Simple, b == message.Simple
	}
	return s, nil
}

// table is the signer of the configuration, or one of a single rule with the key files.
func (o Signing) table(ctx context.Context) (*sign.Signer, error) {
	if o.Config != nil {
		return assembly.NewSigner(ctx, o.Config)
	}
	if len(o.Selectors) != len(o.KeyFiles) {
		return nil, answer.NewUsage(fmt.Errorf("%d --selector for %d --key: give one for each",
			len(o.Selectors), len(o.KeyFiles)))
	}
	ring := keyRing{}
	everybody, err := message.ParsePattern("*")
	if err != nil {
		return nil, answer.New(answer.Bug, err)
	}
	rule := sign.Rule{Name: "command line", From: message.Patterns{everybody},
		OnKeyError: action.KeySkip}
	for i, path := range o.KeyFiles {
		text, err := files.ReadAny(path, keys.MaxSize)
		if err != nil {
			return nil, answer.NewUnknown(err)
		}
		private, err := keys.Parse(text)
		if err != nil {
			return nil, answer.NewBad(fmt.Errorf("%s: %w", path, err))
		}
		ring[path] = keys.Key{Name: path, Domain: o.Domain, Selector: o.Selectors[i],
			Signer: private}
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
	m, err := message.Read(bytes.NewReader(raw), maxHeader,
		func(h message.Header) []message.BodyHash {
			q.Author, authorErr = h.Author()
			if authorErr != nil {
				return nil
			}
			// of the MTA that is next, which we do not know
			q.Lines = sign.Lines{Limit: milter.LineLimit(""), MayChange: true}
			rules = s.Match(q)
			return rules.BodyHashes()
		})
	switch {
	case err != nil:
		return nil, answer.NewUnknown(err)
	case authorErr != nil:
		return nil, answer.NewBad(fmt.Errorf("not signed: %w", authorErr))
	case len(rules) == 0:
		return nil, answer.NewBad(fmt.Errorf("not signed: no rule of the signing table matches %s",
			q.Author))
	}
	done, err := s.Sign(ctx, rules, q, m)
	switch {
	case errors.Is(err, sign.ErrFirstKey):
		// A rule matches: a script must not take this for mail that nothing asks to sign.
		return nil, answer.NewUnknown(fmt.Errorf("not signed: %w", err))
	case errors.Is(err, sign.ErrNoRule):
		return nil, answer.NewBad(fmt.Errorf("not signed: %w", err))
	case err != nil:
		return nil, answer.NewUnknown(err)
	}
	return withFields(raw, m.Header, message.Edits{Change: done.Fit.Change, Remove: done.Remove,
		Insert: done.Fields}), nil
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
	if len(e.Remove)+len(e.Change) == 0 {
		out.Write(raw)
		return out.Bytes()
	}
	body, _ := bodyOf(raw)
	for _, f := range h.With(message.Edits{Change: e.Change, Remove: e.Remove}) {
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
