package lint

import "strings"

// Nearest returns the candidate that a word was most likely meant to be, "" when none is near: two
// slips of the pen away at most, one for words of up to four bytes. A slip is a byte too many, too
// few, another, or two in the wrong order.
func Nearest(word string, candidates ...string) string {
	const longest = 32 // of a word that is compared, in bytes: the records' own words are shorter
	word = strings.ToLower(word)
	if len(word) > longest {
		return ""
	}
	best, least := "", 3
	for _, c := range candidates {
		allowed := 2
		if len(c) <= 4 {
			allowed = 1
		}
		if n := slips(word, c); n <= allowed && n < least {
			best, least = c, n
		}
	}
	return best
}

// slips counts the slips between two words, as the optimal string alignment distance does.
func slips(a, b string) int {
	before := make([]int, len(b)+1) // the row before the last
	last := make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row := make([]int, len(b)+1)
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			row[j] = min(last[j]+1, row[j-1]+1, last[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, last = last, row
	}
	return last[len(b)]
}
