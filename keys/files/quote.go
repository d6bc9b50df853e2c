package files

import "strings"

// Quote writes a word as a shell takes it: as it is, or in single quotes if it has characters that
// mean something to a shell.
func Quote(word string) string {
	const plain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/._-+@%,=:"
	isPlain := func(r rune) bool { return strings.ContainsRune(plain, r) }
	if word != "" && strings.TrimFunc(word, isPlain) == "" {
		return word
	}
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}
