package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"mailseal/contrib/bench/measure"
)

// rspamd returns Debian's rspamd, of which only dkim_signing is at work, in two processes.
// It signs by one key, relaxed; it does none of the other jobs.
func rspamd(root string) (server, error) {
	run, err := unpacked(root, "rspamd", "usr/bin/rspamd", "usr/lib/rspamd")
	if err != nil {
		return server{}, fmt.Errorf("no rspamd: %w", err)
	}
	if _, err := os.Stat(root); err != nil {
		root = "/"
	}
	share, err := filepath.Abs(filepath.Join(root, "usr/share/rspamd"))
	return server{name: "rspamd", start: func(b *bench, r role, _ ...string) (*measure.Process,
		time.Duration, error) {
		dir, err := b.Subdir("rspamd")
		if err != nil {
			return nil, 0, err
		}
		// It finds addresses in texts by a list of top-level domains, whose compilation would take
		// half a minute.
		err = os.WriteFile(filepath.Join(dir, "tld"), []byte("com\nnet\norg\n"), 0o600)
		if err != nil {
			return nil, 0, err
		}
		file := filepath.Join(dir, "rspamd.conf")
		if err := os.WriteFile(file, []byte(rspamdConfig(dir, share, b.RSA)), 0o600); err != nil {
			return nil, 0, err
		}
		cmd := run("-f", "-i", "-c", file)
		cmd.Env = append(os.Environ(), "SHAREDIR="+share, "LUALIBDIR="+share+"/lualib",
			"PLUGINSDIR="+share+"/plugins",
			"RULESDIR="+share+"/rules", "CONFDIR="+dir, "LOCAL_CONFDIR="+dir, "DBDIR="+dir,
			"RUNDIR="+dir, "LOGDIR="+dir)
		return measure.Start(cmd, filepath.Join(dir, "socket"), filepath.Join(dir, "log"))
	}}, err
}

func rspamdConfig(dir, share, key string) string {
	return fmt.Sprintf(`
options {
	filters = "dkim";
	pidfile = %[1]q; temp_dir = "%[2]s"; hs_cache_dir = "%[2]s"; history_file = "%[2]s/history"; url_tld = "%[2]s/tld";
	control_socket = "%[2]s/control mode=0600";
}
logging { type = "console"; level = "error"; }
worker "rspamd_proxy" {
	bind_socket = "%[2]s/socket mode=0666"; count = 2; milter = yes; timeout = 120s;
	upstream "local" { default = yes; self_scan = yes; }
}
modules { path = "%[3]s/plugins/dkim_signing.lua"; }
dkim { }
dkim_signing {
	path = %[4]q; selector = "rsa";
	use_domain = "header"; use_esld = false; allow_username_mismatch = true; sign_local = true;
}
`, dir+"/pid", dir, share, key)
}

func rspamdVersion(root string) string {
	run, err := unpacked(root, "rspamd", "usr/bin/rspamd", "usr/lib/rspamd")
	if err != nil {
		return "rspamd"
	}
	out, _ := run("-v").CombinedOutput()
	first, _, _ := strings.Cut(string(out), "\n")
	return strings.TrimSpace(first) + ", Debian's"
}
