package config

import (
	"iter"
	"strings"
)

// guesser finds the name that was meant. A configuration of 10,000 rules can hold 10,000 mistakes
// among 10,000 names; beyond a number of guesses the operator needs no more hints, and the time
// stays in proportion to the file.
type guesser struct{ left int }

const maxGuesses = 100

// nearest returns "; did you mean "x"?" or nothing.
func (g *guesser) nearest(name string, known iter.Seq[string]) string {
	if g.left <= 0 {
		return ""
	}
	g.left--
	name = plain(name)
	best, least := "", 1+(len(name)+2)/4
	for k := range known {
		d := distance(name, plain(k), least+1)
		if d < least || d == least && best != "" && k < best {
			best, least = k, d
		}
	}
	if best == "" {
		return ""
	}
	return didYouMean(best)
}

func didYouMean(name string) string { return `; did you mean "` + name + `"?` }

// plain lets KeyTable and key-table be key_table.
func plain(name string) string { return strings.ToLower(plainer.Replace(name)) }

var plainer = strings.NewReplacer("_", "", "-", "", " ", "")

// distance counts the letters to insert, delete, change or swap with their neighbor to turn
// a into b. Any result of at least limit means "too many".
func distance(a, b string, limit int) int {
	if d := len(a) - len(b); d >= limit || -d >= limit {
		return limit
	}
	before, last, row := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row[0] = i
		best := i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			row[j] = min(last[j]+1, row[j-1]+1, last[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
			best = min(best, row[j])
		}
		if best >= limit {
			return limit
		}
		before, last, row = last, row, before
	}
	return last[len(b)]
}
