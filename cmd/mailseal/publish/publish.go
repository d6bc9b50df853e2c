// Package publish prints DNS records in the three forms that name servers and providers ask for: a
// line of a zone file, the bare value, and the value in strings of at most 255 bytes.
package publish

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
)

// maxString is the length of one string of a TXT record, in bytes (RFC 1035 section 3.3).
const maxString = 255

// ttl is the time to live of records that are printed, in seconds: a mistake is corrected within
// the hour.
const ttl = 3600

// Record is a record to publish.
type Record struct {
	Name string // without final dot
	Type string // "TXT", "MX"; "" is TXT
	Text string // the value: of a TXT record its strings joined, of others as a zone file has it
	// who must publish it when it is another owner's zone; "" for the owner of the domain
	Who string
}

// Kind is the type of the record, TXT when none is set.
func (r Record) Kind() string {
	if r.Type == "" {
		return "TXT"
	}
	return r.Type
}

// Strings returns a TXT value in strings of at most 255 bytes, and any other value
// unchanged.
func (r Record) Strings() []string {
	if r.Kind() != "TXT" {
		return []string{r.Text}
	}
	var out []string
	text := r.Text
	for ; len(text) > maxString; text = text[maxString:] {
		out = append(out, text[:maxString])
	}
	return append(out, text)
}

// quote writes a string of a TXT record as a zone file has it (RFC 1035 section 5.1).
func quote(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	for i := range len(s) {
		switch c := s[i]; {
		case c == '"' || c == '\\':
			b.WriteByte('\\')
			b.WriteByte(c)
		case c < ' ' || c > '~':
			fmt.Fprintf(&b, "\\%03d", c)
		default:
			b.WriteByte(c)
		}
	}
	b.WriteByte('"')
	return b.String()
}

// Quoted returns the value as provider forms that ask for strings take it.
func (r Record) Quoted() string {
	if r.Kind() != "TXT" {
		return r.Text
	}
	parts := r.Strings()
	for i, p := range parts {
		parts[i] = quote(p)
	}
	return strings.Join(parts, " ")
}

// Zone returns the record as a line of a zone file, without a line end. The name is absolute.
func (r Record) Zone() string {
	return fmt.Sprintf("%s. %d IN %s %s", r.Name, ttl, r.Kind(), r.Quoted())
}

// Write prints the record in the three forms, each behind an indent, for a terminal of width
// columns; 0 is a file or a pipe, where each form is one line. The bare value is one line
// everywhere: a form that it is pasted into would take a line break for a part of it. A value that
// a terminal cannot show is left out.
func (r Record) Write(w io.Writer, indent string, width int) error {
	who := ""
	if r.Who != "" {
		who = ", which " + r.Who + " must publish"
	}
	room := width
	if width > 0 {
		room = max(width-len(indent)-3, 24)
	}
	within := "\n" + indent + "  "
	value := "value:" + within + r.Text
	if Visible(r.Text) != r.Text {
		value = "value: not shown, because it has bytes that are not printable ASCII;" + within +
			"use one of the other forms"
	}
	_, err := fmt.Fprintf(w, "%szone file%s:%s%s\n%s%s\n%sin strings:%s%s\n", indent, who,
		within, strings.Join(r.Layout(room), within), indent, value,
		indent, within, strings.Join(r.QuotedLayout(room), within))
	return err
}

// MarshalJSON writes the three forms.
func (r Record) MarshalJSON() ([]byte, error) {
	return json.Marshal(struct {
		Name    string   `json:"name"`
		Type    string   `json:"type"`
		TTL     int      `json:"ttl"`
		Value   string   `json:"value"`
		Strings []string `json:"strings"`
		Zone    string   `json:"zone"`
		Who     string   `json:"publisher,omitempty"`
	}{r.Name, r.Kind(), ttl, r.Text, r.Strings(), r.Zone(), r.Who})
}
