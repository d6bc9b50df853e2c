package remedy

import (
	"os"
	"path/filepath"
	"testing"

	"mailseal/keys/keyfile"
)

// TestChangeMode holds that no file is closed to the user that reads it as one of the others.
func TestChangeMode(t *testing.T) {
	path := filepath.Join(t.TempDir(), "key.pem")
	if err := os.WriteFile(path, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	own, group := os.Geteuid(), os.Getegid()
	tests := []struct {
		name string
		r    Reader
		want string
	}{
		{"its owner", Reader{User: "me", Group: "me", UID: own, Groups: []int{group}},
			"chmod 0640 " + path},
		{"of its group", Reader{User: "daemon", Group: "daemon", UID: own + 1, Groups: []int{group}},
			"chmod 0640 " + path},
		{"one of the others", Reader{User: "ms", Group: "ms", UID: own + 1, Groups: []int{group + 1}},
			"chgrp ms " + path + " && chmod 0640 " + path},
		{"one of the others, whose group others share",
			Reader{User: "nobody", Group: "nogroup", UID: own + 1, Groups: []int{group + 1}},
			"chown nobody " + path + " && chmod 0600 " + path},
	}
	for _, tt := range tests {
		f := keyfile.Finding{Kind: keyfile.FileMode, Path: path, File: path, Mode: "0640"}
		if got := KeyFile(f, tt.r, Key{File: path}).String(); got != tt.want {
			t.Errorf("%s: got %q, want %q", tt.name, got, tt.want)
		}
	}
}
