// Package plot draws charts with logarithmic axes as SVG files that can be read on light and on
// dark pages.
package plot

import (
	"cmp"
	"fmt"
	"html"
	"io"
	"maps"
	"math"
	"slices"
	"strings"
)

// Point is a measurement. Both values are above zero.
type Point struct{ X, Y float64 }

// Series is a curve.
type Series struct {
	Name   string
	Points []Point // in the order of X
	Knee   float64 // the X to mark, among those of the points; 0 for none
}

// Axis is a dimension: what it is called and how a value of it is written, unit included.
type Axis struct {
	Label string
	Write func(v float64) string
}

// Chart is what is drawn. Notes stand below it, a line each.
type Chart struct {
	Title  string
	X, Y   Axis
	Series []Series
	Notes  []string
}

// The picture's measures, in the units of SVG.
const (
	width, top, left, right = 760, 64, 84, 28
	plotWidth, plotHeight   = width - left - right, 330
	bottom                  = 62 // for the x axis
	lineHeight              = 17
)

// WriteSVG draws the chart. It needs a point at least.
func (c *Chart) WriteSVG(w io.Writer) error {
	d := drawing{
		x: scaleOf(c, func(p Point) float64 { return p.X }, 1.25, left, left+plotWidth),
		y: scaleOf(c, func(p Point) float64 { return p.Y }, 1.7, top+plotHeight, top),
	}
	height := top + plotHeight + bottom + lineHeight*len(c.Notes)
	d.add(`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" width="%d" height="%d" `+
		`role="img" aria-label="%s">`+"\n", width, height, width, height, html.EscapeString(c.Title))
	d.b.WriteString(style())
	d.add(`<rect class="paper" width="%d" height="%d" rx="6"/>`+"\n", width, height)
	d.text("title", left, 26, "start", c.Title)
	d.grid(c)
	d.slope(c)
	for i, s := range c.Series {
		d.series(i, s)
		d.add(`<g class="s%d">`, i)
		d.marker(i, float64(left+i*plotWidth/len(c.Series)+5), 46)
		d.text("name", float64(left+i*plotWidth/len(c.Series)+15), 50, "start", s.Name)
		d.add("</g>\n")
	}
	d.values(c.Series)
	for i, note := range c.Notes {
		d.text("note", left, float64(top+plotHeight+bottom+lineHeight*i), "start", note)
	}
	d.b.WriteString("</svg>\n")
	_, err := io.WriteString(w, d.b.String())
	return err
}

// drawing is a chart on its way to SVG.
type drawing struct {
	b    strings.Builder
	x, y scale
}

func (d *drawing) add(format string, args ...any) { fmt.Fprintf(&d.b, format, args...) }

func (d *drawing) text(class string, x, y float64, anchor, text string) {
	d.add(`<text class="%s" x="%.1f" y="%.1f" text-anchor="%s">%s</text>`+"\n", class, x, y, anchor,
		html.EscapeString(text))
}

func (d *drawing) line(class string, x1, y1, x2, y2 float64) {
	d.add(`<line class="%s" x1="%.1f" y1="%.1f" x2="%.1f" y2="%.1f"/>`+"\n", class, x1, y1, x2, y2)
}

// grid draws the axes with their lines, numbers and names.
func (d *drawing) grid(c *Chart) {
	for _, t := range d.x.ticks() {
		x := d.x.at(t.value)
		d.line(t.class(), x, top, x, top+plotHeight)
		if t.named {
			d.text("tick", x, top+plotHeight+17, "middle", c.X.Write(t.value))
		}
	}
	for _, t := range d.y.ticks() {
		y := d.y.at(t.value)
		d.line(t.class(), left, y, left+plotWidth, y)
		if t.named {
			d.text("tick", left-8, y+4, "end", c.Y.Write(t.value))
		}
	}
	d.add(`<rect class="frame" x="%d" y="%d" width="%d" height="%d"/>`+"\n", left, top, plotWidth,
		plotHeight)
	d.text("", left+plotWidth/2, top+plotHeight+37, "middle", c.X.Label)
	d.add(`<text x="18" y="%d" text-anchor="middle" transform="rotate(-90 18 %d)">%s</text>`+"\n",
		top+plotHeight/2, top+plotHeight/2, html.EscapeString(c.Y.Label))
}

// slope draws the straight line of slope 1 that ends where the uppermost curve does: on it, twice
// as much costs twice as much.
func (d *drawing) slope(c *Chart) {
	var end Point
	for _, s := range c.Series {
		if p := s.Points[len(s.Points)-1]; p.Y > end.Y {
			end = p
		}
	}
	from := max(d.x.min, end.X*d.y.min/end.Y)
	d.line("slope", d.x.at(from), d.y.at(end.Y*from/end.X), d.x.at(end.X), d.y.at(end.Y))
}

// series draws a curve with its points.
func (d *drawing) series(i int, s Series) {
	d.add(`<g class="s%d">`+"\n", i)
	if s.Knee > 0 {
		d.line("knee", d.x.at(s.Knee), top, d.x.at(s.Knee), top+plotHeight)
	}
	d.add(`<polyline class="line" points="`)
	for _, p := range s.Points {
		d.add("%.1f,%.1f ", d.x.at(p.X), d.y.at(p.Y))
	}
	d.add(`"/>` + "\n")
	for _, p := range s.Points {
		d.marker(i, d.x.at(p.X), d.y.at(p.Y))
	}
	d.add("</g>\n")
}

// values writes what was measured: above the uppermost curve's points, below those of the others,
// none over another.
func (d *drawing) values(all []Series) {
	const above, below, apart = -9, 17, 11
	columns := map[float64][]value{}
	for i, s := range all {
		for _, p := range s.Points {
			columns[p.X] = append(columns[p.X], value{i, p})
		}
	}
	for _, x := range slices.Sorted(maps.Keys(columns)) {
		column := columns[x]
		slices.SortStableFunc(column, func(a, b value) int { return cmp.Compare(b.Y, a.Y) })
		from := math.Inf(-1)
		for k, v := range column {
			at := d.y.at(v.Y) + below
			if k == 0 {
				at = d.y.at(v.Y) + above
			}
			from = max(at, from+apart)
			d.add(`<g class="s%d">`, v.series)
			d.text("value", d.x.at(x), from, "middle", short(v.Y))
			d.add("</g>\n")
		}
	}
}

// value is a point of a series.
type value struct {
	series int
	Point
}

// marker draws a point of the i-th series: a disc, a square, a triangle, a diamond.
func (d *drawing) marker(i int, x, y float64) {
	switch i % 4 {
	case 0:
		d.add(`<circle class="mark" cx="%.1f" cy="%.1f" r="4"/>`, x, y)
	case 1:
		d.add(`<rect class="mark" x="%.1f" y="%.1f" width="7" height="7"/>`, x-3.5, y-3.5)
	case 2:
		d.add(`<path class="mark" d="M%.1f %.1fl5 9h-10z"/>`, x, y-6)
	default:
		d.add(`<path class="mark" d="M%.1f %.1fl5 5l-5 5l-5 -5z"/>`, x, y-5)
	}
}

// short writes a value in three digits.
func short(v float64) string {
	decimals := max(0, 2-int(math.Floor(math.Log10(v))))
	text := fmt.Sprintf("%.*f", min(decimals, 4), v)
	if strings.Contains(text, ".") {
		text = strings.TrimRight(strings.TrimRight(text, "0"), ".")
	}
	return text
}
