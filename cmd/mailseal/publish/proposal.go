package publish

import (
	"encoding/json"
	"fmt"
	"io"
)

// ProposalVersion is that of the JSON form of a Proposal. It grows when the meaning of a field
// changes.
const ProposalVersion = 1

// Proposal is a set of records to publish, with what to know of them.
type Proposal struct {
	Version int      `json:"version"`
	Domain  string   `json:"domain"`
	Records []Record `json:"records"`
	Notes   []string `json:"notes"`
}

// Write prints the records in three forms, and the notes.
func (p Proposal) Write(w io.Writer, asJSON bool) error {
	if asJSON {
		p.Notes = append([]string{}, p.Notes...)
		return json.NewEncoder(w).Encode(p)
	}
	width := Columns(w)
	for _, r := range p.Records {
		if _, err := fmt.Fprintf(w, "%s %s\n", r.Name, r.Kind()); err != nil {
			return err
		}
		if err := r.Write(w, "  ", width); err != nil {
			return err
		}
	}
	for _, n := range p.Notes {
		if _, err := fmt.Fprintf(w, "\n%s\n", Note(n, width)); err != nil {
			return err
		}
	}
	return nil
}
