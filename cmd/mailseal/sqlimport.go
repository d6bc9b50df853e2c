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
		Long: `Sql-import reads the keys DIR/DOMAIN/SELECTOR.pem (or .private, as OpenDKIM's tools name them) and puts them into the
tables of contrib/sql (installed in share/mailseal/sql), each under the name SELECTOR._domainkey.DOMAIN and with a row that
has it sign for its domain. All are put in, or none: a key that cannot be read, or one directly in DIR, which belongs to no
domain, is an error. --domain says which domain keys directly in DIR are for. A name that is in the table already is left
as it is, so that the command can be repeated. Keys further down are passed over, and named.

The database is that of a source of the configuration. The daemon's user can only read it, as it should: --dsn reaches
it as a user who may write.`,
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
	cmd.Flags().StringVar(&o.DSN, "dsn", "", "how to reach the database, instead of the source's own")
	cmd.Flags().StringVar(&o.Domain, "domain", "", "domain of the keys directly in DIR")
	cmd.Flags().BoolVar(&o.DryRun, "dry-run", false, "read the keys, and leave the database alone")
	_ = cmd.MarkFlagRequired("source")
	return cmd
}
