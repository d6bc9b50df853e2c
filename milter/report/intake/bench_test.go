package intake

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"mailseal/keys/database"
	"mailseal/milter/report"
	"mailseal/milter/report/store"
)

// large is a report of many rows from different sources.
func large(id string, rows int) []byte {
	x := string(xml(id))
	row := x[strings.Index(x, "<record>"):strings.Index(x, "</feedback>")]
	var b strings.Builder
	for i := range rows {
		b.WriteString(strings.Replace(row, "192.0.2.1",
			fmt.Sprintf("192.%d.%d.%d", i>>16&255, i>>8&255, i&255), 1))
	}
	return []byte(strings.Replace(x, row, b.String(), 1))
}

// BenchmarkParse reads a report of 2,286 rows.
func BenchmarkParse(b *testing.B) {
	data := large("1", 2286)
	b.SetBytes(int64(len(data)))
	for b.Loop() {
		Look("x", data)[0].ReadAggregate(nil, func(*report.Row) error { return nil })
	}
	b.ReportMetric(float64(b.N)*2286/b.Elapsed().Seconds(), "rows/s")
}

// BenchmarkTake stores reports of one row, and of 2,286 rows, each in a transaction that is on the
// disk.
func BenchmarkTake(b *testing.B) {
	for _, rows := range []int{1, 2286} {
		b.Run(fmt.Sprint(rows), func(b *testing.B) {
			s, err := store.Open(b.Context(), store.Options{Driver: database.SQLite,
				DSN: filepath.Join(b.TempDir(), "r.db")})
			if err != nil {
				b.Fatal(err)
			}
			defer s.Close()
			i, n := &Intake{Store: s}, 0
			for b.Loop() {
				n++
				a := &store.Arrival{Received: now, Name: "x", Trust: store.ByHand,
					Data: large(fmt.Sprint(n), rows)}
				if _, err := i.Take(b.Context(), a); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "reports/s")
			b.ReportMetric(float64(n*rows)/b.Elapsed().Seconds(), "rows/s")
		})
	}
}
