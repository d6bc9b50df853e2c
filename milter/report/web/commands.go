package web

import (
	"context"
	"errors"
	"html/template"
	"io"
)

// Errors of commands. Others mean that no answer came, and that the change may have been made.
var (
	// ErrAway reports that the process that receives reports does not answer: nothing was changed.
	ErrAway = errors.New("mailseal reports serve with the role intake does not answer")
	// ErrRefused reports a change that the process refused, with its reason: nothing was changed.
	ErrRefused = errors.New("the change was refused")
)

// Commands are the changes that an administrator can make. The process that receives reports checks
// and writes them; nil Commands make pages without forms.
type Commands interface {
	// Ready reports as an error why no change can be made now. It answers within a second.
	Ready(ctx context.Context) error
	// Judge stores a verdict on a source.
	Judge(ctx context.Context, by string, r Rule) error
	// Undo takes a verdict back.
	Undo(ctx context.Context, by string, rule int64) error
	// Use stores who writes from a domain: "people", "machines", or "" for not said.
	Use(ctx context.Context, by, domain, word string) error
	// Trust counts the reports of an organization that is not verified, from now on.
	Trust(ctx context.Context, by, org string) error
	// Refuse has no report of an organization count, whatever proves where it comes from.
	Refuse(ctx context.Context, by, org string) error
	// Prove takes Trust and Refuse back: the reports of an organization count if they are verified.
	Prove(ctx context.Context, by, org string) error
	// Upload reads files of reports; the answer is a sentence.
	Upload(ctx context.Context, by, name string, body io.Reader) (string, error)

	// Reread reads a mail again in which something could not be read, or with mail 0 all of a kind.
	// The answer is a sentence.
	Reread(ctx context.Context, by string, mail int64, kind string) (string, error)
	// Discard deletes such a mail. The answer is a sentence.
	Discard(ctx context.Context, by string, mail int64) (string, error)

	// Suppress has an address get no reports until a time; Release lets it get them again.
	Suppress(ctx context.Context, by string, x Suppression) error
	Release(ctx context.Context, by, address string) error
	// Resend sends the mails of a report again that were not handed over.
	Resend(ctx context.Context, by, report string) error
}

// changes returns the Commands if the visitor may use them now, and else what the page says instead
// of its forms.
func (s *Server) changes(ctx context.Context, v visit) (Commands, []template.HTML) {
	if s.commands == nil || !v.admin() {
		return nil, nil
	}
	if err := s.commands.Ready(ctx); err != nil {
		s.log.Warn("nothing can be changed on the pages", "error", err)
		return nil, []template.HTML{"Nothing can be changed here now: the process that receives " +
			"reports does not answer. Start “mailseal reports serve” with the role intake. The " +
			"pages still show the store, and reports that arrive wait in the mail server."}
	}
	return s.commands, nil
}

// maxNotices bounds the sentences that wait for the next page of a session that changed something.
const maxNotices = 100

// notice keeps a sentence for the next page that a session opens.
func (s *Server) notice(who session, text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.notices == nil || len(s.notices) >= maxNotices {
		s.notices = map[string]string{}
	}
	s.notices[string(who.secret)] = text
}

// noticed returns the sentence for a session, once.
func (s *Server) noticed(who session) []template.HTML {
	s.mu.Lock()
	defer s.mu.Unlock()
	text, ok := s.notices[string(who.secret)]
	if !ok || len(who.secret) == 0 {
		return nil
	}
	delete(s.notices, string(who.secret))
	return []template.HTML{plain(visible(text))}
}
