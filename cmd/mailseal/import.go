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
		Long:  help("import-opendkim"),
		Args:  noArgs,
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
