package assembly

import (
	"log/slog"
	"testing"

	"mailseal/config"
	"mailseal/milter/filter"
)

// Mail is judged with lookups that share the gate's places, and what is made of fields above those
// that are signed is the setting's.
func TestBuildJudging(t *testing.T) {
	for _, tt := range []struct {
		text   string
		isNote bool
	}{
		{"", false},
		{"[verify]\nuncovered_duplicates = \"policy\"\n", false},
		{"[verify]\nuncovered_duplicates = \"note\"\n", true},
	} {
		cfg, err := config.Parse("mailseal.toml",
			[]byte("authserv_id = \"mx.example.com\"\n[dns]\nservers = [\"127.0.0.1:9\"]\n"+
				tt.text))
		if err != nil {
			t.Fatal(err)
		}
		_, gate, err := NewResolver(cfg)
		if err != nil {
			t.Fatal(err)
		}
		p, err := New(t.Context(), cfg, gate, nil, nil, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		f := p.Settings.Filter.(*filter.Filter)
		if f.Verifier.Resolver != gate {
			t.Errorf("%q: judged with a %T", tt.text, f.Verifier.Resolver)
		}
		if f.Verifier.DKIM.NoteUncovered != tt.isNote {
			t.Errorf("%q: note %v, want %v", tt.text, f.Verifier.DKIM.NoteUncovered, tt.isNote)
		}
	}
}
