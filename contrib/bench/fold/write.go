package main

import (
	"fmt"
	"os"
	"time"
)

// write writes the figures as a page.
func write(o options, w written) error {
	f, n := w.folder, float64(o.messages)
	text := fmt.Sprintf(`# What it costs to count a day's mail for reports

Made by "make bench-fold"; do not edit. %s

A host judges %d messages in a day: 200,000 domains of very different size, a quarter of the mail is forged and comes
from anywhere. The daemon writes segments of five minutes; the process of reports takes them into a store of SQLite.

| what | figure |
|---|---|
| policy domains | %d |
| rows, and of the largest report | %d, %d |
| spool, bytes a message | %.1f |
| store, bytes a message | %.1f |
| CPU to count it all | %s, %.1f µs a message |
| memory of the process at most (resident) | %d MB |

Then it is night, and every domain gets its report, as if it were listed (reports.domains):

| what | figure |
|---|---|
| reports | %d |
| CPU to build them all | %s, %.2f ms a report |
| store with the mails that wait, bytes a message | %.1f |
| memory of the process at most (resident) | %d MB |
`, time.Now().UTC().Format("2006-01-02 15:04 MST"), o.messages, f.Domains, f.Rows, f.Largest,
		float64(w.bytes)/n, float64(f.Disk)/n, f.CPU.Round(100*time.Millisecond),
		float64(f.CPU.Microseconds())/n,
		f.Peak>>20, w.night.Reports, w.night.Night.Round(100*time.Millisecond),
		float64(w.night.Night.Microseconds())/1000/float64(max(1, w.night.Reports)),
		float64(w.night.Disk)/n, w.night.Peak>>20)
	if o.out == "" {
		fmt.Print(text)
		return nil
	}
	return os.WriteFile(o.out, []byte(text), 0o644)
}
