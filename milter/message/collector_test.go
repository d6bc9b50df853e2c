package message

import (
	"reflect"
	"strings"
	"testing"

	"mailseal/contrib/test/allocations"
)

// AddBytes must do as Add does, keep nothing of what it was given, and count the same.
func TestCollectorAddBytes(t *testing.T) {
	for _, limit := range []int{40, 45, 46, 47, 100, 1000} {
		a, b := NewCollector(limit), NewCollector(limit)
		for _, f := range [][2]string{{"A", ""}, {"Subject ", " one\n\ttwo"}, {"X", " a\r\n b\n"},
			{"", ""}} {
			name, value := []byte(f[0]), []byte(f[1])
			if got, want := b.AddBytes(name, value), a.Add(f[0], f[1]); got != want {
				t.Errorf("limit %d, %q: got %v, want %v", limit, f, got, want)
			}
			clear(name)
			clear(value)
		}
		if got, want := b.Header(), a.Header(); !reflect.DeepEqual(got, want) ||
			a.Overflow() != b.Overflow() {
			t.Errorf("limit %d: got %q, want %q", limit, got, want)
		}
	}
}

func TestCollectorLimit(t *testing.T) {
	cost := len("A: 12\r\n") + fieldCost
	tests := []struct {
		name  string
		limit int
		kept  int
	}{
		{"room for all", 3 * cost, 3},
		{"one octet short", 3*cost - 1, 2},
		{"room for one", cost, 1},
		{"room for none", cost - 1, 0},
		{"no room", 0, 0},
		{"negative", -1, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := NewCollector(tt.limit)
			for range 3 {
				c.Add("A", " 12")
			}
			if got := len(c.Header()); got != tt.kept || c.Overflow() != (tt.kept < 3) {
				t.Errorf("%d fields kept, overflow %t, want %d", got, c.Overflow(), tt.kept)
			}
		})
	}
}

// TestCollectorStops holds that nothing is kept after a field that was too large, however small it
// is.
func TestCollectorStops(t *testing.T) {
	c := NewCollector(200)
	if !c.Add("A", " 1") || c.Add("B", strings.Repeat("x", 200)) || c.Add("C", " 3") {
		t.Error("a field was kept after one that was too large")
	}
	if !c.Overflow() || text(c.Header()) != "A: 1" {
		t.Errorf("kept %s, overflow %t", text(c.Header()), c.Overflow())
	}
}

// TestCollectorKeeps holds that fields do not grow into one another, nor a header into one given
// away before.
func TestCollectorKeeps(t *testing.T) {
	c := NewCollector(1 << 20)
	var early Header
	for i := range 2000 {
		c.Add("A", strings.Repeat("x\n", i%300))
		if i == 10 {
			early = append(c.Header(), NewField("B", nil))
		}
	}
	if got := early[11].Name(); got != "B" {
		t.Errorf("a later field stands in a header given away before: %s", got)
	}
	for i, f := range c.Header() {
		if want := "A:" + strings.Repeat("x\r\n", i%300); string(f.Raw()) != want {
			t.Fatalf("field %d is %.40q…, want %.40q…", i, f.Raw(), want)
		}
		if len(f.Raw()) != cap(f.Raw()) {
			t.Fatalf("field %d has room for its neighbour's octets", i)
		}
	}
}

func TestCollectorAllocatesLittle(t *testing.T) {
	value := strings.Repeat("x", 60) + "\n\t" + strings.Repeat("y", 60)
	const fields = 2000
	allocations.Hold(t, "milter/message: collecting 2000 fields", 10, func() {
		c := NewCollector(1 << 20)
		for range fields {
			c.Add("Received", value)
		}
		c.Header()
	})
}
