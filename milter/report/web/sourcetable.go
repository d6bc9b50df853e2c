package web

import (
	"cmp"
	"fmt"
	"html/template"
	"net/netip"
	"slices"
	"strings"

	"mailseal/milter/report/advice"
)

// listedHosts is how many addresses of a source its row lists. The page of the source has all.
const listedHosts = 20

// hostsCell is the number of addresses of a source. It opens to a list of them, those with the most
// messages first, unless the source is its only address.
func (x *facts) hostsCell(s *source) Cell {
	n := int64(len(s.Addresses))
	c := Cell{Value: n, HTML: plain(advice.Count(n))}
	if n == 0 || n == 1 && s.Name == s.Addresses[0].String() {
		return c
	}
	sent := map[netip.Addr]int64{}
	for i := range s.ids {
		sent[s.ids[i].Address] += s.ids[i].Messages
	}
	list := slices.Clone(s.known)
	slices.SortFunc(list, func(a, b Address) int {
		return cmp.Or(cmp.Compare(sent[b.IP], sent[a.IP]), a.IP.Compare(b.IP))
	})
	var out strings.Builder
	fmt.Fprintf(&out, `<details><summary>%s<span class="vh"> addresses of %s</span></summary><ul>`,
		advice.Count(n), name(s.Name))
	for _, a := range list[:min(len(list), listedHosts)] {
		fmt.Fprintf(&out, `<li>%s <span class="s">%s`, addressCell(a.IP).HTML,
			advice.Plural(sent[a.IP], "message", "messages"))
		for _, known := range []string{a.Reverse, a.place()} {
			if known != "" {
				fmt.Fprintf(&out, `, %s`, name(known))
			}
		}
		out.WriteString(`</span></li>`)
	}
	if more := n - listedHosts; more > 0 {
		fmt.Fprintf(&out, `<li>%s</li>`, link(sourceURL(x.domain.Name, s.Name)+"?"+
			x.filter.query("domain", "")+"#who", plain(advice.Count(more)+" more")))
	}
	out.WriteString(`</ul></details>`)
	c.HTML = template.HTML(out.String()) //nolint:gosec // numbers, and names that were escaped
	return c
}

// trendBars is how many bars a trend has at most; a bar of a longer period is several days.
const trendBars = 30

// charted is how many sources, those with the most mail, have their trends drawn: a page on
// hundreds of sources would be twice as large with all of them.
const charted = 40

// trendCell shows how many messages a source sent on each day: as a small chart on the page, with
// the same in words for those who do not see it, and as numbers in the order of the days in CSV and
// JSON. A chart is drawn only if asked for.
func (x *facts) trendCell(s *source, drawn bool) Cell {
	from, to := x.filter.From, x.filter.To
	n := int(to-from) + 1
	if n < 1 {
		return Cell{Value: ""}
	}
	each := (n + trendBars - 1) / trendBars
	bars := make([]int64, (n+each-1)/each)
	numbers := make([]string, 0, n)
	var top, most int64
	var days int64
	var best advice.Day
	for day := from; day <= to; day++ {
		v := s.trend[day]
		numbers = append(numbers, itoa(v))
		i := int(day-from) / each
		bars[i] += v
		top = max(top, bars[i])
		if v > 0 {
			days++
		}
		if v > most {
			most, best = v, day
		}
	}
	out := Cell{Value: strings.Join(numbers, " ")}
	if !drawn {
		return out
	}
	title := "no message"
	if days > 0 {
		title = fmt.Sprintf("messages on %d of %d days, most on %s: %s", days, n,
			best.Short(x.now), advice.Count(most))
	}
	var svg strings.Builder
	fmt.Fprintf(&svg, `<svg class="tr" width="60" height="16" viewBox="0 0 60 16" role="img">`+
		`<title>%s</title>`, template.HTMLEscapeString(title))
	step := 60.0 / float64(len(bars))
	var path strings.Builder
	for i, v := range bars {
		if v > 0 {
			fmt.Fprintf(&path, "M%.1f 16v-%d", (float64(i)+0.5)*step, max(1, v*14/top))
		}
	}
	if path.Len() > 0 {
		fmt.Fprintf(&svg, `<path d="%s"/>`, path.String())
	}
	svg.WriteString(`</svg>`)
	out.HTML = template.HTML(svg.String()) //nolint:gosec // numbers and dates of ours
	return out
}
