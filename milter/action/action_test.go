package action

import (
	"encoding"
	"fmt"
	"reflect"
	"slices"
	"testing"
)

// choice is what all types of this package have in common.
type choice interface {
	encoding.TextMarshaler
	fmt.Stringer
	IsValid() bool
	Words() []string
}

// choices has a zero value of each type.
var choices = []choice{Action(0), OnKeyError(0), MalformedFrom(0), SenderRule(0), Unmatched(0),
	OrganizationalDomain(0), Redirected(0), UncoveredDuplicates(0), Role(0), OverrideReason(0),
	Relation(0), PassedDisposition(0)}

// at returns the value n of the type of c.
func at(c choice, n int) choice {
	v := reflect.New(reflect.TypeOf(c)).Elem()
	v.SetUint(uint64(n))
	return v.Interface().(choice)
}

// unmarshaled returns what a value of c's type, which was v before, is after reading a word.
func unmarshaled(c choice, v int, word string) (choice, error) {
	p := reflect.New(reflect.TypeOf(c))
	p.Elem().SetUint(uint64(v))
	err := p.Interface().(encoding.TextUnmarshaler).UnmarshalText([]byte(word))
	return p.Elem().Interface().(choice), err
}

func TestWords(t *testing.T) {
	for _, c := range choices {
		for i, word := range c.Words() {
			v := at(c, i+1)
			text, err := v.MarshalText()
			if !v.IsValid() || v.String() != word || string(text) != word || err != nil {
				t.Errorf("%T %d: %s, %q, %v; want %q", c, i+1, v, text, err, word)
			}
			if got, err := unmarshaled(c, 0, word); got != v || err != nil {
				t.Errorf("%T: %q is read as %s, %v", c, word, got, err)
			}
		}
	}
}

// TestInvalid holds that neither the zero value nor one beyond the last is valid or has a word, and
// that no word but those of the type is read.
func TestInvalid(t *testing.T) {
	for _, c := range choices {
		for _, n := range []int{0, len(c.Words()) + 1, 255} {
			v := at(c, n)
			if text, err := v.MarshalText(); v.IsValid() || err == nil || text != nil ||
				slices.Contains(c.Words(), v.String()) {
				t.Errorf("%T %d: valid %v, %q, %q, %v", c, n, v.IsValid(), v, text, err)
			}
		}
		for _, word := range []string{"", "bounce", "Accept", "accept ", at(c, 0).String()} {
			if got, err := unmarshaled(c, 1, word); err == nil || got != at(c, 1) {
				t.Errorf("%T: %q is read as %s, %v", c, word, got, err)
			}
		}
	}
}

// TestAll holds that All lists every action that has a word, and that the order is by harshness.
func TestAll(t *testing.T) {
	if got, want := fmt.Sprint(All()), fmt.Sprint(Action(0).Words()); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if !slices.IsSorted([]Action{Accept, Mark, Hold, Tempfail, Reject}) {
		t.Error("the actions are not in the order of their harshness")
	}
}

// TestInvalidIsNotPermissive holds that no question about an invalid value has the permissive
// answer.
func TestInvalidIsNotPermissive(t *testing.T) {
	for _, n := range []uint8{0, 200} {
		if Action(n).GoesOn() {
			t.Errorf("%s goes on", Action(n))
		}
		if !OnKeyError(n).IsStrict() {
			t.Errorf("%s is not strict", OnKeyError(n))
		}
	}
}

// TestResults holds that each setting of a table is the action for some result, that a pass is
// accepted, and that a result which no table knows has no valid action.
func TestResults(t *testing.T) {
	var (
		spf   = SPF{Fail: 11, Softfail: 12, None: 13, Permerror: 14, Temperror: 15, HeloFail: 16}
		iprev = IPRev{Fail: 21, Permerror: 22, Temperror: 23}
		dkim  = DKIM{Fail: 31, Policy: 32, Neutral: 33, None: 34, Permerror: 35, Temperror: 36}
		dmarc = DMARC{Reject: 41, Quarantine: 42, None: 43, NoRecord: 44, Permerror: 45,
			Temperror: 46}
	)
	for _, tc := range []struct {
		name string
		got  Action
		want Action
	}{
		{"spf=pass", spf.For("pass"), Accept},
		{"spf=fail", spf.For("fail"), 11},
		{"spf=softfail", spf.For("softfail"), 12},
		{"spf=none", spf.For("none"), 13},
		{"spf=neutral", spf.For("neutral"), 13},
		{"spf=permerror", spf.For("permerror"), 14},
		{"spf=temperror", spf.For("temperror"), 15},
		{"spf unknown", spf.For("sideways"), 0},
		{"helo=fail", spf.ForHelo("fail"), 16},
		{"helo=softfail", spf.ForHelo("softfail"), Accept},
		{"helo unknown", spf.ForHelo(""), 0},
		{"iprev=pass", iprev.For("pass"), Accept},
		{"iprev=fail", iprev.For("fail"), 21},
		{"iprev=permerror", iprev.For("permerror"), 22},
		{"iprev=temperror", iprev.For("temperror"), 23},
		{"iprev unknown", iprev.For("none"), 0},
		{"dkim=pass", dkim.For("pass"), Accept},
		{"dkim=fail", dkim.For("fail"), 31},
		{"dkim=policy", dkim.For("policy"), 32},
		{"dkim=neutral", dkim.For("neutral"), 33},
		{"dkim=none", dkim.For("none"), 34},
		{"dkim=permerror", dkim.For("permerror"), 35},
		{"dkim=temperror", dkim.For("temperror"), 36},
		{"dkim unknown", dkim.For("Pass"), 0},
		{"dmarc=pass", dmarc.For("pass", "reject"), Accept},
		{"dmarc=fail, p=reject", dmarc.For("fail", "reject"), 41},
		{"dmarc=fail, p=quarantine", dmarc.For("fail", "quarantine"), 42},
		{"dmarc=fail, p=none", dmarc.For("fail", "none"), 43},
		{"dmarc=none", dmarc.For("none", ""), 44},
		{"dmarc=permerror", dmarc.For("permerror", ""), 45},
		{"dmarc=temperror", dmarc.For("temperror", ""), 46},
		{"dmarc unknown", dmarc.For("policy", ""), 0},
		{"dmarc=fail, disposition unknown", dmarc.For("fail", ""), 0},
	} {
		if tc.got != tc.want {
			t.Errorf("%s: got %d, want %d", tc.name, tc.got, tc.want)
		}
	}
}
