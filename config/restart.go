package config

import (
	"reflect"
	"slices"
	"strings"
)

// Restart is a setting whose change a reload does not take over.
type Restart struct {
	Setting string // as its path in the file: "log.format"
	Why     string
}

// NeedRestart lists the settings that differ and take effect only after a restart, as the tables of
// settings say.
func NeedRestart(old, now *Config) []Restart {
	var out []Restart
	for _, sec := range sections {
		for _, s := range sec.settings {
			path := dotted(sec.path, s.name)
			switch {
			case s.restart == "":
			case sec.path == listenSection.path:
				out = append(out, restartListeners(old, now, s)...)
			case !reflect.DeepEqual(settingValue(old, path), settingValue(now, path)):
				out = append(out, Restart{path, s.restart})
			}
		}
	}
	return out
}

// settingValue returns the value of a setting that comes once.
func settingValue(c *Config, path string) any {
	v := reflect.ValueOf(c).Elem()
	for name := range strings.SplitSeq(path, ".") {
		v = v.FieldByIndex(fieldsOf(v.Type())[name].index)
	}
	return v.Interface()
}

// restartListeners compares a setting of the sockets that stay.
func restartListeners(old, now *Config, s setting) []Restart {
	var out []Restart
	for i := range now.Listen {
		at := slices.IndexFunc(old.Listen, func(l Listener) bool { return l.Is(now.Listen[i]) })
		if at < 0 {
			continue
		}
		f := fieldsOf(reflect.TypeFor[Listener]())[s.name]
		before, after := reflect.ValueOf(old.Listen[at]).FieldByIndex(f.index),
			reflect.ValueOf(now.Listen[i]).FieldByIndex(f.index)
		if !reflect.DeepEqual(before.Interface(), after.Interface()) {
			out = append(out, Restart{dotted(indexPath("listen", i), s.name), s.restart})
		}
	}
	return out
}

// Is reports whether two listeners have the same socket, whatever their other settings.
func (l Listener) Is(other Listener) bool {
	return l.Network == other.Network && l.Target == other.Target
}
