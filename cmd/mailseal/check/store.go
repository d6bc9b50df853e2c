package check

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"mailseal/keys/database"
	"mailseal/milter/report/store"
)

// storeWait bounds how long the database of the store may take to answer.
const storeWait = 10 * time.Second

// reportsStore reports a store of reports that cannot be used. It creates nothing. It does not open
// the file of SQLite: run by root, that leaves files which the user of the reports cannot write.
func (c *checker) reportsStore(ctx context.Context) {
	if !c.cfg.IsSet("reports.store") {
		return
	}
	o, err := store.ParseSetting(c.cfg.Reports.Store)
	if err != nil {
		return // which the configuration has refused
	}
	setting := at(c.cfg.Problem("reports.store", ""))
	if o.Driver == database.SQLite {
		err = storeFile(o.DSN)
	} else {
		err = openStore(ctx, o)
	}
	switch {
	case err == nil, c.denied(setting, o.DSN, err):
	case errors.Is(err, fs.ErrPermission): // the daemon's user, who need not read the store
	default:
		c.report(finding(StoreUnusable, setting, err.Error()))
	}
}

// storeFile returns why a file cannot be the store. It may be missing, as before the first report,
// but its directory may not.
func storeFile(path string) error {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		if dir := filepath.Dir(path); !isDirectory(dir) {
			return errors.New("the directory " + dir + " does not exist")
		}
		return nil
	case err != nil:
		return err
	case !info.Mode().IsRegular():
		return errors.New(path + " is not a regular file")
	}
	return nil
}

// openStore connects to the database of the store, whose tables need not be there yet. Whether a
// server accepts a user without a password may depend on the user of this process, so its refusal
// says nothing.
func openStore(ctx context.Context, o store.Options) error {
	ctx, cancel := context.WithTimeout(ctx, storeWait)
	defer cancel()
	o.Read = true
	s, err := store.Open(ctx, o)
	switch {
	case err == nil:
		s.Close()
		return nil
	case database.IsTableMissing(err),
		database.IsLoginRefused(err) && !store.HasPassword(o):
		return nil
	}
	return err
}
