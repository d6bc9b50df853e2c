package migrate

import (
	"fmt"
	"os"
	"strings"

	"mailseal/cmd/mailseal/remedy"
	"mailseal/cmd/mailseal/service"
	"mailseal/config"
	"mailseal/config/opendkim"
)

// give lets the service's group read the file, and says what is left to do where we may not.
func give(s service.Service, path string) []opendkim.Note {
	if s.GID >= 0 && os.Chown(path, -1, s.GID) == nil {
		return nil
	}
	when := ""
	if s.GID < 0 {
		when = ", once there is a group of that name"
	}
	text := fmt.Sprintf("the daemon must be able to read %s (mode 0640)%s: %s", path, when,
		remedy.Group(s.Name, path))
	return []opendkim.Note{{Group: opendkim.Todo, Text: text}}
}

// keysToDo names the keys of a configuration that the service's user cannot read. OpenDKIM defers
// all mail when it finds that a group can read its keys, so that nothing is changed before it has
// stopped.
func keysToDo(s service.Service, toml string) []opendkim.Note {
	cfg, err := config.Parse("mailseal.toml", []byte(toml))
	if err != nil {
		return nil // "mailseal check" reports what is wrong
	}
	var files []string
	for _, k := range cfg.Keys {
		if k.File != "" && !k.IsPerDomain() {
			files = append(files, k.File)
		}
	}
	paths := s.Unreadable(files)
	if len(paths) == 0 {
		return nil
	}
	const what = "the user %s cannot read keys: it has no access to %s. Run this after OpenDKIM " +
		"has stopped, since OpenDKIM does not sign with keys that a group can read: %s"
	text := fmt.Sprintf(what, s.Name, few(paths), remedy.Access(s.Name, paths))
	return []opendkim.Note{{Group: opendkim.Todo, Text: text}}
}

// few lists some of many.
func few(texts []string) string {
	const some = 3
	if len(texts) > some {
		return fmt.Sprintf("%s and %d more", strings.Join(texts[:some], ", "), len(texts)-some)
	}
	return strings.Join(texts, ", ")
}
