package main

import (
	"fmt"
	"runtime"
	"runtime/debug"
	"strings"

	"github.com/spf13/cobra"
)

// release is set by the Makefile; a plain "go build" leaves it as it is.
var release = "development"

// version tells which program this is: release, revision, compiler and how it does its arithmetic.
func version() string {
	parts := []string{release}
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, s := range info.Settings {
			switch {
			case s.Key == "vcs.revision" && len(s.Value) >= 12:
				parts = append(parts, s.Value[:12])
			case s.Key == "GOEXPERIMENT" && s.Value != "":
				parts = append(parts, s.Value)
			case s.Key == "-pgo" && s.Value != "":
				parts = append(parts, "pgo")
			}
		}
	}
	return fmt.Sprintf("%s (%s, %s/%s)", strings.Join(parts, " "), runtime.Version(), runtime.GOOS, runtime.GOARCH)
}

func newVersionCmd() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print which program this is and how it was built",
		Args:  cobra.NoArgs,
		Run:   func(cmd *cobra.Command, _ []string) { fmt.Fprintln(cmd.OutOrStdout(), "mailseal", version()) },
	}
}
