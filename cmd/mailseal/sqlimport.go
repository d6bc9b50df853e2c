package main

import (
	"github.com/spf13/cobra"

	"mailseal/cmd/mailseal/keyring"
)

func newSQLImportCmd() *cobra.Command {
	var path string
	var o keyring.ImportOptions
	cmd := &cobra.Command{
		Use:   "sql-import DIR --source NAME [--dsn DSN]",
		Short: "Put a directory of keys into a database",
		Long: `Sql-import reads the keys DIR/DOMAIN/SELECTOR.pem (or .private, as OpenDKIM's tools name them) and
inserts them into the tables of contrib/sql (installed in share/mailseal/sql), each with the name
SELECTOR._domainkey.DOMAIN and a row by which it signs for its domain. It inserts all keys or none: a key that cannot
be read is an error, and so is a key directly in DIR, unless --domain gives its domain. A name that is already in the
table is not changed, so the command can be repeated. Keys in deeper directories are skipped and listed.

The database is that of a source in the configuration. The daemon's user should only be able to read it: with --dsn the
command connects as a user who may write.`,
		Example: `  mailseal sql-import /var/lib/mailseal/keys --source hosting --dsn "dbname=mail user=postgres"`,
		Args:    exactArgs("DIR"),
		RunE: func(cmd *cobra.Command, args []string) error {
			cfg, err := loadConfig(path)
			if err != nil {
				return err
			}
			return keyring.ImportSQL(cmd.Context(), cfg, args[0], o, cmd.OutOrStdout())
		},
	}
	cmd.Flags().StringVarP(&path, "config", "c", "", "configuration file (default "+defaultConfig+")")
	cmd.Flags().StringVar(&o.Source, "source", "", "name of the source in [sources]")
	cmd.Flags().StringVar(&o.DSN, "dsn", "", "how to reach the database, instead of the dsn of "+
		"the source")
	cmd.Flags().StringVar(&o.Domain, "domain", "", "domain of the keys directly in DIR")
	cmd.Flags().BoolVar(&o.DryRun, "dry-run", false, "read the keys, but do not change the "+
		"database")
	_ = cmd.MarkFlagRequired("source")
	return cmd
}
