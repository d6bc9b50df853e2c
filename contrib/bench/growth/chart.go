package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"mailseal/contrib/bench/measure"
	"mailseal/contrib/bench/plot"
)

// chart is what one thing costs as another grows.
type chart struct {
	file, title, what string
	x, y              plot.Axis
	each              unit // of the cost of one more
	curves            []curve
}

// curve is one way to do it.
type curve struct {
	name    string
	points  []plot.Point
	without float64 // the cost at x = 0, if that was measured
}

// unit is in what words the cost of one more is told, and what it is multiplied by for them.
type unit struct {
	factor float64
	words  string
}

// The axes.
var (
	octets    = plot.Axis{Label: "octets of body", Write: sizeText}
	processor = plot.Axis{Label: "processor time for each message",
		Write: func(v float64) string { return plain(v) + " ms" }}
	took     = plot.Axis{Label: "time", Write: func(v float64) string { return plain(v) + " ms" }}
	resident = plot.Axis{Label: "resident memory",
		Write: func(v float64) string { return plain(v) + " MB" }}
)

func count(label string) plot.Axis { return plot.Axis{Label: label, Write: plain} }

// plain writes a number without an exponent, with commas between thousands.
func plain(v float64) string {
	text := strconv.FormatFloat(v, 'f', -1, 64)
	whole, rest, ok := strings.Cut(text, ".")
	for i := len(whole) - 3; i > 0; i -= 3 {
		whole = whole[:i] + "," + whole[i:]
	}
	if ok {
		return whole + "." + rest
	}
	return whole
}

func sizeText(v float64) string {
	if v >= 1e6 {
		return plain(v/1e6) + " MB"
	}
	return plain(v/1e3) + " KB"
}

// round rounds to so many digits: three for what was measured, two for what a fit says.
func round(v float64, digits int) float64 {
	// it has just been written
	rounded, _ := strconv.ParseFloat(strconv.FormatFloat(v, 'g', digits, 64), 64)
	return rounded
}

// draw writes the picture.
func (c *chart) draw(dir string) error {
	p := plot.Chart{Title: c.title, X: c.x, Y: c.y}
	for _, cv := range c.curves {
		series := plot.Series{Name: cv.name, Points: cv.points}
		if knee := lawOf(cv.points).knee(); inside(cv, knee) {
			series.Name += " (knee: " + c.x.Write(round(knee, 2)) + ")"
			series.Knee = knee
		}
		p.Series = append(p.Series, series)
	}
	p.Notes = append(p.Notes, c.what,
		"Dashed: the straight line of slope 1, on which twice as much costs twice as much.",
		"Dotted: the knee, where there is one: from there on, what grows costs more than all that does not.")
	if without := c.curves[0].without; without > 0 {
		p.Notes[0] += "; without any it is " + c.y.Write(round(without, 3))
	}
	var b bytes.Buffer
	if err := p.WriteSVG(&b); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, c.picture()), b.Bytes(), 0o644)
}

func (c *chart) picture() string { return "growth-" + c.file + ".svg" }

// inside reports whether the knee is among the points.
func inside(cv curve, knee float64) bool {
	return knee >= cv.points[0].X && knee <= cv.points[len(cv.points)-1].X
}

// sentence says of a curve whether it is linear or better, and where its knee is.
func (c *chart) sentence(cv curve) string {
	l := lawOf(cv.points)
	first, last := cv.points[0].X, cv.points[len(cv.points)-1].X
	var b strings.Builder
	fmt.Fprintf(&b, "**%s**: %s", cv.name, c.y.Write(round(l.fixed, 3)))
	if l.each > 0 {
		fmt.Fprintf(&b, ", and %s %s", plain(round(l.each*c.each.factor, 2)), c.each.words)
	}
	b.WriteString("; ")
	switch knee := l.knee(); {
	case knee > last || l.each == 0:
		fmt.Fprintf(&b, "no knee up to %s, what does not grow costs more. ", c.x.Write(last))
	case knee < first:
		fmt.Fprintf(&b, "what grows costs more than the rest from the start. ")
	default:
		fmt.Fprintf(&b, "the knee is at %s. ", c.x.Write(round(knee, 2)))
	}
	if l.isLinear() {
		fmt.Fprintf(&b, "Linear or better: nowhere steeper than x^%.2f.", l.steepest)
	} else {
		fmt.Fprintf(&b, "**Worse than linear: x^%.2f at its steepest.**", l.steepest)
	}
	return b.String()
}

// text is the chart's section in GROWTH.md.
func (c *chart) text() string {
	var b strings.Builder
	fmt.Fprintf(&b, "\n## %s\n\n![%s](%s)\n\n%s.\n\n", c.title, c.title, c.picture(), c.what)
	for _, cv := range c.curves {
		fmt.Fprintf(&b, "* %s\n", c.sentence(cv))
	}
	fmt.Fprintf(&b, "\n| %s |", c.x.Label)
	for _, cv := range c.curves {
		fmt.Fprintf(&b, " %s |", cv.name)
	}
	b.WriteString("\n|---:|" + strings.Repeat("---:|", len(c.curves)) + "\n")
	if without := c.curves[0].without; without > 0 {
		fmt.Fprintf(&b, "| none | %s |%s\n", c.y.Write(round(without, 3)),
			strings.Repeat(" |", len(c.curves)-1))
	}
	for i, p := range longest(c.curves) {
		fmt.Fprintf(&b, "| %s |", c.x.Write(p.X))
		for _, cv := range c.curves {
			if i < len(cv.points) {
				fmt.Fprintf(&b, " %s |", c.y.Write(round(cv.points[i].Y, 3)))
			} else {
				b.WriteString(" |")
			}
		}
		b.WriteString("\n")
	}
	return b.String()
}

func longest(curves []curve) (points []plot.Point) {
	for _, cv := range curves {
		if len(cv.points) > len(points) {
			points = cv.points
		}
	}
	return points
}

// report is GROWTH.md.
func report(o options, charts []*chart) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "# What it costs as things grow\n\nMade by `make bench-growth`; do not edit. %s\n\n",
		time.Now().UTC().Format("2006-01-02 15:04 UTC"))
	fmt.Fprintf(&b, "* machine: %s\n* %s\n", measure.Machine(),
		measure.FirstLine(o.mailseal, "version"))
	fmt.Fprintf(&b, "* each point is the median of %d rounds; unix sockets, two connections "+
		"unless it says otherwise, all pinned to two cores; a line is logged for each message\n",
		o.rounds)
	b.WriteString("* a straight line is fitted to each curve: a cost that does not grow, and one " +
		"for each thing more. " +
		"The knee is where both are equal. A curve is worse than linear if anywhere, over a " +
		"factor of four or more, it is steeper than x^1.1.\n")
	for _, c := range charts {
		b.WriteString(c.text())
	}
	return b.Bytes()
}
