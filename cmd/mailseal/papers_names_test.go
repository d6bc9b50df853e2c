package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"mailseal/config"
)

// names are what a paper may name.
type names struct {
	root     *cobra.Command
	targets  map[string]bool
	settings map[string]bool // with their tables: "rotation.every"
	tables   map[string]bool
	// by package name: what it declares, "Filter.Begin" for methods and fields
	packages    map[string]map[string]bool
	packageDirs map[string]bool     // whether it has a package comment
	tests       map[string][]string // by folder
}

func readNames(t *testing.T) *names {
	t.Helper()
	n := &names{root: newRootCmd(), targets: map[string]bool{}}
	n.root.InitDefaultHelpCmd()
	n.root.InitDefaultCompletionCmd("completion")
	for _, m := range regexp.MustCompile(`(?m)^([a-z][a-z-]*):`).FindAllStringSubmatch(readPaper(t,
		"Makefile"), -1) {
		n.targets[m[1]] = true
	}
	n.readSettings(config.Sample())
	n.readPackages(t)
	return n
}

// readSettings takes the settings from the sample, which has all of them.
func (n *names) readSettings(sample string) {
	n.settings, n.tables = map[string]bool{}, map[string]bool{}
	header := regexp.MustCompile(`^#?\[+([a-z_.]+)[^\]]*\]+$`)
	setting := regexp.MustCompile(`^#?([a-z_.]+) = `)
	table := ""
	for line := range strings.Lines(sample) {
		line = strings.TrimSpace(line)
		if m := header.FindStringSubmatch(line); m != nil {
			table = strings.TrimSuffix(m[1], ".")
			n.tables[table] = true
		} else if m := setting.FindStringSubmatch(line); m != nil {
			n.settings[table+"."+m[1]] = true
		}
	}
}

// readPackages lists what the packages of the module declare.
func (n *names) readPackages(t *testing.T) {
	t.Helper()
	n.packages, n.packageDirs, n.tests = map[string]map[string]bool{}, map[string]bool{},
		map[string][]string{}
	for _, top := range []string{"cmd", "config", "contrib", "keys", "milter"} {
		err := filepath.WalkDir(filepath.Join(repository, top),
			func(file string, d fs.DirEntry, err error) error {
				if err != nil || d.IsDir() || !strings.HasSuffix(file, ".go") ||
					strings.Contains(file, "testdata") {
					return err
				}
				return n.readFile(file)
			})
		if err != nil {
			t.Fatal(err)
		}
	}
}

func (n *names) readFile(file string) error {
	f, err := parser.ParseFile(token.NewFileSet(), file, nil,
		parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		return err
	}
	dir, err := filepath.Rel(repository, filepath.Dir(file))
	if err != nil {
		return err
	}
	dir = filepath.ToSlash(dir)
	here := map[string]bool{}
	declared(f, here)
	if strings.HasSuffix(file, "_test.go") {
		n.tests[dir] = slices.AppendSeq(n.tests[dir], maps.Keys(here))
		return nil
	}
	n.packageDirs[dir] = n.packageDirs[dir] || f.Doc != nil
	if n.packages[f.Name.Name] == nil {
		n.packages[f.Name.Name] = map[string]bool{}
	}
	maps.Copy(n.packages[f.Name.Name], here)
	return nil
}

// declared adds the names that a file declares.
func declared(f *ast.File, to map[string]bool) {
	for _, d := range f.Decls {
		switch d := d.(type) {
		case *ast.FuncDecl:
			to[receiver(d)+d.Name.Name] = true
		case *ast.GenDecl:
			for _, s := range d.Specs {
				declaredBy(s, to)
			}
		}
	}
}

func declaredBy(s ast.Spec, to map[string]bool) {
	switch s := s.(type) {
	case *ast.ValueSpec:
		for _, id := range s.Names {
			to[id.Name] = true
		}
	case *ast.TypeSpec:
		to[s.Name.Name] = true
		var members *ast.FieldList
		switch u := s.Type.(type) {
		case *ast.StructType:
			members = u.Fields
		case *ast.InterfaceType:
			members = u.Methods
		default:
			return
		}
		for _, m := range members.List {
			for _, id := range m.Names {
				to[s.Name.Name+"."+id.Name] = true
			}
		}
	}
}

// receiver returns "T." for a method of T or *T, generic or not, and "" for a function.
func receiver(d *ast.FuncDecl) string {
	if d.Recv == nil {
		return ""
	}
	var name string
	ast.Inspect(d.Recv.List[0].Type, func(node ast.Node) bool {
		if id, ok := node.(*ast.Ident); ok && name == "" {
			name = id.Name + "."
		}
		return true
	})
	return name
}
