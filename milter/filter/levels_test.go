package filter

import (
	"context"
	"fmt"
	"log/slog"
	"testing"

	"mailseal/keys"
	"mailseal/milter"
	"mailseal/milter/action"
	"mailseal/milter/sign"
)

// TestLevels holds that what someone has to look at is not said as information. Mail that is
// deferred for another reason is a warning, which package milter sees to.
func TestLevels(t *testing.T) {
	noKeyYet := func(f *Filter) {
		f.Signer.Table.Rules()[0].Choose = func(context.Context, sign.Query) ([]keys.Key, error) {
			return nil, fmt.Errorf("%w for example.com", sign.ErrFirstKey)
		}
	}
	for _, tt := range []struct {
		name   string
		keys   []string
		raw    string
		change func(*Filter)
		action action.Action
		want   slog.Level
	}{
		{"signed", []string{"good"}, plainText, nil, action.Accept, slog.LevelInfo},
		{"a broken key among two", []string{"bad", "good"}, plainText, nil, action.Accept, slog.LevelError},
		{"no key left", []string{"bad"}, plainText, nil, action.Tempfail, slog.LevelError},
		{"no key left, refused by setting", []string{"bad"}, plainText,
			func(f *Filter) { f.Signer.Table.Rules()[0].OnKeyError = action.KeyReject },
			action.Reject, slog.LevelError},
		{"no key left, unsigned by setting", []string{"bad"}, plainText,
			func(f *Filter) { f.Signer.Table.Rules()[0].OnKeyError = action.KeyAccept },
			action.Accept, slog.LevelError},
		{"no key yet", []string{"good"}, plainText, noKeyYet, action.Accept, slog.LevelWarn},
		{"no rule", []string{"good"}, "From: a@elsewhere.example\n\n", nil, action.Accept, slog.LevelInfo},
		{"several authors", []string{"good"}, "From: a@example.com, b@example.org\n\n", nil,
			action.Accept, slog.LevelWarn},
		{"unsigned recipient", []string{"good"}, plainText,
			func(f *Filter) { f.UnsignedRecipients = patterns(t, "example.org") }, action.Accept,
			slog.LevelInfo},
		{"a bug in Mailseal", []string{"good"}, plainText, func(f *Filter) {
			f.Unmatched, f.Signer.Table = 0, sign.NewTable(nil)
		}, action.Tempfail, slog.LevelError},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f, _ := newFilter(t, tt.keys...)
			if tt.change != nil {
				tt.change(f)
			}
			o, _ := decide(t, f, action.RoleOurs, milter.ByNetwork, local, tt.raw)
			if o.Action != tt.action || o.Level != tt.want {
				t.Errorf("got %s at %s, want %s at %s: %v", o.Action, o.Level, tt.action, tt.want,
					o.Details)
			}
		})
	}
	for word, want := range map[sign.Verdict]slog.Level{sign.Disagree: slog.LevelError,
		sign.LeftOut: slog.LevelInfo} {
		if got := selfCheckLevel(word); got != want {
			t.Errorf("self-check %s: got %s, want %s", word, got, want)
		}
	}
	if got := unsignedLevel("something new"); got != slog.LevelError {
		t.Errorf("a reason that is not in the table: got %s", got)
	}
}
