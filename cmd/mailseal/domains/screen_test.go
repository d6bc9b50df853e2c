package domains

import (
	"strings"
	"testing"

	"mailseal/milter/domain"
)

// TestScreens holds for the zones of all codes that the screen keeps a terminal's width, but for
// the bare value of a record to publish, and that no record is cut: each is printed whole once.
func TestScreens(t *testing.T) {
	for _, c := range cases(t) {
		o := c.options(t)
		o.Resolver, o.Random = liar{zoneOf(t, c), c.lie, c.signed}, "nosuchselector"
		name := domain.Name("example.com")
		if c.other != "" {
			name = domain.Name(c.other)
		}
		r := Check(t.Context(), name, o)
		for _, width := range []int{0, 60, 80, 120} {
			s := screenOf(width)
			if err := s.result(r); err != nil {
				t.Fatal(err)
			}
			values := map[string]bool{}
			for _, f := range r.Findings {
				for _, p := range f.Publish {
					values[visible(p.Text)] = true
					values[p.Zone()], values[p.Quoted()] = width == 0, width == 0
					values[p.Layout(1)[0]] = true // its name
				}
			}
			for line := range strings.Lines(s.String()) {
				line = strings.TrimRight(line, "\n")
				if width == 0 && len(line) <= plainColumns || width > 0 && len(line) < width {
					continue
				}
				if values[strings.TrimSpace(line)] ||
					!strings.Contains(strings.TrimSpace(line), " ") {
					continue // a value that is copied, or a name that nothing can break
				}
				t.Errorf("%s, %d columns: a line of %d: %s", c.code, width, len(line), line)
			}
			text := strings.Join(strings.Fields(s.String()), "")
			for _, f := range r.Findings {
				if seen := visible(f.Seen); len(seen) > 0 && f.End == 0 &&
					!strings.Contains(text, strings.Join(strings.Fields(seen), "")) {
					t.Errorf("%s, %d columns: the record %q is cut in\n%s", c.code, width, seen, s)
				}
			}
		}
	}
}

// TestMarkOnTheScreen holds that the mark is below the place, also in a record of several lines,
// and that the record is printed whole once.
func TestMarkOnTheScreen(t *testing.T) {
	z := zoneOf(t, withSPF("", "v=spf1 include:_spf.example.net ip4:192.0.2.1 ip4:192.0.2.2 "+
		"ip4:192.0.2.3 mx mx ip4:10.1.1.1 ~all"))
	r := Check(t.Context(), "example.com", Options{Resolver: z, Selectors: []string{"s1"}})
	s := screenOf(60)
	if err := s.result(r); err != nil {
		t.Fatal(err)
	}
	want := `    v=spf1 include:_spf.example.net ip4:192.0.2.1
    ip4:192.0.2.2 ip4:192.0.2.3 mx mx ip4:10.1.1.1
                                      ^^^^^^^^^^^^
    ~all
`
	if !strings.Contains(s.String(), want) {
		t.Errorf("no\n%s\nin\n%s", want, s)
	}
	again := `    ...ip4:192.0.2.2 ip4:192.0.2.3 mx mx ip4:10.1.1.1...
                                      ^^
`
	if !strings.Contains(s.String(), again) {
		t.Errorf("no\n%s\nin\n%s", again, s)
	}
}
