package web

import (
	"fmt"
	"html/template"
	"strings"

	"mailseal/milter/report/advice"
)

// dayBars are the counts of each day of a period.
type dayBars struct {
	from, to advice.Day
	late     advice.Day // from this day on reports are still coming in
	days     map[advice.Day]Counts
}

// sparkline draws a bar of three pixels a day, at its own scale: all, over it what failed, over it
// what was held or refused. A failure is at least one pixel high.
func sparkline(title string, b dayBars, marks []advice.Day) template.HTML {
	n := int(b.to-b.from) + 1
	step := 120.0 / float64(max(n, 1))
	var top int64
	for _, c := range b.days {
		top = max(top, c.Messages)
	}
	var out strings.Builder
	fmt.Fprintf(&out, `<svg class="spark" width="120" height="24" viewBox="0 0 120 24" role="img"><title>%s</title>`,
		template.HTMLEscapeString(visible(title)))
	if top == 0 {
		out.WriteString(`<path class="axis" d="M0 23.5h120"/>`)
	}
	path := func(class string, value func(Counts) int64) {
		var d strings.Builder
		for day := b.from; day <= b.to; day++ {
			v := value(b.days[day])
			if v <= 0 || top == 0 {
				continue
			}
			x := (float64(day-b.from) + 0.5) * step
			fmt.Fprintf(&d, "M%.1f 24v-%d", x, max(1, v*22/top))
		}
		if d.Len() > 0 {
			fmt.Fprintf(&out, `<path class="%s" d="%s"/>`, class, d.String())
		}
	}
	path("p", func(c Counts) int64 { return c.Messages })
	path("f", Counts.Fail)
	path("h", func(c Counts) int64 { return c.Held + c.Refused })
	if b.late <= b.to {
		x := float64(max(b.late-b.from, 0)) * step
		fmt.Fprintf(&out, `<rect x="%.1f" width="%.1f" height="24" fill="url(#late)"/>`, x, 120-x)
	}
	for _, m := range marks {
		if m >= b.from && m <= b.to {
			fmt.Fprintf(&out, `<path class="mark" d="M%.1f 0v5"/>`, (float64(m-b.from)+0.5)*step)
		}
	}
	out.WriteString(`</svg>`)
	return template.HTML(out.String()) //nolint:gosec // numbers, and a title that was escaped
}

// chart draws the stacked bars of each day: from the base held or refused, fail delivered,
// forwarded, pass.
func chart(b dayBars, now advice.Day, marks map[advice.Day]string,
	href func(advice.Day) string) template.HTML {
	const base, height = 184, 160
	n := int(b.to-b.from) + 1
	var top int64
	for _, c := range b.days {
		top = max(top, c.Messages)
	}
	scale := func(v int64) int64 {
		if v <= 0 || top == 0 {
			return 0
		}
		return max(1, v*height/top)
	}
	var out strings.Builder
	out.WriteString(`<svg class="chart" height="208" aria-hidden="true" focusable="false">`)
	for _, line := range gridLines(top) {
		y := base - line*height/max(top, 1)
		fmt.Fprintf(&out, `<line class="grid" x1="0" x2="100%%" y1="%d" y2="%d"/><text y="%d">%s</text>`,
			y, y, y-3, advice.Count(line))
	}
	fmt.Fprintf(&out, `<line class="axis" x2="100%%" y1="%d" y2="%d"/>`, base, base)
	const left = 4.0
	step := (100 - left) / float64(max(n, 1))
	for day := b.from; day <= b.to; day++ {
		x := left + float64(day-b.from)*step
		if letter := marks[day]; letter != "" {
			fmt.Fprintf(&out, `<text class="let" x="%.2f%%" y="12" text-anchor="middle">%s</text>`,
				x+step/2, letter)
		}
		if every := max(1, n/5); int(day-b.from)%every == 0 && float64(day-b.from) < float64(n)-1 {
			fmt.Fprintf(&out, `<text x="%.2f%%" y="202" text-anchor="middle">%s</text>`,
				x+step/2, day.Short(now))
		}
		c, has := b.days[day]
		if !has {
			continue
		}
		bar(&out, x, step*0.84, base, day, now, c, scale, href(day))
	}
	if b.late <= b.to {
		x := left + float64(max(b.late-b.from, 0))*step
		fmt.Fprintf(&out, `<rect x="%.2f%%" y="14" width="%.2f%%" height="%d" fill="url(#late)"/>`,
			x, 100-x, base-14)
	}
	out.WriteString(`</svg>`)
	return template.HTML(out.String()) //nolint:gosec // numbers and dates of ours
}

func bar(out *strings.Builder, x, width float64, base int64, day, now advice.Day, c Counts,
	scale func(int64) int64, href string) {
	passedOn := c.Forwarded + c.Listed
	delivered := max(0, c.Delivered-passedOn)
	fmt.Fprintf(out, `<a href="%s" tabindex="-1"><svg x="%.2f%%" width="%.2f%%"><title>%s: %s `+
		`pass, %s forwarded, %s fail `+
		`and delivered, %s held or refused</title>`, template.HTMLEscapeString(href), x, width,
		day.Short(now), advice.Count(c.Pass),
		advice.Count(c.Delivered-delivered), advice.Count(delivered),
		advice.Count(c.Held+c.Refused))
	y := base
	part := func(attr string, v int64) {
		h := scale(v)
		if h == 0 {
			return
		}
		y -= h
		fmt.Fprintf(out, `<rect %s y="%d" width="100%%" height="%d"/>`, attr, y, h)
	}
	part(`class="h"`, c.Held+c.Refused)
	part(`class="f"`, delivered)
	part(`fill="url(#fwd)"`, c.Delivered-delivered)
	part(`class="p"`, c.Pass)
	fmt.Fprintf(out, `<rect class="hit" fill-opacity="0" width="100%%" height="%d"/></svg></a>`,
		base)
}

// gridLines returns at most four round numbers below top.
func gridLines(top int64) []int64 {
	step := int64(1)
	for step*4 < top {
		for _, f := range []int64{2, 5, 10} {
			if step*f*4 >= top || f == 10 {
				step *= f
				break
			}
		}
	}
	var out []int64
	for v := step; v <= top; v += step {
		out = append(out, v)
	}
	return out
}
