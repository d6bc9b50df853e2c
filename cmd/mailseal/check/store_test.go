package check

import (
	"net"
	"os"
	"slices"
	"strings"
	"testing"
)

// TestReportsStore checks configurations whose store of reports cannot be used, and creates
// nothing.
func TestReportsStore(t *testing.T) {
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := closed.Addr().String()
	if err := closed.Close(); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name, store string
		mode        string
		want        []Code
		says        string
	}{
		{"a file that is made later", "sqlite:DIR/r.db", "", []Code{}, ""},
		{"no directory", "sqlite:DIR/none/r.db", "", []Code{StoreUnusable}, "does not exist"},
		{"a directory", "sqlite:DIR", "", []Code{StoreUnusable}, "is not a regular file"},
		{"a server that does not answer", "postgres://m@" + address + "/m", "",
			[]Code{StoreUnusable}, "refused"},
		{"a password that all can read", "postgres://m:secret@" + address + "/m", "all",
			[]Code{StoreUnusable, FileMode}, "can be read by all users"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newSite(t, listen+"[reports]\nstore = \""+tt.store+"\"\n"+signing)
			if tt.mode == "all" {
				s.write(t, "mailseal.toml", readFile(t, s.path("mailseal.toml")), 0o644)
			}
			found, _ := s.check(t)
			said := ""
			for _, f := range found {
				said += f.Text + "\n"
			}
			got := codes(found)
			if !slices.Equal(got, tt.want) || !strings.Contains(said, tt.says) {
				t.Errorf("got %v, want %v: %s", got, tt.want, said)
			}
			if strings.Contains(said, "secret@") || exists(s.path("r.db")) {
				t.Errorf("the password was printed, or a file made: %s", said)
			}
		})
	}
}

func readFile(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
