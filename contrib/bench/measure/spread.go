package measure

import "slices"

// Distribution is the median, the least and the most of several measurements.
type Distribution struct{ Median, Min, Max float64 }

// Spread is the distribution of a value of all; zero without any.
func Spread[T any](all []T, value func(T) float64) Distribution {
	if len(all) == 0 {
		return Distribution{}
	}
	values := make([]float64, len(all))
	for i, v := range all {
		values[i] = value(v)
	}
	slices.Sort(values)
	mid := len(values) / 2
	median := values[mid]
	if len(values)%2 == 0 {
		median = (values[mid-1] + values[mid]) / 2
	}
	return Distribution{median, values[0], values[len(values)-1]}
}

// Same is for measurements that are the value themselves.
func Same(v float64) float64 { return v }
