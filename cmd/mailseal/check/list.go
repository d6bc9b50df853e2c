package check

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"mailseal/config/mta"
)

// codeRow is a code as "mailseal check --list" prints it.
type codeRow struct {
	Code     Code     `json:"code"`
	Severity Severity `json:"severity"`
	Area     Area     `json:"area"`
	Text     string   `json:"text"`
}

// List prints all codes of findings with their severities and sentences, in which "..." stands for
// what a finding names; as JSON one object per line.
func List(w io.Writer, asJSON bool) error {
	var list []codeRow
	for _, r := range rows {
		list = append(list, codeRow{r.Code, r.Severity, r.Area, mta.WithoutVerbs(r.Text)})
	}
	for _, r := range mta.CodeTexts() {
		list = append(list, codeRow{codeOfMTA(r.Code), severityOfMTA[r.Severity], MTA, r.Text})
	}
	for _, r := range list {
		if strings.Trim(r.Text, ".: ") == "" { // all of it is in the finding
			r.Text = strings.ReplaceAll(string(r.Code), "-", " ")
		}
		if asJSON {
			if err := json.NewEncoder(w).Encode(r); err != nil {
				return err
			}
			continue
		}
		if _, err := fmt.Fprintf(w, "%-36s %-8s %s\n", r.Code, r.Severity, r.Text); err != nil {
			return err
		}
	}
	return nil
}
