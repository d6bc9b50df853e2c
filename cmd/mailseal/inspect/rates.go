package inspect

import (
	"fmt"
	"time"

	"mailseal/milter/report/web"
)

// How many checks a minute may begin: of one account, so that it leaves some to the others, and of
// all.
const (
	maxByAccount = 10
	maxByAll     = 30
)

// rates counts checks by minutes.
type rates struct {
	minute time.Time
	all    int
	of     map[string]int
}

// take counts a check of an account, or refuses it.
func (r *rates) take(by string, now time.Time) error {
	minute := now.Truncate(time.Minute)
	if !minute.Equal(r.minute) {
		*r = rates{minute: minute, of: map[string]int{}}
	}
	if r.all >= maxByAll || r.of[by] >= maxByAccount {
		return fmt.Errorf("%w in this minute; try again in %d seconds", web.ErrBusy,
			int((r.minute.Add(time.Minute).Sub(now)+time.Second-1)/time.Second))
	}
	r.all++
	r.of[by]++
	return nil
}
