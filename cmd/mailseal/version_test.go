package main

import (
	"runtime/debug"
	"strings"
	"testing"
)

func TestDescribe(t *testing.T) {
	for _, tt := range []struct{ name, settings, want string }{
		{"make build", "CGO_ENABLED=0 vcs.revision=0123456789abcdef", "1.0 0123456789ab plain static"},
		{"go build", "CGO_ENABLED=1 vcs.revision=0123456789abcdef", "1.0 0123456789ab plain"},
		{"make release", "-tags=openssl CGO_ENABLED=1", "1.0 openssl"},
		{"nothing is known", "", "1.0 plain"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var settings []debug.BuildSetting
			for pair := range strings.FieldsSeq(tt.settings) {
				key, value, _ := strings.Cut(pair, "=")
				settings = append(settings, debug.BuildSetting{Key: key, Value: value})
			}
			if got := describe("1.0", settings).String(); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}
