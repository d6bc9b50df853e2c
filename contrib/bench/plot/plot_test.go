package plot

import (
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"math"
	"strings"
	"testing"
)

func sample() *Chart {
	write := func(v float64) string { return fmt.Sprint(v, " <s>") }
	return &Chart{
		Title: "cost & size", X: Axis{"things", write}, Y: Axis{"time", write}, Notes: []string{"a note"},
		Series: []Series{
			{Name: "one", Points: []Point{{1, 2.345}, {10, 3}, {1000, 200}}, Knee: 30},
			{Name: "two", Points: []Point{{1, 2.345}, {10, 2.9}}},
		},
	}
}

// TestSVG reads the picture back: it is XML, whatever names hold, and has what was asked for.
func TestSVG(t *testing.T) {
	var b strings.Builder
	if err := sample().WriteSVG(&b); err != nil {
		t.Fatal(err)
	}
	seen := map[string]int{} // elements by name and class, and texts
	d := xml.NewDecoder(strings.NewReader(b.String()))
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		switch e := token.(type) {
		case xml.StartElement:
			for _, a := range e.Attr {
				if a.Name.Local == "class" {
					seen[e.Name.Local+"."+a.Value]++
				}
			}
		case xml.CharData:
			seen[string(e)]++
		}
	}
	for what, want := range map[string]int{
		"cost & size": 1, "things": 1, "time": 1, "a note": 1, "one": 1, "two": 1, "2.35": 2,
		"2.9": 1, "200": 1, "10 <s>": 2,
		"polyline.line": 2, "line.knee": 1, "line.slope": 1, "circle.mark": 4, "rect.mark": 3,
	} {
		if seen[what] != want {
			t.Errorf("%q is there %d times, want %d", what, seen[what], want)
		}
	}
}

func TestScale(t *testing.T) {
	c := sample()
	x := scaleOf(c, func(p Point) float64 { return p.X }, 1, 100, 400)
	for v, want := range map[float64]float64{1: 100, 10: 200, 1000: 400} {
		if got := x.at(v); math.Abs(got-want) > 1e-9 {
			t.Errorf("%v is at %v, want %v", v, got, want)
		}
	}
	flat := &Chart{Series: []Series{{Points: []Point{{1, 5}, {2, 5}}}}}
	if y := scaleOf(flat, func(p Point) float64 { return p.Y }, 1.5, 0,
		1); math.Abs(y.max/y.min-10) > 1e-9 || math.Abs(y.at(5)-0.5) > 1e-9 {
		t.Errorf("values that are all the same lie from %v to %v, want them in the middle of a decade", y.min, y.max)
	}
}

func TestShort(t *testing.T) {
	for v, want := range map[float64]string{0.0123: "0.0123", 0.5: "0.5", 2.345: "2.35",
		39.71: "39.7", 220: "220", 3210.4: "3210", 10: "10"} {
		if got := short(v); got != want {
			t.Errorf("short(%v) = %q, want %q", v, got, want)
		}
	}
}
