package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"mailseal/cmd/mailseal/check"
	"mailseal/config"
	"mailseal/config/opendkim"
)

// importFlags is the command line of "mailseal import-opendkim".
type importFlags struct {
	opendkim.Options
	out    string
	report bool
	json   bool
}

func newImportCmd() *cobra.Command {
	var f importFlags
	cmd := &cobra.Command{
		Use:   "import-opendkim [--conf FILE] [--dmarc-conf FILE] [--out DIR]",
		Short: "Move in from OpenDKIM and OpenDMARC",
		Long: `Import-opendkim reads opendkim.conf and the tables that it names as OpenDKIM reads them, and opendmarc.conf if it is
named, and writes a configuration that does the same. It prints the configuration, or with --out writes it to
DIR/mailseal.toml, which it never overwrites, and gives that to the group mailseal. Then it prints a report with a line
for every setting: what is still to do, what was taken over, what was changed on purpose, what never worked in OpenDKIM
either, and what was dropped and why; of many lines of a table that are alike it names three, with --json all. With
--report it prints the report alone. Nothing of OpenDKIM's is changed; keys are read where they are, and those that the
user mailseal cannot read are named. "mailseal check" then looks at the result.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return f.run(cmd.OutOrStdout(), cmd.ErrOrStderr(), cmd.Flags().Changed("conf"))
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&f.Conf, "conf", "/etc/opendkim.conf", "OpenDKIM's configuration; empty for OpenDMARC's alone")
	flags.StringVar(&f.DMARC, "dmarc-conf", "", "OpenDMARC's configuration")
	flags.StringVar(&f.Defaults, "default-file", "", "Debian's /etc/default/opendkim, where its SOCKET is in use")
	flags.StringVar(&f.Root, "root", "", "read all files below this directory, as from another host's backup")
	flags.StringVarP(&f.out, "out", "o", "", "directory to write mailseal.toml to; made if it is not there")
	flags.BoolVar(&f.report, "report", false, "print the report, not the configuration")
	flags.BoolVar(&f.json, "json", false, "print the report as JSON, one object a note")
	return cmd
}

func (f *importFlags) run(out, complaints io.Writer, confNamed bool) error {
	if f.DMARC != "" && !confNamed {
		if _, err := os.Stat(filepath.Join(f.Root, f.Conf)); errors.Is(err, os.ErrNotExist) {
			f.Conf = ""
		}
	}
	r, err := opendkim.Import(f.Options)
	if err != nil {
		return exit(exitBad, err)
	}
	svc := check.FindService(serviceName)
	if f.Root == "" {
		r.Add(keysToDo(svc, r.TOML)...)
	}
	if f.out != "" {
		notes, err := f.write(r.TOML, svc)
		if err != nil {
			return exit(exitBad, err)
		}
		r.Add(notes...)
	} else if !f.report && !f.json {
		if _, err := io.WriteString(out, r.TOML); err != nil {
			return exit(exitUnknown, err)
		}
		out = complaints // so that standard output is a configuration and nothing else
	}
	if err := f.print(out, r); err != nil {
		return exit(exitUnknown, err)
	}
	return nil
}

// write writes the configuration to the directory, and says what is still to be done with it.
func (f *importFlags) write(text string, svc check.Service) ([]opendkim.Note, error) {
	if err := os.MkdirAll(f.out, 0o755); err != nil {
		return nil, err
	}
	path := filepath.Join(f.out, "mailseal.toml")
	if err := writeNew(path, text); err != nil {
		return nil, err
	}
	return give(svc, path), nil
}

func (f *importFlags) print(out io.Writer, r *opendkim.Report) error {
	if !f.json {
		return r.Print(out)
	}
	enc := json.NewEncoder(out)
	for _, n := range r.Notes {
		if err := enc.Encode(n); err != nil {
			return err
		}
	}
	return nil
}

// writeNew writes a file that is not there yet, or is the sample as it was installed. It may hold keys.
func writeNew(path, text string) error {
	if old, err := os.ReadFile(path); err == nil && string(old) == config.Sample() {
		if err := os.Remove(path); err != nil {
			return err
		}
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o640)
	if err != nil {
		if errors.Is(err, os.ErrExist) {
			return fmt.Errorf("%s is there already, and is not overwritten; move it away, or name another directory", path)
		}
		return err
	}
	_, err = io.WriteString(f, text)
	return errors.Join(err, f.Close())
}
