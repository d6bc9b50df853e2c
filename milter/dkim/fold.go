package dkim

// Folding of the fields that we write: lines of at most 78 columns (RFC 5322 section 2.1.1), each
// but the first begun by a tab, which every MTA leaves alone.
const (
	foldColumns = 78
	tabColumns  = 8
	lineStart   = "\r\n\t"
)

// folder writes the value of a field of tags behind a name that takes up some columns.
type folder struct {
	text   []byte
	column int
}

func newFolder(name string) *folder {
	return &folder{text: make([]byte, 0, 1024), column: len(name) + len(":")}
}

// tag writes "name=value;" behind a space, or on a new line if it does not fit on this one.
func (f *folder) tag(name, value string) { f.word(" ", name+"="+value+";") }

// list writes "name=" and items with colons between, which may be parted behind each colon.
func (f *folder) list(name string, items []string) {
	space, before := " ", name+"="
	for i, item := range items {
		after := ":"
		if i == len(items)-1 {
			after = ";"
		}
		f.word(space, before+item+after)
		space, before = "", ""
	}
}

// word writes s on this line behind space, or begins the next line with it.
func (f *folder) word(space, s string) {
	if f.column+len(space)+len(s) > foldColumns {
		f.newLine()
		space = ""
	}
	f.text = append(append(f.text, space...), s...)
	f.column += len(space) + len(s)
}

func (f *folder) newLine() {
	f.text = append(f.text, lineStart...)
	f.column = tabColumns
}

// chunks writes s, parted wherever a line is full.
func (f *folder) chunks(s string) {
	for {
		n := min(len(s), foldColumns-f.column)
		f.text = append(f.text, s[:n]...)
		if s = s[n:]; s == "" {
			return
		}
		f.newLine()
	}
}
