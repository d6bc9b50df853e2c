package config

import (
	"testing"

	"github.com/BurntSushi/toml"
)

func TestLines(t *testing.T) {
	const text = `# comment [x]
a = 1
b.c = "x # no comment"	# [comment]
"d e" = 'q"]'
[t]
k = """
two = "lines"
\""" still"""
after = 1
m = '''
raw'''''
after2 = [ # list
  "x", "y]",
  [ 1, 2
  , 3 ],
  { z = 1, y = [ "]" ] },
]
[[l]]
n = 1
[l.sub]
n = 2
[[l]]
inline = { a = 1, b.c = { d = "}" } }
[[l.deep]]
n = 3
[[l.deep]]
n = 4
[ "quo.ted" . u ]
n = """"5"""" # five
`
	var m map[string]any
	if err := toml.Unmarshal([]byte(text), &m); err != nil {
		t.Fatalf("the test's text is no TOML: %v", err)
	}
	got := lines([]byte(text))
	tests := []struct {
		path string
		want int
	}{
		{"a", 2},
		{"b", 3},
		{"b.c", 3},
		{`"d e"`, 4},
		{"t", 5},
		{"t.k", 6},
		{"t.after", 9},
		{"t.m", 10},
		{"t.after2", 12},
		{"t.after2[0]", 13}, {"t.after2[1]", 13}, {"t.after2[2]", 14}, {"t.after2[2][2]", 15}, {"t.after2[3]", 16},
		{"t.after2[3].y", 16},
		{"t.after2[3].y[0]", 16},
		{"l", 18},
		{"l[0]", 18},
		{"l[0].n", 19},
		{"l[0].sub", 20},
		{"l[0].sub.n", 21},
		{"l[1]", 22},
		{"l[1].inline", 23},
		{"l[1].inline.b.c.d", 23},
		{"l[1].deep[0].n", 25},
		{"l[1].deep[1]", 26},
		{"l[1].deep[1].n", 27},
		{`"quo.ted".u`, 28}, {`"quo.ted".u.n`, 29},
	}
	for _, tt := range tests {
		if got[tt.path] != tt.want {
			t.Errorf("%s: got line %d, want %d", tt.path, got[tt.path], tt.want)
		}
	}
}

func TestParentPath(t *testing.T) {
	tests := []struct{ path, want string }{
		{"a.b[2]", "a.b"},
		{"a.b", "a"},
		{"a", ""},
		{`keys."a.b".file`, `keys."a.b"`},
		{`keys."a.b"`, "keys"},
		{`"a.b"`, ""},
	}
	for _, tt := range tests {
		if got := parentPath(tt.path); got != tt.want {
			t.Errorf("%s: got %q, want %q", tt.path, got, tt.want)
		}
	}
}
