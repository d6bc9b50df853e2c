package web

import (
	"bufio"
	"bytes"
	"fmt"
	"strings"

	"golang.org/x/crypto/bcrypt"

	keyfiles "mailseal/keys/files"
)

// maxPasswords is how long an htpasswd file may be, in bytes: some ten thousand accounts.
const maxPasswords = 1 << 20

// ReadPasswords reads an htpasswd file. Only bcrypt is accepted ("htpasswd -B").
func ReadPasswords(path string) (map[string][]byte, error) {
	text, err := keyfiles.Read(path, maxPasswords)
	if err != nil {
		return nil, err
	}
	out := map[string][]byte{}
	lines := bufio.NewScanner(bytes.NewReader(text))
	for n := 1; lines.Scan(); n++ {
		line := strings.TrimSpace(lines.Text())
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		user, hash, found := strings.Cut(line, ":")
		if _, err := bcrypt.Cost([]byte(hash)); !found || user == "" || err != nil {
			return nil, fmt.Errorf("%s:%d: not a name and a bcrypt hash; make the line with "+
				"\"htpasswd -nB NAME\"",
				path, n)
		}
		out[user] = []byte(hash)
	}
	return out, lines.Err()
}

// isPassword reports whether the password is the name's. It takes as long for a name without an
// account as for any other, whatever the costs of the hashes: each step of the cost doubles the
// time, so a hash below the highest cost is followed by one of each cost in between.
func (a *Access) isPassword(passwords map[string][]byte, user, password string) bool {
	highest := bcrypt.MinCost
	for _, hash := range passwords {
		highest = max(highest, costOf(hash))
	}
	hash, known := passwords[user]
	if !known {
		hash = decoy(highest)
	}
	if a.compares(hash, password) && known {
		return true
	}
	for cost := costOf(hash); cost < highest; cost++ {
		a.compares(decoy(cost), password)
	}
	return false
}

func (a *Access) compares(hash []byte, password string) bool {
	if a.compare != nil {
		return a.compare(hash, password)
	}
	return bcrypt.CompareHashAndPassword(hash, []byte(password)) == nil
}

func costOf(hash []byte) int {
	cost, err := bcrypt.Cost(hash)
	if err != nil {
		return bcrypt.MinCost
	}
	return cost
}

// decoy is a hash of a cost that nothing is compared with but for the time that it takes.
func decoy(cost int) []byte {
	return fmt.Appendf(nil, "$2a$%02d$7EqJtq98hPqEX7fNZaFWoOhi5lT1pYp3r5uUQXwSg1bqTqQ1vH5yG", cost)
}
