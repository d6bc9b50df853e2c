package web

import (
	"context"
	"io"
)

// Commands are the changes that an administrator can make. The process that receives reports checks
// and writes them; nil Commands make pages without forms.
type Commands interface {
	// Judge stores a verdict on a source.
	Judge(ctx context.Context, by string, r Rule) error
	// Undo takes a verdict back.
	Undo(ctx context.Context, by string, rule int64) error
	// Trust counts the reports of an organization that is not verified, from now on.
	Trust(ctx context.Context, by, org string) error
	// Upload reads files of reports; the answer is a sentence.
	Upload(ctx context.Context, by, name string, body io.Reader) (string, error)
}
