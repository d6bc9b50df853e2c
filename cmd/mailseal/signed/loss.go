package signed

import (
	"fmt"
	"strings"
)

// Loss lists the domains that recently signed mail and that a configuration would leave
// unsigned.
type Loss struct {
	Of    int      // domains
	Names []string // those without a rule or a key, in order
}

// few is up to how many domains a loss of one counts as too much: a share says little of them.
const few = 10

// Compare asks of each name whether it is lost.
func Compare(names []Name, lost func(Name) bool) Loss {
	out := Loss{Of: len(names)}
	for _, n := range names {
		if lost(n) {
			out.Names = append(out.Names, n.Name)
		}
	}
	return out
}

// TooMuch reports whether a loss is larger than a share of the domains; with ten of them or fewer,
// any is.
func (l Loss) TooMuch(share float64) bool {
	switch {
	case len(l.Names) == 0:
		return false
	case l.Of <= few:
		return true
	}
	return float64(len(l.Names)) > share*float64(l.Of)
}

// shown is how many domains a sentence names.
const shown = 20

// String writes "2 of 12 domains that signed mail in the last 7 days would have no rule or no key:
// a.example, b.example".
func (l Loss) String() string {
	names := l.Names
	rest := ""
	if len(names) > shown {
		names, rest = names[:shown], fmt.Sprintf(" and %d others", len(l.Names)-shown)
	}
	return fmt.Sprintf("%d of %d domains that signed mail in the last 7 days would have no rule or no key: %s%s",
		len(l.Names), l.Of, strings.Join(names, ", "), rest)
}
