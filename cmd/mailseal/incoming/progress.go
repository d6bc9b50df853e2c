package incoming

import (
	"fmt"
	"io"
	"time"
)

// progress shows the progress of long work on a terminal.
type progress struct {
	out   io.Writer // nil if there is no terminal
	now   func() time.Time
	last  time.Time
	files int
	wrote bool
}

// interval is how often progress is shown.
const interval = time.Second

func newProgress(out io.Writer, now func() time.Time) *progress {
	return &progress{out: out, now: now, last: now()}
}

func (p *progress) step(reports int) {
	p.files++
	if p.out == nil || p.now().Sub(p.last) < interval {
		return
	}
	p.last, p.wrote = p.now(), true
	fmt.Fprintf(p.out, "\r%d files or mails, %d reports ", p.files, reports)
}

// end removes the line.
func (p *progress) end() {
	if p.wrote {
		fmt.Fprint(p.out, "\r\x1b[K")
	}
}
