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
		Short: "Move in from OpenDKIM and OpenDMARC",
		Long: `Import-opendkim reads opendkim.conf and the tables that it names as OpenDKIM reads them, and opendmarc.conf if it is
named, and writes a configuration that does the same. It prints the configuration, or with --out writes it to
DIR/mailseal.toml, which it never overwrites, and gives that to the group mailseal. Then it prints a report: what is
still to do, what is particular to these files, and a line for each thing that every import has. With --verbose the
report has a line for every setting: what is still to do, what was taken over, what was changed on purpose, what never
worked in OpenDKIM either, and what was dropped and why; of many lines of a table that are alike it names three, with
--json all. With --report it prints the report alone.

The old daemon's command line counts before its file, as it does for the daemon: ExecStart of the units with what is
beside them, and DAEMON_OPTS, OPTIONS and SOCKET of /etc/default and /etc/sysconfig where the units use these, or where
there are no units. Tables in a database are not read; the configuration has a sketch of the source that takes their
place. Nothing of OpenDKIM's is changed; keys are read where they are, and those that the
user mailseal cannot read are named. "mailseal check" then looks at the result.`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return f.run(cmd.OutOrStdout(), cmd.ErrOrStderr(), cmd.Flags().Changed("conf"))
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&f.Conf, "conf", "/etc/opendkim.conf", "OpenDKIM's configuration; empty for OpenDMARC's alone")
	flags.StringVar(&f.DMARC, "dmarc-conf", "", "OpenDMARC's configuration")
	flags.StringVar(&f.Defaults, "default-file", "",
		"a file such as /etc/default/opendkim that is in use, whatever the units say")
	flags.StringVar(&f.Root, "root", "", "read all files below this directory, as from another host's backup")
	flags.StringVarP(&f.Dir, "out", "o", "", "directory to write mailseal.toml to; made if it is not there")
	flags.BoolVar(&f.report, "report", false, "print the report, not the configuration")
	flags.BoolVarP(&f.verbose, "verbose", "v", false, "print all of the report: a line for every setting")
	flags.BoolVar(&f.json, "json", false, "print the report as JSON, one object a note")
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
