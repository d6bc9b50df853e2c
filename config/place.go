package config

// place is where a table of the configuration stands.
type place struct {
	file *file
	path string // sign[2]
}

// file is one of the configuration's files.
type file struct {
	name string
	data []byte
}

// placed is what a table that comes several times remembers of where it stood.
type placed struct {
	at    place
	given []string // the settings that it has itself
}

// Problem returns a mistake at a setting of this table, for those who find it only when they build the daemon: a key
// file that cannot be read, a socket that cannot be opened.
func (p placed) Problem(setting, text string) Problem {
	out := Problem{Path: p.at.path, Text: text}
	if setting != "" {
		out.Path += "." + setting
	}
	if p.at.file != nil {
		out.File = p.at.file.name
	}
	return out
}
