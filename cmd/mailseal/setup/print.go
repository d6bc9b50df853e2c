package setup

import (
	"encoding/json"
	"strings"
)

// finish writes the end: for programs everything, for people what is left to do.
func (r *run) finish(isWhole bool) error {
	if r.JSON {
		if !isWhole {
			return nil // the error is printed instead
		}
		e := json.NewEncoder(r.Out)
		e.SetEscapeHTML(false)
		return e.Encode(r.result)
	}
	for _, f := range r.result.Faults {
		r.say("\nFAULT: %s\n", f)
	}
	for _, t := range r.result.Todo {
		r.say("\nTo do: %s\n", strings.TrimSpace(t))
	}
	if isWhole && len(r.result.Faults)+len(r.result.Todo) == 0 {
		r.say("\nNothing is left to do. \"mailseal status\" shows the state of the daemon.\n")
	}
	return nil
}
