package main

import (
	"math"
	"testing"

	"mailseal/contrib/bench/plot"
)

func pointsOf(cost func(x float64) float64) (out []plot.Point) {
	for x := 1.0; x < 5000; x *= 3 {
		out = append(out, plot.Point{X: x, Y: cost(x)})
	}
	return out
}

func TestLaw(t *testing.T) {
	for _, tt := range []struct {
		name   string
		cost   func(x float64) float64
		want   law
		knee   float64
		linear bool
	}{
		{"straight with a fixed part", func(x float64) float64 { return 50 + 2*x }, law{fixed: 50, each: 2}, 25, true},
		{"flat", func(float64) float64 { return 7 }, law{fixed: 7}, 0, true},
		{"falling", func(x float64) float64 { return 7 / math.Sqrt(x) }, law{}, 0, true},
		{"proportional", func(x float64) float64 { return 3 * x }, law{each: 3}, 0, true},
		{"a quadratic part", func(x float64) float64 { return 50 + 2*x + 0.01*x*x }, law{}, 0, false},
		{"n log n", func(x float64) float64 { return x * math.Log(x+1) }, law{}, 0, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := lawOf(pointsOf(tt.cost))
			if got.isLinear() != tt.linear {
				t.Errorf("steepest %.2f, want linear: %t", got.steepest, tt.linear)
			}
			if tt.want == (law{}) {
				return
			}
			if math.Abs(got.fixed-tt.want.fixed) > 1e-6 || math.Abs(got.each-tt.want.each) > 1e-6 ||
				math.Abs(got.knee()-tt.knee) > 1e-6 {
				t.Errorf("got %+v, knee %v, want %+v, knee %v", got, got.knee(), tt.want, tt.knee)
			}
		})
	}
}
