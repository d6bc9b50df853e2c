package plot

import "math"

// scale is a logarithmic axis: values from min to max lie between two places of the picture.
type scale struct {
	min, max float64
	from, to float64
}

// scaleOf makes an axis for one of the two values of all points, that much wider than they at
// either end. It spans a decade at least.
func scaleOf(c *Chart, value func(Point) float64, room, from, to float64) scale {
	s := scale{math.Inf(1), 0, from, to}
	for _, series := range c.Series {
		for _, p := range series.Points {
			s.min, s.max = min(s.min, value(p)), max(s.max, value(p))
		}
	}
	missing := max(1, math.Sqrt(10/(s.max/s.min))/room)
	s.min, s.max = s.min/room/missing, s.max*room*missing
	return s
}

// at is the place of a value.
func (s scale) at(v float64) float64 {
	return s.from + (s.to-s.from)*math.Log(v/s.min)/math.Log(s.max/s.min)
}

// tick is a line of the grid.
type tick struct {
	value         float64
	decade, named bool
}

func (t tick) class() string {
	if t.decade {
		return "grid"
	}
	return "fine"
}

// ticks returns the lines: at each power of ten, and finer ones between them, which are named where
// there are few decades.
func (s scale) ticks() []tick {
	const few = 300 // the range within which 2 and 5 are named too
	var out []tick
	for e := math.Floor(math.Log10(s.min)); math.Pow(10, e) <= s.max; e++ {
		for digit := 1.0; digit < 10; digit++ {
			v := digit * math.Pow(10, e)
			if v < s.min || v > s.max {
				continue
			}
			named := digit == 1 || (digit == 2 || digit == 5) && s.max/s.min < few
			out = append(out, tick{v, digit == 1, named})
		}
	}
	return out
}
