package web

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"testing"

	"mailseal/milter/report/store"
)

// someStates are rows of domains as role intake keeps them.
func someStates(t testing.TB, n int) []store.DomainState {
	r := rand.New(rand.NewPCG(3, 4))
	var out []store.DomainState
	for i := range n {
		x := domainState{Day: today, Daily: make([]dayBar, keptDays),
			Sparse: make([]dayBar, sparseBars)}
		for _, list := range [][]dayBar{x.Daily, x.Sparse} {
			for j := range list {
				list[j] = dayBar{r.Int64N(1 << 40), r.Int64N(1000), r.Int64N(100), -r.Int64N(3)}
			}
		}
		for _, days := range keptPeriods {
			p := periodSums{Days: days}
			for range 11 {
				p.Receivers = append(p.Receivers, keptSum{Receiver: "google.com"})
			}
			x.Periods = append(x.Periods, p)
		}
		text, err := json.Marshal(x)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, store.DomainState{Domain: fmt.Sprintf("d%d.example", i), Serial: int64(i),
			Data: string(text)})
	}
	return out
}

// TestDecodeStates holds that what is read is what was kept, and that a row of another version is
// as if it were not there.
func TestDecodeStates(t *testing.T) {
	rows := someStates(t, 20)
	rows[3].Data = `{"Daily":[["x"]]}`
	rows[4].Domain = ""
	for i, x := range decodeStates(rows) {
		if i == 3 || i == 4 {
			if x != nil {
				t.Errorf("row %d was read: %+v", i, x)
			}
			continue
		}
		text, err := json.Marshal(x)
		if err != nil || string(text) != rows[i].Data {
			t.Errorf("row %d: %v, got %s, want %s", i, err, text, rows[i].Data)
		}
	}
}

func BenchmarkDecodeStates(b *testing.B) {
	rows := someStates(b, 500)
	for b.Loop() {
		decodeStates(rows)
	}
}
