package main

import (
	"embed"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"mailseal/cmd/mailseal/answer"
)

// helpFiles are the longest texts of --help, by the names of their commands.
//
//go:embed help/*.txt
var helpFiles embed.FS

// help returns the text of a command in helpFiles.
func help(command string) string {
	text, err := helpFiles.ReadFile("help/" + command + ".txt")
	if err != nil {
		panic(err) // a command without its file, which every test of the commands finds
	}
	return strings.TrimSuffix(string(text), "\n")
}

func newManCmd() *cobra.Command {
	return &cobra.Command{
		Use:    "man",
		Short:  "Print the manual page mailseal(1)",
		Args:   noArgs,
		Hidden: true,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return manual(cmd.OutOrStdout(), newRootCmd())
		},
	}
}

// manual writes the manual page mailseal(1).
func manual(w io.Writer, root *cobra.Command) error {
	return answer.Manual(w, root, defaultConfig)
}
