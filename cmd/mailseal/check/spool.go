package check

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

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
			"user to its group, and then \"%s\"", files.ReportsUser,
			makeDirectories(c.cfg.Reports.Directory, dir, files.ReportsUser))
	}
	return defaultSpool
}

// makeDirectories is the command that makes a spool, and the directory of the reports process if
// the spool is to be made in it and it is missing too: install would give that one to root, and
// the process could make no store there.
func makeDirectories(reports, spool, owner string) string {
	install := func(mode, dir string) string {
		return fmt.Sprintf("install -d -o %s -g %[1]s -m %s %s", owner, mode, files.Quote(dir))
	}
	command := install("2770", spool)
	_, err := os.Stat(reports)
	if errors.Is(err, fs.ErrNotExist) && strings.HasPrefix(spool, filepath.Clean(reports)+"/") {
		command = install("0750", reports) + " && " + command
	}
	return command
}
