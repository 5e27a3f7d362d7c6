package main

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// constant is one constant of text, with the comment beside or above it. kind is its type's name; empty: it has none.
type constant struct{ name, kind, value, comment string }

// group is one declaration of constants, with the comment above it.
type group struct {
	comment   string
	constants []constant
}

// parse reads the Go files of a directory, without tests, in the order of their names.
func parse(dir string) (*token.FileSet, []*ast.File, error) {
	names, err := filepath.Glob(filepath.Join(dir, "*.go"))
	set := token.NewFileSet()
	var files []*ast.File
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		f, err := parser.ParseFile(set, name, nil, parser.ParseComments)
		if err != nil {
			return nil, nil, err
		}
		files = append(files, f)
	}
	return set, files, err
}

// groups are a package's declarations of constants of text, in the order of its files.
func groups(dir string) ([]group, error) {
	_, files, err := parse(dir)
	if err != nil {
		return nil, err
	}
	var declared []*ast.GenDecl
	values := map[string]ast.Expr{}
	for _, f := range files {
		for _, d := range f.Decls {
			gen, ok := d.(*ast.GenDecl)
			if !ok || gen.Tok != token.CONST {
				continue
			}
			declared = append(declared, gen)
			for _, spec := range gen.Specs {
				if v := spec.(*ast.ValueSpec); len(v.Values) == 1 {
					values[v.Names[0].Name] = v.Values[0]
				}
			}
		}
	}
	var all []group
	for _, gen := range declared {
		g := group{comment: oneLine(gen.Doc.Text())}
		for _, spec := range gen.Specs {
			v := spec.(*ast.ValueSpec)
			if text, ok := textOf(values[v.Names[0].Name], values); ok {
				g.constants = append(g.constants, constant{v.Names[0].Name, kindName(v), text, oneLine(v.Doc.Text() + " " + v.Comment.Text())})
			}
		}
		if len(g.constants) > 0 {
			all = append(all, g)
		}
	}
	return all, nil
}

func oneLine(comment string) string { return strings.Join(strings.Fields(comment), " ") }

// kindName is the type of a constant as it is declared or converted to.
func kindName(v *ast.ValueSpec) string {
	e := v.Type
	if call, ok := v.Values[0].(*ast.CallExpr); e == nil && ok {
		e = call.Fun
	}
	switch e := e.(type) {
	case *ast.Ident:
		return e.Name
	case *ast.SelectorExpr:
		return e.Sel.Name
	}
	return ""
}

// textOf evaluates text: a literal, a sum, a conversion, or another constant of the package.
func textOf(e ast.Expr, values map[string]ast.Expr) (string, bool) {
	switch e := e.(type) {
	case *ast.BasicLit:
		text, err := strconv.Unquote(e.Value)
		return text, err == nil && e.Kind == token.STRING
	case *ast.BinaryExpr:
		left, a := textOf(e.X, values)
		right, b := textOf(e.Y, values)
		return left + right, a && b && e.Op == token.ADD
	case *ast.CallExpr:
		return textOf(e.Args[0], values)
	case *ast.Ident:
		return textOf(values[e.Name], values)
	}
	return "", false
}

// section writes what stands under a comment: its first sentence as the title, and what each constant that take chooses means. A word that
// nobody explains is an error.
func section(b *strings.Builder, g group, take func(constant) bool) error {
	chosen := slices.DeleteFunc(slices.Clone(g.constants), func(c constant) bool { return !take(c) })
	if len(chosen) == 0 {
		return nil
	}
	title, rest, _ := strings.Cut(g.comment, ". ")
	fmt.Fprintf(b, "## %s\n\n", strings.TrimSuffix(title, "."))
	if rest != "" {
		b.WriteString(rest + "\n\n")
	}
	t := &table{head: []string{"Word", "What it means"}}
	for _, c := range chosen {
		if c.comment == "" {
			return fmt.Errorf("%s has no comment that says what %s means", c.name, c.value)
		}
		t.row(code(c.value), cell(strings.TrimPrefix(strings.TrimPrefix(c.comment, c.name+" "), "is ")))
	}
	fmt.Fprintf(b, "%s\n", t)
	return nil
}
