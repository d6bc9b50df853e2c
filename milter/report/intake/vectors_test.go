package intake

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"mailseal/milter/report"
)

var update = flag.Bool("update", false, "write testdata/vectors.tsv again")

const vectors = "../../../../shared/vectors/dmarc-reports"

// TestVectors holds 51 synthetic reports against the index of what is in them: how many records and
// messages are read, what each part is, and what is noted about it.
func TestVectors(t *testing.T) {
	files, err := filepath.Glob(vectors + "/*")
	if err != nil || len(files) == 0 {
		t.Skip("there are no vectors beside the checkout: ", vectors)
	}
	var b strings.Builder
	b.WriteString("file\trecords\tmessages\tclass\tnotes\n")
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range Look(filepath.Base(file), data) {
			b.WriteString(line(p))
		}
	}
	const index = "testdata/vectors.tsv"
	if *update {
		if err := os.WriteFile(index, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(index)
	if err != nil || b.String() != string(want) {
		t.Errorf("%s (%v): got\n%s", index, err, b.String())
	}
	if len(files) != 51 {
		t.Errorf("%d files, want 51", len(files))
	}
}

// line says what a part is, as the index has it.
func line(p *Part) string {
	if p.Kind != Aggregate || p.Err != nil {
		return fmt.Sprintf("%s\t0\t0\t%s\t%s\n", p.Name(), p.Kind, orDash(p.Err))
	}
	f, err := p.ReadAggregate(nil, nil)
	if err != nil {
		kind := p.Kind
		if errors.Is(err, report.ErrHostile) {
			kind = Hostile
		}
		return fmt.Sprintf("%s\t0\t0\t%s\t%v\n", p.Name(), kind,
			strings.TrimPrefix(err.Error(), p.Name()+": "))
	}
	notes := append([]string{}, p.Warnings...)
	for _, n := range f.Notes {
		notes = append(notes, n.Code)
	}
	kind := string(p.Kind)
	if f.Cut != "" {
		kind = "partial"
	}
	return fmt.Sprintf("%s\t%d\t%d\t%s\t%s\n", p.Name(), f.Rows, f.Messages, kind,
		strings.Join(append(notes, "-")[:max(len(notes), 1)], "; "))
}

func orDash(err error) string {
	if err == nil {
		return "-"
	}
	return err.Error()
}
