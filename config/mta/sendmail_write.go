package mta

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// written is a filter as it is in its file.
func (s *sendmail) written(f cfFilter, equates string) Fix {
	if !s.hasMC {
		return Fix{{Kind: SendmailCF, File: s.cf.file, Name: f.name, Value: equates, line: "X" +
			f.name + ", " + equates}}
	}
	macro := "INPUT_MAIL_FILTER"
	if m := s.source(f); m != nil {
		macro = m.macro
	} else if slices.ContainsFunc(s.cf.filters,
		func(other cfFilter) bool { return other.name == f.name }) {
		macro = "MAIL_FILTER" // the list has it by another statement
	}
	line := macro + "(`" + f.name + "', `" + equates + "')dnl"
	return Fix{{Kind: SendmailMC, File: s.mcFile, Name: f.name, Value: equates, line: line}}
}

// listed sets the list of filters for ports without a separate list.
func (s *sendmail) listed(names []string) Fix {
	if !s.hasMC {
		return Fix{inputOption(s.cf.file, names)}
	}
	line := "define(`" + filterList + "', `" + strings.Join(names, ", ") + "')dnl below all filters"
	return Fix{{Kind: SendmailMC, File: s.mcFile, Name: filterList,
		Value: strings.Join(names, ", "), line: line}}
}

func (s *sendmail) readdressed(f cfFilter, address string) Fix {
	if address == "" {
		return nil
	}
	return s.written(f, strings.Replace(f.equates, f.socket, address, 1))
}

// withEquate sets one equate.
func withEquate(equates, key, value string) string {
	var out []string
	set := false
	for _, e := range splitTrim(equates, ",") {
		if strings.HasPrefix(e, key) {
			e, set = key+"="+value, true
		}
		out = append(out, e)
	}
	if !set {
		out = slices.Insert(out, min(1, len(out)), key+"="+value)
	}
	return strings.Join(out, ", ")
}

// withTimeout sets one of the times of T=.
func withTimeout(f cfFilter, key byte, value string) string {
	var out []string
	for _, k := range []byte("CSRE") {
		t := short(f.timeout[k])
		if k == key {
			t = value
		}
		out = append(out, string(k)+":"+t)
	}
	return withEquate(f.equates, "T", strings.Join(out, ";"))
}

// short writes a time as mail servers do.
func short(d time.Duration) string {
	if d%time.Minute == 0 {
		return fmt.Sprintf("%dm", d/time.Minute)
	}
	return fmt.Sprintf("%ds", d/time.Second)
}
