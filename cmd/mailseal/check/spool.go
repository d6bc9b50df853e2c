package check

import (
	"errors"
	"io/fs"
	"os"

	"mailseal/cmd/mailseal/service"
)

// spool finds that the directory is missing into which the daemon writes rows of reports. Mail goes
// on without it, and no report has anything in it.
func (c *checker) spool() {
	if !c.cfg.Reports.Collect {
		return
	}
	if _, err := os.Stat(c.cfg.Reports.SpoolDirectory); errors.Is(err, fs.ErrNotExist) {
		c.report(finding(SpoolClosed, c.spoolSetting(), c.cfg.Reports.SpoolDirectory, "the "+
			"directory does not exist"))
	}
}

// closedSpool reports a directory that is there and that the daemon cannot write to.
func (c *checker) closedSpool(s service.Stop) {
	c.report(finding(SpoolClosed, c.spoolSetting(), s.Path, c.stopped(s)))
}

func (c *checker) spoolSetting() place {
	return place{file: c.File, setting: "reports.spool_directory"}
}
