package demo

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"mailseal/cmd/mailseal/answer"
	"mailseal/cmd/mailseal/reporting"
)

// showReport shows the DMARC report that example.com would get of the message that came from
// outside. The daemon has stopped, so that all it wrote down is there. It uses a context of its
// own: that of the demo has ended.
func (d *demo) showReport() error {
	if !d.cfg.Reports.Collect {
		return nil // a configuration of the user's own
	}
	ctx := context.Background()
	p := &reporting.Process{
		Config: d.cfg, Log: slog.New(slog.NewTextHandler(d.log, nil)), Now: time.Now, Version: d.Version,
	}
	if err := p.Fold(ctx); err != nil {
		return answer.NewUnknown(err)
	}
	s, err := p.Store(ctx)
	if err != nil {
		return answer.NewUnknown(err)
	}
	if err := s.Close(); err != nil {
		return answer.NewUnknown(err)
	}
	title := "3. The DMARC report of today that example.com would get"
	fmt.Fprintf(d.Out, "\n%s\n%s\n\n", title, strings.Repeat("-", len(title)))
	o := reporting.Out{Config: d.cfg, Now: time.Now(), Version: d.Version, Output: d.Out}
	return o.Preview(ctx, "example.com", "")
}
