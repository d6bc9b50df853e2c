package main

import (
	"math"

	"mailseal/contrib/bench/plot"
)

// law is what points say about the cost y of x things: y = fixed + each·x.
type law struct {
	fixed, each float64
	// the largest exponent between two points that are far enough apart; 1 is a straight line
	steepest float64
}

const (
	// apart is by what factor two points must differ for their exponent to mean something.
	apart = 4
	// tolerance is how much steeper than straight points may be that merely scatter: 15 % over a
	// factor of 4.
	tolerance = 0.1
	// negligible is the share of the fixed cost that all growth together must reach to be called
	// growth.
	negligible = 0.02
)

// lawOf fits a law so that the relative errors are least.
func lawOf(points []plot.Point) law {
	var w, wx, wxx, wy, wxy float64
	for _, p := range points {
		weight := 1 / (p.Y * p.Y)
		w, wx, wxx = w+weight, wx+weight*p.X, wxx+weight*p.X*p.X
		wy, wxy = wy+weight*p.Y, wxy+weight*p.X*p.Y
	}
	l := law{steepest: steepest(points)}
	det := w*wxx - wx*wx
	if det > 0 {
		l.fixed, l.each = (wy*wxx-wx*wxy)/det, (w*wxy-wx*wy)/det
	}
	switch last := points[len(points)-1].X; {
	case det <= 0 || l.each*last < negligible*l.fixed:
		l.fixed, l.each = wy/w, 0
	case l.fixed <= 0:
		l.fixed, l.each = 0, wxy/wxx
	}
	return l
}

func steepest(points []plot.Point) float64 {
	most := math.Inf(-1)
	for i, p := range points {
		for _, q := range points[i+1:] {
			if q.X >= apart*p.X {
				most = max(most, math.Log(q.Y/p.Y)/math.Log(q.X/p.X))
			}
		}
	}
	return most
}

// isLinear reports whether twice as much costs at most twice as much.
func (l law) isLinear() bool { return l.steepest <= 1+tolerance }

// knee is from where on what grows costs more than the rest; 0 when it never does.
func (l law) knee() float64 {
	if l.each == 0 {
		return 0
	}
	return l.fixed / l.each
}
