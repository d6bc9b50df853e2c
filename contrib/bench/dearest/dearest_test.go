package main

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
)

// TestGrammar holds that the messages are what they are meant to be: a search among broken ones
// finds nothing.
func TestGrammar(t *testing.T) {
	l := &lab{keys: ring{}}
	for _, c := range []struct {
		name string
		recipe
		want string
	}{
		{"plain", plain, "dkim=pass"},
		{"folded", plain.with(folded, 1), "dkim=pass"},
		{"large key and exponent", plain.with(keyBits, 4096).with(keyExponent, 1<<31-1), "dkim=pass"},
		{"broken", plain.with(valid, 0).with(fields, 10), "dkim=fail"},
		{"second record", plain.with(keyRecords, 2), "dkim=pass"},
		{"simple", plain.with(headerForm, 1).with(bodyForm, 1), "dkim=pass"},
		{"chain", plain.with(sets, 25), "arc=pass"},
		{"chain over fields", plain.with(sets, 2).with(sealedFields, 1).with(fields,
			10).with(fieldText, 3), "arc=pass"},
		{"too expensive", plain.with(signatures, 10).with(keyBits, 8192), "too expensive"},
		{"SPF", plain, "spf=pass"},
		{"SPF of long records", plain.with(senderPolicy, 1), "spf=permerror"},
	} {
		t.Run(c.name, func(t *testing.T) {
			text, fits, err := l.keys.write(c.recipe)
			if err != nil || !fits {
				t.Fatalf("not written: fits %v, %v", fits, err)
			}
			out, err := l.judged(text)
			if err != nil || !strings.Contains(out, c.want) {
				t.Errorf("want %s, got %v %s", c.want, err, out)
			}
		})
	}
}

// judged returns the results that a letter gets.
func (l *lab) judged(text letter) (string, error) {
	f, err := l.filter(text.zone)
	if err != nil {
		return "", err
	}
	fields, content, err := split(text.raw)
	if err != nil {
		return "", err
	}
	out := judge(f, fields, content, false)
	var b strings.Builder
	for _, field := range out.Edits.Insert {
		b.Write(bytes.ReplaceAll(field.Raw(), []byte("\r\n"), nil))
	}
	return b.String(), nil
}

// TestSearchRepeats holds that a seed tries the same recipes each time, so that what was found can
// be found again, and that what is tried is within the bounds.
func TestSearchRepeats(t *testing.T) {
	l := &lab{keys: ring{}}
	var before []string
	for range 2 {
		random := rand.New(rand.NewPCG(1, 2))
		var tried []string
		for range 15 {
			r := plain.mutated(random, methods[5].among)
			text, fits, err := l.keys.write(r)
			if err != nil || fits && len(text.raw) > maxSize {
				t.Fatalf("%s: %d octets, %v", r.describe(everything()), len(text.raw), err)
			}
			tried = append(tried, fmt.Sprint(r, len(text.raw)))
		}
		if before != nil && fmt.Sprint(before) != fmt.Sprint(tried) {
			t.Errorf("%v, then %v", before, tried)
		}
		before = tried
	}
}
