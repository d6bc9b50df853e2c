package check

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// TestSecondPostfix looks at the other Postfixes that multi_instance_directories lists: one that
// takes mail in is judged, one that gets its mail from the first is not.
func TestSecondPostfix(t *testing.T) {
	const bare = "compatibility_level = 3.6\n"
	for _, tt := range []struct {
		name, main, master string
		want               []Code
		servers            int
	}{
		{"takes mail in without Mailseal", bare, master, []Code{"mta-not-named"}, 2},
		{"gets its mail from the first", bare, "127.0.0.1:10026 inet n - n - - smtpd\n", nil, 1},
		{"through Mailseal but fails open", goodMain + "milter_default_action = accept\n", master,
			[]Code{"mta-postfix-away-accept"}, 2},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newMailSite(t, nil)
			out := s.path("mta/out")
			if err := os.Mkdir(out, 0o755); err != nil {
				t.Fatal(err)
			}
			s.mta.Sendmail, s.mta.Postfix = "", s.path("mta")
			s.write(t, "mta/main.cf", goodMain+"multi_instance_directories = "+out+", "+out+
				"-gone\n", 0o644)
			s.write(t, "mta/master.cf", master, 0o644)
			s.write(t, "mta/out/main.cf", tt.main, 0o644)
			s.write(t, "mta/out/master.cf", tt.master, 0o644)
			found, result := s.check(t)
			var got []Code
			for _, f := range found {
				if filepath.Dir(f.File) == out && f.Severity != Note {
					got = append(got, f.Code)
				}
			}
			if !slices.Equal(got, tt.want) || len(result.MTAs) != tt.servers {
				t.Errorf("got %v of %+v, want %v of %d servers", got, result.MTAs, tt.want,
					tt.servers)
			}
		})
	}
}
