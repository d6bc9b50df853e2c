package message

import (
	"strings"
	"testing"
)

func TestHidden(t *testing.T) {
	tests := []struct {
		name, field string
		want        string // names and values, "|" between them
	}{
		{"none", "Subject: From: a@a.test", ""},
		{"at a fold", "Subject: x\r\n From: a@a.test", ""},
		{"behind a CR", "Subject: x\rFrom: a@a.test", "From: a@a.test"},
		{"in capitals, with white space", "X: \rFROM : a@a.test", "FROM : a@a.test"},
		{"behind two", "X: a\r\rfrom:a@a.test\rTo: b", "from:a@a.test"},
		{"twice", "X: a\rFrom: a@a.test\rFrom: b@b.test", "From: a@a.test|From: b@b.test"},
		{"folded itself", "X: a\rFrom: Joe\r\n <a@a.test>", "From: Joe\r\n <a@a.test>"},
		{"white space before it", "X: a\r From: a@a.test", ""},
		{"another name", "X: a\rFrom-Date: a@a.test", ""},
		{"a CR at the end", "X: a\r", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			name, value, _ := strings.Cut(tt.field, ":")
			h := Header{NewField("To", []byte(" x")), NewField(name, []byte(value))}
			var got []string
			for hidden := range h.Hidden("From") {
				if hidden.In != 1 {
					t.Errorf("it is in field %d, want 1", hidden.In)
				}
				got = append(got, hidden.Field.String())
			}
			if text := strings.Join(got, "|"); text != tt.want {
				t.Errorf("got %q, want %q", text, tt.want)
			}
		})
	}
	many := Header{NewField("X", []byte(strings.Repeat("\rFrom: a@a.test", 1000)))}
	if from := many.From(); from.Hidden != MaxAuthors {
		t.Errorf("%d fields, want no more than %d", from.Hidden, MaxAuthors)
	}
}

// An author inside of another field is one more, as in a second From field.
func TestHiddenFrom(t *testing.T) {
	for _, tt := range []struct {
		name   string
		header Header
		want   string
	}{
		{"above", Header{NewField("X", []byte(" \rFrom: ceo@a.test")),
			NewField("From", []byte(" x@b.test"))}, "x@b.test ceo@a.test"},
		{"in the subject", Header{NewField("From", []byte(" x@b.test")),
			NewField("Subject", []byte(" hi\rfrom: CEO <ceo@a.test>"))},
			"x@b.test ceo@a.test"},
		{"the only one", Header{NewField("Subject", []byte(" hi\rFrom: ceo@a.test"))}, "ceo@a.test"},
		{"in From itself", Header{NewField("From",
			[]byte(" Joe\rFrom: ceo@a.test\r\n <x@b.test>"))}, "ceo@a.test x@b.test"},
		{"of the same domain", Header{NewField("X", []byte(" \rFrom: bob@b.test")),
			NewField("From", []byte(" x@b.test"))}, "x@b.test"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			from := tt.header.From()
			if got := shownText(from); got != tt.want {
				t.Errorf("shows %s, want %s", got, tt.want)
			}
			if _, err := from.Author(); err == nil && tt.name != "of the same domain" {
				t.Error("there is an author")
			}
			if from.Doubt() == "" {
				t.Error("nothing is doubtful")
			}
		})
	}
}
