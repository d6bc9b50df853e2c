package check

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"mailseal/cmd/mailseal/service"
	"mailseal/config"
	"mailseal/keys/files"
)

// spool finds that the directory is missing into which the daemon writes rows of reports. Mail goes
// on without it, and no report has anything in it.
func (c *checker) spool() {
	if !c.cfg.Reports.Collect {
		return
	}
	if _, err := os.Stat(c.cfg.Reports.SpoolDirectory); errors.Is(err, fs.ErrNotExist) {
		c.report(finding(SpoolClosed, c.spoolSetting(), c.cfg.Reports.SpoolDirectory, "the "+
			"directory does not exist", c.makeSpool()))
	}
}

// closedSpool reports a directory that is there and that the daemon cannot write to.
func (c *checker) closedSpool(s service.Stop) {
	c.report(finding(SpoolClosed, c.spoolSetting(), s.Path, c.stopped(s),
		c.makeSpool()))
}

func (c *checker) spoolSetting() place {
	if c.cfg.IsSet("reports.spool_directory") || !c.cfg.IsSet("reports.directory") {
		return at(c.cfg.Problem("reports.spool_directory", ""))
	}
	return at(c.cfg.Problem("reports.directory", ""))
}

// defaultSpool has systemd make the directory of the defaults, and the user that it belongs to.
const defaultSpool = "run \"systemd-sysusers && systemd-tmpfiles --create\", which creates the user " +
	"mailseal-reports, adds the daemon's user to its group, and creates the default directory"

// makeSpool describes how to make the directory. The systemd units know only the default
// one.
func (c *checker) makeSpool() string {
	defaults := config.Default()
	if dir := c.cfg.Reports.SpoolDirectory; dir != defaults.Reports.SpoolDirectory {
		return fmt.Sprintf("run \"systemd-sysusers\", which creates the user %s and adds the daemon's "+
			"user to its group, and \"install -d -o %[1]s -g %[1]s -m 2770 %s\"", files.ReportsUser,
			dir)
	}
	return defaultSpool
}
