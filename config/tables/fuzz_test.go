package tables

import "testing"

// FuzzGlobs lets anything be a line of a refile.
func FuzzGlobs(f *testing.F) {
	for _, s := range []string{"*@example.com", "(a|b)@x", "[c-d]@x", "x?@x", "a{2,9}@x",
		"((a|b){9}){9}@x", "a@x|b@x", "^a$", `\*@x`, "[^a]@x"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if len(s) > 200 {
			return
		}
		found, ok, err := Globs(s)
		if err != nil {
			return
		}
		if len(found) > 100*maxExpansion {
			t.Fatalf("%q becomes %d patterns", s, len(found))
		}
		for _, g := range found {
			ps, _ := globKey(g)
			for _, p := range ps {
				if ok && !isUser(p.local) || p.domain != "" && !IsDomain(p.domain) {
					t.Errorf("%q: pattern %+v", s, p)
				}
			}
		}
	})
}
