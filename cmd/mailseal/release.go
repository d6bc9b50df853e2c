package main

import (
	"fmt"
	"runtime"
	"runtime/debug"
	"strings"
)

// release is set by the Makefile; a plain "go build" leaves it as it is.
var release = "development"

// version tells which program this is: release, revision, how it was built, compiler.
func version() string {
	var settings []debug.BuildSetting
	if info, ok := debug.ReadBuildInfo(); ok {
		settings = info.Settings
	}
	return fmt.Sprintf("%s (%s, %s/%s)", describe(release, settings), runtime.Version(), runtime.GOOS, runtime.GOARCH)
}

// describe names a build. It is plain, or optimised by a profile (pgo), or can have the host's OpenSSL sign (openssl); and
// it is static when it needs no library of the host.
func describe(release string, settings []debug.BuildSetting) string {
	parts, how, static := []string{release}, []string(nil), false
	for _, s := range settings {
		switch {
		case s.Key == "vcs.revision" && len(s.Value) >= 12:
			parts = append(parts, s.Value[:12])
		case s.Key == "-tags" && s.Value != "":
			how = append(how, s.Value)
		case s.Key == "-pgo" && s.Value != "":
			how = append(how, "pgo")
		case s.Key == "CGO_ENABLED":
			static = s.Value == "0"
		}
	}
	if len(how) == 0 {
		how = []string{"plain"}
	}
	if static {
		how = append(how, "static")
	}
	return strings.Join(append(parts, how...), " ")
}
