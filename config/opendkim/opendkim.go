// Package opendkim reads OpenDKIM's configuration and tables as OpenDKIM itself reads them, and
// says in Mailseal's words what they do. What it cannot say it names: nothing is widened, and
// nothing is lost, in silence.
package opendkim

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"

	"mailseal/config/tables"
)

// Options say what is imported.
type Options struct {
	Conf  string // opendkim.conf; "" for none
	DMARC string // opendmarc.conf; "" for none
	// /etc/default/opendkim where it is in use; "": it and /etc/sysconfig/opendkim, if the unit
	// uses them
	Defaults string
	// the MTA's full name, which both take where no AuthservID is set; "" when it is not known
	ID string
	// put before every file name that is read: another host's files, in a directory; "" for this
	// host's
	Root string
}

// ErrFatal is in every error of Import that OpenDKIM, too, would not have started with, or that
// cannot be imported.
var ErrFatal = errors.New("the configuration cannot be imported")

// Import reads what o names. The error, which wraps ErrFatal, says all that keeps it from being
// imported; everything else that is not as it was is in the Report.
func Import(o Options) (*Report, error) {
	if o.Conf == "" && o.DMARC == "" {
		return nil, fmt.Errorf("%w: no file to import", ErrFatal)
	}
	im := &importer{files: &tables.Reader{Root: o.Root}, report: &Report{}, out: newDocument(),
		dmarc: o.DMARC != ""}
	im.isInstalled = o.Root != "" || strings.HasPrefix(o.Conf+o.DMARC, "/etc/")
	if o.Conf != "" {
		im.importDKIM(o)
	}
	if o.DMARC != "" {
		im.importDMARC(o)
	}
	im.verifierRole()
	im.defaults()
	im.noID(o.ID)
	im.writeRemoved()
	if len(im.errs) > 0 {
		return nil, errors.Join(im.errs...)
	}
	im.report.TOML = im.out.text(o)
	im.report.sort()
	return im.report, nil
}

// importer carries what the steps of an import share.
type importer struct {
	files  *tables.Reader
	conf   *conf // the file that is being read
	dkim   *conf // opendkim.conf, once it has been read
	report *Report
	out    *document
	errs   []error
	dir    string // the directory that relative names in the configuration start from
	id     string // the authserv-id, once it is known
	dmarc  bool   // OpenDMARC is imported too

	isInstalled bool // the files are those that the units of the host use

	listener     *table // of the socket, nil when none is named
	verified     bool   // OpenDKIM verifies
	verifiesOnly bool   // and does not sign
	needsAuthor  bool   // RequiredHeaders has been translated

	removed struct { // ids that strangers may not use
		ids  []string
		from []place
	}
}

// importDKIM goes through what opendkim.conf can say.
func (im *importer) importDKIM(o Options) {
	c, err := readConf(im.files, o.Conf, dkimOptions)
	if err != nil {
		im.fail(place{}, belowRoot(o, err))
		return
	}
	im.conf, im.dkim = c, c
	im.findBase()
	im.unknownOptions("OpenDKIM")
	im.startup(openDKIM, o.Defaults)
	im.mode()
	im.socket()
	im.identity()
	im.daemon()
	im.actions()
	im.ours()
	im.exempt()
	im.signatures()
	im.signing()
	im.standing()
	im.droppedOptions()
}

// belowRoot adds to an error where the files are looked for, if that is another directory than /.
func belowRoot(o Options, err error) error {
	if o.Root == "" || !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return fmt.Errorf("%w (below --root %s)", err, o.Root)
}

func (im *importer) fail(at place, err error) {
	if at.File != "" {
		err = fmt.Errorf("%w: %s: %w", ErrFatal, at, err)
	} else {
		err = fmt.Errorf("%w: %w", ErrFatal, err)
	}
	im.errs = append(im.errs, err)
}

// findBase settles the directory that relative file names start from.
func (im *importer) findBase() {
	im.dir = "/"
	if e, ok := im.conf.get("BaseDirectory"); ok {
		im.dir = e.value
		im.note("base-directory", e)
	}
}

// resolve makes an absolute name of one in the configuration.
func (im *importer) resolve(name string) string {
	if filepath.IsAbs(name) {
		return name
	}
	return filepath.Join(im.dir, name)
}

// place is a line of a file.
type place = tables.Place

// base is a place with the file's last name only, for comments.
func base(p place) string { return place{File: filepath.Base(p.File), Line: p.Line}.String() }
