package crosscheck

import (
	"regexp"
	"strconv"
)

// exception is one thing that a release of go-msgauth judges wrongly, or in quadratic time. What it
// applies to gets no second opinion.
type exception struct {
	name    string // in tests
	version string // the release that was found to do so; see TestExceptionsAreOfThisRelease
	fact    fact   // what decides whether it applies
	match   *regexp.Regexp
	over    int    // instead of match: the fact is a number greater than this
	reason  string // what the library does, for the log and for people
}

const v070 = "v0.7.0"

// exceptions is all that is known about the library in use. The order is that in which reasons are
// given. A row is proven by a case of the same name in exceptions_test.go; a new release of the
// library needs a look at each, and its version in those that stay.
var exceptions = []exception{
	// It joins the lines of a folded field, and a body's empty lines, in quadratic time, and looks
	// for every name of h= in every field.
	{"large header", v070, headerBytes, nil, 64 << 10, "it is too slow for a message of this size"},
	{"many lines", v070, headerLines, nil, 2000, "it is too slow for a message of this size"},
	{"large body", v070, bodyBytes, nil, 1 << 20, "it is too slow for a message of this size"},
	{"many names", v070, hNameCount, nil, 1000, "it is too slow for an h= of this length"},

	{"bare CR", v070, bareCRs, nil, 0, "it takes a bare CR for a line end"},
	{"bare LF", v070, bareLFs, nil, 0, "it takes a bare LF for a line end"},
	{"not a field", v070, notFields, nil, 0, "it reads a line as a field that is not one"},
	{"From count", v070, fromFields, regexp.MustCompile(`^([^1]|1.+)$`), 0,
		"it does not mind several From fields, or none"},

	{"tag list", v070, listError, regexp.MustCompile(`.`), 0,
		"it reads lists of tags more loosely"},
	{"b= elsewhere", v070, withoutB, regexp.MustCompile(`b\s*=[^;]+`), 0,
		`it empties every "b=" in the field, not only the tag`},
	{"space before b=", v070, spaceB, regexp.MustCompile(`.|\n`), 0,
		"white space before the value of b= has two readings"},
	{"8-bit", v070, wholeField, regexp.MustCompile(`[^\x00-\x7f]`), 0,
		"it knows only ASCII"},
	{"i= without @", v070, identity, regexp.MustCompile(`^[^@]*$`), 0, "it takes i= without an @"},
	{"i= by case", v070, identityInD, regexp.MustCompile(`^but for case$`), 0,
		"it compares i= with d= by case"},
	{"any d=", v070, tagD, regexp.MustCompile(`^[^.]*$|\.$`), 0, "it takes any d="},
	{"l=", v070, tagL, regexp.MustCompile(``), 0, "it refuses l="},
	{"space in a=", v070, tagA, regexp.MustCompile(`\s`), 0, "it takes white space inside a="},
	{"space in c=", v070, tagC, regexp.MustCompile(`\s`), 0, "it takes white space inside c="},
	{"space in d=", v070, tagD, regexp.MustCompile(`\s`), 0, "it takes white space inside d="},
	{"space in s=", v070, tagS, regexp.MustCompile(`\s`), 0, "it takes white space inside s="},
	{"space in t=", v070, tagT, regexp.MustCompile(`\s`), 0, "it takes white space inside t="},
	{"space in x=", v070, tagX, regexp.MustCompile(`\s`), 0, "it takes white space inside x="},
	{"empty name", v070, hNames, regexp.MustCompile(`^:|::|:$|^$`), 0,
		"it takes empty names in h="},
	{"own field", v070, hNames, regexp.MustCompile(`(?i)(^|:)dkim-signature(:|$)`), 0,
		"it covers the signature's own field when h= names it"},
	{"number in t=", v070, tagT, regexp.MustCompile(`[^0-9\s]`), 0,
		"it reads numbers in another way"},
	{"number in x=", v070, tagX, regexp.MustCompile(`^.{19,}|[^0-9\s]`), 0,
		"it reads numbers in another way"},
	{"t= in the future", v070, timeToNow, regexp.MustCompile(`^future$`), 0,
		"it does not mind t= in the future"},
	{"expired", v070, itsError, regexp.MustCompile(`expired`), 0, "it has a clock of its own"},

	{"several records", v070, recordCount, nil, 1, "it refuses several key records"},
	{"record syntax", v070, recordError, regexp.MustCompile(`.`), 0,
		"it reads key records more loosely"},
	{"large key", v070, recordBytes, nil, 3000, "it knows no largest key"},
	{"v= not first", v070, versionPlace, nil, 0, "it takes v= at any place of a key record"},
	{"t=s", v070, strictIdentity, regexp.MustCompile(`^below d=$`), 0, "it does not know t=s"},
}

// applies reports whether what e is about is among the facts.
func (e exception) applies(f facts) bool {
	value, known := f[e.fact]
	if !known {
		return false
	}
	if e.match != nil {
		return e.match.MatchString(value)
	}
	n, err := strconv.Atoi(value)
	return err == nil && n > e.over
}

// unfit returns why go-msgauth's opinion of what has these facts means nothing; "" if it means
// something.
func (f facts) unfit() string {
	for _, e := range exceptions {
		if e.applies(f) {
			return e.reason
		}
	}
	return ""
}
