package milter

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"testing"

	"mailseal/milter/action"
	"mailseal/milter/message"
	"mailseal/milter/message/messagetest"
)

func TestOrdinals(t *testing.T) {
	h := messagetest.Header("A: 1", "B: 1", "a: 2", "B: 2", "A: 3", "C: 1")
	got := ordinals(h, []int{0, 2, 3, 4})
	for i, want := range map[int]int{0: 1, 2: 2, 3: 2, 4: 3} {
		if got[i] != want || h.Ordinal(i) != want {
			t.Errorf("field %d: got %d, want %d", i, got[i], want)
		}
	}
}

// recorder writes edits down in place of an MTA.
type recorder struct {
	edits []string
	fails int // the edit that cannot be made, from 1; 0: none
}

func (r *recorder) ChangeHeader(index int, name, value string) error {
	return r.add("change %d %s %q", index, name, value)
}
func (r *recorder) InsertHeader(index int, name, value string) error {
	return r.add("insert %d %s %q", index, name, value)
}
func (r *recorder) Quarantine(reason string) error { return r.add("hold %q", reason) }

func (r *recorder) add(format string, args ...any) error {
	if len(r.edits)+1 == r.fails {
		return io.ErrClosedPipe
	}
	r.edits = append(r.edits, fmt.Sprintf(format, args...))
	return nil
}

func TestEdit(t *testing.T) {
	h := messagetest.Header("From: a@example.com", "A: 1", "B: 1", "a: 2", "A: 3")
	for _, c := range []struct {
		name    string
		outcome Outcome
		want    []string
	}{
		{"nothing", Outcome{Action: action.Accept}, nil},
		{"removals from the last to the first", Outcome{Edits: message.Edits{Remove: []int{1, 4, 3, 2, 3}}},
			[]string{`change 3 A ""`, `change 2 a ""`, `change 1 B ""`, `change 1 A ""`}},
		{"insertions in reverse, after removals", Outcome{Edits: message.Edits{Remove: []int{1},
			Insert: messagetest.Header("X: top\n\tmore", "Y: below")}},
			[]string{`change 1 A ""`, `insert 0 Y " below"`, `insert 0 X " top\r\n\tmore"`}},
		{"hold", Outcome{Action: action.Hold, Reason: "bad\r\nthing"}, []string{`hold "bad ?thing"`}},
		{"hold without a reason", Outcome{Action: action.Hold}, []string{`hold "held by policy"`}},
	} {
		t.Run(c.name, func(t *testing.T) {
			var r recorder
			if err := c.outcome.edit(&r, h); err != nil || !slices.Equal(r.edits, c.want) {
				t.Errorf("got %q (%v), want %q", r.edits, err, c.want)
			}
		})
	}
}

func TestEditFails(t *testing.T) {
	o := Outcome{Action: action.Hold,
		Edits: message.Edits{Remove: []int{0}, Insert: messagetest.Header("X: 1")}}
	for i := 1; i <= 3; i++ {
		r := recorder{fails: i}
		if err := o.edit(&r, messagetest.Header("A: 1")); !errors.Is(err, errEdit) ||
			!errors.Is(err, io.ErrClosedPipe) || len(r.edits) != i-1 {
			t.Errorf("edit %d fails: got %v after %q", i, err, r.edits)
		}
	}
}
