package remedy

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"mailseal/keys/keyfile"
)

// KeyFile corrects what is wrong with the file of a key or another secret, or with a directory on
// the way to it, for the user that reads it.
func KeyFile(f keyfile.Finding, r Reader, key Key) Remedy {
	switch f.Kind {
	case keyfile.DirectoryOwner:
		if passesAnyway(f.Path) {
			return of(ChangeOwner, f.Owner, quote(f.Path))
		}
		if isBelow := strings.HasPrefix(key.Copy, f.Path+"/"); isBelow {
			return Remedy{}
		}
		return ownCopy(r, key)
	case keyfile.FileOwner:
		return ownCopy(r, key)
	case keyfile.DirectoryMode:
		return of(ChangeMode, f.Mode, quote(f.Path))
	case keyfile.FileMode:
		return changeMode(f, r)
	case keyfile.Unreadable:
		return LetRead(r, []string{f.Path}, key)
	}
	return Remedy{}
}

// passesAnyway reports whether the owner of a directory could list and pass it if it belonged to
// another.
func passesAnyway(dir string) bool {
	info, err := os.Stat(dir)
	return err == nil && info.Mode().Perm()&0o005 == 0o005
}

func ownCopy(r Reader, key Key) Remedy {
	if key.Copy == "" {
		return Remedy{}
	}
	return CopyKey(r, key)
}

// changeMode closes a file to others. A user that reads it as one of those others gets it by its
// group, or as its own where other programs share the group.
func changeMode(f keyfile.Finding, r Reader) Remedy {
	info, err := os.Stat(f.Path)
	if err == nil && !r.isUnknown() {
		sys, ok := info.Sys().(*syscall.Stat_t)
		if ok && r.UID != 0 && int(sys.Uid) != r.UID && !slices.Contains(r.Groups, int(sys.Gid)) {
			if r.sharesGroup() {
				return of(LetIn,
					"chown "+r.User+" "+quote(f.Path)+" && chmod 0600 "+quote(f.Path))
			}
			return of(LetIn, "chgrp "+r.Group+" "+quote(f.Path)+" && chmod 0640 "+quote(f.Path))
		}
	}
	return of(ChangeMode, f.Mode, quote(f.Path))
}

// Directory makes a directory, and those above it.
func Directory(path string) Remedy { return of(MakeDirectory, quote(path)) }

// DirectoryFor makes a directory, and those above it, that a user can make files in.
func DirectoryFor(r Reader, path string) Remedy {
	return of(MakeOwnDirectory, r.User, r.Group, quote(path))
}

// Group gives a file, which its group may read, to the service's group.
func Group(group, path string) Remedy { return of(GiveToGroup, group, quote(path)) }

// Access lets a group read files and pass directories: at the directory that holds all of them,
// unless it holds other things as well, as the root directory does.
func Access(group string, paths []string) Remedy {
	top := paths[0]
	for _, p := range paths {
		for top != "/" && p != top && !strings.HasPrefix(p, top+"/") {
			top = filepath.Dir(top)
		}
	}
	if strings.Count(top, "/") < 2 {
		var each []string
		for _, p := range paths {
			each = append(each, quote(p))
		}
		return of(OpenEach, group, strings.Join(each, " "))
	}
	return of(OpenTree, group, quote(top))
}
