package incoming

import (
	"strings"
	"testing"
)

// TestTableFits prints a table for a terminal, in which long names stand above their figures, and
// for a file, which has a line for each row.
func TestTableFits(t *testing.T) {
	rows := [][]string{
		{"source", "messages", "why"},
		{"2001:db8:1234:5678:9abc:def0:1234:5678", "123,456", "spoof"},
		{"192.0.2.1", "21", "forwarded"},
	}
	for _, tc := range []struct {
		name  string
		width int
		want  string
	}{
		{"a file", 0, "  source                                  messages  why\n" +
			"  2001:db8:1234:5678:9abc:def0:1234:5678   123,456  spoof\n" +
			"  192.0.2.1                                     21  forwarded\n"},
		{"a screen that is wide enough", 61,
			"  source                                  messages  why\n" +
				"  2001:db8:1234:5678:9abc:def0:1234:5678   123,456  spoof\n" +
				"  192.0.2.1                                     21  forwarded\n"},
		{"a screen", 60, "  source     messages  why\n" +
			"  2001:db8:1234:5678:9abc:def0:1234:5678\n" +
			"              123,456  spoof\n" +
			"  192.0.2.1        21  forwarded\n"},
		{"a narrow screen", 31, "  source    messages why\n" +
			"  2001:db8:1234:5678:9abc:def0:1234:5678\n" +
			"             123,456 spoof\n" +
			"  192.0.2.1       21 forwarded\n"},
	} {
		var out strings.Builder
		writeTable(&out, rows, "  ", 1, 1, tc.width)
		if out.String() != tc.want {
			t.Errorf("%s: got\n%swant\n%s", tc.name, out.String(), tc.want)
		}
	}
}
