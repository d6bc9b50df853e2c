package advice

import "time"

// Day is a day in UTC, counted from 1 January 1970.
type Day int32

// DayOf returns the UTC day of t.
func DayOf(t time.Time) Day {
	sec := t.Unix()
	day := sec / 86400
	if sec%86400 < 0 {
		day--
	}
	return Day(day)
}

// ParseDay reads a day written as 2026-11-29.
func ParseDay(s string) (Day, error) {
	t, err := time.Parse(time.DateOnly, s)
	if err != nil {
		return 0, err
	}
	return DayOf(t), nil
}

// Time returns the beginning of the day.
func (d Day) Time() time.Time { return time.Unix(int64(d)*86400, 0).UTC() }

// String returns the day as 2026-11-29.
func (d Day) String() string { return d.Time().Format(time.DateOnly) }

// Short returns the day as 29 Nov, with the year if it is 365 days or more before now.
func (d Day) Short(now Day) string {
	if now-d >= 365 || d-now >= 365 {
		return d.Time().Format("2 Jan 2006")
	}
	return d.Time().Format("2 Jan")
}

// Age returns how long ago d was as "27 d" or "2 y".
func (d Day) Age(now Day) string {
	days := int64(now - d)
	if days >= 365 {
		return Count(days/365) + " y"
	}
	return Count(days) + " d"
}
