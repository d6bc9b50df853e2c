package main

import (
	"github.com/spf13/cobra"

	"mailseal/cmd/mailseal/keyring"
)

func newSQLImportCmd() *cobra.Command {
	var path string
	var o keyring.ImportOptions
	cmd := &cobra.Command{
		Use:     "sql-import DIR --source NAME [--dsn DSN]",
		Short:   "Put a directory of keys into a database",
		Long:    help("sql-import"),
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
	cmd.Flags().StringVarP(&path, "config", "c", "", "configuration file (default "+defaultConfig+
		")")
	cmd.Flags().StringVar(&o.Source, "source", "", "name of the source in [sources]")
	cmd.Flags().StringVar(&o.DSN, "dsn", "", "how to reach the database, instead of the dsn of "+
		"the source")
	cmd.Flags().StringVar(&o.Domain, "domain", "", "domain of the keys directly in DIR")
	cmd.Flags().BoolVar(&o.DryRun, "dry-run", false, "read the keys, but do not change the "+
		"database")
	_ = cmd.MarkFlagRequired("source")
	return cmd
}
