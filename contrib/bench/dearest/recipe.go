package main

import (
	"fmt"
	"math/rand/v2"
	"strings"
)

// recipe says how a message is made: for each choice of the grammar the index of one of its values.
type recipe [choiceCount]int

// choice is one thing that the writer of a message can choose.
type choice int

// The choices of the grammar.
const (
	signatures  choice = iota // DKIM-Signature fields
	keyBits                   // of the keys of all signatures
	keyExponent               // likewise
	// TXT records at the name of each key, of which the last is the right one
	keyRecords
	keyPadding // octets of a tag without meaning in each record
	valid      // the DKIM signatures verify
	// white space before the value of b=, which gives a field two forms that may be signed
	folded
	headerForm   // canonicalization of the header
	bodyForm     // and of the body
	names        // how often h= lists the fields that fill the header
	lengths      // each signature has an l= of its own
	sets         // ARC sets
	payload      // octets of each ARC-Authentication-Results
	sealedFields // ARC-Message-Signature covers the fields that fill the header
	fields       // that fill the header
	fieldSize    // octets of each
	fieldText    // what they are made of
	authors      // addresses in From
	authorKind   // how they are written
	results      // Authentication-Results fields
	resultSize   // octets of each
	resultKind   // how they are written
	body         // octets of the body
	bodyText     // what it is made of
	senderPolicy // the SPF record of the sender
	authorPolicy // the DMARC record of the author
	choiceCount
)

// grammar is what there is to choose from. A number stands for itself; of texts, a number says
// which.
var grammar = [choiceCount]struct {
	name   string
	values []int
	words  []string
}{
	signatures:   {"DKIM signatures", []int{0, 1, 2, 5, 10, 20, 50, 100}, nil},
	keyBits:      {"bits", []int{2048, 1024, 4096, 8192}, nil},
	keyExponent:  {"exponent", []int{65537, 3, 1<<31 - 1}, nil},
	keyRecords:   {"records a key", []int{1, 2, 3, 4}, nil},
	keyPadding:   {"octets of padding a record", []int{0, 1000, 8000, 30_000, 60_000}, nil},
	valid:        {"valid", []int{0, 1}, []string{"broken", "valid"}},
	folded:       {"b=", []int{0, 1}, []string{"plain", "folded"}},
	headerForm:   {"header", []int{0, 1}, []string{"relaxed", "simple"}},
	bodyForm:     {"body form", []int{0, 1, 2}, []string{"relaxed", "simple", "both in turn"}},
	names:        {"names in h=", []int{1, 10, 100, 900, 9990}, nil},
	lengths:      {"l=", []int{0, 1}, []string{"none", "each its own"}},
	sets:         {"ARC sets", []int{0, 1, 2, 5, 10, 25, 50}, nil},
	payload:      {"octets of results a set", []int{10, 100, 1000, 5000, 10_000, 19_000}, nil},
	sealedFields: {"ARC covers the fields", []int{0, 1}, []string{"no", "yes"}},
	fields:       {"fields", []int{0, 1, 10, 100, 900, 9000, 20_000}, nil},
	fieldSize:    {"octets a field", []int{1, 10, 100, 1000, 10_000, 100_000, 900_000}, nil},
	fieldText: {"of", []int{0, 1, 2, 3, 4, 5, 6}, []string{
		"text", "spaces", "letters with double spaces", "letters with tabs", "folds", "CRs",
		"high octets"}},
	authors: {"author items", []int{1, 10, 99, 1000, 10_000, 100_000}, nil},
	authorKind: {"authors as", []int{0, 1, 2, 3, 4, 5, 6, 7, 8}, []string{
		"addresses", "comments", "nested comments", "open brackets", "At signs", "From fields",
		"encoded words", "quotes", "high octets"}},
	results:    {"result fields", []int{0, 1, 10, 100, 1000, 10_000, 16_000}, nil},
	resultSize: {"octets a result field", []int{1, 10, 30, 100, 1000, 10_000, 100_000, 900_000}, nil},
	resultKind: {"results as", []int{0, 1, 2, 3, 4, 5, 6, 7}, []string{
		"ours", "another's", "comments", "open comments", "quotes", "spaces", "U-labels",
		"backslashes"}},
	body: {"octets of body", []int{10, 1000, 10_000, 100_000, 500_000, 990_000}, nil},
	bodyText: {"body of", []int{0, 1, 2, 3, 4, 5, 6, 7}, []string{
		"text", "spaces", "CRLFs", "CRs", "LFs", "one long line", "letters with tabs",
		"spaces before CRLF"}},
	senderPolicy: {"SPF", []int{0, 1, 2, 3, 4}, []string{
		"one address", "ten includes of long records", "ten terms of 128 macros",
		"ten mx of ten hosts", "nothing"}},
	authorPolicy: {"DMARC", []int{0, 1, 2}, []string{"p=reject", "a long record", "records without end above it"}},
}

func (r recipe) value(c choice) int { return grammar[c].values[r[c]] }

// with returns r with some choices changed.
func (r recipe) with(c choice, value int) recipe {
	for i, v := range grammar[c].values {
		if v == value {
			r[c] = i
		}
	}
	return r
}

// mutated returns r with one choice changed, or up to three.
func (r recipe) mutated(random *rand.Rand, among []choice) recipe {
	for range 1 + random.IntN(3) {
		c := among[random.IntN(len(among))]
		r[c] = random.IntN(len(grammar[c].values))
	}
	return r
}

// describe says in a line what r makes: only what differs from nothing.
func (r recipe) describe(among []choice) string {
	var out []string
	for _, c := range among {
		g := grammar[c]
		switch {
		case g.words != nil && r[c] > 0 && r.matters(c):
			out = append(out, g.name+" "+g.words[r[c]])
		case g.words == nil && r.value(c) > 0 && r.matters(c):
			out = append(out, fmt.Sprintf("%d %s", r.value(c), g.name))
		}
	}
	return strings.Join(out, ", ")
}

// matters reports whether a number of r changes the message: the size of no field does not.
func (r recipe) matters(c choice) bool {
	switch c {
	case fieldSize, fieldText, names:
		return r.value(fields) > 0
	case resultKind, resultSize:
		return r.value(results) > 0
	case payload, sealedFields:
		return r.value(sets) > 0
	case valid, folded, headerForm, lengths:
		return r.value(signatures) > 0
	case keyBits, keyExponent, keyRecords, keyPadding:
		return r.value(sets)+r.value(signatures) > 0
	}
	return true
}

// method is a part of what is done to a message, and what of the grammar concerns it.
type method struct {
	name  string
	ours  bool // the message is signed, not judged
	among []choice
	start recipe
}

var (
	plain      = recipe{}.with(signatures, 1).with(valid, 1)
	keyChoices = []choice{keyBits, keyExponent, keyRecords, keyPadding}
	fill       = []choice{fields, fieldSize, fieldText}
)

// methods are searched one after the other; the last may choose everything.
var methods = []method{
	{"DKIM", false, append([]choice{signatures, valid, folded, headerForm, names, lengths},
		append(keyChoices, fill...)...), plain.with(signatures, 10)},
	{"ARC", false, append([]choice{sets, payload, sealedFields}, append(keyChoices, fill...)...), plain.with(sets, 10)},
	{"SPF", false, []choice{senderPolicy, body}, plain},
	{"DMARC and From", false, []choice{authorPolicy, authors, authorKind, signatures}, plain},
	{"Authentication-Results", false, []choice{results, resultSize, resultKind}, plain.with(results, 10)},
	{"header", false, append([]choice{signatures, headerForm, names, valid}, fill...), plain},
	{"body", false, []choice{body, bodyText, bodyForm, lengths, signatures}, plain.with(body, 100_000)},
	{"signing", true, append([]choice{body, bodyText, authors, authorKind}, fill...), recipe{}},
	{"all", false, everything(), plain},
}

func everything() (all []choice) {
	for c := range choiceCount {
		all = append(all, c)
	}
	return all
}
