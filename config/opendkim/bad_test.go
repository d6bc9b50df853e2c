package opendkim_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"mailseal/config/opendkim"
)

// TestBadFiles holds that what cannot be read is an error which names the file, and the line where
// there is one.
func TestBadFiles(t *testing.T) {
	const tables = "Mode s\nSocket inet:1@localhost\nKeyTable /k\nSigningTable refile:/s\n"
	for _, tc := range []struct {
		name  string
		files map[string]string // a name that ends in "/" is a directory
		want  string
	}{
		{"no configuration", nil, "/conf: no such file or directory"},
		{"a directory", map[string]string{"conf/": ""}, "/conf: it is a directory, not a regular file"},
		{"octets that are no text", map[string]string{"conf": "Mode s\nSocket x\x00y\n"},
			"/conf:2: a NUL byte: the file is not text"},
		{"a table that is not there", map[string]string{"conf": tables, "k": ""},
			"/conf:4: SigningTable: /s: no such file or directory"},
		{"a table that is no text", map[string]string{"conf": tables, "k": "\n\n\x7fELF\x00",
			"s": ""}, "/conf:3: " +
			"KeyTable: /k:3: a NUL byte: the file is not text"},
		{"a table that is a directory", map[string]string{"conf": tables, "k/": "", "s": ""},
			"/conf:3: KeyTable: /k: it is a directory, not a regular file"},
		{"an expression that is none", map[string]string{"conf": tables, "k": "k a.example:s:/k\n",
			"s": "# signing\n(a@a.example k\n"}, "/s:2: "},
		{"a circle of files", map[string]string{"conf": "Include /a\n", "a": "\nInclude /conf\n"},
			"/conf:1: Include /a: /conf: more than 5 files included in each other"},
		{"a relative file", map[string]string{"conf": "Include sub/none\n"},
			"/conf:1: Include sub/none: /sub/none: no such file or directory; OpenDKIM looks for " +
				"it where it is started, which is / for a service: write the whole name"},
		{"an included file's line", map[string]string{"conf": "\nInclude /a\n",
			"a": "# hm\nUMask x\n"}, "/conf:2: Include /a: /a:2: UMask: \"x\" is not a number"},
		{"a letter that a terminal would take as a command", map[string]string{"conf": "\x1b[2J\n"},
			"/conf:1: ?[2J has no value"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			dir := t.TempDir()
			for name, text := range tc.files {
				var err error
				if made, isDir := strings.CutSuffix(name, "/"); isDir {
					err = os.Mkdir(filepath.Join(dir, made), 0o755)
				} else {
					err = os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600)
				}
				if err != nil {
					t.Fatal(err)
				}
			}
			_, err := opendkim.Import(opendkim.Options{Conf: "/conf", Root: dir})
			if !errors.Is(err, opendkim.ErrFatal) || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %v, want %q", err, tc.want)
			}
		})
	}
}
