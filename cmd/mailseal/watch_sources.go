package main

import (
	"context"
	"slices"

	"mailseal/cmd/mailseal/assembly"
	"mailseal/keys"
	"mailseal/keys/keylife"
)

// atOnce is how many keys of sources are looked at before their answers are let go of: a cache may hold a million keys.
const atOnce = 256

// compareRemembered compares the keys that sources have answered with and that are remembered: those that sign now.
func (w *watcher) compareRemembered(ctx context.Context, t *findings, p *assembly.Parts, r *rotator) {
	for some := range slices.Chunk(p.Remembered(), atOnce) {
		var wanted []keylife.Key
		for _, k := range some {
			if record, err := k.Record(keys.RecordOptions{}); err == nil {
				wanted = append(wanted, watched(assembly.Record{Record: record, Domain: k.Domain}))
			}
		}
		w.compare(t, r.look(ctx, wanted))
	}
}
