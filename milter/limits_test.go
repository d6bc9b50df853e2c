package milter

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// limitsTable says of each shared or bounded thing in the source who fills it, and what happens to
// the others then.
const limitsTable = "../contrib/LIMITS.md"

// How limits are called: constants, variables and fields; and what else is one in structs of
// options.
var (
	limitName = regexp.MustCompile(
		`^([mM]ax|[mM]ost|[lL]ongest)[A-Z]|(Limit|AtOnce|Lookups|Units|Size|Most|Max)$|^(limit|most|Most|max)$`)
	optionName = regexp.MustCompile(
		`^(Entries|Bytes|Concurrency|Connections|Judged|Memory|TotalMemory|Own|Shared|Cost|Packet|Tries)$`)
	optionsType = regexp.MustCompile(`Options$|^Limits$`)
)

// makers are calls that make something with room for so much.
var makers = []string{"NewCache", "cache.New", "NewGate", "NewLimit", "WithBudget", "NewEffort",
	"SetLimit", "SetMaxOpenConns", "SetMaxIdleConns"}

// notLimits look like limits, and are none: what they are instead.
var notLimits = map[string]string{
	"cmd/mailseal/examine/json.go spfJSON.Lookups": "a count",
	"config/settings.go setting.most":              "the bound of a setting, whose line is its field",
	"config/values.go durationUnits":               "words",
	"config/values.go sizeUnits":                   "words",
	"milter/dkim/signature.go Signature.Limit":     "l= of a signature",
	"milter/guard/negotiate.go offerSize":          "a length of the protocol",
	"milter/guard/packet.go headSize":              "a length of the protocol",
	"milter/message/canon/swar.go wordSize":        "the octets of a machine word",
	"milter/message/digests.go BodyHash.Limit":     "l= of a signature",
	"milter/metrics.go AtLimit":                    "the name of an event",
	"milter/miltertest/load.go Figures.Max":        "a measurement",
	"milter/miltertest/load.go Load.Size":          "the size of what is sent",
	"milter/report/web/checker.go Checked.Lookups": "a count",
	"milter/spf/spf.go Result.Lookups":             "a count",
	"milter/spf/tree.go Step.Lookups":              "a count",
}

// TestLimitsAreListed holds that each semaphore, bounded channel, pool, cache, budget and limit of
// the source has a line in the table, and that each line has one of them.
func TestLimitsAreListed(t *testing.T) {
	found := limitsOfSource(t)
	listed := limitsOfTable(t)
	for _, l := range found {
		if !slices.Contains(listed, l) {
			t.Errorf("%s has no line in %s: say who fills it, and what happens to the others then",
				l, limitsTable)
		}
	}
	for _, l := range listed {
		if !slices.Contains(found, l) {
			t.Errorf("%s is in %s, and not in the source", l, limitsTable)
		}
	}
	if len(found) < 100 {
		t.Errorf("only %d were found: the search is broken", len(found))
	}
}

// limitsOfTable reads the first two columns, "file name", of lines whose other two say something.
func limitsOfTable(t *testing.T) []string {
	t.Helper()
	text, err := os.ReadFile(limitsTable)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for line := range strings.Lines(string(text)) {
		cells := strings.Split(strings.TrimSpace(line), "|")
		if len(cells) != 6 || !strings.HasPrefix(strings.TrimSpace(cells[1]), "`") {
			continue
		}
		name, file := strings.Trim(cells[1], " `"), strings.TrimSpace(cells[2])
		if len(strings.TrimSpace(cells[3])) < 4 || len(strings.TrimSpace(cells[4])) < 4 {
			t.Errorf("%s %s: who fills it, and what then?", file, name)
		}
		if slices.Contains(out, file+" "+name) {
			t.Errorf("%s %s is there twice", file, name)
		}
		out = append(out, file+" "+name)
	}
	return out
}

// limitsOfSource finds them as "file name".
func limitsOfSource(t *testing.T) []string {
	t.Helper()
	var out []string
	for _, root := range []string{"cmd", "config", "keys", "milter"} {
		err := filepath.WalkDir("../"+root, func(path string, d fs.DirEntry, err error) error {
			switch {
			case err != nil:
				return err
			case d.IsDir() && slices.Contains([]string{"testdata", "dnstest", "mtatest"}, d.Name()):
				return filepath.SkipDir
			case d.IsDir() || !strings.HasSuffix(path, ".go") ||
				strings.HasSuffix(path, "_test.go"):
				return nil
			}
			parsed, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
			if err != nil {
				return err
			}
			file := filepath.ToSlash(strings.TrimPrefix(path, "../"))
			for _, name := range limitsOfFile(parsed) {
				if l := file + " " + name; notLimits[l] == "" && !slices.Contains(out, l) {
					out = append(out, l)
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return out
}

func limitsOfFile(f *ast.File) []string {
	var out []string
	for _, d := range f.Decls {
		if g, ok := d.(*ast.GenDecl); ok {
			for _, s := range g.Specs {
				out = append(out, limitsOfSpec(s)...)
			}
		}
	}
	ast.Inspect(f, func(n ast.Node) bool {
		if call, ok := n.(*ast.CallExpr); ok {
			if name := limitOfCall(call); name != "" {
				out = append(out, name)
			}
		}
		return true
	})
	return out
}

// limitsOfSpec finds constants, variables, pools and fields.
func limitsOfSpec(s ast.Spec) []string {
	var out []string
	switch s := s.(type) {
	case *ast.ValueSpec:
		for i, n := range s.Names {
			if limitName.MatchString(n.Name) || i < len(s.Values) && isPool(s.Values[i]) {
				out = append(out, n.Name)
			}
		}
	case *ast.TypeSpec:
		st, ok := s.Type.(*ast.StructType)
		if !ok {
			return nil
		}
		for _, field := range st.Fields.List {
			for _, n := range field.Names {
				if limitName.MatchString(n.Name) || optionsType.MatchString(s.Name.Name) &&
					optionName.MatchString(n.Name) {
					out = append(out, s.Name.Name+"."+n.Name)
				}
			}
		}
	}
	return out
}

func isPool(e ast.Expr) bool {
	lit, ok := e.(*ast.CompositeLit)
	return ok && text(lit.Type) == "sync.Pool"
}

// limitOfCall returns the name of a call that makes a bounded thing: "chan struct{}", "NewGate".
func limitOfCall(call *ast.CallExpr) string {
	name := text(call.Fun)
	if name == "make" && len(call.Args) == 2 {
		if c, ok := call.Args[0].(*ast.ChanType); ok {
			return "chan " + text(c.Value)
		}
	}
	for _, m := range makers {
		if name == m || strings.HasSuffix(name, "."+m) {
			return m
		}
	}
	return ""
}

// text writes a type or the name of a function.
func text(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.Ident:
		return e.Name
	case *ast.SelectorExpr:
		return text(e.X) + "." + e.Sel.Name
	case *ast.StarExpr:
		return "*" + text(e.X)
	case *ast.StructType:
		return "struct{}"
	case *ast.IndexExpr:
		return text(e.X)
	case *ast.IndexListExpr:
		return text(e.X)
	}
	return "?"
}
