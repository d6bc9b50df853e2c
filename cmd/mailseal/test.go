package main

import (
	"github.com/spf13/cobra"

	"mailseal/cmd/mailseal/reporting"
)

func newTestCmd() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "test",
		Short: "Test mail by sending it",
		Long: `Test helps whoever tests a mail system by sending mail to test.address: the reply says what SPF, DKIM and DMARC
found, and a page shows it step by step where test.page_url is set.`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newTestAddressCmd())
	return cmd
}

func newTestAddressCmd() *cobra.Command {
	var path string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "address",
		Short: "Make an address for tests, and name the page of its mails",
		Long: `Address makes an address whose mails are shown on a page that is known beforehand, for whoever sends through a
service that hides replies. The first page of test.page_url does the same. Nothing is kept until a mail comes; the page has the
newest 10 mails of the last test.days.

Exit code 1: test.address or test.page_url is not set.`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := loadConfig(path)
			if err != nil {
				return err
			}
			return reporting.TestAddress(cmd.OutOrStdout(), cfg, asJSON)
		},
	}
	cmd.Flags().StringVarP(&path, "config", "c", "", "configuration file (default "+defaultConfig+")")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON value")
	return cmd
}
