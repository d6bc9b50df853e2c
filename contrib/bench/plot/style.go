package plot

import (
	"fmt"
	"strings"
)

// palette are the colours of one kind of page.
type palette struct {
	paper, ink, soft, grid, fine string
	series                       [4]string
}

var (
	light = palette{"#fff", "#1f2328", "#59636e", "#d1d9e0", "#eef1f4",
		[...]string{"#0b5cad", "#b34700", "#1a7f37", "#8250df"}}
	dark = palette{"#0d1117", "#e6edf3", "#9198a1", "#3d444d", "#1c2229",
		[...]string{"#6cb6ff", "#ffa657", "#7ee787", "#d2a8ff"}}
)

// shapes is what does not depend on colour.
const shapes = `text{font:12px system-ui,-apple-system,"Segoe UI","DejaVu Sans",sans-serif}
.title{font-size:16px;font-weight:600}.value{font-size:10.5px;stroke-width:3;stroke-linejoin:round;paint-order:stroke}
.frame,.line{fill:none}.line{stroke-width:2}.slope{stroke-width:1.5;stroke-dasharray:6 4}.knee{stroke-width:1.5;stroke-dasharray:2 3}
`

// style has the colours for light pages, and those for dark ones where the reader prefers them.
// They are plain rules: not every program that shows SVG knows variables.
func style() string {
	return "<style>\n" + shapes + light.rules() + "@media (prefers-color-scheme:dark){\n" +
		dark.rules() + "}\n</style>\n"
}

func (p palette) rules() string {
	var b strings.Builder
	fmt.Fprintf(&b, "text{fill:%s}.note,.tick{fill:%s}.paper{fill:%s}\n", p.ink, p.soft, p.paper)
	fmt.Fprintf(&b, ".grid{stroke:%s}.fine{stroke:%s}.frame,.slope{stroke:%s}.value{stroke:%s}\n",
		p.grid, p.fine, p.soft, p.paper)
	for i, c := range p.series {
		fmt.Fprintf(&b, ".s%[1]d .line,.s%[1]d .knee{stroke:%[2]s}.s%[1]d .mark,.s%[1]d "+
			".value,.s%[1]d .name{fill:%[2]s}\n", i, c)
	}
	return b.String()
}
