package daemon

import (
	"os"
	"path/filepath"
	"testing"
	"time"
)

// TestSpoolMetrics holds that the metrics have what waits in the spool, and the age of the oldest.
func TestSpoolMetrics(t *testing.T) {
	dir := t.TempDir()
	now := time.Date(2026, 11, 30, 14, 0, 0, 0, time.UTC)
	m := newMetrics("test")
	m.watchSpoolState(dir, func() time.Time { return now })
	values := func() map[string]float64 {
		t.Helper()
		families, err := m.registry.Gather()
		if err != nil {
			t.Fatal(err)
		}
		out := map[string]float64{}
		for _, f := range families {
			out[f.GetName()] = f.GetMetric()[0].GetGauge().GetValue()
		}
		return out
	}
	const bytes, oldest = "mailseal_report_spool_waiting_bytes",
		"mailseal_report_spool_oldest_seconds"
	if v := values(); v[bytes] != 0 || v[oldest] != 0 {
		t.Errorf("of an empty spool: %v, %v", v[bytes], v[oldest])
	}
	for _, name := range []string{"20261130T120000Z-01-00000000000000aa.seg",
		"20261130T130000Z-02-00000000000000aa.seg"} {
		if err := os.WriteFile(filepath.Join(dir, name), make([]byte, 50), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if v := values(); v[bytes] != 100 || v[oldest] != 7200 {
		t.Errorf("%v bytes, %v seconds; want 100 and 7200", v[bytes], v[oldest])
	}
}
