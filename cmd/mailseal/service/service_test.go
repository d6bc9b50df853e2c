package service

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// writeFiles makes files below a directory.
func writeFiles(t *testing.T, root string, files map[string]string) {
	t.Helper()
	for name, text := range files {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func TestFindUnit(t *testing.T) {
	root := t.TempDir()
	writeFiles(t, root, map[string]string{
		"lib/systemd/system/mailseal.service": "[Service]\nUser=nobody\n",
		"usr/local/lib/systemd/system/mailseal.service": "[Unit]\nUser=wrong\n[Service]\n# " +
			"User=commented\nUser=mailseal\nReadWritePaths=/a \\\n /b\nProtectHome=yes\n",
		"etc/systemd/system/mailseal.service.d/10.conf":     "[Service]\nUser=mailer\nReadWritePaths=/c\n",
		"usr/lib/systemd/system/mailseal.service.d/10.conf": "[Service]\nUser=hidden\n",
		"usr/lib/systemd/system/mailseal.service.d/20.conf": "[Service]\nGroup=mail\n",
	})
	u := FindUnit(root, "mailseal.service")
	if u == nil || u.Get("User") != "mailer" || u.Get("Group") != "mail" ||
		u.Get("ProtectHome") != "yes" {
		t.Fatalf("got %+v", u)
	}
	if got, want := u.List("ReadWritePaths"), []string{"/a", "/b", "/c"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	writeFiles(t, root, map[string]string{
		"etc/systemd/system/mailseal.service.d/30.conf": "[Service]\nReadWritePaths=\n",
	})
	if got := FindUnit(root, "mailseal.service").List("ReadWritePaths"); len(got) > 0 {
		t.Errorf("an empty setting: got %q", got)
	}
	if got := FindUnit(root, "other.service"); got != nil {
		t.Errorf("got %+v for a unit that is not there", got)
	}
}

func TestSandboxOfUnit(t *testing.T) {
	// The unit that is installed.
	root := t.TempDir()
	text, err := os.ReadFile("../../../contrib/systemd/mailseal.service")
	if err != nil {
		t.Fatal(err)
	}
	writeFiles(t, root, map[string]string{"usr/lib/systemd/system/mailseal.service": string(text)})
	ours := FindUnit(root, "mailseal.service")
	unit := func(text string) *Unit {
		u := &Unit{}
		u.read("[Service]\n" + text)
		return u
	}
	for _, tt := range []struct {
		name     string
		unit     *Unit
		path     string
		hidden   string
		readOnly string
	}{
		{"keys", ours, "/var/lib/mailseal/keys/k.pem", "", ""},
		{"the configuration", ours, "/etc/mailseal/mailseal.toml", "", "ProtectSystem=strict"},
		{"a socket", ours, "/run/mailseal", "", ""},
		{"Postfix' queue", ours, "/var/spool/postfix/mailseal", "", "ProtectSystem=strict"},
		{"Postfix' queue, opened", unit("ProtectSystem=strict\nReadWritePaths=-/var/spool/postfix"),
			"/var/spool/postfix/mailseal", "", ""},
		{"root's home", ours, "/root/k.pem", "ProtectHome=yes", "ProtectSystem=strict"},
		{"a home", ours, "/home/a/k.pem", "ProtectHome=yes", "ProtectSystem=strict"},
		{"a name that begins so", ours, "/homes/k.pem", "", "ProtectSystem=strict"},
		{"temporary files", ours, "/tmp/k.pem", "PrivateTmp=yes", "ProtectSystem=strict"},
		{"a home that can be read", unit("ProtectHome=read-only"), "/home/a/k.pem", "", ""},
		{"bound into the sandbox", unit("ProtectHome=yes\nBindReadOnlyPaths=/home/a"), "/home/a/k.pem", "", ""},
		{"inaccessible", unit("InaccessiblePaths=-/srv /opt"), "/opt/k.pem", "InaccessiblePaths=/opt", ""},
		{"full", unit("ProtectSystem=full"), "/etc/mailseal", "", "ProtectSystem=full"},
		{"full, elsewhere", unit("ProtectSystem=full"), "/var/lib/x", "", ""},
		{"nothing", unit(""), "/home/a/k.pem", "", ""},
	} {
		if got := tt.unit.Hides(tt.path); got != tt.hidden {
			t.Errorf("%s: %s is hidden by %q, want %q", tt.name, tt.path, got, tt.hidden)
		}
		if got := tt.unit.ReadOnly(tt.path); got != tt.readOnly {
			t.Errorf("%s: %s is read-only by %q, want %q", tt.name, tt.path, got, tt.readOnly)
		}
	}
	if !slices.Contains(ours.Properties(), "--property=ProtectSystem=strict") ||
		slices.Contains(ours.Properties(), "--property=Type=notify") {
		t.Errorf("got %q", ours.Properties())
	}
}
