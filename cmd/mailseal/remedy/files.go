package remedy

import (
	"path/filepath"
	"strings"

	"mailseal/keys/keyfile"
)

// KeyFile mends what is wrong with the file of a key or another secret, or with a directory on the way to it.
func KeyFile(f keyfile.Finding) Remedy {
	switch f.Kind {
	case keyfile.DirectoryOwner, keyfile.FileOwner:
		return of(ChangeOwner, f.Owner, quote(f.Path))
	case keyfile.DirectoryMode, keyfile.FileMode:
		return of(ChangeMode, f.Mode, quote(f.Path))
	case keyfile.Unreadable:
		return of(OpenToGroup, f.Group, quote(f.Path))
	}
	return Remedy{}
}

// Directory makes a directory, and those above it.
func Directory(path string) Remedy { return of(MakeDirectory, quote(path)) }

// Group gives a file, which its group may read, to the service's group.
func Group(group, path string) Remedy { return of(GiveToGroup, group, quote(path)) }

// Access lets a group read files and pass directories: at the directory that holds all of them, unless it holds other
// things as well, as the root directory does.
func Access(group string, paths []string) Remedy {
	top := paths[0]
	for _, p := range paths {
		for top != "/" && p != top && !strings.HasPrefix(p, top+"/") {
			top = filepath.Dir(top)
		}
	}
	if strings.Count(top, "/") < 2 {
		return of(OpenEach, group)
	}
	return of(OpenTree, group, quote(top))
}
