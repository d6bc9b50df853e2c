package message

import (
	"reflect"
	"testing"
)

// AddBytes must do as Add does, keep nothing of what it was given, and count the same.
func TestCollectorAddBytes(t *testing.T) {
	for _, limit := range []int{40, 45, 46, 47, 100, 1000} {
		a, b := NewCollector(limit), NewCollector(limit)
		for _, f := range [][2]string{{"A", ""}, {"Subject ", " one\n\ttwo"}, {"X", " a\r\n b\n"}, {"", ""}} {
			name, value := []byte(f[0]), []byte(f[1])
			if got, want := b.AddBytes(name, value), a.Add(f[0], f[1]); got != want {
				t.Errorf("limit %d, %q: got %v, want %v", limit, f, got, want)
			}
			clear(name)
			clear(value)
		}
		if got, want := b.Header(), a.Header(); !reflect.DeepEqual(got, want) || a.Overflow() != b.Overflow() {
			t.Errorf("limit %d: got %q, want %q", limit, got, want)
		}
	}
}
