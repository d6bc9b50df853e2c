package store

import (
	"bytes"
	"cmp"
	"fmt"
	"maps"
	"slices"

	"mailseal/milter/report"
)

// room limits the rows of a policy and day that are kept. Passing and failing mail have
// separate limits: a sender that forges a domain must not displace the domain's own mail
// from its report.
type room struct {
	detailed int // with all that a sender can make up; beyond, rows are summed by client
	clients  int // beyond, clients are summed by network
	networks int // beyond, by wide network: there are few, so that there is an end
}

// maxRowBytes is how much the rows of a policy and day may come to as they are stored: a row may
// have twenty signatures with long names.
const maxRowBytes = 4 << 20

// maxKeyBytes is the same as they are in memory: names that many rows have in common are stored
// once. It leaves room for as many rows of usual mail as maxPassing does.
const maxKeyBytes = 2 * maxRowBytes

var (
	maxFailing = room{5_000, 8_000, 8_400}
	maxPassing = room{40_000, 48_000, 48_400}
)

// merge writes the rows that a policy has and those of a batch, both sorted by key, as one. Rows of
// the batch that have no room are summed; folded is how many messages they have. What is
// damaged in stored is lost.
func merge(
	w *report.RowWriter, stored []byte, batch []report.KeyCount, p *report.Policy,
) (folded int64) {
	w.Reset()
	i := 0
	passing, failing, keyBytes := 0, 0, 0
	add := func(key []byte, n int64) {
		if report.KeyPasses(key) {
			passing++
		} else {
			failing++
		}
		keyBytes += len(key)
		w.Add(key, n)
	}
	for r := range report.ReadRows(stored) {
		if r.Key == nil {
			break
		}
		order := -1
		for i < len(batch) {
			if order = bytes.Compare(r.Key, batch[i].Key); order <= 0 {
				break
			}
			add(batch[i].Key, batch[i].N)
			i++
		}
		if i < len(batch) && order == 0 {
			r.N += batch[i].N
			i++
		}
		add(r.Key, r.N)
	}
	for ; i < len(batch); i++ {
		add(batch[i].Key, batch[i].N)
	}
	if passing <= maxPassing.detailed && failing <= maxFailing.detailed &&
		len(w.Bytes) <= maxRowBytes && keyBytes <= maxKeyBytes {
		return 0
	}
	return mergeIntoFull(w, stored, batch, p)
}

// mergeIntoFull is merge where the rows have no room: the new ones are summed, the smallest first.
func mergeIntoFull(
	w *report.RowWriter, stored []byte, batch []report.KeyCount, p *report.Policy,
) (folded int64) {
	rows := map[string]int64{}
	var count [2]int // of failing and passing rows
	side := func(key []byte) (*int, room) {
		if report.KeyPasses(key) {
			return &count[1], maxPassing
		}
		return &count[0], maxFailing
	}
	add := func(key []byte, n int64) {
		have, _ := side(key)
		if _, isKnown := rows[string(key)]; !isKnown {
			*have++
		}
		rows[string(key)] += n
	}
	left := maxKeyBytes
	for r := range report.ReadRows(stored) {
		if r.Key != nil {
			add(r.Key, r.N)
			left -= len(r.Key)
		}
	}
	left = min(left, maxRowBytes-len(stored))
	largest := slices.SortedFunc(slices.Values(batch), func(a, b report.KeyCount) int {
		return cmp.Or(cmp.Compare(b.N, a.N), bytes.Compare(a.Key, b.Key))
	})
	for _, r := range largest {
		have, room := side(r.Key)
		_, isKnown := rows[string(r.Key)]
		if isKnown || *have < room.detailed && len(r.Key) <= left {
			if !isKnown {
				left -= len(r.Key)
			}
			add(r.Key, r.N)
			continue
		}
		folded += r.N
		row, err := report.ParseKey(r.Key, r.N)
		if err != nil { // of a batch of ours: cannot be
			continue
		}
		row.Policy = *p
		add(summed(rows, &row.Evaluation, *have, room), r.N)
	}
	w.Reset()
	for _, key := range slices.Sorted(maps.Keys(rows)) {
		w.Add([]byte(key), rows[key])
	}
	return folded
}

// summed is the key under which a row that has no room is counted: without what senders can make
// up, and once there are many clients by their network, which a reason of the row says.
func summed(rows map[string]int64, e *report.Evaluation, have int, r room) []byte {
	sum := e.Folded()
	key := sum.AppendKey(nil)
	limits := []int{r.clients, r.networks}
	for wider, limit := range limits {
		if _, isKnown := rows[string(key)]; isKnown || have < limit {
			return key
		}
		wide := ofNetwork(sum, wider)
		key = wide.AppendKey(nil)
	}
	return key
}

// ofNetwork is a row of many clients: of the network of one, which a reason says.
func ofNetwork(sum report.Evaluation, wider int) report.Evaluation {
	net := network(sum.Client, wider)
	sum.Client = net.Addr()
	sum.Reasons = append(slices.Clip(sum.Reasons), report.Reason{
		Type: "other", Comment: fmt.Sprintf("sum of all clients in %s, since there were too many "+
			"rows", net),
	})
	return sum
}

// under is a row as it is counted under another policy of its domain than the one that the message
// was judged by: what was not done as that policy asks for has a reason.
func under(e report.Evaluation, p *report.Policy) report.Evaluation {
	if e.Passes() {
		return e
	}
	if !p.Testing {
		e.Reasons = slices.DeleteFunc(slices.Clone(e.Reasons), func(r report.Reason) bool {
			return r.Type == "policy_test_mode"
		})
	}
	isAsked := e.Disposition == p.P
	if e.HeaderFrom != p.Domain { // which of the two it was is not known any more
		isAsked = e.Disposition == p.SP && e.Disposition == p.NP
	}
	if isAsked && !p.Testing {
		return e
	}
	reason := report.Reason{Type: "local_policy",
		Comment: "judged by another DMARC record of this day, of which there were too many"}
	if !slices.Contains(e.Reasons, reason) {
		e.Reasons = append(slices.Clip(e.Reasons), reason)
	}
	return e
}

// rowsUnder is under for the rows of a policy.
func rowsUnder(rows []report.KeyCount, p *report.Policy) []report.KeyCount {
	sums := map[string]int64{}
	for _, r := range rows {
		row, err := report.ParseKey(r.Key, r.N)
		if err != nil { // of a batch of ours: cannot be
			continue
		}
		e := under(row.Evaluation, p)
		sums[string(e.AppendKey(nil))] += r.N
	}
	out := make([]report.KeyCount, 0, len(sums))
	for _, key := range slices.Sorted(maps.Keys(sums)) {
		out = append(out, report.KeyCount{Key: []byte(key), N: sums[key]})
	}
	return out
}
