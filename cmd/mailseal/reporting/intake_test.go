package reporting

import (
	"io/fs"
	"os"
	"testing"

	"mailseal/config"
)

// A process that reaches the LMTP socket is believed, so that no one beyond its group may by
// default.
func TestModeOfIntake(t *testing.T) {
	cfg, err := config.Parse("mailseal.toml", nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, mode := range []fs.FileMode{cfg.Reports.Intake.Mode, 0o600} {
		in := config.ReportsIntake{Address: t.TempDir() + "/s", Mode: mode}
		l, err := listenIntake(t.Context(), in)
		if err != nil {
			t.Fatal(err)
		}
		info, err := os.Stat(in.Address)
		if err != nil || info.Mode().Perm() != mode || mode&0o007 != 0 || mode == 0 {
			t.Errorf("mode %v, %v, want %v, and nothing for others", info.Mode().Perm(), err, mode)
		}
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	}
}
