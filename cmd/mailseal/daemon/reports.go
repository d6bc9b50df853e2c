package daemon

import (
	"context"
	"sync"
	"time"

	"mailseal/cmd/mailseal/assembly"
	"mailseal/config"
	"mailseal/milter/filter"
	"mailseal/milter/report/evidence"
	"mailseal/milter/report/spool"
)

// collect has parts write down what DMARC reports are made of, where the configuration that the
// daemon was started with collects it. The spool is opened once, so that it outlives reloads.
// Beside an old milter nothing is written down: no job of such a daemon writes to the spool.
func (d *Daemon) collect(cfg *config.Config, p *assembly.Parts) error {
	if d.isShadow {
		return nil
	}
	isFirst := d.parts.Load() == nil
	if isFirst && cfg.Reports.Collect {
		d.lists = filter.NewLists()
		d.spool = spool.NewWriter(cfg.Reports.SpoolDirectory, int64(cfg.Reports.SpoolSize), d.log,
			time.Now)
		d.metrics.watchSpool(d.spool)
		d.metrics.watchSpoolState(cfg.Reports.SpoolDirectory, time.Now)
	}
	if isFirst && cfg.Test.HasPages() {
		d.tests = evidence.NewWriter(cfg.Reports.SpoolDirectory, d.log, time.Now)
	}
	if d.tests != nil {
		p.KeepTests(d.tests)
	}
	if d.spool == nil {
		return nil
	}
	return p.RecordReports(d.spool, d.lists)
}

// runSpool writes until the function that it returns is called, which is after the last message.
func (d *Daemon) runSpool() (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var done sync.WaitGroup
	if d.spool != nil {
		done.Go(func() { d.spool.Run(ctx) })
	}
	if d.tests != nil {
		done.Go(func() { d.tests.Run(ctx) })
	}
	return func() {
		cancel()
		done.Wait()
	}
}
