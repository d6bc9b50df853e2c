package main

import (
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"mailseal/cmd/mailseal/answer"
	"mailseal/cmd/mailseal/migrate"
)

// importFlags is the command line of "mailseal import-opendkim".
type importFlags struct {
	migrate.Options
	report  bool
	json    bool
	verbose bool
}

func newImportCmd() *cobra.Command {
	var f importFlags
	cmd := &cobra.Command{
		Use:   "import-opendkim [--conf FILE] [--dmarc-conf FILE] [--out DIR]",
		Short: "Convert the configuration of OpenDKIM and OpenDMARC",
		Long: `Import-opendkim reads opendkim.conf and the tables that it names as OpenDKIM reads them, and
opendmarc.conf if it is named, and writes a configuration that does the same. It prints the configuration, or with
--out writes it to DIR/mailseal.toml, which it never overwrites, and gives that to the group mailseal. Then it prints
a report: what is left to do, what is special about these files, and one line for each note that every import has.
With --verbose the report has a line for every setting: what is left to do, what was converted, what was changed on
purpose, what never worked in OpenDKIM either, and what was dropped and why. Of many similar lines of a table it shows
three, and with --json all. With --report it prints only the report.

The old daemon's command line overrides its file, as it does for the daemon itself: ExecStart of the units with their
drop-ins, and DAEMON_OPTS, OPTIONS and SOCKET in /etc/default and /etc/sysconfig if the units use them or there are no
units. Tables in a database are not read; the configuration has a draft of the source that replaces them. No file of
OpenDKIM is changed; keys are used where they are, and those that the user mailseal cannot read are listed. "mailseal
check" then checks the result.`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return f.run(cmd.OutOrStdout(), cmd.ErrOrStderr(), cmd.Flags().Changed("conf"))
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&f.Conf, "conf", "/etc/opendkim.conf", "OpenDKIM's configuration; empty to "+
		"read only OpenDMARC's")
	flags.StringVar(&f.DMARC, "dmarc-conf", "", "OpenDMARC's configuration")
	flags.StringVar(&f.Defaults, "default-file", "",
		"a file such as /etc/default/opendkim that is in use even if no unit names it")
	flags.StringVar(&f.Root, "root", "", "read all files below this directory, such as a backup "+
		"of another host")
	flags.StringVarP(&f.Dir, "out", "o", "", "directory for mailseal.toml; created if it does "+
		"not exist")
	flags.BoolVar(&f.report, "report", false, "print only the report")
	flags.BoolVarP(&f.verbose, "verbose", "v", false, "print the full report, with a line for "+
		"every setting")
	flags.BoolVar(&f.json, "json", false, "print the report as JSON, one object per note")
	mayBeEmpty(cmd, "conf")
	excludes(cmd, []string{"report"}, "json", "out")
	return cmd
}

func (f *importFlags) run(out, complaints io.Writer, confNamed bool) error {
	if f.DMARC != "" && !confNamed {
		if _, err := os.Stat(filepath.Join(f.Root, f.Conf)); errors.Is(err, os.ErrNotExist) {
			f.Conf = ""
		}
	}
	r, err := migrate.Import(f.Options)
	if err != nil {
		return err
	}
	if f.Dir == "" && !f.report && !f.json {
		if _, err := io.WriteString(out, r.TOML); err != nil {
			return answer.NewUnknown(err)
		}
		out = complaints // so that standard output is a configuration and nothing else
	}
	if f.json {
		err = printNotes(out, r.Notes)
	} else if f.verbose {
		err = r.Print(out)
	} else {
		err = r.Brief(out)
	}
	if err != nil {
		return answer.NewUnknown(err)
	}
	return nil
}

// printNotes writes notes as JSON, an object a line.
func printNotes[N any](out io.Writer, notes []N) error {
	enc := json.NewEncoder(out)
	for _, n := range notes {
		if err := enc.Encode(n); err != nil {
			return err
		}
	}
	return nil
}
