package migrate

import (
	"fmt"
	"os"
	"strings"

	"mailseal/cmd/mailseal/check"
	"mailseal/cmd/mailseal/remedy"
	"mailseal/config"
	"mailseal/config/opendkim"
)

// serviceName is the user and group that the units in contrib/systemd run the daemon as.
const serviceName = "mailseal"

// give lets the service's group read the file, and says what is left to do where we may not.
func give(s check.Service, path string) []opendkim.Note {
	if s.GID >= 0 && os.Chown(path, -1, s.GID) == nil {
		return nil
	}
	when := ""
	if s.GID < 0 {
		when = ", once there is a group of that name"
	}
	text := fmt.Sprintf("the daemon must be able to read %s (mode 0640)%s: %s", path, when, remedy.Group(s.Name, path))
	return []opendkim.Note{{Group: opendkim.Todo, Text: text}}
}

// keysToDo names the keys of a configuration that the service's user cannot read. OpenDKIM defers all mail when it finds
// that a group can read its keys, so that nothing is changed before it has stopped.
func keysToDo(s check.Service, toml string) []opendkim.Note {
	cfg, err := config.Parse("mailseal.toml", []byte(toml))
	if err != nil {
		return nil // "mailseal check" reports what is wrong
	}
	paths := s.Unreadable(cfg)
	if len(paths) == 0 {
		return nil
	}
	const what = "the user %s cannot read keys: it is stopped at %s. " +
		"Once OpenDKIM has stopped, which does not sign with keys that a group can read: %s"
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
