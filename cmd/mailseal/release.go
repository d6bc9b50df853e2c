package main

import (
	"fmt"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
)

// release is set by the Makefile; a plain "go build" does not change it.
var release = "development"

// build is how the program was built, as "mailseal version --json" prints it.
type build struct {
	Release  string   `json:"release"`
	Revision string   `json:"revision"` // the first 12 digits; "" when it is not known
	Built    []string `json:"built"`    // "plain" or "openssl"; "static"
	Compiler string   `json:"compiler"`
	System   string   `json:"system"` // operating system and processor
	RSA      string   `json:"rsa"`    // what makes RSA signatures
}

// currentBuild is how this program was built.
func currentBuild() build {
	var settings []debug.BuildSetting
	if info, ok := debug.ReadBuildInfo(); ok {
		settings = info.Settings
	}
	b := describe(release, settings)
	b.RSA = signsRSA()
	return b
}

// version tells which program this is: release, revision, how it was built, compiler.
func version() string {
	b := currentBuild()
	return fmt.Sprintf("%s (%s, %s)", b, b.Compiler, b.System)
}

// String names release, revision, and how the program was built.
func (b build) String() string {
	parts := append([]string{b.Release}, b.Built...)
	if b.Revision != "" {
		parts = slices.Insert(parts, 1, b.Revision)
	}
	return strings.Join(parts, " ")
}

// describe names a build. It is plain, or can have the host's OpenSSL sign (openssl); and it is
// static when it needs no library of the host.
func describe(release string, settings []debug.BuildSetting) build {
	b := build{Release: release, Compiler: runtime.Version(), System: runtime.GOOS + "/" +
		runtime.GOARCH}
	static := false
	for _, s := range settings {
		switch {
		case s.Key == "vcs.revision" && len(s.Value) >= 12:
			b.Revision = s.Value[:12]
		case s.Key == "-tags" && s.Value != "":
			b.Built = append(b.Built, s.Value)
		case s.Key == "CGO_ENABLED":
			static = s.Value == "0"
		}
	}
	if len(b.Built) == 0 {
		b.Built = []string{"plain"}
	}
	if static {
		b.Built = append(b.Built, "static")
	}
	return b
}
