// Package migrate implements "mailseal import-opendkim": it writes a configuration that does the
// same as OpenDKIM's, and reports what is left to do, such as files that the daemon's user cannot
// read.
package migrate

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"mailseal/cmd/mailseal/answer"
	"mailseal/cmd/mailseal/check"
	"mailseal/cmd/mailseal/service"
	"mailseal/config"
	"mailseal/config/mta"
	"mailseal/config/opendkim"
	"mailseal/keys/files"
)

// Options configures what is imported, and where to.
type Options struct {
	opendkim.Options
	Dir string // to write mailseal.toml to, made if it is not there; "": it is not written
}

// Import makes the configuration, writes it if it has a directory, and reports what became of each
// setting.
func Import(o Options) (*opendkim.Report, error) {
	o.ID = serverName(o.Root)
	r, err := opendkim.Import(o.Options)
	if err != nil {
		return nil, answer.NewFailed(err)
	}
	svc := service.Find(service.DefaultUser)
	if o.Root == "" {
		r.Add(keysToDo(svc, r.TOML)...)
	}
	if o.Dir == "" {
		return r, nil
	}
	notes, err := write(o.Dir, r.TOML, svc)
	if err != nil {
		return nil, answer.NewFailed(err)
	}
	r.Add(notes...)
	return r, nil
}

// serverName is the full name of the host whose files are below root: its mail server's, else its
// own, "" when neither is known.
func serverName(root string) string {
	host := mta.HostAt("/")
	if root != "" {
		host = mta.HostAt(root)
	}
	names := mta.Names(host, check.PostfixDir, check.SendmailDir)
	if len(names) > 0 {
		return names[0]
	}
	return config.HostNamesAt(root).Full
}

// write writes the configuration to a directory, and says what is still to be done with it.
func write(dir, text string, svc service.Service) ([]opendkim.Note, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	path := filepath.Join(dir, "mailseal.toml")
	if err := writeNew(path, text); err != nil {
		return nil, err
	}
	return give(svc, path), nil
}

// writeNew writes a file that is not there yet, or is the sample as it was installed. It may hold
// keys.
func writeNew(path, text string) error {
	if old, err := files.Read(path, 1<<20); err == nil && string(old) == config.Sample() {
		if err := os.Remove(path); err != nil {
			return err
		}
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o640)
	if err != nil {
		if errors.Is(err, os.ErrExist) {
			return fmt.Errorf("%s already exists, and is not overwritten; move it away, or use "+
				"another directory",
				path)
		}
		return err
	}
	_, err = io.WriteString(f, text)
	return errors.Join(err, f.Close())
}
