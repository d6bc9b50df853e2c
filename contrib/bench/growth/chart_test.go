package main

import (
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"mailseal/contrib/bench/plot"
)

func chartOf(curves ...curve) *chart {
	return &chart{file: "x", title: "Title", what: "What", x: count("keys"), y: processor,
		each: unit{1e3, "µs for each key"}, curves: curves}
}

func TestSentence(t *testing.T) {
	for _, tt := range []struct {
		name   string
		points []plot.Point
		want   string
	}{
		{"a knee", pointsOf(func(x float64) float64 { return 2 + 0.01*x }),
			"**c**: 2 ms, and 10 µs for each key; the knee is at 200. Linear or better: nowhere steeper than x^0.77."},
		{"growth is dear", pointsOf(func(x float64) float64 { return 0.001 + x }),
			"what grows costs more than the rest from the start. Linear or better"},
		{"growth is cheap", pointsOf(func(x float64) float64 { return 100 + 0.01*x }),
			"no knee up to 2,187, what does not grow costs more. Linear or better"},
		{"flat", pointsOf(func(float64) float64 { return 3 }),
			"**c**: 3 ms; no knee up to 2,187, what does not grow costs more. Linear or better: " +
				"nowhere steeper than x^0.00."},
		{"quadratic", pointsOf(func(x float64) float64 { return x * x }),
			"**Worse than linear: x^2.00 at its steepest.**"},
	} {
		if got := chartOf().sentence(curve{name: "c", points: tt.points}); !strings.Contains(got,
			tt.want) {
			t.Errorf("%s: got %q, want %q", tt.name, got, tt.want)
		}
	}
}

func TestReport(t *testing.T) {
	long := pointsOf(func(x float64) float64 { return 2 + 0.01*x })
	c := chartOf(curve{name: "one", points: long[:3], without: 1.5},
		curve{name: "two", points: long})
	got := string(report(options{mailseal: "/nonexistent", rounds: 3}, []*chart{c}))
	for _, want := range []string{
		"median of 3 rounds", "\n## Title\n", "![Title](growth-x.svg)",
		"| keys | one | two |\n|---:|---:|---:|\n| none | 1.5 ms | |\n| 1 | 2.01 ms | 2.01 ms |\n",
		"\n| 2,187 | | 23.9 ms |\n",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("the report lacks %q:\n%s", want, got)
		}
	}
	dir := t.TempDir()
	if err := c.draw(dir); err != nil {
		t.Fatal(err)
	}
	picture, err := os.ReadFile(filepath.Join(dir, "growth-x.svg"))
	if err != nil || !strings.Contains(string(picture), "two (knee: 200)") ||
		!strings.Contains(string(picture), "without any it is 1.5 ms") {
		t.Errorf("%v: %s", err, picture)
	}
}

func TestNumbers(t *testing.T) {
	for v, want := range map[float64]string{1: "1", 999: "999", 1000: "1,000", 1234567: "1,234,567",
		0.25: "0.25", 1234.5: "1,234.5"} {
		if got := plain(v); got != want {
			t.Errorf("plain(%v) = %q, want %q", v, got, want)
		}
	}
	for v, want := range map[float64]string{1e3: "1 KB", 3e5: "300 KB", 5e7: "50 MB"} {
		if got := sizeText(v); got != want {
			t.Errorf("sizeText(%v) = %q, want %q", v, got, want)
		}
	}
	if got := round(math.Pi*1000, 2); got != 3100 {
		t.Errorf("round(3141.6, 2) = %v", got)
	}
}
