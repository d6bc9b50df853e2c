package incoming

import (
	"fmt"
	"io"
	"slices"
	"strings"
)

// least is how many columns of a screen a name has at least beside its figures: an IPv4 address.
const least = 15

// fitted returns a table of which no line is wider than a screen, if it can be, and what is to
// stand between its columns: a name in the first column that is too long stands on a line of its
// own, above its figures. width is 0 for a file or a pipe, which has a line for each row.
func fitted(rows [][]string, prefix string, width int) (out [][]string, gap string) {
	widths := columnWidths(rows)
	rest := len(prefix)
	for _, w := range widths[1:] {
		rest += len("  ") + w
	}
	if width == 0 || rest+widths[0] <= width {
		return rows, "  "
	}
	most := max(width-rest, least)
	for _, row := range rows {
		if len([]rune(row[0])) > most {
			out = append(out, row[:1])
			row = slices.Clone(row)
			row[0] = ""
		}
		out = append(out, row)
	}
	if rest+columnWidths(out)[0] > width {
		return out, " "
	}
	return out, "  "
}

// columnWidths returns the width of each column. A row of one cell stands on its own.
func columnWidths(rows [][]string) []int {
	widths := make([]int, len(rows[0]))
	for _, row := range rows {
		if len(row) < len(widths) {
			continue
		}
		for i, cell := range row {
			widths[i] = max(widths[i], len([]rune(cell)))
		}
	}
	return widths
}

// writeTable prints columns, those from number "from" to "to" at the right, for a screen of so many
// columns; 0 for a file or pipe.
func writeTable(w io.Writer, rows [][]string, prefix string, from, to, width int) {
	rows, gap := fitted(rows, prefix, width)
	widths := columnWidths(rows)
	for _, row := range rows {
		line := prefix
		if len(row) < len(widths) {
			fmt.Fprintln(w, prefix+row[0])
			continue
		}
		for i, cell := range row {
			pad := strings.Repeat(" ", widths[i]-len([]rune(cell)))
			if i >= from && i <= to {
				line += pad + cell + gap
			} else {
				line += cell + pad + gap
			}
		}
		fmt.Fprintln(w, strings.TrimRight(line, " "))
	}
}
