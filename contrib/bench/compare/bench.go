package main

import (
	"os"
	"path/filepath"
	"strconv"

	"mailseal/contrib/bench/measure"
)

// bench is what the measurements share.
type bench struct {
	*measure.Bench
	log       func(format string, args ...any)
	openDKIM  string // where it is unpacked
	quick     bool   // fewer messages and rounds
	noLatency bool   // processor time alone
}

// signed returns a file with a message of the given size that the RSA key has signed.
func (b *bench) signed(size int) (string, error) {
	file := filepath.Join(b.Dir, "signed-"+strconv.Itoa(size)+".eml")
	if _, err := os.Stat(file); err == nil {
		return file, nil
	}
	return file, b.Signed(file, b.mailsealConfig(signs), measure.Letter(size))
}
